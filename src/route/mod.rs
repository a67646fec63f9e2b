//! The compiled table: request head → what it needs (own endpoint, or upstream and access rule). Pure functions.

mod access;
mod explain;
mod methods;
mod own;
mod own_calls;
mod pattern;
mod table;
mod trie;

use std::time::Duration;

use http::Method;

pub use self::{
    access::{Decision, Who},
    explain::{Candidate, Verdict},
    own::{HasPage, JWKS_PATH, OwnEndpoint, OwnPaths, Provider, reserved_provider_name},
    own_calls::{CallPiece, OwnCall, OwnCalls},
    table::{Conflict, Found, Route, Table},
};
use crate::upstream::HeaderRules;

/// One `[[routes]]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The path pattern as written, e.g. `/api/{id}/{*rest}`.
    pub path: String,
    /// Hosts it is for, lower case; empty: every accepted host.
    pub hosts: Vec<String>,
    /// Methods it is for; empty: all.
    pub methods: Vec<Method>,
    /// The prefix removed before forwarding.
    pub strip: Option<String>,
    /// Index of the upstream in the list of upstreams.
    pub upstream: usize,
    /// Who may.
    pub access: Access,
    /// Header rules.
    pub headers: HeaderRules,
    /// Largest request body in bytes; `None`: no limit.
    pub body_limit: Option<u64>,
    /// To the first byte of the answer; `None`: the upstream's.
    pub timeout: Option<Duration>,
    /// Longest silence in a stream or body, either way.
    pub idle_timeout: Duration,
    /// Bytes a second that a request's body has to bring on average; 0: no minimum.
    pub body_rate: u64,
    /// Which requests are sent again after a 401.
    pub retry_on_401: RetryOn401,
    /// What a 401 to the second try means; `None`: clear where the upstream is the authority's own, pass elsewhere.
    pub on_second_401: Option<OnSecond401>,
    /// Cross-origin callers.
    pub cors: Option<Cors>,
    /// Line in the configuration file, for `explain` and logs.
    pub line: usize,
}

/// Who may use a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anyone; no session work at all.
    Public,
    /// Anyone; a session is used where there is one.
    Optional,
    /// Whoever is logged in.
    User,
    /// Whoever is not logged in (an app's own login page).
    Anonymous,
    /// Whoever has one of these roles.
    Roles(Vec<String>),
}

/// `retry_on_401`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RetryOn401 {
    /// Every request whose body can be sent again.
    #[default]
    All,
    /// GET, HEAD, OPTIONS only.
    Safe,
    /// None.
    Off,
}

/// `on_second_401`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnSecond401 {
    /// The session is over.
    Clear,
    /// The 401 passes, the session stays.
    Pass,
}

/// `cors`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    /// Exact origins, e.g. `https://partner.example.kr`.
    pub origins: Vec<String>,
    /// Whether their requests may carry cookies.
    pub credentials: bool,
}

impl Cors {
    /// The origins whose requests may rest on the session's cookie: none unless `credentials` is on.
    pub fn cookie_origins(&self) -> &[String] {
        if self.credentials { &self.origins } else { &[] }
    }
}

#[cfg(test)]
mod tests;
