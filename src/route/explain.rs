//! Why a request matches the route it matches, for `vestibule explain`.

use std::{cmp::Ordering, fmt};

use http::Method;

use super::{
    entry::Route,
    hosts::HostMatch,
    table::{Table, TableMatch},
};

/// A route whose path matches, and the result for it.
#[derive(Debug)]
pub struct Candidate<'t> {
    /// The route.
    pub route: &'t Route,
    /// The result.
    pub outcome: MatchOutcome,
}

/// Why a route whose path matches is chosen or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatchOutcome {
    /// It is chosen.
    Wins,
    /// It is for other hosts.
    OtherHost,
    /// It is for other methods.
    OtherMethod,
    /// The chosen route names this host (or this very port); this one does not.
    LessSpecificHost,
    /// The path of the chosen route is more specific.
    LessSpecificPath,
    /// The chosen route names this method; this one does not.
    NoMethods,
    /// The path is the gateway's own.
    OwnPath,
    /// It would be chosen, but without `;` parameters and doubled slashes the path is the gateway's own, or what is
    /// left of it would begin with two slashes.
    Ambiguous,
}

impl fmt::Display for MatchOutcome {
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
                "is refused: without `;` parameters the path is the gateway's own, or without `strip` it begins with two slashes"
            }
        })
    }
}

impl Table {
    /// All routes whose path matches, in the order of the file, with the result for each.
    pub fn explain(&self, method: &Method, host: &str, path: &str) -> Vec<Candidate<'_>> {
        let found = self.find(method, host, path);
        let outcome = |route: &Route| {
            if route.is_for(host) == HostMatch::Other {
                return MatchOutcome::OtherHost;
            }
            if !route.methods.allows(method) {
                return MatchOutcome::OtherMethod;
            }
            match found {
                TableMatch::Own(_) | TableMatch::WrongMethod(_) | TableMatch::NoEndpoint => MatchOutcome::OwnPath,
                TableMatch::None => MatchOutcome::Ambiguous,
                TableMatch::Route(winner) if winner.index == route.index => MatchOutcome::Wins,
                TableMatch::Route(winner) if winner.is_for(host) != route.is_for(host) => {
                    MatchOutcome::LessSpecificHost
                }
                TableMatch::Route(winner) if winner.pattern.specificity(&route.pattern) != Ordering::Equal => {
                    MatchOutcome::LessSpecificPath
                }
                TableMatch::Route(_) => MatchOutcome::NoMethods,
            }
        };
        let matching = self.routes().iter().filter(|route| route.pattern.matches(path));
        matching.map(|route| Candidate { route, outcome: outcome(route) }).collect()
    }
}
