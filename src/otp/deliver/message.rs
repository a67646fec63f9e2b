//! The messages: an SMS, an e-mail, and the error of one that was not delivered.

/// A text message.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The number in E.164: `+821012345678`.
    pub to_e164: String,
    /// The number for templates: domestic digits for Korea (`01012345678`), E.164 for other countries.
    pub to: String,
    /// The country calling code, e.g. 82.
    pub country: u16,
    /// The text, with the code in it.
    pub text: String,
}

/// An e-mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// One address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The `text/plain` part.
    pub text: String,
    /// The `text/html` part.
    pub html: String,
}

/// No provider or transport accepted the message. The log has the reason of each, without the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message could not be delivered")]
pub struct Undelivered;

/// The country calling code of Korea.
pub(super) const KOREA: u16 = 82;

impl Sms {
    /// The digits without the country calling code; in Korea with the leading zero.
    pub(super) fn national(&self) -> &str {
        if self.country == KOREA {
            return &self.to;
        }
        let code = self.country.to_string();
        let digits = self.to_e164.trim_start_matches('+');
        digits.strip_prefix(&code).unwrap_or(digits)
    }
}
