//! Getting a message to its address: who is asked, in which order, and who takes over.

mod letter;
mod mail;
mod outbox;
mod smtp;

mod aligo;
mod breaker;
pub(crate) mod euc_kr;
mod exchange;
mod hmac;
mod http;
mod said;
mod sens;
mod sms;
mod solapi;
mod twilio;

pub use letter::{Letter, PLACEHOLDERS, Texts, fill, placeholders};
pub use mail::{MailSender, MailSettings, MailSetupError, MailWay, parse_address};
pub use outbox::{Outbox, OutboxSettings};
pub use smtp::{Security, SmtpError, SmtpSettings};

pub use aligo::Aligo;
pub use exchange::http_client;
pub use hmac::{HmacAlgorithm, HmacEncoding};
pub use http::{Hmac, HttpApi, Success};
pub use sens::Sens;
pub use sms::{SmsSender, SmsSettings, SmsWay};
pub use solapi::Solapi;
pub use twilio::{Twilio, TwilioSender};

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
