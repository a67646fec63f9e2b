//! Finds the route or own endpoint of a request by host, method and path only; `vestibule explain` uses it too.

use http::{Method, request::Parts, uri::PathAndQuery};

use crate::{
    hygiene::{HostName, Hygiene},
    route::{OwnCalls, OwnCallsRule, OwnMatch, Route, Rules, Table, TableMatch},
};

/// The parts that judge a request before its session is read.
pub struct Routing {
    /// Refuses ambiguous requests and strips headers that could pass for ours.
    pub hygiene: Hygiene,
    /// The routes and the own endpoints.
    pub table: Table,
    /// The calls that only the gateway may make.
    pub own_calls: OwnCalls,
}

/// What answers a request.
pub enum Destination<'r> {
    /// An own endpoint.
    Own(OwnMatch),
    /// An own endpoint that does not accept this method; the value of `Allow`.
    WrongMethod(&'static str),
    /// A path below the gateway's own prefix that has no endpoint.
    NoEndpoint,
    /// A route.
    Route(RouteMatch<'r>),
    /// A route matches, but at its upstream the request would be a call that only the gateway may make.
    OwnCall(RouteMatch<'r>),
    /// No route matches.
    NoRoute,
}

/// A route, and the target that its upstream gets.
pub struct RouteMatch<'r> {
    /// The route.
    pub route: &'r Route,
    /// The target, without the prefix that the route strips.
    pub target: PathAndQuery,
    /// The access rules that the request has to pass: the route's own, or stricter ones.
    pub rules: Rules<'r>,
}

impl Routing {
    /// Finds what answers a request to `host` that hygiene admitted. `parts` is its own head; for a preflight, `method`
    /// is the one it asks about. Neither its own method nor `method` may make it a call of the gateway's own.
    pub fn destination(&self, parts: &Parts, host: &HostName, method: &Method) -> Destination<'_> {
        static ROOT: PathAndQuery = PathAndQuery::from_static("/");
        match self.table.find(method, host.as_str(), parts.uri.path()) {
            TableMatch::Own(own) => Destination::Own(own),
            TableMatch::WrongMethod(allow) => Destination::WrongMethod(allow),
            TableMatch::NoEndpoint => Destination::NoEndpoint,
            TableMatch::None => Destination::NoRoute,
            TableMatch::Route(route) => {
                let path = parts.uri.path();
                let target = route.upstream_path(parts.uri.path_and_query().unwrap_or(&ROOT));
                let is_own = |method| self.own_calls.include(route.settings.upstream, method, target.path());
                let is_own_call = route.settings.own_calls == OwnCallsRule::Closed
                    && (is_own(&parts.method) || (*method != parts.method && is_own(method)));
                let rules = self.table.rules(route, method, host.as_str(), path);
                let matched = RouteMatch { route, target, rules };
                if is_own_call { Destination::OwnCall(matched) } else { Destination::Route(matched) }
            }
        }
    }
}
