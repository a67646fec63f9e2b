//! Which hosts are ours, and the one name each of them has.

use std::{borrow::Cow, collections::HashMap, fmt, net::Ipv6Addr, sync::Arc};

use http::HeaderValue;
use url::{Host, Url};

/// The host a visitor speaks to: lower case, with its port unless that is 80 or 443. A clone is a counter.
#[derive(Clone)]
pub struct HostName(Arc<Inner>);

struct Inner {
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
        Self(Arc::new(Inner { text: text.into(), name_len: name.len(), header }))
    }

    /// `app.example.kr`, `localhost:8080`, `[::1]:8080`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Without the port.
    pub fn name(&self) -> &str {
        &self.0.text[..self.0.name_len]
    }

    /// As a header, for `Host` and `X-Forwarded-Host`.
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

/// How an accepted host is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// `public_url` names it.
    Public,
    /// `server.hosts` or a route names it.
    Listed,
    /// Another name of the loopback that `public_url` is on.
    Alias,
}

/// The accepted hosts. An entry without a port accepts every port, one with a port that port alone; no port, 80 and 443 count as one, because the gateway
/// cannot always see who ended TLS in front of it.
#[derive(Debug)]
pub(super) struct Hosts {
    by_name: HashMap<Box<str>, Ports>,
}

#[derive(Debug, Default)]
struct Ports {
    any: Option<HostName>,
    some: Vec<(Option<u16>, HostName, Known)>,
}

impl Ports {
    fn add(&mut self, name: &str, port: Option<u16>, known: Known) {
        let port = significant(port);
        if !self.some.iter().any(|(have, ..)| *have == port) {
            self.some.push((port, HostName::new(name, port), known));
        }
    }
}

impl Hosts {
    pub(super) fn new(public_url: &Url, listed: &[String]) -> Self {
        let mut by_name: HashMap<Box<str>, Ports> = HashMap::new();
        let public_port = public_url.port_or_known_default();
        if let Some(name) = public_url.host_str() {
            by_name.entry(name.into()).or_default().add(name, public_port, Known::Public);
        }
        for entry in listed {
            // An entry that is no host accepts nothing; config has complained about it.
            let Ok((name, port)) = split(entry.as_bytes()) else { continue };
            let ports = by_name.entry(name.clone().into()).or_default();
            match port {
                Some(_) => ports.add(&name, port, Known::Listed),
                None => ports.any = Some(HostName::new(&name, None)),
            }
        }
        if is_loopback(public_url) {
            for name in ["localhost", "127.0.0.1", "[::1]"] {
                let ports = by_name.entry(name.into()).or_default();
                if ports.any.is_none() {
                    ports.add(name, public_port, Known::Alias);
                }
            }
        }
        Self { by_name }
    }

    /// `None`: not ours.
    pub(super) fn find(&self, name: &str, port: Option<u16>) -> Option<(HostName, Known)> {
        let ports = self.by_name.get(name)?;
        let port = significant(port);
        if let Some((_, host, known)) = ports.some.iter().find(|(have, ..)| *have == port) {
            return Some((host.clone(), *known));
        }
        let any = ports.any.as_ref()?;
        Some((if port.is_none() { any.clone() } else { HostName::new(name, port) }, Known::Listed))
    }
}

/// Takes a `Host` value or `:authority` apart: the name in lower case (an IPv6 address in its one written form), and the port.
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

/// The port as it stands in a [`HostName`].
pub(super) fn significant(port: Option<u16>) -> Option<u16> {
    port.filter(|port| !matches!(port, 80 | 443))
}

fn port(digits: &str) -> Result<u16, &'static str> {
    let valid = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { digits.parse().map_err(|_| "the port is too large") } else { Err("the port is no number") }
}

/// Whether a URL's host is this machine by its very name.
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

    fn find(hosts: &Hosts, text: &str) -> Option<(String, Known)> {
        let (name, port) = split(text.as_bytes()).unwrap();
        hosts.find(&name, port).map(|(host, known)| (host.as_str().to_owned(), known))
    }

    #[test]
    fn a_host_has_one_form_and_bad_ones_have_none() {
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
    fn the_public_host_is_ours_with_its_port_and_no_other() {
        let hosts = Hosts::new(&"https://app.example.kr".parse().unwrap(), &[]);
        for text in ["app.example.kr", "APP.EXAMPLE.KR", "app.example.kr:443"] {
            assert_eq!(find(&hosts, text), Some(("app.example.kr".into(), Known::Public)), "{text}");
        }
        for text in ["app.example.kr:8443", "example.kr", "evil", "xapp.example.kr", "localhost", "127.0.0.1"] {
            assert_eq!(find(&hosts, text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_without_a_port_takes_any_port_and_one_with_a_port_that_one() {
        let hosts = Hosts::new(
            &"https://app.example.kr".parse().unwrap(),
            &["any.example".into(), "one.example:8080".into(), "tls.example:443".into()],
        );
        assert_eq!(find(&hosts, "any.example:81"), Some(("any.example:81".into(), Known::Listed)));
        assert_eq!(find(&hosts, "any.example"), Some(("any.example".into(), Known::Listed)));
        assert_eq!(find(&hosts, "one.example:8080"), Some(("one.example:8080".into(), Known::Listed)));
        assert_eq!(find(&hosts, "one.example"), None);
        assert_eq!(find(&hosts, "one.example:8081"), None);
        assert_eq!(find(&hosts, "tls.example"), Some(("tls.example".into(), Known::Listed)));
    }

    #[test]
    fn the_loopback_has_three_names_on_the_same_port() {
        let hosts = Hosts::new(&"http://localhost:8080".parse().unwrap(), &[]);
        assert_eq!(find(&hosts, "localhost:8080"), Some(("localhost:8080".into(), Known::Public)));
        assert_eq!(find(&hosts, "127.0.0.1:8080"), Some(("127.0.0.1:8080".into(), Known::Alias)));
        assert_eq!(find(&hosts, "[::1]:8080"), Some(("[::1]:8080".into(), Known::Alias)));
        assert_eq!(find(&hosts, "localhost:8081"), None);
        assert_eq!(find(&hosts, "localhost"), None);
        let listed = Hosts::new(&"http://localhost:8080".parse().unwrap(), &["127.0.0.1:8080".into()]);
        assert_eq!(
            find(&listed, "127.0.0.1:8080").unwrap().1,
            Known::Listed,
            "a name that the operator wrote down is no alias"
        );
    }

    #[test]
    fn one_hundred_or_a_thousand_hosts_decide_alike() {
        for count in [1, 100, 1000] {
            let mut listed: Vec<String> = (1..count).map(|n| format!("h{n}.example")).collect();
            listed.push("app.example".into());
            let hosts = Hosts::new(&"https://public.example".parse().unwrap(), &listed);
            assert!(find(&hosts, "APP.EXAMPLE").is_some());
            assert!(find(&hosts, "app.example:9").is_some());
            assert!(find(&hosts, "app.example.evil").is_none());
        }
    }
}
