//! Why a request meets the route it meets, for `vestibule explain`.

use std::{cmp::Ordering, fmt};

use http::Method;

use super::{Found, Route, Table, table::HostMatch};

/// A route whose path matches, and what became of it.
#[derive(Debug)]
pub struct Candidate<'t> {
    /// The route.
    pub route: &'t Route,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a route whose path matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The request goes there.
    Wins,
    /// It is for other hosts.
    OtherHost,
    /// It is for other methods.
    OtherMethod,
    /// The winner is for this host (or for this very port), it is not.
    LessSpecificHost,
    /// The winner's path is more specific.
    LessSpecificPath,
    /// The winner names this method, it does not.
    NoMethods,
    /// The gateway's own endpoints go before it.
    OwnPath,
    /// It would win, but the path reads differently without `;` parameters and doubled slashes.
    Ambiguous,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wins => "wins",
            Self::OtherHost => "is for other hosts",
            Self::OtherMethod => "is for other methods",
            Self::LessSpecificHost => "loses: the winner names the host more exactly",
            Self::LessSpecificPath => "loses: the winner's path is more specific",
            Self::NoMethods => "loses: the winner names the method",
            Self::OwnPath => "loses: the path is the gateway's own",
            Self::Ambiguous => {
                "is refused: without `;` parameters and doubled slashes the path would meet something else"
            }
        })
    }
}

impl Table {
    /// All routes whose path matches, in the order of the file, with what became of each.
    pub fn explain(&self, method: &Method, host: &str, path: &str) -> Vec<Candidate<'_>> {
        let found = self.find(method, host, path);
        let verdict = |route: &Route| {
            if route.is_for(host) == HostMatch::Other {
                return Verdict::OtherHost;
            }
            if !route.methods.allows(method) {
                return Verdict::OtherMethod;
            }
            match found {
                Found::Own(_) | Found::WrongMethod(_) => Verdict::OwnPath,
                Found::None if self.is_own(path) => Verdict::OwnPath,
                Found::None => Verdict::Ambiguous,
                Found::Route(winner) if winner.index == route.index => Verdict::Wins,
                Found::Route(winner) if winner.is_for(host) != route.is_for(host) => Verdict::LessSpecificHost,
                Found::Route(winner) if winner.pattern.specificity(&route.pattern) != Ordering::Equal => {
                    Verdict::LessSpecificPath
                }
                Found::Route(_) => Verdict::NoMethods,
            }
        };
        let matching = self.routes().iter().filter(|route| route.pattern.matches(path));
        matching.map(|route| Candidate { route, verdict: verdict(route) }).collect()
    }
}
