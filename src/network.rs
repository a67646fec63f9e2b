//! Whom limits per client count together.

use std::net::IpAddr;

/// A client as far as it can be told from others: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Network {
    /// All of it.
    V4([u8; 4]),
    /// The first half.
    V6([u8; 8]),
}

impl Network {
    /// Where `client` is; IPv4-mapped forms are IPv4.
    pub fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut subscriber = [0; 8];
                subscriber.copy_from_slice(&address.octets()[..8]);
                Self::V6(subscriber)
            }
        }
    }

    /// For digests: no two are alike.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_subscriber() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!((of("192.0.2.7").bytes().len(), of("2001:db8::1").bytes().len()), (4, 8));
    }
}
