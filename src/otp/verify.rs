//! `POST /{channel}/verify`: compares the digits with the code, and fulfils the purpose of a right one.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    address::Address,
    challenge::OpenedChallenge,
    code::Digits,
    endpoints::{ChannelSetup, Failed, Otps},
    error::{NotifyError, OtpError},
    request::Request,
    send::Progress,
    settings::{CodePurpose, LONGEST_LIFETIME},
};
use crate::{
    authority::{self, ClientDevice, Proof},
    call::{Placeholder, Template, Values},
    channel::Channel,
    clock::Timestamp,
    endpoint::{Call, CountError, EndpointAnswer},
    session::{AuthStatus, Entered},
    store::{Digest, Tried},
    telemetry::{self, CodeEvent},
    text::Text,
};

/// The result of a right code.
struct Verified {
    opened: OpenedChallenge,
    /// The new session, with purpose `login`.
    entered: Option<Entered>,
    at: Timestamp,
}

impl Otps {
    /// `POST /{channel}/verify`.
    pub async fn verify(&self, mut call: Call, channel: Channel) -> Result<EndpointAnswer, Failed> {
        let Some(setup) = self.setup(channel) else { return self.not_configured(&call) };
        let mut progress = Progress::default();
        match self.check(&mut call, setup, &mut progress).await {
            Ok(verified) => Ok(self.verified(&call, setup, &verified, progress)),
            Err(error) => self.failed(&call, setup, error, progress),
        }
    }

    async fn check(
        &self,
        call: &mut Call,
        setup: &ChannelSetup,
        progress: &mut Progress,
    ) -> Result<Verified, OtpError> {
        let sid = self.required_session(call, setup).await?;
        let request = Request::read(call, &setup.fields)?;
        progress.return_to.clone_from(&request.return_to);
        let missing = OtpError::Missing(setup.channel);
        let Some(code) = request.code.as_deref() else { return Err(missing) };
        let written = request.filled_address();
        if written.is_none() && !request.is_from_page {
            return Err(missing);
        }
        let digits = Digits::parse(code).ok_or(OtpError::CodeForm)?;
        let address = written.map(|written| self.address(setup, written)).transpose()?;
        let presented = self.presented_challenge(call, setup, request.challenge.as_deref(), sid);
        progress.cookies = presented.cleared;
        let Some(opened) = presented.opened.filter(|opened| opened.is_for(address.as_ref())) else {
            self.record(call, setup, address.as_ref(), CodeEvent::Wrong);
            return Err(OtpError::Wrong);
        };
        if progress.return_to.is_none() {
            progress.return_to.clone_from(&opened.challenge.return_to);
        }

        let now = self.clock.now();
        let binding = opened.binding(setup, sid);
        let (address, browser) = (binding.address_digest(&opened.key), binding.browser_digest(&opened.key));
        // The claim ends later than any code. If it ended while the calls below are running, or because the store
        // failed to settle it, the code could be used twice.
        let claim_until = now.plus(LONGEST_LIFETIME);
        let mac = binding.mac(&digits, &opened.key);
        let attempts = self.settings.attempts;
        let tried = self.store.codes.try_code(address, browser, mac, attempts, claim_until, now).await;
        let claim = match tried.map_err(OtpError::Store)? {
            Tried::Right(claim) => Some(claim),
            Tried::Wrong => None,
            Tried::Gone => return Err(self.wrong(call, setup, &opened.address)),
        };
        // Counted after the comparison: a try that is not compared must never count against the address. Parallel tries
        // are limited all the same, because the store counts each try of a code before it compares: three valid codes
        // with five tries each make 15 comparisons at most. When the address has reached its limit, right and wrong
        // codes get the same answer, and a right code is not spent.
        let counted = match self.spend_wrong_code(setup.channel, &opened.address, now).await {
            Ok(counted) => counted,
            Err(error) => {
                if let Some(claim) = claim {
                    self.settle(address, browser, claim, false).await;
                }
                return Err(match error {
                    CountError::TooMany(wait) => {
                        self.record_limited(call, setup, &opened.address, OtpError::TooMany(wait))
                    }
                    CountError::Store(error) => OtpError::Store(error),
                });
            }
        };
        let Some(claim) = claim else { return Err(self.wrong(call, setup, &opened.address)) };
        self.counts.give_back(counted, now, self.clock.now()).await;
        let outcome = self.fulfil_purpose(call, setup, &opened, &request).await;
        let is_spent = outcome.as_ref().map_or_else(OtpError::spends, |_| true);
        self.settle(address, browser, claim, is_spent).await;
        if is_spent {
            progress.cookies = self.sessions.challenges().clear(setup.channel);
        }
        match outcome {
            Ok(entered) => {
                self.record(call, setup, Some(&opened.address), CodeEvent::Verified);
                Ok(Verified { opened, entered, at: now })
            }
            Err(error) => {
                self.record(call, setup, Some(&opened.address), CodeEvent::Unhonoured);
                Err(error)
            }
        }
    }

    fn wrong(&self, call: &Call, setup: &ChannelSetup, address: &Address) -> OtpError {
        self.record(call, setup, Some(address), CodeEvent::Wrong);
        OtpError::Wrong
    }

    /// Ends the claim of a right code: the code is spent, or can be tried again.
    async fn settle(&self, address: Digest, browser: Digest, claim: u64, is_spent: bool) {
        if let Err(error) = self.store.codes.settle_code(address, browser, claim, is_spent, self.clock.now()).await {
            // It stays claimed until it expires, so it cannot be used again.
            tracing::warn!(%error, "otp: the store did not settle a code: it stays claimed until it expires");
        }
    }

    async fn fulfil_purpose(
        &self,
        call: &mut Call,
        setup: &ChannelSetup,
        opened: &OpenedChallenge,
        request: &Request,
    ) -> Result<Option<Entered>, OtpError> {
        match (setup.purpose, &setup.notify) {
            (CodePurpose::Verify, Some(notify)) => {
                self.notify(call, setup, opened, notify).await.map_err(OtpError::NotNotified)?;
                Ok(None)
            }
            (CodePurpose::Verify, None) | (CodePurpose::Prove, _) => Ok(None),
            (CodePurpose::Login, _) => self.enter(call, setup, opened, request).await.map(Some),
        }
    }

    async fn enter(
        &self,
        call: &mut Call,
        setup: &ChannelSetup,
        opened: &OpenedChallenge,
        request: &Request,
    ) -> Result<Entered, OtpError> {
        let id = request.device_id.or(opened.challenge.device_id);
        let name = request.device_name.as_deref().or(opened.challenge.device_name.as_deref());
        let device = call.device(&self.sessions, &self.random, id, name);
        let proof = Proof::Code(authority::ProvedAddress {
            channel: setup.channel,
            address: opened.address.domestic().to_owned(),
            address_e164: opened.address.canonical().to_owned(),
            allow: setup.allow.clone(),
        });
        let from = ClientDevice { client: call.client.clone(), device };
        let method = setup.channel.as_str();
        self.sessions.enter(&mut call.visit, proof, method, from).await.map_err(|error| {
            let error = OtpError::from(error);
            tracing::info!(target: "audit", method, client = %call.client.address(), reason = %error, "login failed");
            let result = match &error {
                OtpError::NotAllowed(_) => telemetry::LoginResult::Refused,
                _ => telemetry::LoginResult::Failed,
            };
            self.metrics.login(method, result);
            error
        })
    }

    /// Reports the verified address to the backend, with the visitor's access token.
    async fn notify(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        opened: &OpenedChallenge,
        template: &Template,
    ) -> Result<(), NotifyError> {
        let mut values = Values::new()
            .with(Placeholder::Channel, setup.channel.as_str())
            .with(Placeholder::Address, opened.address.domestic())
            .with(Placeholder::AddressE164, opened.address.canonical());
        if let Some(access) = call.visit.access() {
            values =
                values.with(Placeholder::AccessToken, access.token.expose()).with_session_claims(access.claims.clone());
            if let Some(sub) = &access.provider_sub {
                values = values.with(Placeholder::ProviderSub, sub.clone());
            }
            if let Some(login) = &access.login {
                values = values
                    .with(Placeholder::Method, &*login.provider)
                    .with(Placeholder::DeviceId, login.device.id.to_string())
                    .with(Placeholder::DeviceName, login.device.name.clone());
            }
        }
        let answer = self.caller.call(template, &values, &call.client).await?;
        if !answer.status.is_success() {
            return Err(NotifyError::Status(answer.status));
        }
        if answer.is_page {
            return Err(NotifyError::Page);
        }
        if answer.has_errors() || answer.changed_nothing() {
            return Err(NotifyError::Errors);
        }
        Ok(())
    }

    fn verified(&self, call: &Call, setup: &ChannelSetup, verified: &Verified, progress: Progress) -> EndpointAnswer {
        let (auth_status, cookies) = match &verified.entered {
            Some(entered) => (AuthStatus::Refreshed, entered.cookies.clone()),
            None => call.visit.head(),
        };
        let cookies = cookies.and(progress.cookies);
        if Self::is_page(call, setup) {
            let location = self.return_to.follow(progress.return_to.as_deref(), &call.origin);
            return EndpointAnswer::see_other(location, cookies, auth_status);
        }
        let known = call.visit.access().filter(|access| access.expires_at > verified.at);
        let access = verified.entered.as_ref().map(|entered| &entered.session.access).or(known);
        let proof = self.proof(setup, &verified.opened.address, access.map(AsRef::as_ref), verified.at);
        let mut body = json!({
            "success": true,
            "message": Text::CodeVerified.say(call.language),
            "proof": proof,
        });
        if let (Some(entered), Value::Object(body)) = (&verified.entered, &mut body)
            && let Value::Object(session) = self.sessions.describe(&entered.session.access)
        {
            body.extend(session);
        }
        EndpointAnswer::json(StatusCode::OK, body, cookies, auth_status)
    }
}

impl OtpError {
    /// Whether a right code is spent after this error. It is not if a backend did not answer: the next try may succeed.
    const fn spends(&self) -> bool {
        matches!(self, Self::NotAllowed(_) | Self::Session(_))
    }
}
