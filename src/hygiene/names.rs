//! The names of headers that only the gateway may set, and the limits of a request's headers.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{hops::CDN_LOOP, refusal::Refusal, settings::HeaderLimits};
use crate::upstream::headers::{self, is_same};

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
static CHECKED: [HeaderName; 6] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::VIA, header::TRAILER, CDN_LOOP];

/// The result of [`ReservedHeaders::inspect`].
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Inspected {
    /// The names to be removed.
    pub(super) to_remove: Vec<HeaderName>,
    /// Whether any of [`CHECKED`] is present; otherwise none needs to be looked up.
    pub(super) needs_checks: bool,
}

/// The headers that only the gateway may set: the reserved ones ([`headers::is_reserved`]), and those that routes set.
#[derive(Debug)]
pub(super) struct ReservedHeaders {
    /// Names that are not reserved anyway.
    names: Vec<HeaderName>,
    /// Bit n: a name in `names` has n bytes (bit 63: 63 or more). This check alone rules out most headers.
    lengths: u64,
    limits: HeaderLimits,
}

impl ReservedHeaders {
    pub(super) fn new(names: Vec<HeaderName>, limits: HeaderLimits) -> Self {
        let mut names: Vec<_> = names
            .into_iter()
            .filter(|name| !NOT_RESERVED.contains(name) && !headers::is_reserved(name.as_str()))
            .collect();
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
            if *name == header::CONNECTION || *name == header::TRAILER {
                // Each of these lists names of headers: a further name counts as a further line.
                lines += memchr::memchr_iter(b',', value.as_bytes()).count();
            }
            needs_checks |= matches!(name.as_str().len(), 3 | 6 | 7 | 8 | 14 | 17) && CHECKED.contains(name);
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
        headers::is_reserved(name)
            || (self.lengths & bit(name.len()) != 0 && self.names.iter().any(|own| is_same(name, own.as_str())))
    }

    /// Removes from `Trailer` the names that may not be in the head either. Trailers that it does not announce are not
    /// forwarded.
    pub(super) fn reduce_trailer(&self, headers: &mut HeaderMap) {
        let header::Entry::Occupied(entry) = headers.entry(header::TRAILER) else { return };
        let is_allowed = |name: &&[u8]| {
            let name = name.trim_ascii().to_ascii_lowercase();
            std::str::from_utf8(&name).is_ok_and(|name| !name.is_empty() && !self.is_reserved(name))
        };
        let lines: Vec<_> = entry.remove_entry_mult().1.collect();
        let names = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let allowed: Vec<_> = names.filter(is_allowed).collect();
        if let (false, Ok(line)) = (allowed.is_empty(), HeaderValue::from_bytes(&allowed.join(&b","[..]))) {
            headers.insert(header::TRAILER, line);
        }
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
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
            "X-HTTP-Method",
            "X-HTTP-Method-Override",
            "X-Method-Override",
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
        let names: Vec<_> = headers::removed_on_arrival().cloned().collect();
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
            "X-HTTP-Methods",
            "X-Method",
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
    fn trailer_announces_only_what_the_head_may_have_too() {
        for (lines, left) in [
            (&["grpc-status, X-Tenant-Id"][..], Some("grpc-status")),
            (&["x.tenant.id", "Proxy , x-original-uri", "x-http-method-override,x-sum"], Some("x-sum")),
            (&["x-a", "x-b,"], Some("x-a,x-b")),
            (&["x_any, vestibule-assertion"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::TRAILER, HeaderValue::from_static(line));
            }
            own().reduce_trailer(&mut headers);
            assert_eq!(headers.get(header::TRAILER).map(|line| line.to_str().unwrap()), left, "{lines:?}");
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

    #[test]
    fn each_name_that_connection_or_trailer_lists_counts_as_a_line() {
        for name in [header::CONNECTION, header::TRAILER] {
            for (names, refused) in [(100, false), (101, true), (16_000, true)] {
                let headers = HeaderMap::from_iter([(name.clone(), ["a"].repeat(names).join(",").parse().unwrap())]);
                assert_eq!(own().inspect(&headers, 1).is_err(), refused, "{name} with {names} names");
            }
        }
    }
}
