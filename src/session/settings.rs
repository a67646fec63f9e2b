//! `[session]`, validated: lifetimes, cookie names and keys of sessions.

use std::time::Duration;

use url::Url;

use crate::seal::SealKey;

/// `[session]`, validated, with the keys of `[server]` and `[store]` that sessions use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's public URL. With `https`, cookies are `Secure`.
    pub public_url: Url,
    /// `cookie_prefix`, for example `sb_`.
    pub cookie_prefix: String,
    /// Whether cookie names begin with `__Host-` (RFC 6265bis section 4.1.3.2).
    pub host_prefix: bool,
    /// Whether `sb_at` is sealed. `sb_rt` is always sealed.
    pub seal: bool,
    /// Session keys, 32 bytes each. The first seals, all open.
    pub keys: Vec<SealKey>,
    /// True if the file names no key (allowed on loopback) and the process made one, which a reload must not replace.
    pub key_was_made: bool,
    /// How long before its expiry an access token is refreshed; at most a fifth of its lifetime is used.
    pub refresh_ahead: Duration,
    /// How long a refresh result stays in the store after a request had its tokens.
    pub refresh_grace: Duration,
    /// Lifetime of the `sb_rt` cookie; browsers keep it for 400 days at most.
    pub refresh_token_lifetime: Duration,
    /// A session that was not refreshed for this long has ended.
    pub idle: Duration,
    /// A session ends this long after its login, whether it is used or not.
    pub absolute: Duration,
    /// Clock difference tolerated when an access token's `exp` and `nbf` are checked.
    pub leeway: Duration,
    /// JSON pointer (RFC 6901) to the role or the list of roles in the claims.
    pub roles_claim: String,
    /// Claims that `GET /session` shows.
    pub expose_claims: Vec<String>,
    /// Claims that templates and header rules use, besides those of `expose_claims`.
    pub template_claims: Vec<String>,
    /// What happens to refreshes while a shared store is unreachable.
    pub store_down: StoreDown,
    /// The longest timeout of any route or upstream: how long a request may still run after its session has ended.
    pub longest_timeout: Duration,
    /// `compat`: the client library whose pages the gateway serves.
    pub compat: Option<AuthJsVersion>,
}

/// A version of the client library `next-auth/react`, by what it asks and expects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthJsVersion {
    /// NextAuth.js 4.
    NextAuth4,
    /// Auth.js, which is `next-auth` 5.
    AuthJs5,
}

/// `store.store_down`: what happens to refreshes while a shared store is unreachable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StoreDown {
    /// Access tokens are not refreshed ahead of their expiry; a request with an expired one gets 503.
    #[default]
    Wait,
    /// Each instance refreshes without a lease. Only for an authority whose refresh tokens do not rotate.
    Refresh,
}
