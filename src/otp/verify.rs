//! `POST /{channel}/verify`: the digits against the code, and what a right one brings.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Failed, LONGEST_LIFETIME, Line, NotifyError, OtpError, Otps, Purpose, address::Address, challenge::Held,
    code::Digits, request::Request, send::Course,
};
use crate::{
    authority::{self, ClientDevice, Proof},
    call::{Placeholder, Template, Values},
    channel::Channel,
    clock::Timestamp,
    endpoint::{Answer, Call, CountError},
    session::{AuthStatus, Entered},
    store::{Digest, Tried},
    telemetry::{self, CodeEvent},
    text::Text,
};

/// A right code, and what came of it.
struct Verified {
    held: Held,
    /// With purpose `login`.
    entered: Option<Entered>,
    at: Timestamp,
}

impl Otps {
    /// `POST /{channel}/verify`.
    pub async fn verify(&self, mut call: Call, channel: Channel) -> Result<Answer, Failed> {
        let Some(line) = self.line(channel) else { return self.not_configured(&call) };
        let mut course = Course::default();
        match self.check(&mut call, line, &mut course).await {
            Ok(verified) => Ok(self.verified(&call, line, &verified, course)),
            Err(error) => self.failed(&call, line, error, course),
        }
    }

    async fn check(&self, call: &mut Call, line: &Line, course: &mut Course) -> Result<Verified, OtpError> {
        let sid = self.admit(call, line).await?;
        let request = Request::read(call, line.channel)?;
        course.return_to.clone_from(&request.return_to);
        let missing = OtpError::Missing(line.channel);
        let Some(code) = request.code.as_deref() else { return Err(missing) };
        if request.address.is_none() && !request.is_from_page {
            return Err(missing);
        }
        let digits = Digits::parse(code).ok_or(OtpError::CodeForm)?;
        let written = request.address.as_deref();
        let address = written.map(|written| self.address(line, Some(written))).transpose()?;
        let shown = self.shown(call, line, request.challenge.as_deref(), sid);
        course.cookies = shown.spoiled;
        let Some(held) = shown.held.filter(|held| held.is_for(address.as_ref())) else {
            self.record(call, line, address.as_ref(), CodeEvent::Wrong);
            return Err(OtpError::Wrong);
        };
        if course.return_to.is_none() {
            course.return_to.clone_from(&held.challenge.return_to);
        }

        let now = self.clock.now();
        let bound = held.bound(line, sid);
        let (address, browser) = (bound.address_digest(&held.key), bound.browser_digest(&held.key));
        // The claim outlives every code. Were it shorter than the calls below may take, or were it not settled because the store fails, the code would be good twice.
        let claim_until = now.plus(LONGEST_LIFETIME);
        let mac = bound.mac(&digits, &held.key);
        let attempts = self.settings.attempts;
        let tried = self.store.codes.try_code(address, browser, mac, attempts, claim_until, now).await;
        let claim = match tried.map_err(OtpError::Store)? {
            Tried::Right(claim) => Some(claim),
            Tried::Wrong => None,
            Tried::Gone => return Err(self.wrong(call, line, &held.address)),
        };
        // After the comparison, for what was not compared must not even for a moment count against the address. The store counts a code's own try before it compares, and a code has
        // five, an address three live codes: a burst compares fifteen at most. Over the limit right and wrong are told the same, the right code stays, and no new one is sent.
        let counted = match self.spend_failure(line.channel, &held.address, now).await {
            Ok(counted) => counted,
            Err(error) => {
                if let Some(claim) = claim {
                    self.settle(address, browser, claim, false).await;
                }
                return Err(match error {
                    CountError::TooMany(wait) => self.limited(call, line, &held.address, OtpError::TooMany(wait)),
                    CountError::Store(error) => OtpError::Store(error),
                });
            }
        };
        let Some(claim) = claim else { return Err(self.wrong(call, line, &held.address)) };
        self.counts.give_back(counted, now).await;
        let outcome = self.honour(call, line, &held, &request).await;
        let is_spent = outcome.as_ref().map_or_else(OtpError::spends, |_| true);
        self.settle(address, browser, claim, is_spent).await;
        if is_spent {
            course.cookies = self.sessions.challenges().clear(line.channel);
        }
        match outcome {
            Ok(entered) => {
                self.record(call, line, Some(&held.address), CodeEvent::Verified);
                Ok(Verified { held, entered, at: now })
            }
            Err(error) => {
                self.record(call, line, Some(&held.address), CodeEvent::Unhonoured);
                Err(error)
            }
        }
    }

    fn wrong(&self, call: &Call, line: &Line, address: &Address) -> OtpError {
        self.record(call, line, Some(address), CodeEvent::Wrong);
        OtpError::Wrong
    }

    /// Ends the claim of a right code.
    async fn settle(&self, address: Digest, browser: Digest, claim: u64, is_spent: bool) {
        if let Err(error) = self.store.codes.settle_code(address, browser, claim, is_spent, self.clock.now()).await {
            // It stays claimed for the rest of its life: nobody uses it again.
            tracing::warn!(%error, "otp: a code was not settled");
        }
    }

    /// Does what a right code is for.
    async fn honour(
        &self,
        call: &mut Call,
        line: &Line,
        held: &Held,
        request: &Request,
    ) -> Result<Option<Entered>, OtpError> {
        match (line.purpose, &line.notify) {
            (Purpose::Verify, Some(notify)) => {
                self.notify(call, line, held, notify).await.map_err(OtpError::NotNotified)?;
                Ok(None)
            }
            (Purpose::Verify, None) | (Purpose::Prove, _) => Ok(None),
            (Purpose::Login, _) => self.enter(call, line, held, request).await.map(Some),
        }
    }

    async fn enter(&self, call: &mut Call, line: &Line, held: &Held, request: &Request) -> Result<Entered, OtpError> {
        let id = request.device_id.or(held.challenge.device_id);
        let name = request.device_name.as_deref().or(held.challenge.device_name.as_deref());
        let device = call.device(&self.sessions, &self.random, id, name);
        let proof = Proof::Code(authority::Code {
            channel: line.channel,
            address: held.address.domestic().to_owned(),
            address_e164: held.address.canonical().to_owned(),
            allow: line.allow.clone(),
        });
        let from = ClientDevice { client: call.client.clone(), device };
        let method = line.channel.as_str();
        self.sessions.enter(&mut call.visit, proof, method, from).await.map_err(|error| {
            let error = OtpError::from(error);
            tracing::info!(target: "audit", method, client = %call.client.address(), reason = %error, "login failed");
            let result = match &error {
                OtpError::NotAllowed(_) => telemetry::Login::Refused,
                _ => telemetry::Login::Failed,
            };
            self.metrics.login(method, result);
            error
        })
    }

    /// Tells the backend, as the visitor.
    async fn notify(&self, call: &Call, line: &Line, held: &Held, template: &Template) -> Result<(), NotifyError> {
        let mut values = Values::new()
            .with(Placeholder::Channel, line.channel.as_str())
            .with(Placeholder::Address, held.address.domestic())
            .with(Placeholder::AddressE164, held.address.canonical());
        if let Some(access) = call.visit.access() {
            values = values.with(Placeholder::AccessToken, access.token.expose()).with_claims(access.claims.clone());
            if let Some(login) = &access.login {
                values = values
                    .with(Placeholder::DeviceId, login.device.id.to_string())
                    .with(Placeholder::DeviceName, login.device.name.clone());
            }
        }
        let answer = self.caller.call(template, &values, &call.client).await?;
        if !answer.status.is_success() {
            return Err(NotifyError::Status(answer.status));
        }
        if answer.is_html || answer.json.as_ref().is_some_and(is_graphql_failure) {
            return Err(NotifyError::Errors);
        }
        Ok(())
    }

    fn verified(&self, call: &Call, line: &Line, verified: &Verified, course: Course) -> Answer {
        let (auth_status, cookies) = match &verified.entered {
            Some(entered) => (AuthStatus::Refreshed, entered.cookies.clone()),
            None => call.visit.head(),
        };
        let cookies = cookies.and(course.cookies);
        if Self::is_page(call, line) {
            let location = self.return_to.follow(course.return_to.as_deref());
            return Answer::see_other(location, cookies, auth_status);
        }
        let known = call.visit.access().filter(|access| access.expires_at > verified.at);
        let access = verified.entered.as_ref().map(|entered| &entered.session.access).or(known);
        let proof = self.proof(line, &verified.held.address, access.map(AsRef::as_ref), verified.at);
        let mut body = json!({
            "success": true,
            "message": Text::CodeVerified.say(call.language()),
            "proof": proof,
        });
        if let (Some(entered), Value::Object(body)) = (&verified.entered, &mut body)
            && let Value::Object(session) = self.sessions.describe(&entered.session.access)
        {
            body.extend(session);
        }
        Answer::json(StatusCode::OK, body, cookies, auth_status)
    }
}

/// A list of errors (GraphQL section 7.1.2), or no data where some is named: a mutation that found no row answers null.
fn is_graphql_failure(answer: &Value) -> bool {
    let has_errors = answer.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty());
    let is_empty = match answer.get("data") {
        Some(Value::Null) => true,
        Some(Value::Object(data)) => !data.is_empty() && data.values().all(Value::is_null),
        _ => false,
    };
    has_errors || is_empty
}

impl OtpError {
    /// Whether a right code that came to this is used up: not where somebody did not answer who may the next time.
    const fn spends(&self) -> bool {
        matches!(self, Self::NotAllowed(_) | Self::Session(_))
    }
}
