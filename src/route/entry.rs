//! One route of the table.

use std::sync::Arc;

use http::{Method, uri::PathAndQuery};

use super::{
    conflict::Conflict,
    hosts::HostMatch,
    methods::Methods,
    own::JWKS_PATH,
    own_table::OwnTable,
    pattern::{Pattern, Segment},
    settings::Settings,
};

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
    pub(super) strip: usize,
}

impl Route {
    pub(super) fn new(settings: Settings, index: usize, own: &OwnTable) -> Result<Self, Vec<Conflict>> {
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
