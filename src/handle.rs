//! What the gateway does with a request.

use std::net::IpAddr;

use http::HeaderValue;

/// The other end of the connection a request came in on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address, after the PROXY protocol; an IPv4 address mapped into IPv6 is given as IPv4.
    pub address: IpAddr,
    /// The same address as a header's value, made once per connection.
    pub address_text: HeaderValue,
    /// Whether the connection to us is encrypted.
    pub tls: bool,
}

impl Peer {
    /// The peer at `address`.
    ///
    /// # Panics
    /// Never: an IP address is written in visible ASCII.
    pub fn new(address: IpAddr, tls: bool) -> Self {
        let address = address.to_canonical();
        let address_text =
            HeaderValue::try_from(address.to_string()).expect("an IP address is written in visible ASCII");
        Self { address, address_text, tls }
    }
}
