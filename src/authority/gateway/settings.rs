//! The validated settings of `[authority.gateway]`.

use std::time::Duration;

use crate::{call::Json, channel::Channel, clock::Timestamp, oidc::Allow};

/// `[authority.gateway]`, with the keys of `[session]` and `[otp]` that it uses.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// `iss` of the access tokens.
    pub issuer: String,
    /// `aud` of the access tokens.
    pub audience: String,
    /// From `iat` to `exp`; at least one second.
    pub access_token_lifetime: Duration,
    /// The role of a person who has none of `roles`.
    pub default_role: String,
    /// The roles and who has them, in the order of the file.
    pub roles: Vec<(String, Allow)>,
    /// Further claims of the access tokens; `None`: e-mail address, name and telephone number, if the
    /// identity has them.
    pub claims: Option<Vec<(String, Json)>>,
    /// The channels whose one-time codes log in.
    pub codes: Vec<CodeLogin>,
    /// How long a replaced refresh token can still be exchanged for its successor.
    pub refresh_grace: Duration,
    /// A login that was not refreshed for this long has ended.
    pub idle: Duration,
    /// A login ends this long after it began, whether it is used or not.
    pub absolute: Duration,
}

/// A channel with `purpose = "login"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeLogin {
    /// `sms` or `email`.
    pub channel: Channel,
    /// Which addresses may log in; `None`: all.
    pub allow: Option<Allow>,
}

impl GatewaySettings {
    /// When a login of `logged_in_at` ends, if it is not refreshed after `now`.
    pub(super) fn end_of(&self, logged_in_at: Timestamp, now: Timestamp) -> Timestamp {
        now.plus(self.idle).min(logged_in_at.plus(self.absolute))
    }

    pub(super) fn takes_codes(&self, channel: Channel) -> bool {
        self.codes.iter().any(|login| login.channel == channel)
    }
}
