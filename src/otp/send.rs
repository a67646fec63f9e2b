//! `POST /{channel}/send` and `/resend`: sends a new code, or the same code again.

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{
    address::Address,
    challenge::{Challenge, OpenedChallenge},
    code::Digits,
    endpoints::{ChannelSetup, Failed, Otps},
    error::{OtpError, Retry},
    page,
    request::Request,
};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::{Call, CountError, EndpointAnswer},
    problem::FormPage,
    session::CookieChanges,
    store::{CodeFacts, NewCode, Opened, Resent},
    telemetry::CodeEvent,
    text::Text,
};

/// Browsers that may have a valid code for one address at the same time: another person who requests codes for it does
/// not invalidate the owner's code.
const MAX_LIVE: usize = 3;
/// How often one code can be sent again.
const MAX_RESENDS: u32 = 3;
/// Longest device name in the challenge, in characters.
const LONGEST_NAME: usize = 100;

/// What the answer needs besides the outcome; filled step by step, so that a failure has it too.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) cookies: CookieChanges,
    /// The `return_to` that a page asked for.
    pub(super) return_to: Option<String>,
}

/// Whether a message has a new code or repeats one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SentCode {
    New,
    Repeated,
}

/// A message that a provider accepted.
struct Sent {
    code: SentCode,
    expires: Timestamp,
    /// The challenge, for an app.
    challenge: Option<String>,
}

impl Otps {
    /// `POST /{channel}/send`: a new code.
    pub async fn send(&self, mut call: Call, channel: Channel) -> Result<EndpointAnswer, Failed> {
        let Some(setup) = self.setup(channel) else { return self.not_configured(&call) };
        let mut progress = Progress::default();
        let sent = self.send_new(&mut call, setup, &mut progress).await;
        self.answer(&call, setup, sent, progress)
    }

    /// `POST /{channel}/resend`: sends this browser's valid code again.
    pub async fn resend(&self, mut call: Call, channel: Channel) -> Result<EndpointAnswer, Failed> {
        let Some(setup) = self.setup(channel) else { return self.not_configured(&call) };
        let mut progress = Progress::default();
        let sent = self.send_again(&mut call, setup, &mut progress).await;
        self.answer(&call, setup, sent, progress)
    }

    async fn send_new(&self, call: &mut Call, setup: &ChannelSetup, progress: &mut Progress) -> Result<Sent, OtpError> {
        let sid = self.required_session(call, setup).await?;
        let request = Request::read(call, &setup.fields)?;
        progress.return_to.clone_from(&request.return_to);
        let address = request.address.as_deref().ok_or(OtpError::Missing(setup.channel))?;
        let address = self.address(setup, address)?;
        let now = self.clock.now();

        // Counted before anything is stored or sent, so that parallel requests cannot send more than the limits allow.
        let counted = match self.spend_message(call, setup.channel, &address, now).await {
            Ok(counted) => counted,
            Err(CountError::TooMany(wait)) => {
                return Err(self.record_limited(call, setup, &address, OtpError::TooMany(wait)));
            }
            Err(CountError::Store(error)) => return Err(OtpError::NotStored(error)),
        };
        let previous = self.presented_challenge(call, setup, request.challenge.as_deref(), sid).opened;
        let challenge = Challenge {
            // The same browser keeps its handle, so that its new code replaces the older one.
            handle: previous.map_or_else(|| self.random.token::<16>(), |opened| opened.challenge.handle),
            channel: setup.channel,
            address: address.recipient().to_owned(),
            purpose: setup.purpose,
            made: now,
            expires: self.store_time().plus(self.settings.lifetime),
            sid: sid.map(|sid| Uuid::from_bytes(sid.0)),
            return_to: request.return_to.and_then(|asked| self.return_to.in_cookie(&asked, &call.origin)),
            device_id: request.device_id,
            device_name: request.device_name.map(|name| name.chars().take(LONGEST_NAME).collect()),
        };
        let sealed = self.seal_challenge(&challenge);
        let opened = OpenedChallenge { challenge, address, key: self.ring.mac_key() };
        let (address, expires) = (&opened.address, now.plus(self.settings.lifetime));
        let (digits, binding) = (Digits::random(&self.random), opened.binding(setup, sid));
        let code = NewCode {
            address: binding.address_digest(&opened.key),
            browser: binding.browser_digest(&opened.key),
            mac: binding.mac(&digits, &opened.key),
            sealed: digits.sealed(&self.ring),
            expires,
            facts: CodeFacts { channel: setup.channel, purpose: setup.purpose.as_str(), masked: address.masked() },
        };
        match self.store.codes.open(code, self.settings.cooldown, MAX_LIVE, now).await {
            Ok(Opened::Stored) => {}
            Ok(Opened::TooSoon(at)) => {
                self.counts.give_back(counted, now, self.clock.now()).await;
                return Err(self.record_limited(call, setup, address, OtpError::TooSoon(at.since(now))));
            }
            Err(error) => {
                self.counts.give_back(counted, now, self.clock.now()).await;
                return Err(OtpError::NotStored(error));
            }
        }
        // From here on the code is valid, even if its message is not delivered.
        progress.cookies = self.challenge_cookie(setup, &sealed);
        let challenge = (!call.is_from_browser()).then_some(sealed);
        let (left, site) = (self.settings.lifetime, &self.settings.site);
        let delivered = setup.sender.deliver(address, &digits, left, site, call.language).await;
        if delivered.is_err() {
            self.record(call, setup, Some(address), CodeEvent::Undelivered);
            return Err(OtpError::Undelivered(self.retry(setup, false, challenge)));
        }
        self.record(call, setup, Some(address), CodeEvent::Sent);
        Ok(Sent { code: SentCode::New, expires, challenge })
    }

    async fn send_again(
        &self,
        call: &mut Call,
        setup: &ChannelSetup,
        progress: &mut Progress,
    ) -> Result<Sent, OtpError> {
        let sid = self.required_session(call, setup).await?;
        let request = Request::read(call, &setup.fields)?;
        progress.return_to.clone_from(&request.return_to);
        let address = match (request.filled_address(), &request.address) {
            (Some(written), _) => Some(self.address(setup, written)?),
            (None, _) if request.is_from_page => None,
            (None, Some(blank)) => Some(self.address(setup, blank)?),
            (None, None) => return Err(OtpError::Missing(setup.channel)),
        };
        let now = self.clock.now();
        let presented = self.presented_challenge(call, setup, request.challenge.as_deref(), sid);
        progress.cookies = presented.cleared;
        let opened = presented.opened.filter(|opened| opened.is_for(address.as_ref())).ok_or(OtpError::NoLiveCode)?;
        let (binding, address) = (opened.binding(setup, sid), &opened.address);
        let (address_key, browser_key) = (binding.address_digest(&opened.key), binding.browser_digest(&opened.key));
        let again =
            self.store.codes.resend(address_key, browser_key, MAX_RESENDS, now).await.map_err(OtpError::Store)?;
        let (sealed, expires) = match again {
            Resent::Code { sealed, expires } => (sealed, expires),
            Resent::TooOften(at) => {
                return Err(self.record_limited(call, setup, address, OtpError::TooMany(at.since(now))));
            }
            Resent::None => return Err(OtpError::NoLiveCode),
        };
        let digits = Digits::open(&sealed, &self.ring).ok_or(OtpError::NoLiveCode)?;
        match self.spend_message(call, setup.channel, address, now).await {
            Ok(_) => {}
            Err(CountError::TooMany(wait)) => {
                return Err(self.record_limited(call, setup, address, OtpError::TooMany(wait)));
            }
            Err(CountError::Store(error)) => return Err(OtpError::Store(error)),
        }
        let left = expires.since(now);
        let delivered = setup.sender.deliver(address, &digits, left, &self.settings.site, call.language).await;
        if delivered.is_err() {
            self.record(call, setup, Some(address), CodeEvent::Undelivered);
            return Err(OtpError::Undelivered(self.retry(setup, true, None)));
        }
        self.record(call, setup, Some(address), CodeEvent::SentAgain);
        Ok(Sent { code: SentCode::Repeated, expires, challenge: None })
    }

    fn answer(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        sent: Result<Sent, OtpError>,
        progress: Progress,
    ) -> Result<EndpointAnswer, Failed> {
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => return self.failed(call, setup, error, progress),
        };
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(progress.cookies);
        if Self::is_page(call, setup) {
            let page = self.page_address(call, setup, None, progress.return_to.as_deref());
            let page = match sent.code {
                SentCode::New => page,
                SentCode::Repeated => page::with_flag(&page, "sent"),
            };
            return Ok(EndpointAnswer::see_other(page, cookies, auth_status));
        }
        let message = match sent.code {
            SentCode::New => Text::CodeSent,
            SentCode::Repeated => Text::CodeSentAgain,
        };
        let mut body = json!({
            "success": true,
            "message": message.say(call.language),
            "expiresAt": sent.expires.rfc3339(),
        });
        if let Some(challenge) = sent.challenge {
            body["challenge"] = challenge.into();
        }
        Ok(EndpointAnswer::json(StatusCode::OK, body, cookies, auth_status))
    }

    /// The failure. If the code page posted the form and can show the problem, a redirect to that page.
    pub(super) fn failed(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        error: OtpError,
        progress: Progress,
    ) -> Result<EndpointAnswer, Failed> {
        let return_to = progress.return_to.as_deref().map(|asked| self.return_to.follow(Some(asked), &call.origin));
        let failed = Failed::new(call, error, progress.cookies).returning_to(return_to.as_deref());
        let kind = failed.error.kind();
        if !Self::is_page(call, setup) || kind.row().form == FormPage::None {
            return Err(failed);
        }
        let page = self.page_address(call, setup, Some(&failed.error.into()), progress.return_to.as_deref());
        let wrong_guess = kind.is_wrong_guess();
        Ok(EndpointAnswer { wrong_guess, ..EndpointAnswer::see_other(page, failed.cookies, failed.auth_status) })
    }

    /// The answer instead of [`Otps::verify`] if the client has too many wrong guesses. Only `return_to` of the request
    /// is read.
    pub fn not_tried(&self, call: &Call, channel: Channel, error: OtpError) -> Result<EndpointAnswer, Failed> {
        let Some(setup) = self.setup(channel) else { return self.not_configured(call) };
        if matches!(error, OtpError::TooMany(_)) {
            self.record(call, setup, None, CodeEvent::Limited);
        }
        let return_to = Request::read(call, &setup.fields).ok().and_then(|request| request.return_to);
        self.failed(call, setup, error, Progress { return_to, ..Progress::default() })
    }

    #[expect(clippy::unused_self, reason = "called like `failed` and `not_tried`")]
    pub(super) fn not_configured(&self, call: &Call) -> Result<EndpointAnswer, Failed> {
        Err(Failed::new(call, OtpError::NotConfigured, CookieChanges::default()))
    }

    pub(super) fn address(&self, setup: &ChannelSetup, written: &str) -> Result<Address, OtpError> {
        let address = Address::parse(setup.channel, written, &self.settings.addresses);
        address.ok_or(OtpError::Address(setup.channel))
    }

    pub(super) fn record_limited(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        address: &Address,
        error: OtpError,
    ) -> OtpError {
        self.record(call, setup, Some(address), CodeEvent::Limited);
        error
    }

    /// Counts the event and writes its audit line; the address is masked.
    pub(super) fn record(&self, call: &Call, setup: &ChannelSetup, address: Option<&Address>, event: CodeEvent) {
        let (channel, purpose, address) =
            (setup.channel.as_str(), setup.purpose.as_str(), address.map(Address::masked));
        tracing::info!(target: "audit", channel, purpose, address, client = %call.client.address(), result = event.as_str(), "one-time code");
        self.metrics.code(setup.channel, event);
    }

    fn retry(&self, setup: &ChannelSetup, again: bool, challenge: Option<String>) -> Retry {
        let endpoint = self.at(&format!("{}/resend", setup.channel.as_str()));
        Retry { channel: setup.channel, again, endpoint, challenge }
    }
}

impl OpenedChallenge {
    /// Whether it is the challenge of a code for `address`; true without an address, because a page does not post it.
    pub(super) fn is_for(&self, address: Option<&Address>) -> bool {
        address.is_none_or(|address| address.canonical() == self.address.canonical())
    }
}
