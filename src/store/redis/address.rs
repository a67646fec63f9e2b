//! Where Redis is: what `[store] url` says.

use std::{fmt, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use crate::{secret::Secret, store::OpenError};

/// More hosts than this are a mistake.
const MOST_HOSTS: usize = 64;
/// A server's port where none is given.
const SERVER_PORT: u16 = 6379;
/// A Sentinel's port where none is given.
const SENTINEL_PORT: u16 = 26379;
/// What every key begins with where the address does not say.
const PREFIX: &str = "vestibule";
/// How long a call may take where the address does not say.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A name or IP address, and a port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::store::redis) struct Host {
    /// Without the brackets of an IPv6 address.
    pub(in crate::store::redis) name: String,
    pub(in crate::store::redis) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// How the servers stand to one another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::store::redis) enum Kind {
    /// One server.
    One,
    /// The hosts are Sentinels; they know the server by this name.
    Sentinels(String),
    /// The hosts are some nodes of a Cluster.
    Cluster,
}

/// Who we are to a server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::store::redis) struct Login {
    pub(in crate::store::redis) username: Option<String>,
    pub(in crate::store::redis) password: Option<Secret>,
    pub(in crate::store::redis) database: i64,
}

/// `[store] url`, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::store::redis) struct Address {
    pub(in crate::store::redis) kind: Kind,
    /// At least one.
    pub(in crate::store::redis) hosts: Vec<Host>,
    pub(in crate::store::redis) is_tls: bool,
    /// Certificates to trust in place of the system's.
    pub(in crate::store::redis) ca: Option<PathBuf>,
    pub(in crate::store::redis) login: Login,
    pub(in crate::store::redis) sentinel_login: Login,
    /// What every key begins with.
    pub(in crate::store::redis) prefix: String,
    /// So long may a call take, with all that belongs to it.
    pub(in crate::store::redis) timeout: Duration,
}

impl Address {
    /// Understands `url`. What it complains of never repeats the address: it may hold a password.
    pub(in crate::store::redis) fn parse(url: &Secret) -> Result<Self, OpenError> {
        let (scheme, rest) = url.expose().split_once("://").ok_or_else(|| wrong("its url has no scheme"))?;
        let (is_tls, mut kind) = match scheme {
            "redis" => (false, Kind::One),
            "rediss" => (true, Kind::One),
            "redis-sentinel" => (false, Kind::Sentinels(String::new())),
            "rediss-sentinel" => (true, Kind::Sentinels(String::new())),
            "redis-cluster" => (false, Kind::Cluster),
            "rediss-cluster" => (true, Kind::Cluster),
            _ => {
                return Err(wrong(
                    "the scheme of its url is not redis, redis-sentinel, redis-cluster, or one of these with rediss for TLS",
                ));
            }
        };
        if rest.contains('#') {
            return Err(wrong("its url has a '#'; in a password write %23"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));

        let mut login = Login::default();
        let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        login.username = some(decoded(username)?);
        login.password = some(decoded(password)?).map(Secret::new);

        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let database = match (&mut kind, path.as_slice()) {
            (Kind::One | Kind::Cluster, []) => "0",
            (Kind::One, [database]) => database,
            (Kind::Sentinels(service), [name]) => {
                *service = decoded(name)?;
                "0"
            }
            (Kind::Sentinels(service), [name, database]) => {
                *service = decoded(name)?;
                database
            }
            (Kind::Sentinels(_), []) => {
                return Err(wrong("its url does not name the service: redis-sentinel://host:port/SERVICE"));
            }
            (Kind::Cluster, _) => return Err(wrong("its url has a path; a Cluster has no databases")),
            _ => return Err(wrong("the path of its url is too long")),
        };
        login.database = database
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .ok_or_else(|| wrong("the database in its url is not a number"))?;

        let port = if matches!(kind, Kind::Sentinels(_)) { SENTINEL_PORT } else { SERVER_PORT };
        let hosts = hosts.split(',').map(|host| Host::parse(host, port)).collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or_else(|| wrong("its url has no host, or a port that is not a number"))?;
        if hosts.len() > MOST_HOSTS || (kind == Kind::One && hosts.len() > 1) {
            return Err(wrong("its url has too many hosts; several are for redis-sentinel and redis-cluster"));
        }

        let mut address = Self {
            kind,
            hosts,
            is_tls,
            ca: None,
            login,
            sentinel_login: Login::default(),
            prefix: PREFIX.to_owned(),
            timeout: TIMEOUT,
        };
        for (name, value) in
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        {
            address.set(name, decoded(value)?)?;
        }
        Ok(address)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), OpenError> {
        let has_sentinels = matches!(self.kind, Kind::Sentinels(_));
        match name {
            "ca" if self.is_tls => self.ca = some(value).map(PathBuf::from),
            "ca" => return Err(wrong("its url has a ca but no TLS: write rediss")),
            "prefix" if is_prefix(&value) => self.prefix = value,
            "prefix" => {
                return Err(wrong("the prefix in its url is not 1 to 64 letters, digits, '-', '_', '.' and ':'"));
            }
            "timeout_ms" => {
                let millis = value.parse().ok().filter(|millis| (250..=10_000).contains(millis));
                let millis =
                    millis.ok_or_else(|| wrong("the timeout_ms in its url is not a number from 250 to 10000"))?;
                self.timeout = Duration::from_millis(millis);
            }
            "sentinel_username" if has_sentinels => self.sentinel_login.username = some(value),
            "sentinel_password" if has_sentinels => self.sentinel_login.password = some(value).map(Secret::new),
            _ => {
                return Err(wrong(
                    "its url has a parameter that is not ca, prefix, timeout_ms, sentinel_username or sentinel_password",
                ));
            }
        }
        Ok(())
    }
}

impl Host {
    /// `name`, `name:port`, `[::1]` or `[::1]:port`.
    pub(in crate::store::redis) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']')?;
                (name, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
        (!name.is_empty() && port > 0).then(|| Self { name: name.to_owned(), port })
    }
}

fn is_prefix(text: &str) -> bool {
    // No braces: they would decide which node of a Cluster holds a key.
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

fn decoded(text: &str) -> Result<String, OpenError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| wrong("its url is not UTF-8"))?;
    Ok(decoded.into_owned())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(in crate::store::redis) fn wrong(what: &str) -> OpenError {
    OpenError::Unusable(format!("redis: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Address, String> {
        Address::parse(&Secret::new(url)).map_err(|error| error.to_string())
    }

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn one_server_with_everything_and_with_nothing() {
        let bare = parsed("redis://localhost").unwrap();
        assert_eq!((bare.kind, bare.hosts, bare.is_tls), (Kind::One, vec![host("localhost", 6379)], false));
        assert_eq!((bare.login, bare.prefix.as_str(), bare.ca), (Login::default(), "vestibule", None));
        let full = parsed("rediss://gate:p%40ss%23@[::1]:7000/3?ca=/etc/ca.pem&prefix=shop:edge").unwrap();
        assert_eq!((full.hosts, full.is_tls), (vec![host("::1", 7000)], true));
        let login = Login { username: Some("gate".into()), password: Some(Secret::new("p@ss#")), database: 3 };
        assert_eq!((full.login, full.prefix.as_str()), (login, "shop:edge"));
        assert_eq!(full.ca, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(parsed("redis://:only@h").unwrap().login.username, None);
    }

    #[test]
    fn sentinels_and_clusters_have_several_hosts() {
        let behind = parsed("redis-sentinel://u:p@a:1,b,c:3/main/2?sentinel_password=s").unwrap();
        assert_eq!(behind.kind, Kind::Sentinels("main".into()));
        assert_eq!(behind.hosts, [host("a", 1), host("b", 26379), host("c", 3)]);
        assert_eq!((behind.login.database, behind.sentinel_login.password), (2, Some(Secret::new("s"))));
        let cluster = parsed("rediss-cluster://a:1,b/").unwrap();
        assert_eq!(
            (cluster.kind, cluster.hosts, cluster.is_tls),
            (Kind::Cluster, vec![host("a", 1), host("b", 6379)], true)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_repeating_the_password() {
        for url in [
            "hunter2",
            "http://:hunter2@h",
            "redis://:hunter2@",
            "redis://:hunter2@h:port",
            "redis://:hunter2@h:0",
            "redis://:hunter2@a,b",
            "redis://:hunter2@h/x",
            "redis://:hunter2@h/1/2",
            "redis://:hunter2@h/-1",
            "redis://:hunter2@h#insecure",
            "redis://:hunter2@h?ca=/x",
            "redis://:hunter2@h?timeout=3",
            "redis://:hunter2@h?prefix={a}",
            "redis://:hunter2@h?timeout_ms=0",
            "redis://:hunter2@h?sentinel_password=hunter2",
            "redis-sentinel://:hunter2@h",
            "redis-cluster://:hunter2@h/0",
            "redis://:hunter2%ff@h",
        ] {
            let complaint = parsed(url).unwrap_err();
            assert!(complaint.contains("redis: ") && !complaint.contains("hunter2"), "{url}: {complaint}");
        }
    }
}
