//! Parses the address of Redis, `[store] url`.

use std::{fmt, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use crate::{secret::Secret, store::contract::OpenStoreError};

/// Most hosts in one address.
const MOST_HOSTS: usize = 64;
/// The port of a server, if the address has none.
const SERVER_PORT: u16 = 6379;
/// The port of a Sentinel, if the address has none.
const SENTINEL_PORT: u16 = 26379;
/// The prefix of every key, if the address has no `prefix`.
const DEFAULT_PREFIX: &str = "vestibule";
/// How long a call may take, if the address has no `timeout_ms`.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);

/// A name or IP address, and a port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Host {
    /// Without the brackets of an IPv6 address.
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// How the servers are deployed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Topology {
    /// One server.
    Single,
    /// The hosts are Sentinels that monitor the master of this name.
    Sentinels(String),
    /// The hosts are nodes of a Cluster, not necessarily all.
    Cluster,
}

/// The credentials for a server, and the database to use there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
}

/// `[store] url`, parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) topology: Topology,
    /// At least one.
    pub(super) hosts: Vec<Host>,
    pub(super) is_tls: bool,
    /// A PEM file of certificates to trust in place of the system's.
    pub(super) ca: Option<PathBuf>,
    pub(super) credentials: Credentials,
    pub(super) sentinel_credentials: Credentials,
    /// The prefix of every key: 1 to 64 letters, digits, `-`, `_`, `.` and `:`.
    pub(super) prefix: String,
    /// How long a call may take, including connecting and redirections; 250 ms to 10 s.
    pub(super) timeout: Duration,
}

impl Address {
    /// Parses `url`. The error never contains the address, because it may contain a password.
    pub(super) fn parse(url: &Secret) -> Result<Self, OpenStoreError> {
        let (scheme, rest) = url.expose().split_once("://").ok_or_else(|| unusable("its url has no scheme"))?;
        let (is_tls, mut topology) = match scheme {
            "redis" => (false, Topology::Single),
            "rediss" => (true, Topology::Single),
            "redis-sentinel" => (false, Topology::Sentinels(String::new())),
            "rediss-sentinel" => (true, Topology::Sentinels(String::new())),
            "redis-cluster" => (false, Topology::Cluster),
            "rediss-cluster" => (true, Topology::Cluster),
            _ => {
                return Err(unusable(
                    "the scheme of its url is not redis, redis-sentinel, redis-cluster, or one of these with rediss for TLS",
                ));
            }
        };
        if rest.contains('#') {
            return Err(unusable("its url has a '#'; in a password write %23"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));

        let mut credentials = Credentials::default();
        let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        credentials.username = unless_empty(decoded(username)?);
        credentials.password = unless_empty(decoded(password)?).map(Secret::new);

        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let database = match (&mut topology, path.as_slice()) {
            (Topology::Single | Topology::Cluster, []) => "0",
            (Topology::Single, [database]) => database,
            (Topology::Sentinels(service), [name]) => {
                *service = decoded(name)?;
                "0"
            }
            (Topology::Sentinels(service), [name, database]) => {
                *service = decoded(name)?;
                database
            }
            (Topology::Sentinels(_), []) => {
                return Err(unusable("its url does not name the service: redis-sentinel://host:port/SERVICE"));
            }
            (Topology::Cluster, _) => return Err(unusable("its url has a path; a Cluster has no databases")),
            _ => return Err(unusable("the path of its url is too long")),
        };
        credentials.database = database
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .ok_or_else(|| unusable("the database in its url is not a number"))?;

        let port = if matches!(topology, Topology::Sentinels(_)) { SENTINEL_PORT } else { SERVER_PORT };
        let hosts = hosts.split(',').map(|host| Host::parse(host, port)).collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or_else(|| unusable("its url has no host, or a port that is not a number"))?;
        if hosts.len() > MOST_HOSTS || (topology == Topology::Single && hosts.len() > 1) {
            return Err(unusable("its url has too many hosts; several are for redis-sentinel and redis-cluster"));
        }

        let mut address = Self {
            topology,
            hosts,
            is_tls,
            ca: None,
            credentials,
            sentinel_credentials: Credentials::default(),
            prefix: DEFAULT_PREFIX.to_owned(),
            timeout: DEFAULT_TIMEOUT,
        };
        for (name, value) in
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        {
            address.set(name, decoded(value)?)?;
        }
        Ok(address)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), OpenStoreError> {
        let has_sentinels = matches!(self.topology, Topology::Sentinels(_));
        match name {
            "ca" if self.is_tls => self.ca = unless_empty(value).map(PathBuf::from),
            "ca" => return Err(unusable("its url has a ca but no TLS: write rediss")),
            "prefix" if is_prefix(&value) => self.prefix = value,
            "prefix" => {
                return Err(unusable("the prefix in its url is not 1 to 64 letters, digits, '-', '_', '.' and ':'"));
            }
            "timeout_ms" => {
                let millis = value.parse().ok().filter(|millis| (250..=10_000).contains(millis));
                let millis =
                    millis.ok_or_else(|| unusable("the timeout_ms in its url is not a number from 250 to 10000"))?;
                self.timeout = Duration::from_millis(millis);
            }
            "sentinel_username" if has_sentinels => self.sentinel_credentials.username = unless_empty(value),
            "sentinel_password" if has_sentinels => {
                self.sentinel_credentials.password = unless_empty(value).map(Secret::new);
            }
            _ => {
                return Err(unusable(
                    "its url has a parameter that is not ca, prefix, timeout_ms, sentinel_username or sentinel_password",
                ));
            }
        }
        Ok(())
    }
}

impl Host {
    /// `name`, `name:port`, `[::1]` or `[::1]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Option<Self> {
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
    // No braces: Redis Cluster reads them as a hash tag and would compute another slot.
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

fn decoded(text: &str) -> Result<String, OpenStoreError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| unusable("its url is not UTF-8"))?;
    Ok(decoded.into_owned())
}

fn unless_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn unusable(why: &str) -> OpenStoreError {
    OpenStoreError(format!("redis: {why}"))
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
    fn the_address_of_one_server_with_every_part_and_with_none() {
        let bare = parsed("redis://localhost").unwrap();
        assert_eq!((bare.topology, bare.hosts, bare.is_tls), (Topology::Single, vec![host("localhost", 6379)], false));
        assert_eq!((bare.credentials, bare.prefix.as_str(), bare.ca), (Credentials::default(), "vestibule", None));
        let full = parsed("rediss://gate:p%40ss%23@[::1]:7000/3?ca=/etc/ca.pem&prefix=shop:edge").unwrap();
        assert_eq!((full.hosts, full.is_tls), (vec![host("::1", 7000)], true));
        let credentials =
            Credentials { username: Some("gate".into()), password: Some(Secret::new("p@ss#")), database: 3 };
        assert_eq!((full.credentials, full.prefix.as_str()), (credentials, "shop:edge"));
        assert_eq!(full.ca, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(parsed("redis://:only@h").unwrap().credentials.username, None);
    }

    #[test]
    fn addresses_of_sentinels_and_clusters_have_several_hosts() {
        let behind = parsed("redis-sentinel://u:p@a:1,b,c:3/main/2?sentinel_password=s").unwrap();
        assert_eq!(behind.topology, Topology::Sentinels("main".into()));
        assert_eq!(behind.hosts, [host("a", 1), host("b", 26379), host("c", 3)]);
        assert_eq!((behind.credentials.database, behind.sentinel_credentials.password), (2, Some(Secret::new("s"))));
        let cluster = parsed("rediss-cluster://a:1,b/").unwrap();
        assert_eq!(
            (cluster.topology, cluster.hosts, cluster.is_tls),
            (Topology::Cluster, vec![host("a", 1), host("b", 6379)], true)
        );
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_repeating_the_password() {
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
            let error = parsed(url).unwrap_err();
            assert!(error.contains("redis: ") && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
