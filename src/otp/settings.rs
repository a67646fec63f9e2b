//! `[otp]` after validation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    address::Rules,
    deliver::{MailSettings, SmsSettings, Texts},
};
use crate::{authority::Allow, call::Template, channel::Channel, endpoint::Rate};

/// Longest validity of a code (NIST SP 800-63B section 5.1.3.2).
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(600);

/// What a right code does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// It verifies an address of the person who is logged in.
    Verify,
    /// It logs in the person who has the address.
    Login,
    /// The answer has only a proof, for a sign-up form.
    Prove,
}

impl CodePurpose {
    /// The name in `gateway.toml`, in the store and in proofs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Login => "login",
            Self::Prove => "prove",
        }
    }
}

/// `[otp]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Validity of a code; at most [`LONGEST_LIFETIME`].
    pub lifetime: Duration,
    /// Shortest time between two codes for one address.
    pub cooldown: Duration,
    /// Wrong tries after which a code is invalid.
    pub attempts: u32,
    /// Which addresses are accepted.
    pub addresses: Rules,
    /// Limits on messages.
    pub limits: Limits,
    /// `aud` of proofs.
    pub proof_audience: String,
    /// The name of the site in messages.
    pub site: String,
    /// `[otp.sms]`
    pub sms: Option<SmsChannel>,
    /// `[otp.email]`
    pub email: Option<EmailChannel>,
}

/// `[otp] limits` and `daily_cap`, validated.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Messages to one address. Answers the attack: flooding a person.
    pub per_address: Rate,
    /// Messages requested by one client. Answers the attack: trying many addresses.
    pub per_ip: Rate,
    /// Messages to the numbers of one country. Answers the attack: toll fraud. `None`: a tenth of `total` for each
    /// country except the first.
    pub per_country: Option<Rate>,
    /// All messages; half of them are reserved for clients that have logged in before.
    pub total: Rate,
    /// All messages of one day (UTC): it limits the cost of any attack.
    pub daily_cap: u32,
}

/// `[otp.sms]`, validated.
#[derive(Clone, Debug)]
pub struct SmsChannel {
    /// The keys that both channels have.
    pub channel: ChannelSettings,
    /// The operator's text; `None`: the built-in one.
    pub text: Option<Texts>,
    /// The providers that send it.
    pub delivery: SmsSettings,
}

/// `[otp.email]`, validated.
#[derive(Clone, Debug)]
pub struct EmailChannel {
    /// The keys that both channels have.
    pub channel: ChannelSettings,
    /// The letter and the servers that send it.
    pub delivery: MailSettings,
}

/// The keys that both channels have.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// The purpose of all codes of the channel.
    pub purpose: CodePurpose,
    /// Who may log in, with purpose `login`.
    pub allow: Option<Allow>,
    /// The call that reports a verified address to the backend.
    pub notify: Option<Template>,
    /// The names of the fields in the bodies of `send`, `resend` and `verify`.
    pub fields: FieldNames,
}

/// The names of the fields in the bodies of `send`, `resend` and `verify`, and in the forms of the pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldNames {
    /// Default: `phone` or `email`.
    pub address: String,
    /// Default: `code`.
    pub code: String,
}

/// The names of the fields that these endpoints have themselves.
pub const OWN_FIELDS: [&str; 4] = ["challenge", "deviceId", "deviceName", "return_to"];

impl Settings {
    /// The channels that are configured.
    pub fn channels(&self) -> impl Iterator<Item = (Channel, &ChannelSettings)> {
        let sms = self.sms.as_ref().map(|sms| (Channel::Sms, &sms.channel));
        sms.into_iter().chain(self.email.as_ref().map(|email| (Channel::Email, &email.channel)))
    }
}
