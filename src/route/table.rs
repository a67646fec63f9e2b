//! The table of routes: built once from the configuration, searched once per request.

use std::{borrow::Cow, sync::Arc};

use http::{Method, uri::PathAndQuery};

use super::{
    access::{Decision, Requester},
    hosts::{HostIndex, HostMatch},
    methods::Methods,
    own::{JWKS_PATH, ProviderIndex},
    own_table::{OwnFound, OwnMatch, OwnSettings, OwnTable},
    pattern::{Pattern, Segment},
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

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its table in the configuration file.
    pub settings: Settings,
    /// Its place in the file, from 0.
    pub index: usize,
    /// For logs and metrics: `GET app.example.kr/reports/{*rest}`.
    pub name: Arc<str>,
    pub(super) pattern: Pattern,
    pub(super) methods: Methods,
    /// Bytes of a matching path that are removed before forwarding.
    strip: usize,
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

/// Why the table cannot be built; each is an error in the configuration file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Conflict {
    /// Two routes match the same requests, and neither is more specific.
    #[error(
        "this route and the one in line {other} match the same requests, and neither is more specific; give one of them other `methods` or `hosts`, or remove it"
    )]
    Same {
        /// The line of the later route.
        line: usize,
        /// The line of the earlier route.
        other: usize,
    },
    /// A route below `base_path`: the gateway answers all its requests.
    #[error("this route can never match: everything under `{base_path}` is the gateway's own (`session.base_path`)")]
    UnderBasePath {
        /// The line of the route.
        line: usize,
        /// The base path.
        base_path: String,
    },
    /// A route for the path of the gateway's public keys.
    #[error("this route can never match: the gateway's public keys are at `{JWKS_PATH}`")]
    Jwks {
        /// The line of the route.
        line: usize,
    },
    /// A path that is no pattern, or that no request can match.
    #[error("`{path}` cannot be the path of a route: {problem}")]
    Path {
        /// The line of the route.
        line: usize,
        /// The path as written.
        path: String,
        /// What is wrong, and what to write.
        problem: Cow<'static, str>,
    },
    /// A `strip` that is not the beginning of the path.
    #[error(
        "`strip = \"{strip}\"` must be the beginning of `path = \"{path}\"`, up to a slash and without placeholders"
    )]
    Strip {
        /// The line of the route.
        line: usize,
        /// The prefix as written.
        strip: String,
        /// The path as written.
        path: String,
    },
    /// A method that is answered 405 before any route is searched.
    #[error("this route can never match `{method}`: such requests are refused")]
    Method {
        /// The line of the route.
        line: usize,
        /// The method.
        method: Method,
    },
}

impl Conflict {
    /// The line of the route that is wrong.
    pub fn line(&self) -> usize {
        match self {
            Self::Same { line, .. }
            | Self::UnderBasePath { line, .. }
            | Self::Jwks { line }
            | Self::Path { line, .. }
            | Self::Strip { line, .. }
            | Self::Method { line, .. } => *line,
        }
    }
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
    /// same upstream, where the path as the laxest backend would read it, sent with the same host and method, matches
    /// that route. Where neither is stricter, both.
    pub fn rules<'t>(&'t self, route: &'t Route, method: &Method, host: &str, path: &str) -> Rules<'t> {
        self.stricter.rules(&self.routes, route, method, host, path)
    }

    /// Whether `GET` of this path needs no login. A path that no route matches does not.
    pub fn is_open(&self, host: &str, path: &str) -> bool {
        match self.find(&Method::GET, host, path) {
            TableMatch::Route(route) => {
                self.rules(route, &Method::GET, host, path).decide(Requester::Anonymous) == Decision::Allow
            }
            _ => true,
        }
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

impl Route {
    fn new(settings: Settings, index: usize, own: &OwnTable) -> Result<Self, Vec<Conflict>> {
        let line = settings.line;
        let mut conflicts = Vec::new();
        for method in settings.methods.iter().filter(|method| matches!(**method, Method::CONNECT | Method::TRACE)) {
            conflicts.push(Conflict::Method { line, method: method.clone() });
        }
        let pattern = match Pattern::parse(&settings.path) {
            Ok(pattern) => pattern,
            Err(problem) => {
                conflicts.push(Conflict::Path { line, path: settings.path, problem });
                return Err(conflicts);
            }
        };
        if own.owns_all_below(&literal_beginning(&pattern)) {
            conflicts.push(Conflict::UnderBasePath { line, base_path: own.base_path().to_owned() });
        }
        if settings.path == JWKS_PATH {
            conflicts.push(Conflict::Jwks { line });
        }
        let strip = match &settings.strip {
            None => 0,
            Some(strip) => pattern.prefix_len(strip).unwrap_or_else(|| {
                conflicts.push(Conflict::Strip { line, strip: strip.clone(), path: settings.path.clone() });
                0
            }),
        };
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let methods = Methods::new(&settings.methods);
        let name = name(&settings).into();
        Ok(Self { settings, index, name, pattern, methods, strip })
    }

    /// The target that the upstream gets: without the prefix `strip`; an empty rest becomes `/`.
    pub fn upstream_path(&self, target: &PathAndQuery) -> PathAndQuery {
        match target.as_str().get(self.strip..) {
            Some(left) if self.strip > 0 => rooted(left),
            _ => target.clone(),
        }
    }

    pub(super) fn is_for(&self, host: &str) -> HostMatch {
        HostMatch::of(&self.settings.hosts, host)
    }
}

/// The rest of a target after its prefix, with a slash in front.
fn rooted(left: &str) -> PathAndQuery {
    let target =
        if left.starts_with('/') { PathAndQuery::try_from(left) } else { PathAndQuery::try_from(format!("/{left}")) };
    target.expect("the end of a valid target is a valid target once it starts with a slash")
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

fn literal_beginning(pattern: &Pattern) -> String {
    let literals = pattern.segments().iter().map_while(|segment| match segment {
        Segment::Literal(text) => Some(text),
        Segment::Name | Segment::Rest => None,
    });
    literals.fold(String::new(), |path, text| path + "/" + text)
}

fn name(settings: &Settings) -> String {
    let mut name: String = settings.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",");
    if !name.is_empty() {
        name.push(' ');
    }
    name.push_str(&settings.hosts.join(","));
    name.push_str(&settings.path);
    name
}
