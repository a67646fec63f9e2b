//! One `[[routes]]` of the configuration, validated.

use std::time::Duration;

use http::Method;

use crate::{hygiene::EncodedSlash, upstream::HeaderRules};

/// One `[[routes]]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The path pattern as written, e.g. `/api/{id}/{*rest}`.
    pub path: String,
    /// The hosts it is for, in lower case; empty: every accepted host.
    pub hosts: Vec<String>,
    /// The methods it is for; empty: all.
    pub methods: Vec<Method>,
    /// The prefix removed before forwarding.
    pub strip: Option<String>,
    /// Index of the upstream in the list of upstreams.
    pub upstream: usize,
    /// Who may use it.
    pub access: Access,
    /// Headers set and removed.
    pub headers: HeaderRules,
    /// Largest request body in bytes; `None`: no limit.
    pub body_limit: Option<u64>,
    /// Longest wait for the first byte of the answer; `None`: the upstream's `timeout`.
    pub timeout: Option<Duration>,
    /// Longest time without a byte in a body or stream, in either direction.
    pub idle_timeout: Duration,
    /// Least average rate of a request's body, in bytes per second; 0: no minimum.
    pub body_rate: u64,
    /// Which requests are sent again after a 401.
    pub retry_on_401: RetryOn401,
    /// What happens after a 401 to the second try; `None`: `Clear` where the upstream is the token authority's own,
    /// else `Pass`.
    pub on_second_401: Option<OnSecond401>,
    /// Whether requests may meet a call that the gateway makes itself.
    pub own_calls: OwnCallsRule,
    /// The origins whose scripts may call it; `None`: no other than its own.
    pub cors: Option<Cors>,
    /// Whether `X-HTTP-Method-Override` and its like pass, judged for both methods.
    pub method_override: bool,
    /// What becomes of `%2F` in a path.
    pub encoded_slash: EncodedSlash,
    /// Its line in the configuration file, for `explain` and error messages.
    pub line: usize,
}

/// Who may use a route (`access`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anyone; the session is not read.
    Public,
    /// Anyone; the session's token is forwarded if there is one.
    Optional,
    /// Logged-in users.
    User,
    /// Users who are not logged in (an app's own login page).
    Anonymous,
    /// Users with at least one of these roles.
    Roles(Vec<String>),
}

/// Which requests are sent a second time after a 401 (`retry_on_401`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RetryOn401 {
    /// Every request whose whole body was recorded.
    #[default]
    All,
    /// GET, HEAD, OPTIONS only.
    Safe,
    /// No request.
    Off,
}

/// Whether requests on a route may meet a call that the gateway itself makes (`own_calls`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OwnCallsRule {
    /// No: such a request is answered 404.
    #[default]
    Closed,
    /// Yes, because the app uses that path too.
    Open,
}

/// What happens to the session after a 401 to the second try (`on_second_401`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnSecond401 {
    /// The session ends, and its cookies are cleared.
    Clear,
    /// The session stays.
    Pass,
}

/// The origins whose scripts may call a route (`cors`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    /// Exact origins, e.g. `https://partner.example.kr`.
    pub origins: Vec<String>,
    /// Whether their requests may carry cookies (`Access-Control-Allow-Credentials`).
    pub credentials: bool,
}

impl Cors {
    /// The origins whose requests may use the session's cookies: none unless `credentials` is on.
    pub fn cookie_origins(&self) -> &[String] {
        if self.credentials { &self.origins } else { &[] }
    }
}
