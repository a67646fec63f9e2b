//! Requests that fall past a protected route to a laxer one, for `vestibule check`.

use http::Method;

use super::{
    access::{Decision, Requester},
    entry::Route,
    hosts::HostMatch,
    lax::LaxPath,
    methods::Methods,
    settings::Access,
    table::{Table, TableMatch},
    targets::SharedTargets,
};

/// A request that is treated otherwise than the file seems to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The index of the laxer route, which the request matches.
    pub laxer: usize,
    /// The index of the stricter route.
    pub stricter: usize,
    /// The request, e.g. `POST app.example/admin/x`.
    pub request: String,
    /// Why the stricter route does not get it.
    pub kind: GapKind,
}

/// Why a protected route does not get a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GapKind {
    /// Its `methods` leave the request's out.
    Methods,
    /// Its `hosts` leave the request's out.
    Hosts,
    /// Its path has no `{*rest}`, and the request is below it.
    Subtree,
    /// The request has another path, but with or without a `strip` the backend gets the same.
    Strip,
    /// No gap: the stricter rule applies to the laxer route's requests, with the request's method at least.
    Overruled,
}

/// The methods whose way is looked at.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Hosts whose way is looked at; with thousands of hosts and routes a check would take minutes.
const MOST_HOSTS: usize = 100;

/// The way of one request.
struct Way<'t> {
    found: &'t Route,
    /// Whether a request is let through that `stricter` would not let through.
    is_laxer: bool,
}

impl Table {
    /// One gap for each pair of routes and each kind. `hosts` are the accepted hosts (lower case, no default port).
    ///
    /// What the file says in so many words is no gap: a route for the same path and other methods, for a host by name,
    /// or for a path below.
    pub fn gaps(&self, hosts: &[String], shared: &SharedTargets) -> Vec<Gap> {
        let hosts = &hosts[..hosts.len().min(MOST_HOSTS)];
        let mut gaps = Vec::new();
        let mut strips: Vec<&str> = self.routes().iter().filter_map(|route| route.settings.strip.as_deref()).collect();
        strips.push("");
        strips.sort_unstable();
        strips.dedup();
        for route in self.routes() {
            if matches!(route.settings.access, Access::User | Access::Roles(_)) {
                self.past_methods(route, hosts, shared, &mut gaps);
                self.past_hosts(route, hosts, shared, &mut gaps);
                self.past_subtree(route, hosts, shared, &mut gaps);
                self.past_strip(route, hosts, &strips, shared, &mut gaps);
            }
            self.overruled(route, hosts, &mut gaps);
        }
        gaps
    }

    fn past_methods(&self, route: &Route, hosts: &[String], shared: &SharedTargets, gaps: &mut Vec<Gap>) {
        let path = route.pattern.sample();
        for host in hosts.iter().filter(|host| route.is_for(host) != HostMatch::Other) {
            for method in METHODS.iter().filter(|method| !route.methods.allows(method)) {
                if let Some(way) = self.way(route, method, host, &path, shared)
                    && way.is_laxer
                    && (way.found.pattern != route.pattern || way.found.methods == Methods::All)
                {
                    add(gaps, way.found, route, (method, host, &path), GapKind::Methods);
                }
            }
        }
    }

    fn past_hosts(&self, route: &Route, hosts: &[String], shared: &SharedTargets, gaps: &mut Vec<Gap>) {
        let path = route.pattern.sample();
        for host in hosts.iter().filter(|host| route.is_for(host) == HostMatch::Other) {
            for method in self.methods_of(route) {
                if let Some(way) = self.way(route, method, host, &path, shared)
                    && way.is_laxer
                    && way.found.is_for(host) == HostMatch::Every
                {
                    add(gaps, way.found, route, (method, host, &path), GapKind::Hosts);
                }
            }
        }
    }

    fn past_subtree(&self, route: &Route, hosts: &[String], shared: &SharedTargets, gaps: &mut Vec<Gap>) {
        if route.pattern.has_rest() {
            return;
        }
        let path = route.pattern.sample();
        let below = if path.ends_with('/') { path + "x" } else { path + "/x" };
        for host in hosts.iter().filter(|host| route.is_for(host) != HostMatch::Other) {
            for method in self.methods_of(route) {
                if let Some(way) = self.way(route, method, host, &below, shared)
                    && way.is_laxer
                    && !way.found.pattern.is_below(&route.pattern)
                {
                    add(gaps, way.found, route, (method, host, &below), GapKind::Subtree);
                }
            }
        }
    }

    fn past_strip(
        &self,
        route: &Route,
        hosts: &[String],
        strips: &[&str],
        shared: &SharedTargets,
        gaps: &mut Vec<Gap>,
    ) {
        let path = route.pattern.sample();
        let Some(at_backend) = upstream_path(route, &path) else { return };
        for other in strips.iter().map(|strip| format!("{}{at_backend}", strip.trim_end_matches('/'))) {
            if other == path {
                continue;
            }
            for host in hosts.iter().filter(|host| route.is_for(host) != HostMatch::Other) {
                for method in self.methods_of(route) {
                    if let Some(way) = self.way(route, method, host, &other, shared)
                        && way.is_laxer
                        && upstream_path(way.found, &other).as_deref() == Some(&*at_backend)
                    {
                        add(gaps, way.found, route, (method, host, &other), GapKind::Strip);
                    }
                }
            }
        }
    }

    fn overruled(&self, route: &Route, hosts: &[String], gaps: &mut Vec<Gap>) {
        let path = route.pattern.sample();
        for host in hosts.iter().filter(|host| route.is_for(host) != HostMatch::Other) {
            for method in self.methods_of(route) {
                let TableMatch::Route(found) = self.find(method, host, &path) else { continue };
                if found.index == route.index {
                    let rules = self.rules(route, method, host, &LaxPath::new(&path));
                    for other in rules.routes().filter(|rule| rule.index != route.index) {
                        add(gaps, route, other, (method, host, &path), GapKind::Overruled);
                    }
                }
            }
        }
    }

    /// The methods of a route for which the way of a request may differ, without repeats, the first of its own first.
    fn methods_of<'t>(&'t self, route: &'t Route) -> Vec<&'t Method> {
        let named = || self.routes().iter().flat_map(|route| &route.settings.methods);
        // Where no route names a method, all have the same way.
        let usual = if named().next().is_some() { &METHODS[..] } else { &METHODS[..1] };
        let mut methods = Vec::new();
        for method in route.settings.methods.iter().chain(usual).chain(named()) {
            if route.methods.allows(method) && !methods.contains(&method) {
                methods.push(method);
            }
        }
        methods
    }

    /// `None` where the request does not reach the backend of `stricter`.
    fn way(
        &self,
        stricter: &Route,
        method: &Method,
        host: &str,
        path: &str,
        shared: &SharedTargets,
    ) -> Option<Way<'_>> {
        let TableMatch::Route(found) = self.find(method, host, path) else { return None };
        if !shared.have_common(found.settings.upstream, stricter.settings.upstream) {
            return None;
        }
        let rules = self.rules(found, method, host, &LaxPath::new(path));
        let wanted = &stricter.settings.access;
        let is_strict = rules.routes().any(|rule| rule.settings.access.is_as_strict_as(wanted));
        // Two lists of roles without an order are two groups of people, not a gap.
        let is_closed = rules.decide(Requester::User { roles: &[] }) == Decision::Forbidden;
        Some(Way { found, is_laxer: !is_strict && !is_closed })
    }
}

fn upstream_path(route: &Route, path: &str) -> Option<String> {
    Some(route.upstream_path(&path.parse().ok()?).path().to_owned())
}

fn add(
    gaps: &mut Vec<Gap>,
    laxer: &Route,
    stricter: &Route,
    (method, host, path): (&Method, &str, &str),
    kind: GapKind,
) {
    let is_known = |gap: &Gap| (gap.laxer, gap.stricter, gap.kind) == (laxer.index, stricter.index, kind);
    if !gaps.iter().any(is_known) {
        let request = format!("{method} {host}{path}");
        gaps.push(Gap { laxer: laxer.index, stricter: stricter.index, request, kind });
    }
}
