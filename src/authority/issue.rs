//! A proof of who someone is becomes tokens.

use http::StatusCode;
use serde_json::Value;

use super::{Authority, Backend, ClientDevice, Code, Issued, Kind, VerifyError, answer::Tokens, notify::Arrival};
use crate::{
    call::{Answer, CallError, Placeholder, Template, Values},
    oidc::{Claims, Identity},
    secret::{IdToken, Secret},
    store::StoreError,
};

/// How a visitor proved who they are.
#[derive(Clone, Debug)]
pub enum Proof {
    /// At an identity provider.
    Provider(Box<Identity>),
    /// To be checked by the backend.
    Credentials {
        /// E-mail, as typed.
        email: String,
        /// Password.
        password: Secret,
    },
    /// With a one-time code.
    Code(Code),
}

/// Why no tokens were issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The backend does not know this e-mail with this password.
    #[error("bad credentials")]
    BadCredentials,
    /// The backend does not let this person in.
    #[error("the backend refused the login with status {0}")]
    Refused(StatusCode),
    /// `allow` does not let this person in.
    #[error("not on the list of who may come in")]
    NotAllowed,
    /// This authority cannot do anything with this kind of proof.
    #[error("no login of this kind is configured")]
    Unsupported,
    /// The authority is down or talks rubbish: try again later.
    #[error("the authority is not available")]
    Unavailable(#[source] Outage),
}

/// What an authority that is not available did; for the log.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// The call brought no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its status says nothing about the login.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// There is no access token where `[authority.answer]` says.
    #[error("there is no access token in its answer")]
    NoAccessToken,
    /// The store does not answer.
    #[error(transparent)]
    Store(StoreError),
    /// Another login of the same person is being told to the backend, and that takes too long to wait for.
    #[error("another first login of the same person is under way")]
    UnderWay,
    /// Its access token does not pass `[authority.verify]`.
    #[error("its access token does not pass [authority.verify]")]
    AccessToken(#[source] VerifyError),
}

impl Authority {
    /// Issues tokens for `proof`.
    pub async fn issue(&self, proof: Proof, from: &ClientDevice) -> Result<Issued, IssueError> {
        match (&self.kind, proof) {
            (Kind::Provider, Proof::Provider(identity)) => self.provider_tokens(*identity, from).await,
            (Kind::Provider, Proof::Credentials { .. } | Proof::Code(_))
            | (Kind::Gateway(_), Proof::Credentials { .. }) => Err(IssueError::Unsupported),
            (Kind::Backend(backend), Proof::Provider(identity)) => self.exchange(backend, *identity, from).await,
            (Kind::Backend(backend), Proof::Credentials { email, password }) => {
                self.credentials(backend, email, &password, from).await
            }
            (Kind::Backend(backend), Proof::Code(code)) => self.code(backend, &code, from).await,
            (Kind::Gateway(gateway), Proof::Provider(identity)) => {
                self.issue_to_identity(gateway, *identity, from).await
            }
            (Kind::Gateway(gateway), Proof::Code(code)) => self.issue_to_code(gateway, &code, from).await,
        }
    }

    async fn provider_tokens(&self, mut identity: Identity, from: &ClientDevice) -> Result<Issued, IssueError> {
        self.check_allowed(&identity)?;
        let tokens = identity.tokens.take().ok_or(IssueError::Unsupported)?;
        self.welcome(|| Arrival::of_identity(&identity), from).await?;
        let fresh = Tokens {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_in: tokens.expires_in,
        };
        let issued = self.issued(fresh, Some((identity.id_token, identity.profile))).await;
        issued.map_err(|error| IssueError::Unavailable(Outage::AccessToken(error)))
    }

    async fn exchange(&self, backend: &Backend, identity: Identity, from: &ClientDevice) -> Result<Issued, IssueError> {
        self.check_allowed(&identity)?;
        let template = backend.exchange.as_ref().ok_or(IssueError::Unsupported)?;
        let email = identity.profile.get("email").cloned().unwrap_or(Value::Null);
        let mut values = from
            .values()
            .with(Placeholder::Provider, identity.provider.clone())
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
        if means_no(answer.status) {
            return Err(IssueError::Refused(answer.status));
        }
        self.read(backend, &answer, Some((identity.id_token, identity.profile))).await
    }

    async fn credentials(
        &self,
        backend: &Backend,
        email: String,
        password: &Secret,
        from: &ClientDevice,
    ) -> Result<Issued, IssueError> {
        let template = backend.credentials.as_ref().ok_or(IssueError::Unsupported)?;
        let values = from.values().with(Placeholder::Email, email).with(Placeholder::Password, password.expose());
        let answer = self.ask(template, &values, from).await?;
        if means_no(answer.status) {
            return Err(IssueError::BadCredentials);
        }
        self.read(backend, &answer, None).await
    }

    async fn code(&self, backend: &Backend, code: &Code, from: &ClientDevice) -> Result<Issued, IssueError> {
        if !code.is_permitted() {
            return Err(IssueError::NotAllowed);
        }
        let template = backend.otp.as_ref().ok_or(IssueError::Unsupported)?;
        let answer = self.ask(template, &code.values(from.values()), from).await?;
        if means_no(answer.status) {
            return Err(IssueError::Refused(answer.status));
        }
        let issued = self.read(backend, &answer, None).await?;
        Ok(Issued { identity: Some(code.claims()), ..issued })
    }

    /// `allow` counts wherever it is given.
    pub(super) fn check_allowed(&self, identity: &Identity) -> Result<(), IssueError> {
        let allow = self.provider(&identity.provider).and_then(|provider| provider.settings().allow.as_ref());
        if allow.is_none_or(|allow| allow.permits(&identity.profile)) { Ok(()) } else { Err(IssueError::NotAllowed) }
    }

    async fn ask(&self, template: &Template, values: &Values, from: &ClientDevice) -> Result<Answer, IssueError> {
        let answer = self.caller.call(template, values, &from.client).await;
        answer.map_err(|error| IssueError::Unavailable(error.into()))
    }

    async fn read(
        &self,
        backend: &Backend,
        answer: &Answer,
        proved: Option<(Option<IdToken>, Claims)>,
    ) -> Result<Issued, IssueError> {
        if !answer.status.is_success() {
            return Err(IssueError::Unavailable(Outage::Status(answer.status)));
        }
        let tokens = backend.answer.tokens(answer).ok_or(IssueError::Unavailable(Outage::NoAccessToken))?;
        let issued = self.issued(tokens, proved).await;
        issued.map_err(|error| IssueError::Unavailable(Outage::AccessToken(error)))
    }

    /// New tokens, with the claims of the access token.
    pub(super) async fn issued(
        &self,
        tokens: Tokens,
        proved: Option<(Option<IdToken>, Claims)>,
    ) -> Result<Issued, VerifyError> {
        let access_claims = self.claims_of_new(&tokens.access_token).await?;
        let (id_token, identity) = proved.unzip();
        Ok(Issued {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            id_token: id_token.flatten(),
            expires_in: tokens.expires_in,
            identity,
            access_claims,
        })
    }
}

/// What the contract takes for a no to the person; all else that is not 2xx is an outage.
fn means_no(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
