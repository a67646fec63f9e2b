//! The other end of a connection.

use std::net::IpAddr;

use crate::upstream::headers::{Client, Proto};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address (after the PROXY protocol), IPv4-mapped forms unified.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The values of forwarding headers, written once for all requests of the connection.
    pub(super) client: Client,
}

impl Peer {
    /// The peer at `address`.
    pub fn new(address: IpAddr, tls: bool) -> Self {
        let address = address.to_canonical();
        Self { address, tls, client: Client::new(address, if tls { Proto::Https } else { Proto::Http }) }
    }
}
