//! The table of routes: built once from the configuration, searched once per request.

use std::{collections::HashMap, sync::Arc};

use http::{Method, uri::PathAndQuery};

use super::{
    methods::Methods,
    own::{JWKS_PATH, ProviderIndex},
    own_table::{OwnFound, OwnMatch, OwnSettings, OwnTable},
    pattern::{Pattern, Segment},
    settings::Settings,
    trie::Trie,
};

/// All routes and the gateway's own endpoints.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
    own: OwnTable,
    /// Routes for a host and port.
    by_host: HashMap<Box<str>, Trie>,
    /// Routes for a host on any port.
    by_name: HashMap<Box<str>, Trie>,
    /// Routes for every host.
    anywhere: Trie,
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
        /// What is wrong.
        problem: &'static str,
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
    /// Builds the table, or reports every conflict.
    pub fn build(routes: Vec<Settings>, own: OwnSettings) -> Result<Self, Vec<Conflict>> {
        let mut table = Self {
            routes: Vec::with_capacity(routes.len()),
            own: OwnTable::new(own),
            by_host: HashMap::new(),
            by_name: HashMap::new(),
            anywhere: Trie::new(),
        };
        let mut conflicts = Vec::new();
        for settings in routes {
            match Route::new(settings, table.routes.len(), &table.own) {
                Ok(route) => {
                    conflicts.extend(table.index(&route));
                    table.routes.push(route);
                }
                Err(more) => conflicts.extend(more),
            }
        }
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts) }
    }

    /// Finds what a request matches. `host` is the admitted host (lower case, no default port), `path` the canonical
    /// path without query.
    ///
    /// Among the routes that match, the order is: a route for this host and port, one for this host, one for all hosts;
    /// then, segment by segment from the left, literal text before `{name}` before `{*rest}`; then a route with methods
    /// before one without.
    ///
    /// A path with `;` or `//` is searched a second time as some backends read it, without `;` parameters and with
    /// slashes merged. If that search has another result, nothing is found: otherwise the rule of one route would judge
    /// `/x//admin` or `/admin;v=1`, and the backend would answer what another route protects.
    pub fn find(&self, method: &Method, host: &str, path: &str) -> TableMatch<'_> {
        match self.own.find(method, path) {
            Some(OwnFound::Endpoint(own)) => return TableMatch::Own(own),
            Some(OwnFound::WrongMethod(allow)) => return TableMatch::WrongMethod(allow),
            Some(OwnFound::NoEndpoint) => return TableMatch::NoEndpoint,
            None => {}
        }
        let Some(route) = self.route(method, host, path) else { return TableMatch::None };
        match lenient_form(path) {
            Some(lenient)
                if self.own.covers(&lenient)
                    || self.route(method, host, &lenient).is_none_or(|other| other.index != route.index) =>
            {
                TableMatch::None
            }
            // Without the prefix the target would start with two slashes, which some backends read as a host.
            Some(_) if route.strip > 0 && path[route.strip..].starts_with("//") => TableMatch::None,
            _ => TableMatch::Route(route),
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

    fn route(&self, method: &Method, host: &str, path: &str) -> Option<&Route> {
        let exact = || self.by_host.get(host)?.find(method, path);
        let named = || self.by_name.get(without_port(host))?.find(method, path);
        let index = exact().or_else(named).or_else(|| self.anywhere.find(method, path))?;
        Some(&self.routes[index])
    }

    fn index(&mut self, route: &Route) -> Vec<Conflict> {
        let mut others = Vec::new();
        let mut insert = |trie: &mut Trie| {
            if let Err(same) = trie.insert(&route.pattern, &route.methods, route.index) {
                others.extend(same);
            }
        };
        if route.settings.hosts.is_empty() {
            insert(&mut self.anywhere);
        }
        let mut hosts: Vec<HostKey<'_>> = route.settings.hosts.iter().map(|host| host_key(host)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let (map, key) = match host {
                HostKey::Exact(key) => (&mut self.by_host, key),
                HostKey::AnyPort(key) => (&mut self.by_name, key),
            };
            insert(map.entry(key.into()).or_insert_with(Trie::new));
        }
        others.sort_unstable();
        others.dedup();
        others
            .into_iter()
            .filter(|other| *other != route.index)
            .map(|other| Conflict::Same { line: route.settings.line, other: self.routes[other].settings.line })
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
        let keys = || self.settings.hosts.iter().map(|own| host_key(own));
        if self.settings.hosts.is_empty() {
            HostMatch::Every
        } else if keys().any(|key| key == HostKey::Exact(host)) {
            HostMatch::Exact
        } else if keys().any(|key| key == HostKey::AnyPort(without_port(host))) {
            HostMatch::AnyPort
        } else {
            HostMatch::Other
        }
    }
}

/// How a route's hosts match the host of a request, the most specific first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HostMatch {
    Exact,
    AnyPort,
    Every,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HostKey<'h> {
    Exact(&'h str),
    AnyPort(&'h str),
}

/// An entry with a port is for that port only; admitted hosts have no port where it is 80 or 443.
fn host_key(entry: &str) -> HostKey<'_> {
    match entry.strip_suffix(":443").or_else(|| entry.strip_suffix(":80")) {
        Some(name) => HostKey::Exact(name),
        None if without_port(entry).len() == entry.len() => HostKey::AnyPort(entry),
        None => HostKey::Exact(entry),
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
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
