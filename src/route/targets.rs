//! Which upstreams lead to the same backend: a rule for one of them holds for the others.

use crate::upstream::{self, Target};

/// Which upstreams have a common target.
#[derive(Clone, Debug, Default)]
pub struct SharedTargets {
    /// For each upstream the targets that it has.
    targets: Vec<Vec<Target>>,
}

impl SharedTargets {
    /// Compares all targets of these upstreams.
    pub fn new<'u>(upstreams: impl IntoIterator<Item = &'u upstream::Settings>) -> Self {
        Self { targets: upstreams.into_iter().map(|upstream| upstream.targets.clone()).collect() }
    }

    /// Whether the upstreams with these indices have a common target; an upstream has one with itself.
    pub fn have_common(&self, one: usize, other: usize) -> bool {
        let of = |upstream: usize| self.targets.get(upstream).map_or(&[][..], Vec::as_slice);
        one == other || of(one).iter().any(|target| of(other).iter().any(|other| same_target(target, other)))
    }

    /// The number of upstreams.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }
}

/// Compares host and port, not TLS. All names of the loopback are the same host, and so are an IPv4 address and its
/// form in IPv6; the ports 80 and 443 of one host are the same server.
fn same_target(one: &Target, other: &Target) -> bool {
    match (address(one), address(other)) {
        (Some((host, port)), Some((other_host, other_port))) => port == other_port && same_host(host, other_host),
        _ => one == other,
    }
}

fn address(target: &Target) -> Option<(&str, u16)> {
    match target {
        Target::Http { host, port } | Target::Https { host, port } => {
            Some((host.trim_end_matches('.'), if *port == 443 { 80 } else { *port }))
        }
        Target::Unix(_) => None,
    }
}

fn same_host(one: &str, other: &str) -> bool {
    let ip = |host: &str| host.parse::<std::net::IpAddr>().ok().map(|address| address.to_canonical());
    one.eq_ignore_ascii_case(other)
        || (ip(one).is_some() && ip(one) == ip(other))
        || (is_this_machine(one) && is_this_machine(other))
}

/// Whether a connection to this host stays on this machine. One to the unspecified address does: Linux connects to the
/// loopback.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_backend_is_recognised_under_other_names() {
        let http = |host: &str, port| Target::Http { host: host.into(), port };
        let https = |host: &str, port| Target::Https { host: host.into(), port };
        for (one, other, same) in [
            (http("api", 3000), http("API.", 3000), true),
            (http("localhost", 3000), http("127.0.0.1", 3000), true),
            (http("localhost", 3000), http("::1", 3000), true),
            (http("127.0.0.2", 3000), http("app.localhost", 3000), true),
            (http("0.0.0.0", 3000), http("localhost", 3000), true),
            (http("::", 3000), http("127.0.0.1", 3000), true),
            (http("::ffff:10.0.0.1", 3000), http("10.0.0.1", 3000), true),
            (http("api", 80), https("api", 443), true),
            (https("api", 3000), http("api", 3000), true),
            (http("api", 3000), http("api", 3001), false),
            (http("10.0.0.1", 3000), http("10.0.0.2", 3000), false),
            (http("10.0.0.1", 3000), http("127.0.0.1", 3000), false),
            (http("a", 80), http("b", 80), false),
            (Target::Unix("/run/a".into()), Target::Unix("/run//a".into()), true),
            (Target::Unix("/run/a".into()), Target::Unix("/run/b".into()), false),
            (Target::Unix("/run/a".into()), http("localhost", 80), false),
        ] {
            assert_eq!(same_target(&one, &other), same, "{one:?} {other:?}");
            assert_eq!(same_target(&other, &one), same, "{other:?} {one:?}");
        }
    }
}
