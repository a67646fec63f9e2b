//! A backend as the authority: issue, refresh and sign-out are configured calls to it.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    client_device::ClientDevice,
    issued::{AuthorityOutage, Guess, IssueError, Issued},
    proof::{CREDENTIALS_METHOD, Proof, ProvedAddress},
    providers::Providers,
    requests::{RefreshRequest, SignOutRequest, SignedOut},
    verify::AccessTokenChecks,
};
use crate::{
    call::{self, CallError, Caller, Placeholder, Template, Values},
    clock::Clock,
    oidc::{Claims, Identity, RefreshError},
    secret::{IdToken, Secret},
};

mod answer;
mod refused;

pub use answer::{AnswerFields, Pointer};
pub use refused::RefusedWhen;

/// The calls of a backend authority.
#[derive(Clone, Debug)]
pub struct BackendSettings {
    /// Index of the authority's upstream in the list of upstreams.
    pub upstream: usize,
    /// `[authority.exchange]`: the call after an OIDC login.
    pub exchange: Option<Template>,
    /// `[authority.credentials]`: the call of `POST {base_path}/login`.
    pub credentials: Option<Template>,
    /// `[authority.credentials] fields`: the fields of that body; the first is the account.
    pub fields: Vec<String>,
    /// `[authority.otp]`: the call after a one-time code with `purpose = "login"`.
    pub otp: Option<Template>,
    /// `[authority.refresh]`: the call that refreshes. Without it a session ends with its access token.
    pub refresh: Option<Template>,
    /// Statuses of the refresh call that end the session; default 401.
    pub refused: Vec<u16>,
    /// Values in the refresh call's answer that end the session, whatever the status.
    pub refused_when: RefusedWhen,
    /// `[authority.signout]`: the call at logout.
    pub signout: Option<Template>,
    /// `[authority.answer]`: the places of the fields in the answers.
    pub answer: AnswerFields,
}

/// A backend as the authority.
pub(super) struct BackendAuthority {
    pub(super) settings: BackendSettings,
    pub(super) caller: Arc<Caller>,
    pub(super) providers: Providers,
    pub(super) checks: Arc<AccessTokenChecks>,
    pub(super) clock: Clock,
}

impl BackendAuthority {
    pub(super) async fn issue(&self, proof: Proof, from: &ClientDevice) -> Result<Issued, IssueError> {
        match proof {
            Proof::Provider(identity) => self.exchange(*identity, from).await,
            Proof::Credentials(fields) => self.check_credentials(fields, from).await,
            Proof::Code(address) => self.exchange_address(&address, from).await,
        }
    }

    async fn exchange(&self, identity: Identity, from: &ClientDevice) -> Result<Issued, IssueError> {
        self.providers.check_allowed(&identity)?;
        let template = self.settings.exchange.as_ref().ok_or(IssueError::Unsupported)?;
        let email = identity.profile.get("email").cloned().unwrap_or(Value::Null);
        let mut values = from
            .values()
            .with(Placeholder::Provider, identity.provider.clone())
            .with(Placeholder::Method, identity.provider.clone())
            .with(Placeholder::ProviderSub, identity.profile.get("sub").cloned().unwrap_or_default())
            .with(Placeholder::Profile, identity.profile_as_given.unwrap_or_else(|| identity.profile.clone()))
            .with(Placeholder::Email, email)
            .with_claims(identity.profile.clone());
        if let Some(token) = &identity.id_token {
            values = values.with(Placeholder::IdToken, token.expose());
        }
        if let Some(tokens) = &identity.tokens {
            values = values.with(Placeholder::AccessToken, tokens.access_token.expose());
            if let Some(token) = &tokens.refresh_token {
                values = values.with(Placeholder::RefreshToken, token.expose());
            }
        }
        let answer = self.ask(template, &values, from).await?;
        if is_refusal(&answer) {
            return Err(IssueError::Refused(answer.status));
        }
        self.read(&answer, Some((identity.id_token, identity.profile))).await
    }

    async fn check_credentials(
        &self,
        fields: Vec<(String, Secret)>,
        from: &ClientDevice,
    ) -> Result<Issued, IssueError> {
        let template = self.settings.credentials.as_ref().ok_or(IssueError::Unsupported)?;
        let mut values = from.values().with(Placeholder::Method, CREDENTIALS_METHOD);
        for (name, value) in fields {
            values = match name.as_str() {
                "email" => values.with(Placeholder::Email, value.expose()),
                "password" => values.with(Placeholder::Password, value.expose()),
                _ => values,
            };
            values = values.with(Placeholder::Field(name), value.expose());
        }
        let answer = self.ask(template, &values, from).await?;
        if let Some(error) = self.refused_credentials(&answer) {
            return Err(error);
        }
        self.read(&answer, None).await
    }

    /// Why the backend refuses the credentials; `None` if it does not. A page refuses nothing, whatever its status.
    fn refused_credentials(&self, answer: &call::BackendAnswer) -> Option<IssueError> {
        let is_object = answer.json.as_ref().is_some_and(Value::is_object);
        match answer.status.as_u16() {
            _ if answer.is_page => None,
            400 | 401 | 403 | 422 => Some(IssueError::BadCredentials(Guess::Counted)),
            // Without an object, the path of the call is wrong: no backend's own answer.
            404 if is_object => Some(IssueError::BadCredentials(Guess::Counted)),
            410 if is_object => Some(IssueError::BadCredentials(Guess::Uncounted)),
            409 | 423 => Some(IssueError::BadCredentials(Guess::Uncounted)),
            429 => Some(IssueError::TooMany(answer.retry_after(self.clock.now()))),
            _ => None,
        }
    }

    async fn exchange_address(&self, address: &ProvedAddress, from: &ClientDevice) -> Result<Issued, IssueError> {
        address.check_allowed()?;
        let template = self.settings.otp.as_ref().ok_or(IssueError::Unsupported)?;
        let answer = self
            .ask(template, &address.values(from.values()).with(Placeholder::Method, address.channel.as_str()), from)
            .await?;
        if is_refusal(&answer) {
            return Err(IssueError::Refused(answer.status));
        }
        let issued = self.read(&answer, None).await?;
        Ok(Issued { identity: Some(address.claims()), ..issued })
    }

    async fn ask(
        &self,
        template: &Template,
        values: &Values,
        from: &ClientDevice,
    ) -> Result<call::BackendAnswer, IssueError> {
        let answer = self.caller.call(template, values, &from.client).await;
        answer.map_err(|error| IssueError::Unavailable(error.into()))
    }

    async fn read(
        &self,
        answer: &call::BackendAnswer,
        proved: Option<(Option<IdToken>, Claims)>,
    ) -> Result<Issued, IssueError> {
        if answer.is_page {
            return Err(IssueError::Unavailable(AuthorityOutage::Page(answer.status)));
        }
        if !answer.status.is_success() {
            return Err(IssueError::Unavailable(AuthorityOutage::Status(answer.status)));
        }
        let tokens = self.settings.answer.tokens(answer);
        let tokens = tokens.map_err(|why| IssueError::Unavailable(AuthorityOutage::NoAccessToken(why)))?;
        tokens.for_login(&self.checks, proved).await
    }

    pub(super) async fn refresh(
        &self,
        request: RefreshRequest<'_>,
        from: &ClientDevice,
    ) -> Result<Issued, RefreshError> {
        let template = self.settings.refresh.as_ref().ok_or(RefreshError::Refused)?;
        let mut values = from
            .values()
            .with(Placeholder::RefreshToken, request.refresh_token.expose())
            .with(Placeholder::Provider, request.provider)
            .with(Placeholder::Method, request.provider)
            .with_session_claims(request.claims.clone());
        if let Some(token) = request.access_token {
            values = values.with(Placeholder::AccessToken, token.expose());
        }
        if let Some(sub) = request.identity.and_then(|identity| identity.get("sub")) {
            values = values.with(Placeholder::ProviderSub, sub.clone());
        }
        let answer = self.caller.call(template, &values, &from.client).await.map_err(|error| {
            tracing::warn!(%error, "authority: the refresh call failed");
            match error {
                CallError::NoAnswer(error) => error.into(),
                CallError::Value(_) => RefreshError::Failed { retry_after: None },
            }
        })?;
        // A page is from an intermediate proxy or an error handler: it is no refusal of the token.
        let by_status = self.settings.refused.contains(&answer.status.as_u16()) && !answer.is_page;
        if by_status || self.settings.refused_when.applies_to(&answer) {
            return Err(RefreshError::Refused);
        }
        if !answer.status.is_success() {
            tracing::warn!(
                status = answer.status.as_u16(),
                page = answer.is_page,
                "authority: the answer to the refresh call neither refreshes nor refuses"
            );
            let retry_after = answer.retry_after(self.clock.now());
            return Err(if answer.status == StatusCode::TOO_MANY_REQUESTS {
                RefreshError::TooMany { retry_after }
            } else {
                RefreshError::Failed { retry_after }
            });
        }
        let tokens = self.settings.answer.tokens(&answer).map_err(|why| {
            tracing::error!(%why, "authority: the refreshed access token is not where [authority.answer] says");
            RefreshError::Failed { retry_after: None }
        })?;
        tokens.for_refresh(&self.checks).await
    }

    pub(super) async fn sign_out(&self, request: SignOutRequest<'_>, from: &ClientDevice) -> SignedOut {
        let Some(template) = &self.settings.signout else { return SignedOut::NothingToDo };
        let mut values =
            from.values().with(Placeholder::Provider, request.provider).with(Placeholder::Method, request.provider);
        if let Some(token) = request.refresh_token {
            values = values.with(Placeholder::RefreshToken, token.expose());
        }
        if let Some(token) = request.access_token {
            values = values.with(Placeholder::AccessToken, token.expose());
        }
        match self.caller.call(template, &values, &from.client).await {
            Ok(answer) if answer.status.is_success() && !answer.is_page => SignedOut::Confirmed,
            Ok(answer) => {
                tracing::warn!(status = answer.status.as_u16(), "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
            Err(error) => {
                tracing::warn!(%error, "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }
}

/// Whether an exchange or a code was refused. All other answers that are not 2xx, and pages, count as an outage.
fn is_refusal(answer: &call::BackendAnswer) -> bool {
    let refuses = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    refuses && !answer.is_page
}
