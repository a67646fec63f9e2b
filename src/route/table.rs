//! The table of routes: built once from the configuration, searched once per request.

use http::Method;

use super::{
    conflict::Conflict,
    entry::Route,
    hosts::HostIndex,
    lax::LaxPath,
    own::ProviderIndex,
    own_table::{OwnFound, OwnMatch, OwnSettings, OwnTable},
    settings::Settings,
    stricter::{Rules, StricterRules},
    targets::SharedTargets,
    trie::Conflicts,
};

/// All routes and the gateway's own endpoints.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
    own: OwnTable,
    index: HostIndex,
    stricter: StricterRules,
}

/// What a request matches.
#[derive(Clone, Copy, Debug)]
pub enum TableMatch<'t> {
    /// An own endpoint.
    Own(OwnMatch),
    /// A route.
    Route(&'t Route),
    /// An own endpoint that does not accept this method: 405, with this value of `Allow`.
    WrongMethod(&'static str),
    /// A path of the gateway without an endpoint: 404.
    NoEndpoint,
    /// No route matches: 404.
    None,
}

impl Table {
    /// Builds the table, or reports every conflict. `shared` says which upstreams have a common target.
    pub fn build(routes: Vec<Settings>, own: OwnSettings, shared: &SharedTargets) -> Result<Self, Vec<Conflict>> {
        let mut table = Self {
            routes: Vec::with_capacity(routes.len()),
            own: OwnTable::new(own),
            index: HostIndex::default(),
            stricter: StricterRules::default(),
        };
        let mut conflicts = Vec::new();
        for settings in routes {
            match Route::new(settings, table.routes.len(), &table.own) {
                Ok(route) => {
                    conflicts.extend(table.insert(&route));
                    table.routes.push(route);
                }
                Err(more) => conflicts.extend(more),
            }
        }
        table.stricter = StricterRules::new(&table.routes, shared);
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts) }
    }

    /// Finds what a request matches. `host` is the admitted host (lower case, no default port), `path` the canonical
    /// path without query.
    ///
    /// Among the routes that match, the order is: a route for this host and port, one for this host, one for all hosts;
    /// then, segment by segment from the left, literal text before `{name}` before `{*rest}`; then a route with methods
    /// before one without.
    ///
    /// Nothing is found for a path that becomes the gateway's own where a backend drops `;` parameters and merges
    /// slashes: what is under `base_path` is never proxied.
    pub fn find(&self, method: &Method, host: &str, path: &str) -> TableMatch<'_> {
        match self.own.find(method, path) {
            Some(OwnFound::Endpoint(own)) => return TableMatch::Own(own),
            Some(OwnFound::WrongMethod(allow)) => return TableMatch::WrongMethod(allow),
            Some(OwnFound::NoEndpoint) => return TableMatch::NoEndpoint,
            None => {}
        }
        let Some(index) = self.index.find(host, |trie| trie.find(method, path)) else { return TableMatch::None };
        let route = &self.routes[index];
        match lenient_form(path) {
            Some(lenient) if self.own.covers(&lenient) => TableMatch::None,
            // Without the prefix the target would start with two slashes, which some backends read as a host.
            Some(_) if route.strip > 0 && path[route.strip..].starts_with("//") => TableMatch::None,
            _ => TableMatch::Route(route),
        }
    }

    /// The access rules for a request that matches `route`: the route's own, or a stricter one of another route to the
    /// same upstream, where the path in one of its lax readings, sent with the same host and method, matches that
    /// route. Where neither is stricter, both.
    pub fn rules<'t>(&'t self, route: &'t Route, method: &Method, host: &str, path: &LaxPath<'_>) -> Rules<'t> {
        self.stricter.rules(&self.routes, route, method, host, path)
    }

    /// All routes, in the order of the file.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The name of a provider that an endpoint was found for.
    pub fn provider_name(&self, provider: ProviderIndex) -> &str {
        self.own.provider_name(provider)
    }

    /// Whether a path is the gateway's, with or without an endpoint there.
    pub fn is_own(&self, path: &str) -> bool {
        self.own.covers(path)
    }

    fn insert(&mut self, route: &Route) -> Vec<Conflict> {
        let Route { settings, pattern, methods, index, .. } = route;
        let mut others = self.index.insert(&settings.hosts, pattern, methods, *index, Conflicts::Refused);
        if let Some(pattern) = pattern.unescaped() {
            others.extend(self.index.insert(&settings.hosts, &pattern, methods, *index, Conflicts::Refused));
        }
        others.sort_unstable();
        others.dedup();
        others
            .into_iter()
            .filter(|other| other != index)
            .map(|other| Conflict::Same { line: settings.line, other: self.routes[other].settings.line })
            .collect()
    }
}

/// The path without `;` parameters and with slashes merged, as some backends read it; `None` if it has neither.
fn lenient_form(path: &str) -> Option<String> {
    let mut previous = 0;
    let plain = path.bytes().all(|byte| {
        let doubled = byte == b'/' && previous == b'/';
        previous = byte;
        byte != b';' && !doubled
    });
    if plain {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').map(|segment| segment.split(';').next().unwrap_or(segment)) {
        if !segment.is_empty() {
            out.push('/');
            out.push_str(segment);
        }
    }
    if path.ends_with('/') || out.is_empty() {
        out.push('/');
    }
    Some(out)
}
