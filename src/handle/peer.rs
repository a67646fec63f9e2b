//! The other end of a connection.

use std::net::IpAddr;

use crate::{scheme::Scheme, upstream::headers::ClientHeaders};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address (after the PROXY protocol), never an IPv4-mapped IPv6 address.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub scheme: Scheme,
    /// The values of forwarding headers, written once for all requests of the connection.
    pub(super) headers: ClientHeaders,
}

impl Peer {
    /// The peer at `address`; an IPv4-mapped IPv6 address is taken as IPv4.
    pub fn new(address: IpAddr, scheme: Scheme) -> Self {
        let address = address.to_canonical();
        Self { address, scheme, headers: ClientHeaders::new(address, scheme) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_mapped_into_ipv6_is_given_as_ipv4() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(Peer::new(mapped, Scheme::Http).address, "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
