//! The origin of a visitor's own host, and the origins on which logins begin and end.

use url::Url;

/// The hosts of a configuration that matter to logins.
#[derive(Clone, Copy, Debug)]
pub struct OriginSettings<'s> {
    /// `server.public_url`: its scheme is that of every host.
    pub public_url: &'s Url,
    /// `server.hosts` and the hosts of all routes: `host` or `host:port`, in lower case.
    pub hosts: &'s [String],
}

/// Makes the origin of a visitor's host.
#[derive(Clone, Debug)]
pub struct Origins {
    scheme: String,
    public: VisitorOrigin,
    listed: Vec<ListedHost>,
    is_on_loopback: bool,
}

/// A host of the configuration besides that of `public_url`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ListedHost {
    name: String,
    /// `None`: every port.
    port: Option<u16>,
}

/// The origin of a visitor's own host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VisitorOrigin {
    host: String,
    text: String,
    logins: LoginPlace,
}

/// Where logins of a host begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginPlace {
    /// On the host itself: its redirect URIs are registered with the providers.
    Here,
    /// On the host of `public_url`: providers take no redirect URI whose host is a name without a dot.
    AtPublicUrl,
}

impl Origins {
    /// Reads the hosts once per configuration. An entry that is no `host` or `host:port` is left out.
    pub fn new(settings: &OriginSettings<'_>) -> Self {
        let url = settings.public_url;
        let name = url.host_str().unwrap_or_default();
        let public = VisitorOrigin {
            host: written(name, url.port_or_known_default()),
            text: url.origin().ascii_serialization(),
            logins: LoginPlace::Here,
        };
        let listed = settings.hosts.iter().filter_map(|host| ListedHost::of(host)).collect();
        let is_on_loopback = is_loopback_name(name);
        Self { scheme: url.scheme().to_owned(), public, listed, is_on_loopback }
    }

    /// The origin of `public_url`.
    pub fn public(&self) -> &VisitorOrigin {
        &self.public
    }

    /// The origin of the host that a visitor asked for, written in lower case and without the ports 80 and 443. Another
    /// name of the loopback counts as `public_url`'s, where that is on the loopback.
    pub fn of(&self, host: &str) -> VisitorOrigin {
        let (name, port) = split(host);
        let is_listed = self.listed.iter().any(|listed| listed.matches(name, port));
        if host == self.public.host || (!is_listed && self.is_on_loopback && is_loopback_name(name)) {
            return self.public.clone();
        }
        VisitorOrigin { host: host.to_owned(), text: format!("{}://{host}", self.scheme), logins: place(name) }
    }

    /// The host and the path of an address that a page of `own` leads to; `None` if the host is not ours.
    pub fn locate(&self, address: &str, own: &VisitorOrigin) -> Option<(String, String)> {
        let url = Url::parse(own.as_str()).ok()?.join(address).ok()?;
        let host = written(url.host_str()?, url.port_or_known_default());
        let (name, port) = split(&host);
        let is_ours =
            host == own.host || host == self.public.host || self.listed.iter().any(|listed| listed.matches(name, port));
        is_ours.then(|| (host, url.path().to_owned()))
    }

    /// Every origin on which logins begin, `public_url`'s first. A host of the configuration without a port accepts
    /// every port; of these, browsers send none or that of `public_url`.
    pub fn of_logins(&self) -> Vec<VisitorOrigin> {
        let (_, public_port) = split(&self.public.host);
        let mut all = vec![self.public.clone()];
        for listed in &self.listed {
            let without_port = listed.port.is_none().then_some(public_port).flatten();
            for port in [listed.port].into_iter().chain(without_port.map(Some)) {
                let origin = self.of(&written(&listed.name, port));
                if origin.logins == LoginPlace::Here && !all.contains(&origin) {
                    all.push(origin);
                }
            }
        }
        all
    }
}

impl VisitorOrigin {
    /// For example `https://app.example.kr`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host as routes match it: in lower case, without the ports 80 and 443.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where its logins begin.
    pub fn logins(&self) -> LoginPlace {
        self.logins
    }

    /// A path as an address on this origin; an address with an origin of its own stays.
    pub fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { format!("{}{path}", self.text) } else { path.to_owned() }
    }
}

impl ListedHost {
    fn of(host: &str) -> Option<Self> {
        let (name, _) = split(host);
        let port = host.strip_prefix(name)?.strip_prefix(':').map(str::parse).transpose().ok()?;
        (!name.is_empty()).then(|| Self { name: name.to_owned(), port })
    }

    fn matches(&self, name: &str, port: Option<u16>) -> bool {
        self.name == name && self.port.is_none_or(|own| significant(own) == port)
    }
}

/// Name and port of a host; the ports 80 and 443 count as none, because a proxy in front may end TLS.
fn split(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => match port.parse() {
            Ok(port) => (name, significant(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}

fn significant(port: u16) -> Option<u16> {
    (!matches!(port, 80 | 443)).then_some(port)
}

fn written(name: &str, port: Option<u16>) -> String {
    match port.and_then(significant) {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

fn is_loopback_name(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Providers register no redirect URI whose host is a name without a dot, other than `localhost`.
fn place(name: &str) -> LoginPlace {
    if name.contains('.') || name == "localhost" || name.starts_with('[') {
        LoginPlace::Here
    } else {
        LoginPlace::AtPublicUrl
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(public_url: &str, hosts: &[&str]) -> Origins {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Origins::new(&OriginSettings { public_url: &public_url.parse().unwrap(), hosts: &hosts })
    }

    #[test]
    fn a_visitor_is_at_the_origin_of_their_own_host_under_the_scheme_of_public_url() {
        let origins = origins("https://app.example.kr", &["admin.example.kr", "dev.example.kr:8443", "intranet"]);
        for (host, origin, logins) in [
            ("app.example.kr", "https://app.example.kr", LoginPlace::Here),
            ("admin.example.kr", "https://admin.example.kr", LoginPlace::Here),
            ("dev.example.kr:8443", "https://dev.example.kr:8443", LoginPlace::Here),
            ("intranet", "https://intranet", LoginPlace::AtPublicUrl),
            ("intranet:8080", "https://intranet:8080", LoginPlace::AtPublicUrl),
        ] {
            let found = origins.of(host);
            assert_eq!((found.as_str(), found.logins(), found.host()), (origin, logins, host), "{host}");
        }
        assert_eq!(origins.of("admin.example.kr").absolute("/a"), "https://admin.example.kr/a");
        assert_eq!(origins.of("admin.example.kr").absolute("https://x.kr/a"), "https://x.kr/a");
    }

    #[test]
    fn another_name_of_the_loopback_counts_as_public_urls_unless_the_file_lists_it() {
        let alias = origins("http://localhost:8080", &["admin.localhost"]);
        assert_eq!(alias.of("127.0.0.1:8080").as_str(), "http://localhost:8080");
        assert_eq!(alias.of("admin.localhost:8080").as_str(), "http://admin.localhost:8080");
        let listed = origins("http://localhost:8080", &["127.0.0.1:8080"]);
        assert_eq!(listed.of("127.0.0.1:8080").as_str(), "http://127.0.0.1:8080");
        assert_eq!(origins("https://app.example.kr", &[]).of("127.0.0.1").as_str(), "https://127.0.0.1");
    }

    #[test]
    fn an_address_is_located_on_the_visitors_host_or_on_another_one_of_ours() {
        let origins = origins("https://app.example.kr", &["admin.example.kr"]);
        let admin = origins.of("admin.example.kr");
        let at = |address: &str| origins.locate(address, &admin);
        let place = |host: &str, path: &str| Some((host.to_owned(), path.to_owned()));
        assert_eq!(at("/a/../b?c"), place("admin.example.kr", "/b"));
        assert_eq!(at("https://app.example.kr/a"), place("app.example.kr", "/a"));
        assert_eq!(at("https://elsewhere.example/a"), None);
    }

    #[test]
    fn logins_begin_on_every_host_of_the_file_whose_name_has_a_dot() {
        let of = |public_url: &str, hosts: &[&str]| {
            let all = origins(public_url, hosts).of_logins();
            all.iter().map(|origin| origin.as_str().to_owned()).collect::<Vec<_>>()
        };
        let hosts = ["admin.example.kr", "app.example.kr", "intranet", "vestibule:8080", "dev.example.kr:8443"];
        assert_eq!(
            of("https://app.example.kr", &hosts),
            ["https://app.example.kr", "https://admin.example.kr", "https://dev.example.kr:8443"]
        );
        assert_eq!(
            of("http://localhost:8080", &["admin.localhost", "[::1]:8080"]),
            ["http://localhost:8080", "http://admin.localhost", "http://admin.localhost:8080", "http://[::1]:8080"]
        );
        assert_eq!(
            of("https://app.example.kr:8443", &["a.example.kr", "b.example.kr:443", "c.example.kr:9443"]),
            [
                "https://app.example.kr:8443",
                "https://a.example.kr",
                "https://a.example.kr:8443",
                "https://b.example.kr",
                "https://c.example.kr:9443"
            ]
        );
        assert_eq!(of("http://gateway:8080", &[]), ["http://gateway:8080"], "public_url's own host always");
    }
}
