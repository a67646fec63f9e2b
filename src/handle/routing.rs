//! Finds the route or own endpoint of a request by host, method and path only; `vestibule explain` uses it too.

use http::{Method, request::Parts, uri::PathAndQuery};

use crate::{
    hygiene::{self, Admitted, EncodedSlash, Hygiene, MethodOverride, Refusal},
    route::{LaxPath, OwnCalls, OwnCallsRule, OwnMatch, Route, Rules, Table, TableMatch},
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
    /// The route that matches, or its absence, decides that two parsers could read the request differently.
    Refused(Refusal),
}

/// A route, and the target that its upstream gets.
pub struct RouteMatch<'r> {
    /// The route.
    pub route: &'r Route,
    /// The target, without the prefix that the route strips.
    pub target: PathAndQuery,
    /// The access rules that the request has to pass: the route's own, or stricter ones; also those of the method that
    /// its override headers name.
    pub rules: Rules<'r>,
    /// The method for a backend that obeys the override headers, where the route lets them pass.
    pub overridden: Option<Method>,
}

impl Routing {
    /// Finds what answers a request that hygiene admitted. `parts` is its own head; for a preflight, `method` is the
    /// one it asks about. Neither its own method nor `method` may make it a call of the gateway's own.
    pub fn destination(&self, parts: &Parts, admitted: &Admitted, method: &Method) -> Destination<'_> {
        static ROOT: PathAndQuery = PathAndQuery::from_static("/");
        let (host, path) = (admitted.host.as_str(), parts.uri.path());
        let found = self.table.find(method, host, path);
        let slash =
            if let TableMatch::Route(route) = found { route.settings.encoded_slash } else { EncodedSlash::Refuse };
        if slash == EncodedSlash::Refuse && hygiene::has_encoded_slash(path) {
            return Destination::Refused(Refusal::Ambiguous("an escaped slash where the route does not keep it"));
        }
        match found {
            TableMatch::Own(own) => Destination::Own(own),
            TableMatch::WrongMethod(allow) => Destination::WrongMethod(allow),
            TableMatch::NoEndpoint => Destination::NoEndpoint,
            TableMatch::None => Destination::NoRoute,
            TableMatch::Route(route) => {
                let target = route.upstream_path(parts.uri.path_and_query().unwrap_or(&ROOT));
                let lax_path = LaxPath::new(path);
                let mut rules = self.table.rules(route, method, host, &lax_path);
                let overridden = match &admitted.method_override {
                    Some(named) if route.settings.method_override => {
                        match self.overridden(named, route, host, path, &lax_path) {
                            Ok((method, more)) => {
                                rules = rules.and(&more);
                                Some(method)
                            }
                            Err(refused) => return refused,
                        }
                    }
                    _ => None,
                };
                let stripped = (target.path() != path).then(|| LaxPath::new(target.path()));
                let upstream_path = stripped.as_ref().unwrap_or(&lax_path);
                let is_own = |method: &Method| self.own_calls.include(route.settings.upstream, method, upstream_path);
                let is_own_call = route.settings.own_calls == OwnCallsRule::Closed
                    && (is_own(&parts.method)
                        || (*method != parts.method && is_own(method))
                        || overridden.as_ref().is_some_and(is_own));
                let matched = RouteMatch { route, target, rules, overridden };
                if is_own_call { Destination::OwnCall(matched) } else { Destination::Route(matched) }
            }
        }
    }

    /// The method that override headers name for a request through `route`, and the rules that it has to pass. It has
    /// to match a route to the same upstream too.
    fn overridden<'t>(
        &'t self,
        named: &MethodOverride,
        route: &Route,
        host: &str,
        path: &str,
        lax_path: &LaxPath<'_>,
    ) -> Result<(Method, Rules<'t>), Destination<'t>> {
        let method = named.method().map_err(Destination::Refused)?.clone();
        match self.table.find(&method, host, path) {
            TableMatch::Route(other) if other.settings.upstream == route.settings.upstream => {
                let rules = self.table.rules(other, &method, host, lax_path);
                Ok((method, rules))
            }
            _ => Err(Destination::NoRoute),
        }
    }
}
