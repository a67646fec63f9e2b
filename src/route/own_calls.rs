//! The calls that the gateway makes to a backend in its own name: no client may send them through a route.

use http::Method;

use super::{
    lax::{self, LaxPath},
    targets::SharedTargets,
};

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
    /// The last segment without its suffix, if it has one. The paths of a request and of a call match also if one of
    /// them lacks its suffix.
    last_without_suffix: Option<CallSegment>,
    /// Whether that suffix is one of [`FORMATS`]: then the request may have any other. Two different suffixes that are
    /// none name different things, for example two procedures of tRPC (`auth.login`, `auth.me`).
    has_format: bool,
}

/// Suffixes by which frameworks choose how an answer is written, or which program makes it.
pub(super) const FORMATS: [&str; 21] = [
    "action", "asp", "aspx", "atom", "cfm", "cgi", "csv", "do", "htm", "html", "js", "json", "jsp", "php", "pl", "rss",
    "txt", "xhtml", "xml", "yaml", "yml",
];

/// The text between placeholders, in its lax reading; one piece: no placeholder.
#[derive(Clone, Debug)]
struct CallSegment(Vec<String>);

/// Stands for a placeholder while a path is folded; a character for private use, which no path of a call has.
const PLACEHOLDER: char = '\u{f8ff}';

impl OwnCalls {
    /// Builds the list. A call to one upstream counts for every upstream with a common target.
    pub fn new(shared: &SharedTargets, calls: Vec<OwnCall>) -> Self {
        let mut by_upstream: Vec<Vec<CompiledCall>> = vec![Vec::new(); shared.len()];
        for call in calls.into_iter().filter(|call| !is_read(&call.method)) {
            let segments = compile(&call.path);
            let last_without_suffix = segments.last().and_then(CallSegment::without_suffix);
            let has_format = segments.last().is_some_and(CallSegment::has_format);
            let compiled = CompiledCall { method: call.method, segments, last_without_suffix, has_format };
            for (upstream, calls) in by_upstream.iter_mut().enumerate() {
                if shared.have_common(upstream, call.upstream) {
                    calls.push(compiled.clone());
                }
            }
        }
        Self { by_upstream }
    }

    /// Whether a request to this upstream would be one of the calls. GET and HEAD never are. For a request with two
    /// methods (its own, and one that a header names) ask for each.
    ///
    /// Paths are compared by their lax readings, with and without the suffix at their end (`.json`), by which
    /// frameworks choose a format.
    pub fn include(&self, upstream: usize, method: &Method, upstream_path: &LaxPath<'_>) -> bool {
        if is_read(method) {
            return false;
        }
        let is_for = |call: &&CompiledCall| call.method.as_str().eq_ignore_ascii_case(method.as_str());
        let calls = || self.by_upstream.get(upstream).into_iter().flatten().filter(is_for);
        // One more for a suffix that is a segment of its own, and one that shows that there are more.
        let most = calls().map(|call| call.segments.len() + 2).max();
        most.is_some_and(|most| upstream_path.any_reading(most, |reading| calls().any(|call| call.matches(reading))))
    }
}

impl CompiledCall {
    fn matches(&self, reading: &[&str]) -> bool {
        let parts = match reading {
            // `/auth/otp/.json` too.
            [before @ .., last] if before.len() >= self.segments.len() && last.starts_with('.') => before,
            _ => reading,
        };
        let (Some((last, before)), Some((last_part, parts))) = (self.segments.split_last(), parts.split_last()) else {
            return self.segments.is_empty() && parts.is_empty();
        };
        before.len() == parts.len()
            && before.iter().zip(parts).all(|(segment, part)| segment.matches(part))
            && (last.matches(last_part)
                || last.matches_without_suffix(last_part)
                || self.last_without_suffix.as_ref().is_some_and(|stem| {
                    stem.matches(last_part) || (self.has_format && stem.matches_without_suffix(last_part))
                }))
    }
}

impl CallSegment {
    fn matches(&self, part: &str) -> bool {
        match &*self.0 {
            [text] => part == text,
            [first, .., last] => {
                part.len() >= first.len() + last.len() && part.starts_with(first) && part.ends_with(last)
            }
            [] => false,
        }
    }

    /// Whether it matches what stands before one of the dots of `part`. The search takes one pass, also over many dots.
    fn matches_without_suffix(&self, part: &str) -> bool {
        match &*self.0 {
            [text] => part.strip_prefix(&**text).is_some_and(|rest| rest.starts_with('.')),
            [first, .., last] => part.strip_prefix(&**first).is_some_and(|rest| rest.contains(&format!("{last}."))),
            [] => false,
        }
    }

    fn has_format(&self) -> bool {
        let suffix = self.0.last().and_then(|last| last.rsplit_once('.'));
        suffix.is_some_and(|(_, suffix)| FORMATS.contains(&suffix))
    }

    /// `None` if it has no suffix, or nothing but one.
    fn without_suffix(&self) -> Option<Self> {
        let (last, before) = self.0.split_last()?;
        let stem = &last[..last.rfind('.')?];
        let pieces: Vec<String> = before.iter().cloned().chain([stem.to_owned()]).collect();
        (pieces != [""]).then_some(Self(pieces))
    }
}

fn compile(path: &[CallPiece]) -> Vec<CallSegment> {
    let mut text = String::new();
    for piece in path {
        match piece {
            CallPiece::Placeholder => text.push(PLACEHOLDER),
            CallPiece::Literal(literal) => match literal.split_once('?') {
                Some((literal, _query)) => {
                    text += literal;
                    break;
                }
                None => text += literal,
            },
        }
    }
    let pieces = |segment: String| CallSegment(segment.split(PLACEHOLDER).map(str::to_owned).collect());
    lax::segments(&text).into_iter().map(pieces).collect()
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::{self, Target};

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
            &SharedTargets::new(&upstreams),
            vec![
                call(Method::POST, vec![literal("/auth/refresh?x=1")]),
                call(Method::POST, vec![literal("/auth/social/"), CallPiece::Placeholder]),
                call(Method::PUT, vec![literal("/users/u-"), CallPiece::Placeholder, literal(".json/phone")]),
                call(Method::POST, vec![literal("/trpc/auth.login")]),
                call(Method::POST, vec![literal("/login.php")]),
                call(Method::GET, vec![literal("/me")]),
                call(Method::POST, vec![literal("/Social/"), CallPiece::Placeholder, literal("/token")]),
                call(Method::POST, vec![literal("/Auth/signout.php")]),
                call(Method::POST, vec![literal("/hooks/"), CallPiece::Placeholder, literal(".json")]),
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
            ("POST", "/auth/refresh.json"),
            ("POST", "/auth/refresh.tar.gz"),
            ("POST", "/auth/refresh."),
            ("POST", "/auth/refresh/.json"),
            ("POST", "/auth/refresh%20"),
            ("POST", "/auth/refresh%C2%A0"),
            ("POST", "/AUTH/refresh.JSON/"),
            ("POST", "//auth//refresh//"),
            ("POST", "/auth%2Frefresh"),
            ("POST", "/auth/refresh%3Bx=1"),
            ("POST", "/auth./refresh"),
            ("POST", "/x/..%20/auth/refresh"),
            ("POST", "/auth/re%2566resh"),
            ("POST", "/auth/ref%E2%80%8Bresh"),
            ("POST", "/auth/social/google.json"),
            ("POST", "/trpc/auth.login"),
            ("POST", "/trpc/auth.login.json"),
            ("POST", "/trpc/auth"),
            ("POST", "/login.php"),
            ("POST", "/Login"),
            ("POST", "/auth/signout.php"),
            ("POST", "/auth/signout.php.json"),
            ("POST", "/auth/signout.json"),
            ("POST", "/login.html"),
            ("POST", "/LOGIN.XML"),
            ("POST", "/AUTH/Signout"),
            ("POST", "/hooks/a.xml"),
            ("POST", "/hooks/a"),
            ("POST", "/social/x/token"),
            ("POST", "/social/x%2Fy/token"),
            ("POST", "/SOCIAL/x%2Fy/TOKEN"),
            ("POST", "/social/x%2Fy/token/"),
            ("POST", "/social/x%2Fy/token.json"),
            ("POST", "/social//x%2Fy/token"),
            ("POST", "/social/x%EF%BC%8Fy/TOKEN"),
            ("POST", "/social/;x/token"),
            ("POST", "/social/%20/token"),
            ("POST", "/social/.../token"),
            ("POST", "/social%2Fx%2Ftoken"),
            ("POST", "/z/..%20/social/x%2Fy/token"),
            ("PUT", "/users/u-7%2F8.json/phone"),
            ("PUT", "/users/u-7.json/phone.xml"),
            ("POST", "/auth/social/google"),
            ("POST", "/auth/social/%EC%8B%9D/"),
            ("PUT", "/users/u-7.json/phone"),
        ] {
            assert!(calls.include(0, &method.parse().unwrap(), &LaxPath::new(path)), "{method} {path}");
            assert!(
                calls.include(1, &method.parse().unwrap(), &LaxPath::new(path)),
                "the same target under another name: {method} {path}"
            );
            assert!(!calls.include(2, &method.parse().unwrap(), &LaxPath::new(path)), "another port: {method} {path}");
            assert!(!calls.include(3, &method.parse().unwrap(), &LaxPath::new(path)));
            assert!(!calls.include(9, &method.parse().unwrap(), &LaxPath::new(path)));
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
            ("POST", "/auth/.json"),
            ("POST", "/auth/refreshed.json"),
            ("POST", "/auth/refresh-json"),
            ("POST", "/trpc/login"),
            ("POST", "/trpc/auth.me"),
            ("POST", "/auth/signouts.php"),
            ("POST", "/social/token"),
            ("POST", "/social/x/y/token"),
            ("POST", "/social/x/y%2Fz/token"),
            ("PUT", "/users/u-.jso/phone"),
            ("PUT", "/users/7/phone"),
            ("POST", "/"),
            ("GET", "/me"),
            ("POST", "/me"),
        ] {
            assert!(!calls.include(0, &method.parse().unwrap(), &LaxPath::new(path)), "{method} {path}");
        }
    }
}
