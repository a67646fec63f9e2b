//! `GET` and `POST /callback/{provider}`: the provider's answer to a login.

use std::{fmt::Write as _, sync::Arc};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::Method;

use super::{
    attempt::LoginAttempt,
    error::LoginError,
    logins::{Failed, Logins},
    outcome::{self, AttemptUse, Outcome, Run, Turn},
    state,
};
use crate::{
    authority::Proof,
    endpoint::{Call, EndpointAnswer, Parameters},
    oidc::{CallbackParams, Flaw, OidcError, Provider, Refusal},
    problem::Denial,
    secret::{Secret, ct_eq},
    session::{AuthStatus, CookieChanges, DepositSlot, Entered, FoundAttempt},
    store::StoreError,
    telemetry,
};

/// A callback that belongs to an attempt of this browser.
struct Received<'l> {
    provider: &'l Arc<Provider>,
    found: FoundAttempt<LoginAttempt>,
    return_to: String,
    reply: Reply,
}

/// What the provider answered.
enum Reply {
    /// A code, and the slot of this callback's outcome.
    Code(CallbackParams, DepositSlot),
    /// A refusal, or no code.
    Denied(Denial),
}

/// A callback that belongs to no attempt of this browser.
struct NotReceived {
    error: LoginError,
    return_to: Option<String>,
    spent: CookieChanges,
}

/// Why the exchange of a code gave no session.
enum NoSession {
    /// The provider refused: the login page shows why.
    Denied(Denial),
    /// It failed.
    Failed(LoginError, AttemptUse),
}

impl<E: Into<LoginError>> From<E> for NotReceived {
    fn from(error: E) -> Self {
        Self { error: error.into(), return_to: None, spent: CookieChanges::default() }
    }
}

impl Logins {
    /// `GET /callback/{provider}`, and `POST` where the provider answers with a form. The caller runs it to its end
    /// though the visitor hangs up.
    pub async fn callback(&self, mut call: Call, name: &str) -> Result<EndpointAnswer, Failed> {
        let Received { provider, found, return_to, reply } = match self.receive(&mut call, name).await {
            Ok(received) => received,
            Err(NotReceived { error: LoginError::AttemptExpired, return_to, spent }) => {
                let return_to = match return_to {
                    Some(return_to) => Some(return_to),
                    None => self.return_to_of_newest(&call).await,
                };
                return self.expired(&mut call, name, return_to.as_deref(), spent).await;
            }
            Err(NotReceived { error, return_to, spent }) => {
                return Err(self.failed(&call, name, error, spent).returning_to(return_to.as_deref()));
            }
        };
        let spent = found.deletion.clone();
        let (params, slot) = match reply {
            Reply::Code(params, slot) => (params, slot),
            Reply::Denied(denial) => {
                self.record_denial(&call, name, denial);
                return Ok(self.denied(&call, denial, &return_to, spent));
            }
        };
        let run = match self.running.join(slot.place().key) {
            Turn::First(run) => run,
            Turn::Later(outcome) => {
                let outcome = outcome::joined(outcome).await;
                return self.answer_again(&mut call, name, outcome, &return_to, spent).await;
            }
        };
        match self.sessions.attempts().take(call.client.key(), &found).await {
            Ok(true) => {}
            Ok(false) => {
                let outcome = match outcome::stored(&self.sessions, &slot).await {
                    Ok(outcome) => outcome,
                    Err(error) => return Err(self.store_failed(&call, name, run, error, return_to)),
                };
                run.finish(outcome.clone());
                return self.answer_again(&mut call, name, outcome, &return_to, spent).await;
            }
            Err(error) => return Err(self.store_failed(&call, name, run, error, return_to)),
        }
        let exchange = self.exchange_code(&mut call, name, provider, params, &found.attempt);
        let exchanged = outcome::announced(&self.sessions, &slot, exchange).await;
        let to = return_to.clone();
        let outcome = match &exchanged {
            Ok(entered) => Outcome::Entered { session: entered.session.clone(), return_to: to },
            Err(NoSession::Denied(denial)) => Outcome::Denied { denial: *denial, return_to: to },
            Err(NoSession::Failed(error, attempt)) => {
                Outcome::Failed { kind: error.kind(), attempt: *attempt, return_to: to }
            }
        };
        // Stored before any callback is answered, so that an answer that gets lost can be had again.
        outcome::store(&self.sessions, &slot, &outcome).await;
        if let Err(NoSession::Failed(_, AttemptUse::Unused)) = &exchanged {
            self.sessions.attempts().give_back(&found).await;
        }
        run.finish(outcome);
        match exchanged {
            Ok(entered) => {
                let device = entered.session.access.login.as_ref().map(|login| login.device.id);
                if let Some(device) = device {
                    self.loops.record(device, &return_to, self.clock.now());
                }
                Ok(self.entered_by_callback(&call, &return_to, spent.and(entered.cookies)))
            }
            Err(NoSession::Denied(denial)) => {
                self.record_denial(&call, name, denial);
                Ok(self.denied(&call, denial, &return_to, spent))
            }
            Err(NoSession::Failed(error, attempt)) => {
                Err(self.failed(&call, name, error, attempt.cookie(spent)).returning_to(Some(&return_to)))
            }
        }
    }

    /// Finds the attempt of a callback. Without one nothing is counted against the client: a page of another site can
    /// load any address of ours.
    async fn receive(&self, call: &mut Call, name: &str) -> Result<Received<'_>, NotReceived> {
        let provider = self.provider(name)?;
        let answer = if call.method == Method::POST {
            call.body.clone()
        } else {
            Bytes::from(std::mem::take(&mut call.query).unwrap_or_default())
        };
        let parameters = Parameters::of(&answer);
        let state = parameters.once("state")?.ok_or(LoginError::AttemptExpired)?;
        let id = state::attempt_of(state).ok_or(LoginError::AttemptExpired)?;
        let attempts = self.sessions.attempts();
        let found = attempts.find::<LoginAttempt>(&call.headers, id).ok_or(LoginError::AttemptExpired)?;
        let attempt = &found.attempt;
        let return_to = self.return_to_of(&found).await;
        if !ct_eq(attempt.oidc.state.expose().as_bytes(), state.as_bytes()) {
            // The cookie of this attempt, and another state: a guess.
            let error = match self.guesses.of_client(call.client.key()).await {
                Ok(_wrong) => LoginError::AttemptExpired,
                Err(error) => error.into(),
            };
            let spent = match &error {
                LoginError::AttemptExpired => found.deletion,
                _ => CookieChanges::default(),
            };
            return Err(NotReceived { error, return_to: Some(return_to), spent });
        }
        if attempt.provider != name || !attempt.is_of(&call.origin) {
            let (error, spent) = (LoginError::AttemptExpired, found.deletion);
            return Err(NotReceived { error, return_to: Some(return_to), spent });
        }
        if ["access_token", "id_token"].into_iter().any(|token| parameters.has(token)) {
            // Only a code is requested (RFC 9700 section 2.1.2). A token in a URL may come from an attacker who found
            // it in a browser's history or a log.
            tracing::warn!(provider = name, "a callback had tokens in its parameters: they are ignored");
        }
        let reply = match (parameters.once("error")?, parameters.once("code")?) {
            // Nothing is used up for it, so that nothing is stored for logins that are begun and refused.
            (Some(error), _) => {
                let refusal = Refusal::new(error, parameters.once("error_description")?, &[]);
                tracing::info!(provider = name, error = %refusal, "the provider answered a login with an error");
                Reply::Denied(Denial::of_provider(error))
            }
            (None, None) => Reply::Denied(Denial::Refused),
            (None, Some(code)) => {
                let iss = parameters.once("iss")?.map(str::to_owned);
                let params = CallbackParams { code: Secret::new(code), state: Secret::new(state), iss };
                Reply::Code(params, slot_of_outcome(&found, &answer))
            }
        };
        Ok(Received { provider, found, return_to, reply })
    }

    /// The address after the newest login under way in this browser: the page for a callback of no attempt leads there.
    async fn return_to_of_newest(&self, call: &Call) -> Option<String> {
        let newest = self.sessions.attempts().newest::<LoginAttempt>(&call.headers)?;
        if newest.attempt.is_of(&call.origin) { Some(self.return_to_of(&newest).await) } else { None }
    }

    /// Exchanges the code, and begins a session for the identity.
    async fn exchange_code(
        &self,
        call: &mut Call,
        name: &str,
        provider: &Provider,
        params: CallbackParams,
        attempt: &LoginAttempt,
    ) -> Result<Entered, NoSession> {
        let redirect_uri = self.settings.redirect_uri(&call.origin, name);
        let identity = match provider.redeem(params, &attempt.oidc, &redirect_uri).await {
            Ok(identity) => identity,
            Err(error @ (OidcError::Refused(_) | OidcError::Untrusted(_))) => {
                tracing::warn!(provider = name, %error, "the provider's token response was refused, or cannot be trusted: the person is not logged in");
                let denial = match &error {
                    _ if error.is_misconfigured() => Denial::Misconfigured,
                    OidcError::Untrusted(rejection) if *rejection == Flaw::Tenant => Denial::NotAllowed,
                    _ => Denial::Refused,
                };
                return Err(NoSession::Denied(denial));
            }
            Err(error) => {
                let attempt = match error {
                    OidcError::CodeUnused(_) => AttemptUse::Unused,
                    _ => AttemptUse::Used,
                };
                return Err(NoSession::Failed(error.into(), attempt));
            }
        };
        let device = call.device(&self.sessions, &self.random, attempt.device, None);
        let proof = Proof::Provider(Box::new(identity));
        self.enter(call, proof, name, device).await.map_err(|error| NoSession::Failed(error, AttemptUse::Used))
    }

    /// The answer to a callback that came before.
    async fn answer_again(
        &self,
        call: &mut Call,
        name: &str,
        outcome: Outcome,
        asked: &str,
        spent: CookieChanges,
    ) -> Result<EndpointAnswer, Failed> {
        match outcome {
            Outcome::Entered { session, return_to } => match self.sessions.cookies_again(&call.visit, &session).await {
                Ok(Some(cookies)) => Ok(self.entered_by_callback(call, &return_to, spent.and(cookies))),
                Ok(None) => self.expired(call, name, Some(&return_to), spent).await,
                Err(error) => {
                    let failed = self.failed(call, name, error.into(), CookieChanges::default());
                    Err(failed.returning_to(Some(&return_to)))
                }
            },
            Outcome::Denied { denial, return_to } => Ok(self.denied(call, denial, &return_to, spent)),
            Outcome::Failed { kind, attempt, return_to } => {
                let spent = attempt.cookie(spent);
                Err(self.failed(call, name, LoginError::FailedBefore(kind), spent).returning_to(Some(&return_to)))
            }
            Outcome::Gone => self.expired(call, name, Some(asked), spent).await,
        }
    }

    /// The failure of a callback whose attempt may be unused, because the store does not answer: its cookie stays for
    /// another try, here and for those who wait for this one.
    fn store_failed(&self, call: &Call, name: &str, run: Run<'_>, error: StoreError, return_to: String) -> Failed {
        let error = LoginError::from(error);
        let kind = error.kind();
        let failure = self.failed(call, name, error, CookieChanges::default()).returning_to(Some(&return_to));
        run.finish(Outcome::Failed { kind, attempt: AttemptUse::Unused, return_to });
        failure
    }

    fn entered_by_callback(&self, call: &Call, return_to: &str, cookies: CookieChanges) -> EndpointAnswer {
        let location = self.return_to.follow(Some(return_to), &call.origin);
        EndpointAnswer::see_other(location, cookies, AuthStatus::Refreshed)
    }

    /// To the login page, which shows why the provider refused.
    fn denied(&self, call: &Call, denial: Denial, return_to: &str, spent: CookieChanges) -> EndpointAnswer {
        let (auth_status, cookies) = call.visit.head();
        let location = self.login_page_with(denial.code(), &self.return_to.follow(Some(return_to), &call.origin));
        EndpointAnswer::see_other(location, cookies.and(spent), auth_status)
    }

    fn record_denial(&self, call: &Call, name: &str, denial: Denial) {
        tracing::info!(target: "audit", method = name, client = %call.client.address(), reason = denial.code(), "login failed");
        self.metrics.login(name, telemetry::LoginResult::Refused);
    }

    /// The page with a link to start again. After the back button, or because another tab finished the login: a visitor
    /// with a session is redirected to `after_login`.
    async fn expired(
        &self,
        call: &mut Call,
        name: &str,
        return_to: Option<&str>,
        spent: CookieChanges,
    ) -> Result<EndpointAnswer, Failed> {
        call.visit.ensure().await;
        if call.visit.access().is_none() {
            return Err(self.failed(call, name, LoginError::AttemptExpired, spent).returning_to(return_to));
        }
        let (auth_status, cookies) = call.visit.head();
        Ok(EndpointAnswer::see_other(self.return_to.after_login(), cookies.and(spent), auth_status))
    }
}

/// The slot of a callback's outcome. The same request with the same cookie has the same slot; another one can neither
/// find it nor open it.
fn slot_of_outcome(found: &FoundAttempt<LoginAttempt>, answer: &[u8]) -> DepositSlot {
    let mut secret = format!("outcome {} ", found.cookie.expose());
    for byte in digest::digest(&digest::SHA256, answer).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(secret, "{byte:02x}");
    }
    found.attempt.slot(secret)
}
