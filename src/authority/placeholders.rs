//! The placeholders that are allowed in each configured call and in the claims of the gateway's own access tokens.

/// The placeholders of `[authority.exchange]`.
pub const EXCHANGE: &[&str] = &[
    "provider",
    "id_token",
    "access_token",
    "refresh_token",
    "profile",
    "email",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[authority.credentials]`.
pub const CREDENTIALS: &[&str] = &["email", "password", "device_id", "device_name"];
/// The placeholders of `[authority.otp]`.
pub const OTP: &[&str] = &["channel", "address", "address_e164", "device_id", "device_name"];
/// The placeholders of `[authority.refresh]`.
pub const REFRESH: &[&str] = &["refresh_token", "access_token", "provider", "device_id", "device_name", "claims."];
/// The placeholders of `[authority.signout]`.
pub const SIGN_OUT: &[&str] = &["refresh_token", "access_token", "provider", "device_id", "device_name"];
/// The placeholders of `[otp.sms.notify]` and `[otp.email.notify]`.
pub const OTP_NOTIFY: &[&str] =
    &["channel", "address", "address_e164", "access_token", "device_id", "device_name", "claims."];
/// The placeholders of `[login.notify]`.
pub const LOGIN_NOTIFY: &[&str] =
    &["provider", "profile", "email", "channel", "address", "address_e164", "device_id", "device_name", "claims."];
/// The placeholders of `[authority.gateway] claims`.
pub const CLAIMS: &[&str] = &["provider", "email", "channel", "address", "address_e164", "claims."];
/// The claims that `[authority.gateway] claims` cannot set: the gateway sets them itself.
pub const OWN_CLAIMS: &[&str] = &["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "role", "roles"];
