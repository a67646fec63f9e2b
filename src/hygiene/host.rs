//! The hosts that are served here, and the one written form of each.

use std::{borrow::Cow, collections::HashMap, fmt, net::Ipv6Addr, sync::Arc};

use http::HeaderValue;
use url::{Host, Url};

/// A host that is served here: lower case, with its port unless that is 80 or 443. A clone shares the text.
#[derive(Clone)]
pub struct HostName(Arc<HostText>);

struct HostText {
    text: Box<str>,
    name_len: usize,
    header: HeaderValue,
}

impl HostName {
    fn new(name: &str, port: Option<u16>) -> Self {
        let text = match significant(port) {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let header = HeaderValue::from_str(&text).expect("host names are visible ASCII");
        Self(Arc::new(HostText { text: text.into(), name_len: name.len(), header }))
    }

    /// For example `app.example.kr`, `localhost:8080`, `[::1]:8080`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The name without the port.
    pub fn name(&self) -> &str {
        &self.0.text[..self.0.name_len]
    }

    /// The value of `Host` and `X-Forwarded-Host`.
    pub fn header(&self) -> &HeaderValue {
        &self.0.header
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for HostName {}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a host is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HostSource {
    /// `public_url` names it.
    PublicUrl,
    /// A route names it.
    Route,
    /// `server.hosts` names it.
    Listed,
    /// It is another name of the loopback, and `public_url` is on the loopback.
    LoopbackAlias,
}

/// The accepted hosts. An entry without a port accepts every port, an entry with a port accepts only that one. No port,
/// 80 and 443 count as the same, because a proxy in front may end TLS without reporting it.
#[derive(Debug)]
pub(super) struct AcceptedHosts {
    by_name: HashMap<Box<str>, AcceptedPorts>,
}

#[derive(Debug, Default)]
struct AcceptedPorts {
    any: Option<(HostName, HostSource)>,
    listed: Vec<(Option<u16>, HostName, HostSource)>,
}

impl AcceptedPorts {
    fn add(&mut self, name: &str, port: Option<u16>, source: HostSource) {
        let port = significant(port);
        if !self.listed.iter().any(|(listed, ..)| *listed == port) {
            self.listed.push((port, HostName::new(name, port), source));
        }
    }
}

impl AcceptedHosts {
    /// `routes` are the hosts of all routes, `listed` those of `server.hosts`.
    pub(super) fn new(public_url: &Url, routes: &[String], listed: &[String]) -> Self {
        let mut by_name: HashMap<Box<str>, AcceptedPorts> = HashMap::new();
        let public_port = public_url.port_or_known_default();
        if let Some(name) = public_url.host_str() {
            by_name.entry(name.into()).or_default().add(name, public_port, HostSource::PublicUrl);
        }
        // Routes first: a host that both name is a route's.
        let routes = routes.iter().map(|entry| (entry, HostSource::Route));
        for (entry, source) in routes.chain(listed.iter().map(|entry| (entry, HostSource::Listed))) {
            // An entry that is no valid host accepts nothing; the configuration check has reported it.
            let Ok((name, port)) = split(entry.as_bytes()) else { continue };
            let ports = by_name.entry(name.clone().into()).or_default();
            match port {
                Some(_) => ports.add(&name, port, source),
                None => drop(ports.any.get_or_insert_with(|| (HostName::new(&name, None), source))),
            }
        }
        if is_loopback(public_url) {
            for name in ["localhost", "127.0.0.1", "[::1]"] {
                let ports = by_name.entry(name.into()).or_default();
                if ports.any.is_none() {
                    ports.add(name, public_port, HostSource::LoopbackAlias);
                }
            }
        }
        Self { by_name }
    }

    /// The host with this name and port; `None` if it is not served here.
    pub(super) fn find(&self, name: &str, port: Option<u16>) -> Option<(HostName, HostSource)> {
        let ports = self.by_name.get(name)?;
        let port = significant(port);
        if let Some((_, host, source)) = ports.listed.iter().find(|(listed, ..)| *listed == port) {
            return Some((host.clone(), *source));
        }
        let (any, source) = ports.any.as_ref()?;
        Some((if port.is_none() { any.clone() } else { HostName::new(name, port) }, *source))
    }
}

/// Splits a `Host` value or `:authority` into the name (lower case; IPv6 addresses in canonical form) and the port.
pub(super) fn split(authority: &[u8]) -> Result<(Cow<'_, str>, Option<u16>), &'static str> {
    let text = std::str::from_utf8(authority).map_err(|_| "the host is not ASCII")?;
    let (name, port) = match text.rfind(':') {
        Some(at) if !text.ends_with(']') => (&text[..at], Some(port(&text[at + 1..])?)),
        _ => (text, None),
    };
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| "the host is no IPv6 address")?;
        return Ok((Cow::Owned(format!("[{address}]")), port));
    }
    if name.is_empty() || name.len() > 253 {
        return Err("the host is empty or too long");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Err("the host has a character that no host has");
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok((Cow::Owned(name.to_ascii_lowercase()), port));
    }
    Ok((Cow::Borrowed(name), port))
}

/// The port as it is written in a [`HostName`]: none for 80 and 443.
pub(super) fn significant(port: Option<u16>) -> Option<u16> {
    port.filter(|port| !matches!(port, 80 | 443))
}

fn port(digits: &str) -> Result<u16, &'static str> {
    let valid = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { digits.parse().map_err(|_| "the port is too large") } else { Err("the port is no number") }
}

/// Whether the host of a URL names the loopback: `localhost`, a name under it, or a loopback address.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(hosts: &AcceptedHosts, text: &str) -> Option<(String, HostSource)> {
        let (name, port) = split(text.as_bytes()).unwrap();
        hosts.find(&name, port).map(|(host, source)| (host.as_str().to_owned(), source))
    }

    #[test]
    fn a_valid_host_has_one_written_form_and_an_invalid_one_is_an_error() {
        for (text, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com:443", "example.com", Some(443)),
            ("[::1]:8080", "[::1]", Some(8080)),
            ("[0:0:0:0:0:0:0:1]", "[::1]", None),
            ("my_host:1", "my_host", Some(1)),
        ] {
            assert_eq!(split(text.as_bytes()), Ok((Cow::Borrowed(name), port)), "{text}");
        }
        for text in [
            "",
            ":80",
            "a b",
            "a,b",
            "user@host",
            "a/b",
            "a:",
            "a:x",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:1:2",
            "::1",
            "[::1",
            "[x]",
            "[::1]x",
            "a%41",
            "식방",
            "a\t",
        ] {
            assert!(split(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_public_host_is_accepted_with_its_own_port_only() {
        let hosts = AcceptedHosts::new(&"https://app.example.kr".parse().unwrap(), &[], &[]);
        for text in ["app.example.kr", "APP.EXAMPLE.KR", "app.example.kr:443"] {
            assert_eq!(find(&hosts, text), Some(("app.example.kr".into(), HostSource::PublicUrl)), "{text}");
        }
        for text in [
            "app.example.kr:8443",
            "app.example.kr.",
            "example.kr",
            "evil",
            "xapp.example.kr",
            "localhost",
            "127.0.0.1",
        ] {
            assert_eq!(find(&hosts, text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_without_a_port_accepts_every_port_and_one_with_a_port_only_that() {
        let hosts = AcceptedHosts::new(
            &"https://app.example.kr".parse().unwrap(),
            &[],
            &["any.example".into(), "one.example:8080".into(), "tls.example:443".into()],
        );
        assert_eq!(find(&hosts, "any.example:81"), Some(("any.example:81".into(), HostSource::Listed)));
        assert_eq!(find(&hosts, "any.example"), Some(("any.example".into(), HostSource::Listed)));
        assert_eq!(find(&hosts, "one.example:8080"), Some(("one.example:8080".into(), HostSource::Listed)));
        assert_eq!(find(&hosts, "one.example"), None);
        assert_eq!(find(&hosts, "one.example:8081"), None);
        assert_eq!(find(&hosts, "tls.example"), Some(("tls.example".into(), HostSource::Listed)));
    }

    #[test]
    fn a_host_that_a_route_and_server_hosts_name_is_the_routes() {
        let own = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let hosts = AcceptedHosts::new(
            &"https://app.example.kr".parse().unwrap(),
            &own(&["a.example", "b.example:81", "app.example.kr"]),
            &own(&["a.example", "b.example:81", "b.example", "c.example"]),
        );
        for (host, source) in [
            ("a.example", HostSource::Route),
            ("a.example:9", HostSource::Route),
            ("b.example:81", HostSource::Route),
            ("b.example", HostSource::Listed),
            ("c.example", HostSource::Listed),
            ("app.example.kr", HostSource::PublicUrl),
            ("app.example.kr:8443", HostSource::Route),
        ] {
            assert_eq!(find(&hosts, host).unwrap().1, source, "{host}");
        }
    }

    #[test]
    fn a_public_url_on_the_loopback_has_two_aliases_on_the_same_port() {
        let hosts = AcceptedHosts::new(&"http://localhost:8080".parse().unwrap(), &[], &[]);
        assert_eq!(find(&hosts, "localhost:8080"), Some(("localhost:8080".into(), HostSource::PublicUrl)));
        assert_eq!(find(&hosts, "127.0.0.1:8080"), Some(("127.0.0.1:8080".into(), HostSource::LoopbackAlias)));
        assert_eq!(find(&hosts, "[::1]:8080"), Some(("[::1]:8080".into(), HostSource::LoopbackAlias)));
        assert_eq!(find(&hosts, "localhost:8081"), None);
        assert_eq!(find(&hosts, "localhost"), None);
        let listed = AcceptedHosts::new(&"http://localhost:8080".parse().unwrap(), &[], &["127.0.0.1:8080".into()]);
        assert_eq!(find(&listed, "127.0.0.1:8080").unwrap().1, HostSource::Listed, "a listed name is no alias");
    }

    #[test]
    fn a_host_is_found_among_one_or_a_thousand() {
        for count in [1, 100, 1000] {
            let mut listed: Vec<String> = (1..count).map(|n| format!("h{n}.example")).collect();
            listed.push("app.example".into());
            let hosts = AcceptedHosts::new(&"https://public.example".parse().unwrap(), &[], &listed);
            assert!(find(&hosts, "APP.EXAMPLE").is_some());
            assert!(find(&hosts, "app.example:9").is_some());
            assert!(find(&hosts, "app.example.evil").is_none());
        }
    }
}
