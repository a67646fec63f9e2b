//! Delivers messages with codes: SMS through the configured providers, e-mail through the configured transports.

mod client;
mod mail;
mod message;
mod outbox;
mod sms;

pub use client::http_client;
pub use mail::{
    MailSender, MailSettings, MailSetupError, MailTransport,
    letter::{Letter, PLACEHOLDERS, Texts, fill, placeholders},
    parse_address,
    smtp::{Security, SmtpError, SmtpSettings},
};
pub use message::{Mail, Sms, Undelivered};
pub use outbox::{Outbox, OutboxSettings};
pub(crate) use sms::euc_kr;
pub use sms::{
    SmsProviderSettings, SmsSender, SmsSettings,
    aligo::Aligo,
    hmac::{HmacAlgorithm, HmacEncoding},
    http_api::{Hmac, HttpApi, SuccessRule},
    sens::Sens,
    solapi::Solapi,
    twilio::{Twilio, TwilioSender},
};
