//! The client that a request came from, the key by which limits count it, and the names of its request for the logs of
//! backends.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

impl RequestTrace {
    /// The headers of a call.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let named =
            |name, value: &Option<HeaderValue>| value.clone().map(|value| (HeaderName::from_static(name), value));
        [named("x-request-id", &self.request_id), named("traceparent", &self.traceparent)].into_iter().flatten()
    }
}

/// The client that a request came from: its address, as far as proxies in front of the gateway are trusted to tell it,
/// and what it says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    address: IpAddr,
    user_agent: Option<HeaderValue>,
    trace: RequestTrace,
}

/// The names under which one request is found in the logs of others. A backend that is called because of that request
/// gets them; a refresh is of all requests that wait for it, so it has none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RequestTrace {
    /// `X-Request-Id`.
    pub request_id: Option<HeaderValue>,
    /// The `traceparent` of a trusted proxy.
    pub traceparent: Option<HeaderValue>,
}

impl Client {
    /// The client at `address`; an IPv4-mapped IPv6 address is taken as IPv4.
    pub fn at(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), user_agent: None, trace: RequestTrace::default() }
    }

    /// The client at `address` that sent `headers`.
    pub fn of_request(address: IpAddr, headers: &HeaderMap) -> Self {
        Self { user_agent: headers.get(header::USER_AGENT).cloned(), ..Self::at(address) }
    }

    /// The client, for calls that one request causes.
    #[must_use]
    pub fn traced(self, trace: RequestTrace) -> Self {
        Self { trace, ..self }
    }

    /// The client at `address` that calls itself `user_agent`.
    #[cfg(test)]
    pub(crate) fn named(address: &str, user_agent: &'static str) -> Self {
        let user_agent = Some(HeaderValue::from_static(user_agent));
        Self { user_agent, ..Self::at(address.parse().expect("an address")) }
    }

    /// Its address, never an IPv4-mapped IPv6 address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The value of `User-Agent`, where that is visible ASCII.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_ref()?.to_str().ok()
    }

    /// The names of the request that is the cause of a call.
    pub fn trace(&self) -> &RequestTrace {
        &self.trace
    }

    /// The key by which limits count it.
    pub fn key(&self) -> ClientKey {
        ClientKey::of(self.address)
    }
}

/// Key of per-client limits: an IPv4 address, or an IPv6 /64, which is what one subscriber has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientKey {
    /// The 4 octets of an IPv4 address.
    V4([u8; 4]),
    /// The first 8 octets of an IPv6 address.
    V6([u8; 8]),
}

impl ClientKey {
    /// The key of `address`; an IPv4-mapped IPv6 address is taken as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut subscriber = [0; 8];
                subscriber.copy_from_slice(&address.octets()[..8]);
                Self::V6(subscriber)
            }
        }
    }

    /// The network that one site is given: an IPv4 address, or an IPv6 /48 (RFC 6177). For bounds on what is kept for a
    /// client, where a /64 each would leave one site 65,536 of them.
    pub fn network(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => &bytes[..6],
        }
    }

    /// Its octets, for digests: 4 or 8, so that no two keys have the same.
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
    fn the_key_of_a_client_is_its_ipv4_address_or_its_ipv6_subscriber() {
        let of = |text: &str| ClientKey::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!((of("192.0.2.7").bytes().len(), of("2001:db8::1").bytes().len()), (4, 8));
    }

    #[test]
    fn a_client_has_the_address_and_the_user_agent_of_its_request() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("curl/8"));
        let client = Client::of_request("::ffff:192.0.2.7".parse().unwrap(), &headers);
        assert_eq!((client.address().to_string().as_str(), client.user_agent()), ("192.0.2.7", Some("curl/8")));
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(b"\xed\x95\x9c").unwrap());
        assert_eq!(Client::of_request(client.address(), &headers).user_agent(), None);
    }
}
