//! The other end of a connection.

use std::net::IpAddr;

use crate::{scheme::Scheme, upstream::headers::ClientHeaders};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address (after the PROXY protocol), IPv4-mapped forms unified.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The values of forwarding headers, written once for all requests of the connection.
    pub(super) client: ClientHeaders,
}

impl Peer {
    /// The peer at `address`.
    pub fn new(address: IpAddr, tls: bool) -> Self {
        let address = address.to_canonical();
        Self { address, tls, client: ClientHeaders::new(address, if tls { Scheme::Https } else { Scheme::Http }) }
    }
}
