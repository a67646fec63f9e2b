//! What a trusted proxy reports about the client: its address, its scheme, and the host that it asked for.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::{IpNet, Ipv4Net};

use super::host::{significant, split};
use crate::scheme::Scheme;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The networks whose forwarding headers are trusted.
#[derive(Debug)]
pub(super) struct TrustedProxies(Vec<IpNet>);

/// The client as trusted proxies report it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct ReportedClient {
    pub(super) address: IpAddr,
    /// The value of `X-Forwarded-For`: client first, peer last; `None` if the peer is the client.
    pub(super) chain: Option<HeaderValue>,
    pub(super) scheme: Option<Scheme>,
}

impl TrustedProxies {
    pub(super) fn new(nets: Vec<IpNet>) -> Self {
        Self(nets.into_iter().map(unmapped).collect())
    }

    /// The client is the first untrusted address from the right in `X-Forwarded-For`; anything that is no address ends
    /// the search at the address before it. `Forwarded`, and then `X-Real-IP`, count only if there is no
    /// `X-Forwarded-For`: a proxy that writes one of them passes on the others as the visitor sent them.
    pub(super) fn client(&self, headers: &HeaderMap, peer: IpAddr) -> ReportedClient {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return ReportedClient { address: peer, chain: None, scheme: None };
        }
        let scheme = last(headers, &X_FORWARDED_PROTO).and_then(scheme);
        if headers.contains_key(&X_FORWARDED_FOR) {
            let chain = self.trusted_chain(elements(headers, &X_FORWARDED_FOR).map(address));
            return reported(peer, &chain, scheme);
        }
        if headers.contains_key(header::FORWARDED) {
            let chain = self.trusted_chain(
                elements(headers, &header::FORWARDED).map(|element| parameter(element, "for").and_then(address)),
            );
            let forwarded_scheme = || {
                last(headers, &header::FORWARDED).and_then(|element| parameter(element, "proto")).and_then(self::scheme)
            };
            return reported(peer, &chain, scheme.or_else(forwarded_scheme));
        }
        let chain = self.trusted_chain(last(headers, &X_REAL_IP).map(address).into_iter());
        reported(peer, &chain, scheme)
    }

    /// Whether the peer at `address` is a trusted proxy.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The host that a trusted proxy reports: the only value of `X-Forwarded-Host`, unless a `Forwarded: host=` names
    /// another, by which a visitor's own `X-Forwarded-Host` that the proxy passed on is found out. A `Forwarded` that
    /// cannot be read could name another.
    pub(super) fn reported_host<'h>(&self, headers: &'h HeaderMap, peer: IpAddr) -> Option<&'h [u8]> {
        let mut lines = headers.get_all(&X_FORWARDED_HOST).iter();
        let (Some(host), None) = (lines.next(), lines.next()) else { return None };
        let host = host.as_bytes();
        let agrees =
            |element: &str| is_readable(element) && parameters(element, "host").all(|other| is_same_host(other, host));
        (self.contains(peer) && elements(headers, &header::FORWARDED).all(agrees)).then_some(host)
    }

    /// The addresses that trusted proxies report, nearest first, up to the first untrusted one.
    fn trusted_chain(&self, addresses: impl Iterator<Item = Option<IpAddr>>) -> Vec<IpAddr> {
        let mut chain = Vec::new();
        for address in addresses {
            let Some(address) = address else { break };
            chain.push(address);
            if !self.contains(address) {
                break;
            }
        }
        chain
    }
}

fn reported(peer: IpAddr, nearest_first: &[IpAddr], scheme: Option<Scheme>) -> ReportedClient {
    let Some(&client) = nearest_first.last() else { return ReportedClient { address: peer, chain: None, scheme } };
    let mut text = String::with_capacity(16 * (nearest_first.len() + 1));
    for address in nearest_first.iter().rev() {
        write!(text, "{address}, ").expect("writing to a String cannot fail");
    }
    write!(text, "{peer}").expect("writing to a String cannot fail");
    let chain = HeaderValue::try_from(text).expect("addresses, commas and spaces are visible ASCII");
    ReportedClient { address: client, chain: Some(chain), scheme }
}

/// The elements of a list header, over all its lines, from the right.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    // A line that is not ASCII is one element that is no address and has no pair.
    headers.get_all(name).iter().rev().flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')).map(str::trim)
}

fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    elements(headers, name).next()
}

/// Parses an address with or without port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = unquoted(text);
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

/// Whether a `host` parameter, quoted or not, names the same host and port as `X-Forwarded-Host`.
fn is_same_host(parameter: &str, host: &[u8]) -> bool {
    let written = |host| split(host).map(|(name, port)| (name, significant(port)));
    match (written(unquoted(parameter).as_bytes()), written(host)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn scheme(text: &str) -> Option<Scheme> {
    Scheme::named(unquoted(text))
}

/// The text between two quotes, or the text as it is.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Whether an element of `Forwarded` has nothing but pairs of a name and a value (RFC 7239 section 4), none of which
/// has an escape, or a comma or semicolon between quotes: then every reader finds the same pairs.
fn is_readable(element: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_value = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    element.split(';').map(str::trim).filter(|pair| !pair.is_empty()).all(|pair| {
        pair.split_once('=').map(|(name, value)| (name, unquoted(value))).is_some_and(|(name, value)| {
            !name.is_empty() && !value.is_empty() && name.bytes().all(is_name) && value.bytes().all(is_value)
        })
    })
}

/// A parameter of a `Forwarded` element (RFC 7239 section 4).
fn parameter<'h>(element: &'h str, name: &'static str) -> Option<&'h str> {
    parameters(element, name).next()
}

fn parameters<'h>(element: &'h str, name: &'static str) -> impl Iterator<Item = &'h str> {
    element.split(';').filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// `::ffff:10.0.0.0/104` becomes `10.0.0.0/8`: addresses are compared in their unmapped form.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let Some(address) = v6.network().to_ipv4_mapped() else { return net };
    let Some(bits) = v6.prefix_len().checked_sub(96) else { return net };
    Ipv4Net::new(address, bits).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(
            ["10.0.0.0/8", "2001:db8::/32", "::ffff:192.168.0.0/112"].iter().map(|net| net.parse().unwrap()).collect(),
        )
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn client_of(peer: &str, lines: &[(&'static str, &'static str)]) -> (String, Option<String>, Option<Scheme>) {
        let client = trusted().client(&headers(lines), peer.parse().unwrap());
        (client.address.to_string(), client.chain.map(|chain| chain.to_str().unwrap().to_owned()), client.scheme)
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_its_headers_say() {
        let lines = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1.2.3.4;proto=https"),
            ("x-real-ip", "1.2.3.4"),
        ];
        assert_eq!(client_of("203.0.113.9", &lines), ("203.0.113.9".into(), None, None));
        assert_eq!(client_of("::ffff:203.0.113.9", &lines), ("203.0.113.9".into(), None, None));
    }

    #[test]
    fn the_client_is_the_first_untrusted_address_from_the_right() {
        for (peer, list, client, chain) in [
            ("10.0.0.1", "198.51.100.7", "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            ("192.168.0.5", "198.51.100.7", "198.51.100.7", "198.51.100.7, 192.168.0.5"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7", "198.51.100.7, 10.0.0.2, 10.0.0.1"),
            ("10.0.0.1", "10.9.9.9, 10.0.0.2", "10.9.9.9", "10.9.9.9, 10.0.0.2, 10.0.0.1"),
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            ("10.0.0.1", "[2001:dead::1]:4711", "2001:dead::1", "2001:dead::1, 10.0.0.1"),
            ("10.0.0.1", "[2001:dead::1]", "2001:dead::1", "2001:dead::1, 10.0.0.1"),
            ("10.0.0.1", "2001:dead::1", "2001:dead::1", "2001:dead::1, 10.0.0.1"),
            ("2001:db8::1", "::ffff:198.51.100.7", "198.51.100.7", "198.51.100.7, 2001:db8::1"),
            ("10.0.0.1", "1.1.1.1, junk, 10.0.0.2", "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, , 10.0.0.2", "10.0.0.2", "10.0.0.2, 10.0.0.1"),
        ] {
            assert_eq!(
                client_of(peer, &[("x-forwarded-for", list)]),
                (client.into(), Some(chain.into()), None),
                "{peer} {list}"
            );
        }
        assert_eq!(client_of("10.0.0.1", &[("x-forwarded-for", "unknown")]), ("10.0.0.1".into(), None, None));
        assert_eq!(client_of("10.0.0.1", &[]), ("10.0.0.1".into(), None, None));
    }

    #[test]
    fn several_lines_of_x_forwarded_for_are_one_list() {
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "198.51.100.7, 10.0.0.3"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(client_of("10.0.0.1", &lines).0, "198.51.100.7");
    }

    #[test]
    fn one_x_forwarded_host_of_a_trusted_proxy_is_reported_unless_forwarded_names_another() {
        let (host, same) =
            (("x-forwarded-host", "app.example.kr"), ("forwarded", "for=1.2.3.4;host=APP.example.kr:443"));
        for (peer, lines, reported) in [
            ("10.0.0.1", &[host][..], true),
            ("::ffff:10.0.0.1", &[host], true),
            ("203.0.113.9", &[host], false),
            ("10.0.0.1", &[], false),
            ("10.0.0.1", &[same], false),
            ("10.0.0.1", &[host, host], false),
            ("10.0.0.1", &[host, same], true),
            ("10.0.0.1", &[host, ("forwarded", "for=1.2.3.4")], true),
            ("10.0.0.1", &[host, ("forwarded", "host=\"app.example.kr\"")], true),
            ("10.0.0.1", &[host, ("forwarded", "host=evil")], false),
            ("10.0.0.1", &[host, ("forwarded", "host=app.example.kr;Host=evil")], false),
            ("10.0.0.1", &[host, ("forwarded", "host=evil, for=1.2.3.4"), same], false),
            ("10.0.0.1", &[host, ("forwarded", "host=")], false),
        ] {
            let headers = headers(lines);
            let found = trusted().reported_host(&headers, peer.parse().unwrap());
            assert_eq!(found, reported.then_some(&b"app.example.kr"[..]), "{peer} {lines:?}");
        }
    }

    #[test]
    fn an_x_forwarded_host_beside_a_forwarded_that_cannot_be_read_is_not_believed() {
        let proxy = "10.0.0.1".parse().unwrap();
        let believed = |forwarded: &[u8]| {
            let mut headers = headers(&[("x-forwarded-host", "app.example.kr:8443")]);
            headers.append(header::FORWARDED, HeaderValue::from_bytes(forwarded).unwrap());
            let alone = trusted().reported_host(&headers, proxy).is_some();
            headers.append(header::FORWARDED, HeaderValue::from_static("host=\"app.example.kr:8443\""));
            assert_eq!(trusted().reported_host(&headers, proxy).is_some(), alone, "an agreeing line changes nothing");
            alone
        };
        for readable in [
            "",
            ";",
            " , ",
            "for=1.2.3.4;;",
            "for=1.2.3.4 ; proto=https , for=10.0.0.2",
            "for=\"[2001:db8::1]:4711\";by=_hidden;secret=a-b",
            "for=[2001:db8::1]",
            "host=APP.example.kr:8443",
            "Host=\"app.example.kr:8443\"",
            "host=app.example.kr:8443;host=app.example.kr:8443",
        ] {
            assert!(believed(readable.as_bytes()), "{readable}");
        }
        for other in [
            "host=app.example.kr",
            "host=\"app.example.kr\"",
            "host=app.example.kr:443",
            "host=app.example.kr:8443, host=app.example.kr",
            "host=app.example.kr;host=app.example.kr:8443",
            "host=app.example.kr:8443:8443",
            "host=\"app.example.kr:8443",
            "host=app.example.kr:8443\"",
            "host=\"\"app.example.kr:8443\"\"",
            "host=\"app.example.kr:844\\3\"",
            "host=\"app.example.kr:8443,evil\"",
            "host=\"\"",
            "host =app.example.kr:8443",
            "host= app.example.kr:8443",
            "ho st=app.example.kr:8443",
            "=app.example.kr:8443",
            "app.example.kr:8443",
            "host",
            "for=\"1.2.3.4",
            "for=\"a\\\";host=evil\"",
            "for=",
            "?",
        ] {
            assert!(!believed(other.as_bytes()), "{other}");
        }
        assert!(!believed("for=1.2.3.4;host=app.example.kr:8443;x=\u{e9}".as_bytes()), "a line that is not ASCII");
        let list = headers(&[("x-forwarded-host", "app.example.kr, app.example.kr")]);
        let reported = trusted().reported_host(&list, proxy).unwrap();
        assert!(split(reported).is_err(), "a list is no host");
    }

    #[test]
    fn the_last_scheme_in_x_forwarded_proto_counts_if_it_is_http_or_https() {
        for (value, scheme) in [
            ("https", Some(Scheme::Https)),
            ("HTTP", Some(Scheme::Http)),
            ("http, https", Some(Scheme::Https)),
            ("wss", None),
            ("junk", None),
            ("https,", None),
            ("\"https\"", Some(Scheme::Https)),
            ("\"https", None),
        ] {
            assert_eq!(client_of("10.0.0.1", &[("x-forwarded-proto", value)]).2, scheme, "{value}");
        }
    }

    #[test]
    fn forwarded_and_x_real_ip_count_only_without_x_forwarded_for() {
        let forwarded = ("forwarded", "for=6.6.6.6, for=\"[2001:dead::1]:99\";proto=https, For=10.0.0.2 ;PROTO=http");
        assert_eq!(
            client_of("10.0.0.1", &[forwarded]),
            ("2001:dead::1".into(), Some("2001:dead::1, 10.0.0.2, 10.0.0.1".into()), Some(Scheme::Http))
        );
        assert_eq!(client_of("10.0.0.1", &[forwarded, ("x-forwarded-for", "198.51.100.7")]).0, "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &[("forwarded", "for=_hidden")]).0, "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &[("x-real-ip", "198.51.100.7")]).0, "198.51.100.7");
        assert_eq!(
            client_of("10.0.0.1", &[("x-real-ip", "6.6.6.6"), ("x-forwarded-for", "198.51.100.7")]).0,
            "198.51.100.7"
        );
    }
}
