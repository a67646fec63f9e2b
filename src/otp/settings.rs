//! `[otp]` after validation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    address::Rules,
    deliver::{MailSettings, SmsSettings, Texts},
};
use crate::{authority::Allow, call::Template, channel::Channel, endpoint::Rate};

/// No code is valid for longer (NIST SP 800-63B section 5.1.3.2).
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(600);

/// What a right code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// A person who is logged in proves an address.
    Verify,
    /// The address is the identity of a login.
    Login,
    /// Only a proof is answered, for a sign-up form.
    Prove,
}

impl CodePurpose {
    /// Its name in gateway.toml, in the store and in proofs.
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
    /// How long a code is valid; at most [`LONGEST_LIFETIME`].
    pub lifetime: Duration,
    /// Time between two codes for one address.
    pub cooldown: Duration,
    /// Number of wrong tries that end a code.
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
    /// To one address: against flooding a person.
    pub per_address: Rate,
    /// For one client: against trying many addresses.
    pub per_ip: Rate,
    /// To the numbers of one country: against toll fraud. `None`: a tenth of `total` for each but the first.
    pub per_country: Option<Rate>,
    /// In total; half of it is reserved for clients that have logged in before.
    pub total: Rate,
    /// On one day: the most that an attack can cost.
    pub daily_cap: u32,
}

/// `[otp.sms]`, validated.
#[derive(Clone, Debug)]
pub struct SmsChannel {
    /// What both channels have.
    pub channel: ChannelSettings,
    /// The operator's own text; `None`: the built-in one.
    pub text: Option<Texts>,
    /// The providers that send it.
    pub delivery: SmsSettings,
}

/// `[otp.email]`, validated.
#[derive(Clone, Debug)]
pub struct EmailChannel {
    /// What both channels have.
    pub channel: ChannelSettings,
    /// The letter and the servers that send it.
    pub delivery: MailSettings,
}

/// What both channels have.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// What its codes are for.
    pub purpose: CodePurpose,
    /// Who may log in.
    pub allow: Option<Allow>,
    /// The call that reports a verified address to the backend.
    pub notify: Option<Template>,
}

impl Settings {
    /// The channels that are configured.
    pub fn channels(&self) -> impl Iterator<Item = (Channel, &ChannelSettings)> {
        let sms = self.sms.as_ref().map(|sms| (Channel::Sms, &sms.channel));
        sms.into_iter().chain(self.email.as_ref().map(|email| (Channel::Email, &email.channel)))
    }
}
