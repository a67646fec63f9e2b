//! The names of headers that only the gateway may set, and the limits of a request's headers.

use http::{HeaderMap, HeaderName, header};

use super::{hops::CDN_LOOP, refusal::Refusal, settings::HeaderLimits};

/// Names that begin with one of these are removed.
const PREFIXES: [&str; 5] = ["x-forwarded", "x-auth-", "x-user", "remote-", "vestibule-"];
/// These names are removed too, whether we set them or not: backends trust the first two; `Proxy` makes CGI programs
/// use another proxy (httpoxy, CVE-2016-5385); the others make frameworks skip their own checks.
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

/// Names that are handled elsewhere: if a route sets one, it is not removed from the requests of other routes.
const NOT_RESERVED: [HeaderName; 10] = [
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

/// Headers that hygiene checks, other than `Host` and `Cookie`.
static CHECKED: [HeaderName; 5] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::VIA, CDN_LOOP];

/// The result of [`ReservedHeaders::inspect`].
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Inspected {
    /// The names to be removed.
    pub(super) to_remove: Vec<HeaderName>,
    /// Whether any of [`CHECKED`] is present; otherwise none needs to be looked up.
    pub(super) needs_checks: bool,
}

/// The headers that only the gateway may set: those in the lists above, and those that routes set.
#[derive(Debug)]
pub(super) struct ReservedHeaders {
    /// Names that are not in the lists above.
    names: Vec<HeaderName>,
    /// Bit n: a name in `names` has n bytes (bit 63: 63 or more). This check alone rules out most headers.
    lengths: u64,
    limits: HeaderLimits,
}

impl ReservedHeaders {
    pub(super) fn new(names: Vec<HeaderName>, limits: HeaderLimits) -> Self {
        let mut names: Vec<_> =
            names.into_iter().filter(|name| !NOT_RESERVED.contains(name) && !is_listed(name.as_str())).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let lengths = names.iter().fold(0, |bits, name| bits | bit(name.as_str().len()));
        Self { names, lengths, limits }
    }

    /// Looks at each header once and checks the limits; `target` is the length of the request target.
    pub(super) fn inspect(&self, headers: &HeaderMap, target: usize) -> Result<Inspected, Refusal> {
        let (mut to_remove, mut needs_checks): (Vec<HeaderName>, _) = (Vec::new(), false);
        let (mut bytes, mut lines, mut cookies) = (target, 0, 0);
        for (name, value) in headers {
            bytes += name.as_str().len() + value.len() + 4;
            if *name == header::COOKIE {
                cookies = 1;
                continue;
            }
            lines += 1;
            needs_checks |= matches!(name.as_str().len(), 3 | 6 | 8 | 14 | 17) && CHECKED.contains(name);
            if self.is_reserved(name.as_str()) && to_remove.last() != Some(name) {
                to_remove.push(name.clone());
            }
        }
        if bytes > self.limits.bytes || lines + cookies > self.limits.lines {
            return Err(Refusal::TooManyHeaders);
        }
        Ok(Inspected { to_remove, needs_checks })
    }

    /// `name` is in lower case, as the `http` crate keeps it.
    fn is_reserved(&self, name: &str) -> bool {
        if memchr::memchr(b'_', name.as_bytes()).is_some() {
            // CGI and WSGI turn `-` into `_`: a name with `_` could pass for any other.
            return true;
        }
        is_listed(name)
            || (self.lengths & bit(name.len()) != 0 && self.names.iter().any(|own| same(name, own.as_str())))
    }
}

/// Whether the lists above have `name`.
fn is_listed(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x' | b'f' | b'p' | b'r' | b'v') => {
            PREFIXES.iter().any(|prefix| begins(name, prefix)) || NAMES.iter().any(|own| same(name, own))
        }
        _ => false,
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// Whether two names are equal if `.`, `_` and `-` count as the same.
fn same(name: &str, own: &str) -> bool {
    name.len() == own.len() && begins(name, own)
}

fn begins(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| separator(a) == separator(b))
}

fn separator(byte: u8) -> u8 {
    if matches!(byte, b'.' | b'_') { b'-' } else { byte }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn own() -> ReservedHeaders {
        ReservedHeaders::new(
            vec![
                HeaderName::from_static("x-tenant-id"),
                HeaderName::from_static("x_legacy"),
                header::HOST,
                header::COOKIE,
            ],
            HeaderLimits { bytes: 32 * 1024, lines: 100 },
        )
    }

    fn removed(name: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("root"));
        !own().inspect(&headers, 1).unwrap().to_remove.is_empty()
    }

    #[test]
    fn reserved_names_are_removed_in_four_spellings() {
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
    fn what_the_gateway_sets_on_every_request_is_removed_on_arrival_in_four_spellings() {
        let names: Vec<_> = crate::upstream::headers::removed_on_arrival().cloned().collect();
        assert!(!names.is_empty());
        let reserved = ReservedHeaders::new(names.clone(), HeaderLimits { bytes: 1024, lines: 10 });
        for name in names.iter().map(HeaderName::as_str) {
            for spelling in [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")] {
                let mut headers = HeaderMap::new();
                headers
                    .insert(HeaderName::from_bytes(spelling.as_bytes()).unwrap(), HeaderValue::from_static("forged"));
                assert_eq!(reserved.inspect(&headers, 1).unwrap().to_remove.len(), 1, "{spelling}");
            }
        }
    }

    #[test]
    fn other_names_are_kept() {
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
    fn headers_over_their_limits_are_refused() {
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
}
