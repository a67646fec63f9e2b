//! The calls that the gateway makes to a backend in its own name: no client may send them through a route.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::upstream::{self, Target};

/// A call that the gateway makes, by its template.
#[derive(Clone, Debug)]
pub struct OwnCall {
    /// Index of the upstream in the list of upstreams.
    pub upstream: usize,
    /// Its method.
    pub method: Method,
    /// Its path; a query is ignored.
    pub path: Vec<CallPiece>,
}

/// A piece of a call's path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallPiece {
    /// Literal text.
    Literal(String),
    /// A value that is filled in at each call; it never has a slash.
    Placeholder,
}

/// All calls that the gateway makes.
#[derive(Debug, Default)]
pub struct OwnCalls {
    /// For each upstream the calls to any of its targets.
    by_upstream: Vec<Vec<CompiledCall>>,
}

#[derive(Clone, Debug)]
struct CompiledCall {
    method: Method,
    segments: Vec<CallSegment>,
}

/// The literal text between placeholders, decoded and in lower case; one piece: no placeholder.
#[derive(Clone, Debug)]
struct CallSegment(Vec<Vec<u8>>);

impl OwnCalls {
    /// Builds the list. A call to one upstream counts for every upstream with a common target.
    pub fn new(upstreams: &[upstream::Settings], calls: Vec<OwnCall>) -> Self {
        let mut by_upstream: Vec<Vec<CompiledCall>> = upstreams.iter().map(|_| Vec::new()).collect();
        for call in calls.into_iter().filter(|call| !is_read(&call.method)) {
            let Some(target) = upstreams.get(call.upstream) else { continue };
            let compiled = CompiledCall { method: call.method, segments: compile(&call.path) };
            for (settings, calls) in upstreams.iter().zip(&mut by_upstream) {
                if settings.targets.iter().any(|one| target.targets.iter().any(|other| same_target(one, other))) {
                    calls.push(compiled.clone());
                }
            }
        }
        Self { by_upstream }
    }

    /// Whether a request to this upstream would be one of the calls. GET and HEAD never are.
    ///
    /// Paths are compared as the most lenient backend would: without regard to case, percent-encoding, empty segments,
    /// a final slash and `;` parameters.
    pub fn include(&self, upstream: usize, method: &Method, upstream_path: &str) -> bool {
        if is_read(method) {
            return false;
        }
        let Some(calls) = self.by_upstream.get(upstream) else { return false };
        calls
            .iter()
            .any(|call| call.method.as_str().eq_ignore_ascii_case(method.as_str()) && call.matches(upstream_path))
    }
}

impl CompiledCall {
    fn matches(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        for part in path.split('/').map(|part| part.split(';').next().unwrap_or(part)).filter(|part| !part.is_empty()) {
            match segments.next() {
                Some(segment) if segment.matches(part) => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

impl CallSegment {
    fn matches(&self, part: &str) -> bool {
        let part = folded(part);
        match &*self.0 {
            [text] => part == *text,
            [first, .., last] => {
                part.len() >= first.len() + last.len() && part.starts_with(first) && part.ends_with(last)
            }
            [] => part.is_empty(),
        }
    }
}

fn compile(path: &[CallPiece]) -> Vec<CallSegment> {
    let mut segments = vec![vec![String::new()]];
    for piece in path {
        match piece {
            CallPiece::Placeholder => {
                if let Some(segment) = segments.last_mut() {
                    segment.push(String::new());
                }
            }
            CallPiece::Literal(text) => {
                let (text, query) = text.split_once('?').map_or((&**text, false), |(text, _)| (text, true));
                for (count, part) in text.split('/').enumerate() {
                    if count > 0 {
                        segments.push(vec![String::new()]);
                    }
                    if let Some(last) = segments.last_mut().and_then(|segment| segment.last_mut()) {
                        last.push_str(part);
                    }
                }
                if query {
                    break;
                }
            }
        }
    }
    let filled = segments.into_iter().filter(|pieces| pieces.len() > 1 || pieces.iter().any(|piece| !piece.is_empty()));
    filled.map(|pieces| CallSegment(pieces.iter().map(|piece| folded(piece)).collect())).collect()
}

fn folded(text: &str) -> Vec<u8> {
    percent_decode_str(text).map(|byte| byte.to_ascii_lowercase()).collect()
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Compares host and port, not TLS; all names of the loopback are the same host.
fn same_target(one: &Target, other: &Target) -> bool {
    match (address(one), address(other)) {
        (Some((host, port)), Some((other_host, other_port))) => {
            port == other_port
                && (host.eq_ignore_ascii_case(other_host) || (is_loopback(host) && is_loopback(other_host)))
        }
        _ => one == other,
    }
}

fn address(target: &Target) -> Option<(&str, u16)> {
    match target {
        Target::Http { host, port } | Target::Https { host, port } => Some((host, *port)),
        Target::Unix(_) => None,
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn upstream(targets: Vec<Target>) -> upstream::Settings {
        let wait = Duration::from_secs(1);
        upstream::Settings {
            name: "x".into(),
            targets,
            bearer: upstream::Bearer::None,
            cookies: vec![],
            connect_timeout: wait,
            timeout: wait,
            eject: upstream::EjectionRule::default(),
            max_connection_age: wait,
        }
    }

    fn http(host: &str, port: u16) -> Target {
        Target::Http { host: host.into(), port }
    }

    fn literal(text: &str) -> CallPiece {
        CallPiece::Literal(text.into())
    }

    fn calls() -> OwnCalls {
        let upstreams = [
            upstream(vec![http("10.0.0.1", 3000), http("localhost", 3000)]),
            upstream(vec![http("127.0.0.1", 3000)]),
            upstream(vec![http("10.0.0.1", 3001)]),
            upstream(vec![Target::Unix("/run/app.sock".into())]),
        ];
        let call = |method: Method, path: Vec<CallPiece>| OwnCall { upstream: 0, method, path };
        OwnCalls::new(
            &upstreams,
            vec![
                call(Method::POST, vec![literal("/auth/refresh?x=1")]),
                call(Method::POST, vec![literal("/auth/social/"), CallPiece::Placeholder]),
                call(Method::PUT, vec![literal("/users/u-"), CallPiece::Placeholder, literal(".json/phone")]),
                call(Method::GET, vec![literal("/me")]),
            ],
        )
    }

    #[test]
    fn a_request_that_would_be_an_own_call_is_found_in_every_spelling() {
        let calls = calls();
        for (method, path) in [
            ("POST", "/auth/refresh"),
            ("POST", "/auth/refresh/"),
            ("POST", "/Auth/REFRESH"),
            ("post", "/auth/refresh"),
            ("POST", "/auth//refresh"),
            ("POST", "/auth/refresh;a=b"),
            ("POST", "/auth;x/refresh"),
            ("POST", "/auth/%72efresh"),
            ("POST", "/auth/social/google"),
            ("POST", "/auth/social/%EC%8B%9D/"),
            ("PUT", "/users/u-7.json/phone"),
        ] {
            assert!(calls.include(0, &method.parse().unwrap(), path), "{method} {path}");
            assert!(
                calls.include(1, &method.parse().unwrap(), path),
                "the same target under another name: {method} {path}"
            );
            assert!(!calls.include(2, &method.parse().unwrap(), path), "another port: {method} {path}");
            assert!(!calls.include(3, &method.parse().unwrap(), path));
            assert!(!calls.include(9, &method.parse().unwrap(), path));
        }
    }

    #[test]
    fn other_methods_and_paths_are_no_own_calls() {
        let calls = calls();
        for (method, path) in [
            ("GET", "/auth/refresh"),
            ("HEAD", "/auth/refresh"),
            ("PUT", "/auth/refresh"),
            ("POST", "/auth"),
            ("POST", "/auth/refresh/x"),
            ("POST", "/x/auth/refresh"),
            ("POST", "/auth/refreshed"),
            ("POST", "/auth/social"),
            ("POST", "/auth/social/"),
            ("POST", "/auth/social/a/b"),
            ("PUT", "/users/u-.jso/phone"),
            ("PUT", "/users/7/phone"),
            ("POST", "/"),
            ("GET", "/me"),
            ("POST", "/me"),
        ] {
            assert!(!calls.include(0, &method.parse().unwrap(), path), "{method} {path}");
        }
    }
}
