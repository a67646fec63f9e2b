//! The closed namespace of headers that nobody but the gateway may set, and the limits of a header block.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Block, Refusal, hops::CDN_LOOP};

/// Everything that begins like this is ours.
const PREFIXES: [&str; 5] = ["x-forwarded", "x-auth-", "x-user", "remote-", "vestibule-"];
/// And these; those behind the second steer frameworks past their own checks, `Proxy` programs to another proxy (httpoxy).
const NAMES: [&str; 8] = [
    "forwarded",
    "x-real-ip",
    "proxy",
    "x-middleware-subrequest",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Names that have a step of their own in a request's life: a route that sets one does not take it away from the others.
const SPARED: [HeaderName; 10] = [
    header::HOST,
    header::COOKIE,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// What the first step looks into beside `Host` and `Cookie`.
static LOOKED_INTO: [HeaderName; 5] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::VIA, CDN_LOOP];

/// What [`OwnNames::inspect`] saw.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Inspected {
    /// The names to be removed.
    pub(super) doomed: Vec<HeaderName>,
    /// There is none of [`LOOKED_INTO`], so that nobody need look them up.
    pub(super) is_plain: bool,
}

/// The headers that routes and the gateway set.
#[derive(Debug)]
pub(super) struct OwnNames {
    names: Vec<HeaderName>,
    /// Bit n: some name has n bytes (63: or more). Most headers are told apart by this alone.
    lengths: u64,
    block: Block,
}

impl OwnNames {
    pub(super) fn new(names: Vec<HeaderName>, block: Block) -> Self {
        let mut names: Vec<_> = names.into_iter().filter(|name| !SPARED.contains(name)).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let lengths = names.iter().fold(0, |bits, name| bits | bit(name.as_str().len()));
        Self { names, lengths, block }
    }

    /// What one look at each header shows, after the limits have been checked; `target` is the length of the request target.
    pub(super) fn inspect(&self, headers: &HeaderMap, target: usize) -> Result<Inspected, Refusal> {
        let (mut doomed, mut is_plain): (Vec<HeaderName>, _) = (Vec::new(), true);
        let (mut bytes, mut lines, mut cookies) = (target, 0, 0);
        for (name, value) in headers {
            bytes += name.as_str().len() + value.len() + 4;
            if *name == header::COOKIE {
                cookies = 1;
                continue;
            }
            lines += 1;
            is_plain &= !matches!(name.as_str().len(), 3 | 6 | 8 | 14 | 17) || !LOOKED_INTO.contains(name);
            if self.takes(name.as_str()) && doomed.last() != Some(name) {
                doomed.push(name.clone());
            }
        }
        if bytes > self.block.bytes || lines + cookies > self.block.lines {
            return Err(Refusal::TooManyHeaders);
        }
        Ok(Inspected { doomed, is_plain })
    }

    /// `name` is in lower case, as `http` keeps it.
    fn takes(&self, name: &str) -> bool {
        if memchr::memchr(b'_', name.as_bytes()).is_some() {
            // CGI and WSGI make `_` of `-`: a name with `_` could pass for any other.
            return true;
        }
        let listed = match name.as_bytes().first() {
            Some(b'x' | b'f' | b'p' | b'r' | b'v') => {
                PREFIXES.iter().any(|prefix| begins(name, prefix)) || NAMES.iter().any(|own| same(name, own))
            }
            _ => false,
        };
        listed || (self.lengths & bit(name.len()) != 0 && self.names.iter().any(|own| same(name, own.as_str())))
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// Equal where `.`, `_` and `-` are one.
fn same(name: &str, own: &str) -> bool {
    name.len() == own.len() && begins(name, own)
}

fn begins(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| separator(a) == separator(b))
}

fn separator(byte: u8) -> u8 {
    if matches!(byte, b'.' | b'_') { b'-' } else { byte }
}

/// Several `Cookie` lines become one (RFC 9113 section 8.2.3), so that nobody after us sees only the first.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return };
    let mut joined = Vec::from(first.as_bytes());
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    let joined = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined))
        .expect("valid header values joined by a semicolon are a valid header value");
    headers.insert(header::COOKIE, joined);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnNames {
        OwnNames::new(
            vec![
                HeaderName::from_static("x-tenant-id"),
                HeaderName::from_static("x_legacy"),
                header::HOST,
                header::COOKIE,
            ],
            Block { bytes: 32 * 1024, lines: 100 },
        )
    }

    fn removed(name: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("root"));
        !own().inspect(&headers, 1).unwrap().doomed.is_empty()
    }

    #[test]
    fn our_names_are_removed_in_four_spellings() {
        for name in [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-Uri",
            "X-Forwarded-User",
            "X-Forwarded",
            "Forwarded",
            "X-Real-IP",
            "X-Auth-Status",
            "X-Auth-Request-User",
            "X-Auth-Request-Access-Token",
            "Remote-User",
            "Remote-Groups",
            "X-User",
            "X-User-Id",
            "X-Userinfo",
            "Vestibule-Assertion",
            "x-middleware-subrequest",
            "X-Original-URL",
            "X-Original-URI",
            "X-Original-Method",
            "Proxy",
            "X-Rewrite-URL",
            "X-Tenant-Id",
            "X-Legacy",
        ] {
            for spelling in [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")] {
                assert!(removed(&spelling), "{spelling}");
            }
            if let Some((head, tail)) = name.rsplit_once('-') {
                assert!(removed(&format!("{head}.{tail}")), "{head}.{tail}");
                assert!(removed(&format!("{head}_{tail}")), "{head}_{tail}");
            }
        }
        assert!(removed("any_thing"));
    }

    #[test]
    fn other_names_stay() {
        for name in [
            "Host",
            "Cookie",
            "Authorization",
            "User-Agent",
            "Accept",
            "Referer",
            "Range",
            "Via",
            "Origin",
            "X-Request-Id",
            "X-Requested-With",
            "X-Tenant",
            "X-Tenant-Id2",
            "X-Auth",
            "X.Custom",
            "Forwarded-To",
            "Remote",
            "traceparent",
            "Sec-Fetch-Site",
            "X-Real-IP2",
        ] {
            assert!(!removed(name), "{name}");
        }
    }

    #[test]
    fn a_block_over_its_limits_is_too_large() {
        let own = own();
        let mut headers = HeaderMap::new();
        for n in 0..100 {
            headers.append(HeaderName::from_bytes(format!("h{n}").as_bytes()).unwrap(), HeaderValue::from_static("v"));
        }
        assert!(own.inspect(&headers, 1).is_ok());
        headers.append("one-more", HeaderValue::from_static("v"));
        assert_eq!(own.inspect(&headers, 1), Err(Refusal::TooManyHeaders));
        let mut headers = HeaderMap::new();
        for _ in 0..300 {
            headers.append(header::COOKIE, HeaderValue::from_static("a=b"));
        }
        assert!(own.inspect(&headers, 1).is_ok(), "HTTP/2 splits cookies");
        headers.insert("big", HeaderValue::from_str(&"v".repeat(32 * 1024)).unwrap());
        assert_eq!(own.inspect(&headers, 1), Err(Refusal::TooManyHeaders));
    }

    #[test]
    fn cookie_lines_become_one() {
        let mut headers = HeaderMap::new();
        for line in ["a=1", "b=2; c=3", "d=4"] {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
    }
}
