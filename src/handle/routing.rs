//! Finds the route or own endpoint of a request by host, method and path only; `vestibule explain` uses it too.

use http::{Method, request::Parts, uri::PathAndQuery};

use crate::{
    hygiene::{self, Admitted, EncodedSlash, Hygiene, MethodOverride, Refusal},
    route::{OwnCalls, OwnMatch, Route, Table, TableMatch},
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
    /// What the request is for a backend that obeys its override headers, where the route lets them pass.
    pub overridden: Option<Overridden<'r>>,
}

/// The request that a backend makes of one with override headers (`X-HTTP-Method-Override` and its like).
pub struct Overridden<'r> {
    /// The method that they name.
    pub method: Method,
    /// The route of that method; its access rule has to be passed too.
    pub route: &'r Route,
}

impl Routing {
    /// Finds what answers a request that hygiene admitted. `parts` is its own head; for a preflight, `method` is the
    /// one it asks about.
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
                let is_own_call = |method| self.own_calls.include(route.settings.upstream, method, target.path());
                if is_own_call(&parts.method) {
                    return Destination::OwnCall(RouteMatch { route, target, overridden: None });
                }
                let overridden = match &admitted.method_override {
                    Some(named) if route.settings.method_override => match self.overridden(named, route, host, path) {
                        Ok(overridden) if is_own_call(&overridden.method) => {
                            return Destination::OwnCall(RouteMatch { route, target, overridden: None });
                        }
                        Ok(overridden) => Some(overridden),
                        Err(refused) => return refused,
                    },
                    _ => None,
                };
                Destination::Route(RouteMatch { route, target, overridden })
            }
        }
    }

    /// What a request through `route` is with the method that its override headers name. It has to match a route to the
    /// same upstream too.
    fn overridden<'t>(
        &'t self,
        named: &MethodOverride,
        route: &Route,
        host: &str,
        path: &str,
    ) -> Result<Overridden<'t>, Destination<'t>> {
        let method = named.method().map_err(Destination::Refused)?.clone();
        match self.table.find(&method, host, path) {
            TableMatch::Route(other) if other.settings.upstream == route.settings.upstream => {
                Ok(Overridden { method, route: other })
            }
            _ => Err(Destination::NoRoute),
        }
    }
}

impl<'r> RouteMatch<'r> {
    /// The routes whose access rules the request has to pass.
    pub fn judged_by(&self) -> impl Iterator<Item = &'r Route> + use<'r> {
        let route = self.route;
        let overridden = self.overridden.as_ref().map(|overridden| overridden.route);
        std::iter::once(route).chain(overridden.filter(|other| other.index != route.index))
    }
}
