//! Checks of addresses: whom the gateway trusts, whom it calls, and what fits into a request.

use std::net::{Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Position;

use super::{
    super::{
        schema::context::Context,
        sections::{RootTable, limits::LimitsTable, server::ServerTable, upstreams::UpstreamTable},
    },
    Checks,
    hosts::without_usual_port,
};
use crate::{route::is_this_machine, upstream::Target};

impl Checks<'_, '_> {
    pub(super) fn network(&self, cx: &mut Context<'_>) {
        self.trust_in_everybody(cx);
        self.own_listeners(cx);
        self.longest_cookie_header(cx);
    }

    /// A trusted proxy chooses the client's address in limits, logs and headers.
    fn trust_in_everybody(&self, cx: &mut Context<'_>) {
        let is_public = self.server.listen.as_ref().is_some_and(|listen| !listen.listen.ip().is_loopback());
        if is_public && covers_half_the_internet(&self.server.trusted_proxies) {
            let server = self.root.section(&RootTable::SERVER);
            cx.warn(
                server.place(&ServerTable::TRUSTED_PROXIES),
                "`trusted_proxies` trusts everybody: any visitor can choose the address and the host that limits, logs and upstreams see",
                "list the addresses of the load balancers alone, e.g. `trusted_proxies = [\"10.0.0.7/32\"]`",
            );
        }
    }

    /// A request to such a target would come back to the gateway, or reach endpoints that need no login.
    fn own_listeners(&self, cx: &mut Context<'_>) {
        let Some(listen) = &self.server.listen else { return };
        let listeners = [
            (ServerTable::LISTEN.row.name, Some(listen.listen)),
            (ServerTable::ADMIN_LISTEN.row.name, listen.admin_listen),
            (ServerTable::HEALTH_LISTEN.row.name, listen.health_listen),
        ];
        for upstream in self.root.named(&RootTable::UPSTREAMS) {
            for (target, place) in upstream.list(&UpstreamTable::TARGETS) {
                let Some((host, port)) = host_and_port(&target) else { continue };
                let listener = listeners.iter().find(|(_, address)| address.is_some_and(|own| is_at(own, host, port)));
                let own = match listener {
                    Some((name, _)) => Some(format!("what `{name}` listens on")),
                    None if self.is_own_host(host, port) => Some("the gateway's own address".to_owned()),
                    None => None,
                };
                if let Some(own) = own {
                    let message = format!("this target of `{}` is {own}, not a backend", upstream.name);
                    cx.warn(&place, message, "write the address where the backend itself listens");
                }
            }
        }
    }

    /// Whether visitors reach the gateway at this host and port, as `public_url` or an accepted host says.
    fn is_own_host(&self, host: &str, port: u16) -> bool {
        let Some(public_url) = &self.server.public_url else { return false };
        let listen = self.server.listen.as_ref().map(|listen| listen.listen.port());
        let ports = [public_url.port_or_known_default(), listen];
        let is_named =
            public_url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host)) && !self.server.local_url;
        let with_port = format!("{host}:{port}");
        self.hosts().iter().skip(1).any(|own| *own == with_port || (own == host && ports.contains(&Some(port))))
            || (is_named && ports.contains(&Some(port)))
    }

    /// Without `header_bytes` in the file there is no warning but a hint (`cli/check.rs`): the default is over the
    /// usual size, and few browsers have five logins and a code of each channel under way beside the longest session.
    fn longest_cookie_header(&self, cx: &mut Context<'_>) {
        let Some((longest, listen)) = self.longest_cookie_header.zip(self.server.listen.as_ref()) else { return };
        let limit = usize::try_from(listen.limits.head_bytes).unwrap_or(usize::MAX);
        let limits = self.root.section(&RootTable::LIMITS);
        if longest > limit && limits.has(&LimitsTable::HEADER_BYTES) {
            cx.warn(
                limits.place(&LimitsTable::HEADER_BYTES),
                format!("our own cookies can take {longest} bytes, and a request's head may have {limit}: who has that many gets 431 until they are deleted"),
                format!("write `header_bytes = \"{}KiB\"` under `[limits]`", (longest + 8192).div_ceil(1024)),
            );
        }
    }

    /// The accepted hosts, that of `public_url` first, as an admitted host is written: without the ports 80 and 443.
    pub(super) fn hosts(&self) -> Vec<String> {
        let public = self.server.public_url.as_ref();
        let public = public.map(|url| url[Position::BeforeHost..Position::AfterPort].to_owned());
        let of_routes = self.routes.iter().flat_map(|(_, route)| &route.hosts);
        let mut hosts: Vec<String> = Vec::new();
        for host in public.into_iter().chain(self.server.hosts.iter().chain(of_routes).cloned()) {
            let plain = without_usual_port(&host);
            if !hosts.iter().any(|known| known == plain) {
                hosts.push(plain.to_owned());
            }
        }
        hosts
    }
}

fn host_and_port(target: &Target) -> Option<(&str, u16)> {
    match target {
        Target::Http { host, port } | Target::Https { host, port } => Some((host, *port)),
        Target::Unix(_) => None,
    }
}

/// Whether a connection to `host` and `port` reaches a socket that listens on `own`.
fn is_at(own: SocketAddr, host: &str, port: u16) -> bool {
    let ip = own.ip().to_canonical();
    let is_same = host.parse::<std::net::IpAddr>().is_ok_and(|host| host.to_canonical() == ip);
    own.port() == port && (is_same || (is_this_machine(host) && (ip.is_loopback() || ip.is_unspecified())))
}

/// Whether these networks together have half of all IPv4 addresses, or half of the public IPv6 addresses (`2000::/3`).
fn covers_half_the_internet(networks: &[IpNet]) -> bool {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for network in networks {
        match network {
            IpNet::V4(network) => v4.push(*network),
            IpNet::V6(network) => match (network.addr().to_ipv4_mapped(), network.prefix_len().checked_sub(96)) {
                (Some(address), Some(length)) => v4.extend(Ipv4Net::new(address, length)),
                _ => v6.push(*network),
            },
        }
    }
    let v4: u64 = Ipv4Net::aggregate(&v4).iter().map(|network| 1 << (32 - network.prefix_len())).sum();
    let first_public = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
    let public = |network: &Ipv6Net| match network.prefix_len() {
        0..3 if network.contains(&first_public) => 1 << 125,
        length @ 3.. if network.addr().segments()[0] >> 13 == 1 => 1 << (128 - length),
        _ => 0,
    };
    let v6: u128 = Ipv6Net::aggregate(&v6).iter().map(public).sum();
    v4 >= 1 << 31 || v6 >= 1 << 124
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_trust_half_the_internet_together_are_recognised() {
        for (networks, everybody) in [
            (&["0.0.0.0/0"][..], true),
            (&["::/0"], true),
            (&["0.0.0.0/1", "128.0.0.0/1"], true),
            (&["0.0.0.0/2", "64.0.0.0/2", "10.0.0.0/8"], true),
            (&["128.0.0.0/1"], true),
            (&["2000::/3"], true),
            (&["2000::/4", "3000::/4"], true),
            (&["::/1"], true),
            (&["8000::/1"], false),
            (&["::ffff:0:0/96"], true),
            (&["::ffff:0.0.0.0/97", "::ffff:128.0.0.0/97"], true),
            (&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"], false),
            (&["10.0.0.7/32"], false),
            (&["::1/128"], false),
            (&[], false),
        ] {
            let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
            assert_eq!(covers_half_the_internet(&networks), everybody, "{networks:?}");
        }
    }

    #[test]
    fn a_target_that_is_a_listener_is_recognised_under_other_names() {
        for (own, host, port, same) in [
            ("0.0.0.0:8080", "127.0.0.1", 8080, true),
            ("0.0.0.0:8080", "localhost", 8080, true),
            ("[::]:8080", "localhost", 8080, true),
            ("127.0.0.1:8080", "localhost", 8080, true),
            ("10.0.0.5:8080", "10.0.0.5", 8080, true),
            ("10.0.0.5:8080", "127.0.0.1", 8080, false),
            ("0.0.0.0:8080", "10.0.0.9", 8080, false),
            ("0.0.0.0:8080", "localhost", 8081, false),
        ] {
            assert_eq!(is_at(own.parse().unwrap(), host, port), same, "{own} {host}:{port}");
        }
    }
}
