//! The index from a host to the patterns of its routes, and how the hosts of a route match.

use std::collections::HashMap;

use super::{
    methods::Methods,
    pattern::Pattern,
    trie::{Conflicts, Trie},
};

/// The patterns of all routes, by host.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    /// Routes for a host and port.
    by_host: HashMap<Box<str>, Trie>,
    /// Routes for a host on any port.
    by_name: HashMap<Box<str>, Trie>,
    /// Routes for every host.
    anywhere: Trie,
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

impl HostIndex {
    /// Inserts a route for these hosts, or for every host if the list is empty. Returns the routes in conflict with it,
    /// itself among them if it has two spellings of one host.
    pub(super) fn insert(
        &mut self,
        hosts: &[String],
        pattern: &Pattern,
        methods: &Methods,
        route: usize,
        conflicts: Conflicts,
    ) -> Vec<usize> {
        if hosts.is_empty() {
            return self.anywhere.insert(pattern, methods, route, conflicts);
        }
        let mut keys: Vec<HostKey<'_>> = hosts.iter().map(|host| host_key(host)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut others = Vec::new();
        for key in keys {
            let (map, key) = match key {
                HostKey::Exact(key) => (&mut self.by_host, key),
                HostKey::AnyPort(key) => (&mut self.by_name, key),
            };
            others.extend(map.entry(key.into()).or_default().insert(pattern, methods, route, conflicts));
        }
        others
    }

    /// The first result of `search`: among the routes for this host and port, for this host, for every host.
    pub(super) fn find<T>(&self, host: &str, search: impl Fn(&Trie) -> Option<T>) -> Option<T> {
        let exact = || self.by_host.get(host).and_then(&search);
        let named = || self.by_name.get(without_port(host)).and_then(&search);
        exact().or_else(named).or_else(|| search(&self.anywhere))
    }
}

impl HostMatch {
    /// How `hosts`, empty for every host, match `host`.
    pub(super) fn of(hosts: &[String], host: &str) -> Self {
        let keys = || hosts.iter().map(|own| host_key(own));
        if hosts.is_empty() {
            Self::Every
        } else if keys().any(|key| key == HostKey::Exact(host)) {
            Self::Exact
        } else if keys().any(|key| key == HostKey::AnyPort(without_port(host))) {
            Self::AnyPort
        } else {
            Self::Other
        }
    }
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
