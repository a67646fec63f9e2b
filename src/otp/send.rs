//! `POST /{channel}/send` and `/resend`: a code on its way, and the same one again.

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{
    Failed, Line, OtpError, Otps, Retry,
    address::Address,
    challenge::{Challenge, Held},
    code::Digits,
    page,
    request::Request,
};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::{Answer, Call, CountError},
    problem::FormPage,
    session::CookieChanges,
    store::{Again, CodeFacts, NewCode, Opened},
    telemetry::CodeEvent,
    text::Text,
};

/// Browsers that may have a live code for one address: a stranger who asks for codes in a person's name does not end the person's own.
const MOST_LIVE: usize = 3;
/// How often one code is sent again.
const MOST_AGAIN: u32 = 3;
/// A device's name as far as it is kept until the code comes.
const LONGEST_NAME: usize = 100;

/// What is known of a request when it is answered, however it ended.
#[derive(Default)]
pub(super) struct Course {
    pub(super) cookies: CookieChanges,
    /// What a page asked for.
    pub(super) return_to: Option<String>,
}

/// A message on its way.
struct Sent {
    message: Text,
    expires: Timestamp,
    /// For an app.
    challenge: Option<String>,
}

impl Otps {
    /// `POST /{channel}/send`: a new code.
    pub async fn send(&self, mut call: Call, channel: Channel) -> Result<Answer, Failed> {
        let Some(line) = self.line(channel) else { return self.not_configured(&call) };
        let mut course = Course::default();
        let sent = self.send_new(&mut call, line, &mut course).await;
        self.answer(&call, line, sent, course)
    }

    /// `POST /{channel}/resend`: the code that the browser waits for, once more.
    pub async fn resend(&self, mut call: Call, channel: Channel) -> Result<Answer, Failed> {
        let Some(line) = self.line(channel) else { return self.not_configured(&call) };
        let mut course = Course::default();
        let sent = self.send_again(&mut call, line, &mut course).await;
        self.answer(&call, line, sent, course)
    }

    async fn send_new(&self, call: &mut Call, line: &Line, course: &mut Course) -> Result<Sent, OtpError> {
        let sid = self.admit(call, line).await?;
        let request = Request::read(call, line.channel)?;
        course.return_to.clone_from(&request.return_to);
        let address = self.address(line, request.address.as_deref())?;
        let now = self.clock.now();

        // Counted before anything is kept or sent: what a thousand parallel requests cost is decided here.
        let counted = match self.spend_message(call, line.channel, &address, now).await {
            Ok(counted) => counted,
            Err(CountError::TooMany(wait)) => return Err(self.limited(call, line, &address, OtpError::TooMany(wait))),
            Err(CountError::Store(error)) => return Err(OtpError::NotStored(error)),
        };
        let shown = self.shown(call, line, request.challenge.as_deref(), sid).held;
        let challenge = Challenge {
            // The same browser keeps its name, so that its newer code ends the older one.
            handle: shown.map_or_else(|| self.random.token::<16>(), |held| held.challenge.handle),
            channel: line.channel,
            address: address.recipient().to_owned(),
            purpose: line.purpose,
            made: now,
            expires: now.plus(self.settings.lifetime),
            sid: sid.map(|sid| Uuid::from_bytes(sid.0)),
            return_to: request.return_to.filter(|asked| self.return_to.follow(Some(asked)) == asked),
            device_id: request.device_id,
            device_name: request.device_name.map(|name| name.chars().take(LONGEST_NAME).collect()),
        };
        let sealed = self.seal_challenge(&challenge);
        let held = Held { challenge, address, key: self.ring.mac_key() };
        let (address, expires) = (&held.address, held.challenge.expires);
        let (digits, bound) = (Digits::random(&self.random), held.bound(line, sid));
        let code = NewCode {
            address: bound.address_digest(&held.key),
            browser: bound.browser_digest(&held.key),
            mac: bound.mac(&digits, &held.key),
            sealed: digits.sealed(&self.ring),
            expires,
            facts: CodeFacts { channel: line.channel, purpose: line.purpose.as_str(), masked: address.masked() },
        };
        match self.store.codes.open(code, self.settings.cooldown, MOST_LIVE, now).await {
            Ok(Opened::Stored) => {}
            Ok(Opened::TooSoon(at)) => {
                self.counts.give_back(counted, now).await;
                return Err(self.limited(call, line, address, OtpError::TooSoon(at.since(now))));
            }
            Err(error) => {
                self.counts.give_back(counted, now).await;
                return Err(OtpError::NotStored(error));
            }
        }
        // From here on there is a code, whether its message arrives or not.
        course.cookies = self.keep(line, &sealed);
        let challenge = (!call.is_from_browser()).then_some(sealed);
        let delivered = self.deliver(line, address, &digits, self.settings.lifetime, call.language()).await;
        if delivered.is_err() {
            self.record(call, line, Some(address), CodeEvent::Undelivered);
            return Err(OtpError::Undelivered(self.retry(line, false, challenge)));
        }
        self.record(call, line, Some(address), CodeEvent::Sent);
        Ok(Sent { message: Text::CodeSent, expires, challenge })
    }

    async fn send_again(&self, call: &mut Call, line: &Line, course: &mut Course) -> Result<Sent, OtpError> {
        let sid = self.admit(call, line).await?;
        let request = Request::read(call, line.channel)?;
        course.return_to.clone_from(&request.return_to);
        let address = match &request.address {
            None if request.is_from_page => None,
            written => Some(self.address(line, written.as_deref())?),
        };
        let now = self.clock.now();
        let shown = self.shown(call, line, request.challenge.as_deref(), sid);
        course.cookies = shown.spoiled;
        let held = shown.held.filter(|held| held.is_for(address.as_ref())).ok_or(OtpError::NoLiveCode)?;
        let (bound, address) = (held.bound(line, sid), &held.address);
        let (of_address, of_browser) = (bound.address_digest(&held.key), bound.browser_digest(&held.key));
        let again = self.store.codes.again(of_address, of_browser, MOST_AGAIN, now).await.map_err(OtpError::Store)?;
        let (sealed, expires) = match again {
            Again::Code { sealed, expires } => (sealed, expires),
            Again::TooOften(at) => return Err(self.limited(call, line, address, OtpError::TooMany(at.since(now)))),
            Again::None => return Err(OtpError::NoLiveCode),
        };
        let digits = Digits::open(&sealed, &self.ring).ok_or(OtpError::NoLiveCode)?;
        match self.spend_message(call, line.channel, address, now).await {
            Ok(_) => {}
            Err(CountError::TooMany(wait)) => return Err(self.limited(call, line, address, OtpError::TooMany(wait))),
            Err(CountError::Store(error)) => return Err(OtpError::Store(error)),
        }
        let left = expires.since(now);
        if self.deliver(line, address, &digits, left, call.language()).await.is_err() {
            self.record(call, line, Some(address), CodeEvent::Undelivered);
            return Err(OtpError::Undelivered(self.retry(line, true, None)));
        }
        self.record(call, line, Some(address), CodeEvent::SentAgain);
        Ok(Sent { message: Text::CodeSentAgain, expires, challenge: None })
    }

    fn answer(&self, call: &Call, line: &Line, sent: Result<Sent, OtpError>, course: Course) -> Result<Answer, Failed> {
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => return self.failed(call, line, error, course),
        };
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(course.cookies);
        if Self::is_page(call, line) {
            let page = self.page_address(line, None, course.return_to.as_deref());
            let page = if sent.message == Text::CodeSentAgain { page::with(&page, "sent") } else { page };
            return Ok(Answer::see_other(page, cookies, auth_status));
        }
        let mut body = json!({
            "success": true,
            "message": sent.message.say(call.language()),
            "expiresAt": sent.expires.rfc3339(),
        });
        if let Some(challenge) = sent.challenge {
            body["challenge"] = challenge.into();
        }
        Ok(Answer::json(StatusCode::OK, body, cookies, auth_status))
    }

    /// The failure; where a person can mend it on the page for codes, that page with a message.
    pub(super) fn failed(&self, call: &Call, line: &Line, error: OtpError, course: Course) -> Result<Answer, Failed> {
        let failed = Failed::new(call, error, course.cookies);
        let kind = failed.error.kind();
        if !Self::is_page(call, line) || kind.row().form == FormPage::None {
            return Err(failed);
        }
        let page = self.page_address(line, Some(&failed.error), course.return_to.as_deref());
        let wrong_guess = kind.is_wrong_guess();
        Ok(Answer { wrong_guess, ..Answer::see_other(page, failed.cookies, failed.auth_status) })
    }

    /// Instead of [`Otps::verify`] where the visitor may not try: nothing is looked at but where the page leads.
    pub fn not_tried(&self, call: &Call, channel: Channel, error: OtpError) -> Result<Answer, Failed> {
        let Some(line) = self.line(channel) else { return self.not_configured(call) };
        if matches!(error, OtpError::TooMany(_)) {
            self.record(call, line, None, CodeEvent::Limited);
        }
        let return_to = Request::read(call, channel).ok().and_then(|request| request.return_to);
        self.failed(call, line, error, Course { return_to, ..Course::default() })
    }

    #[expect(clippy::unused_self, reason = "reads as the other ways to end a call")]
    pub(super) fn not_configured(&self, call: &Call) -> Result<Answer, Failed> {
        Err(Failed::new(call, OtpError::NotConfigured, CookieChanges::default()))
    }

    pub(super) fn address(&self, line: &Line, written: Option<&str>) -> Result<Address, OtpError> {
        let address = written.and_then(|text| Address::parse(line.channel, text, &self.settings.addresses));
        address.ok_or(OtpError::Address(line.channel))
    }

    pub(super) fn limited(&self, call: &Call, line: &Line, address: &Address, error: OtpError) -> OtpError {
        self.record(call, line, Some(address), CodeEvent::Limited);
        error
    }

    /// Counted, and written down without digits.
    pub(super) fn record(&self, call: &Call, line: &Line, address: Option<&Address>, event: CodeEvent) {
        let (channel, purpose, address) = (line.channel.as_str(), line.purpose.as_str(), address.map(Address::masked));
        tracing::info!(target: "audit", channel, purpose, address, client = %call.client.address(), result = event.as_str(), "one-time code");
        self.metrics.code(line.channel, event);
    }

    fn retry(&self, line: &Line, again: bool, challenge: Option<String>) -> Retry {
        let endpoint = self.at(&format!("{}/resend", line.channel.as_str()));
        Retry { channel: line.channel, again, endpoint, challenge }
    }
}

impl Held {
    /// Whether this is the challenge of a code for `address`; a page leaves it to the challenge whose it is.
    pub(super) fn is_for(&self, address: Option<&Address>) -> bool {
        address.is_none_or(|address| address.canonical() == self.address.canonical())
    }
}
