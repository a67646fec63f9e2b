//! The placeholders that are allowed in each configured call and in the claims of the gateway's own access tokens.

/// The placeholders of `[authority.exchange]`.
pub const EXCHANGE: &[&str] = &[
    "provider",
    "method",
    "provider_sub",
    "id_token",
    "access_token",
    "refresh_token",
    "profile",
    "email",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[authority.credentials]`, besides those of its fields.
const CREDENTIALS: &[&str] = &["method", "device_id", "device_name"];
/// The placeholders of `[authority.credentials]` with these fields: each as `{field.NAME}`, and `{email}` and
/// `{password}` where they are fields.
pub fn of_credentials(fields: &[String]) -> Vec<String> {
    let short = fields.iter().filter(|name| matches!(name.as_str(), "email" | "password")).cloned();
    let named = fields.iter().map(|name| format!("field.{name}"));
    short.chain(named).chain(CREDENTIALS.iter().map(|name| (*name).to_owned())).collect()
}

/// The placeholders of `[authority.otp]`.
pub const OTP: &[&str] = &["method", "channel", "address", "address_e164", "device_id", "device_name"];
/// The placeholders of `[authority.refresh]`.
pub const REFRESH: &[&str] = &[
    "refresh_token",
    "access_token",
    "provider",
    "method",
    "sub",
    "provider_sub",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[authority.signout]`.
pub const SIGN_OUT: &[&str] = &["refresh_token", "access_token", "provider", "method", "device_id", "device_name"];
/// The placeholders of `[otp.sms.notify]` and `[otp.email.notify]`.
pub const OTP_NOTIFY: &[&str] = &[
    "channel",
    "address",
    "address_e164",
    "access_token",
    "method",
    "sub",
    "provider_sub",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[login.notify]`.
pub const LOGIN_NOTIFY: &[&str] = &[
    "sub",
    "provider_sub",
    "provider",
    "method",
    "profile",
    "email",
    "channel",
    "address",
    "address_e164",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[authority.gateway] claims`.
pub const CLAIMS: &[&str] =
    &["sub", "provider_sub", "provider", "method", "email", "channel", "address", "address_e164", "claims."];
/// The claims that `[authority.gateway] claims` cannot set: the gateway sets them itself.
pub const OWN_CLAIMS: &[&str] = &["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "role", "roles"];
