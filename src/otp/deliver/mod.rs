//! Getting a message to its address: who is asked, in which order, and who takes over.

mod letter;
mod mail;
mod outbox;
mod sms;

pub use letter::{Letter, PLACEHOLDERS, Texts, fill, placeholders};
pub use mail::{MailSender, MailSettings, MailSetupError, MailWay};
pub use outbox::{Outbox, OutboxSettings};
pub use sms::{SmsSender, SmsSettings, SmsWay};

/// A client fit for providers of messages.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()
}

/// A text message.
#[derive(Clone, Debug)]
pub struct Sms {
    /// E.164: `+821012345678`.
    pub to_e164: String,
    /// As templates have it: domestic digits for Korea (`01012345678`), E.164 elsewhere.
    pub to: String,
    /// The country calling code, e.g. 82.
    pub country: u16,
    /// What it says; a code is in it.
    pub text: String,
}

/// An e-mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// One address.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// No way to deliver worked. What each said is in the log, without the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message could not be delivered")]
pub struct Undelivered;
