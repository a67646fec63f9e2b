//! The headers that the gateway sets on every forwarded request; to add one, add a row.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::scheme::Scheme;

/// One header that is set on every forwarded request.
pub struct SetHeader {
    /// Its name.
    pub name: HeaderName,
    /// What happens to the same header of the visitor.
    pub from_visitor: VisitorHeader,
    /// Its value; `None` leaves the header as the visitor sent it.
    value: fn(&HeaderSource<'_>) -> Option<HeaderValue>,
}

/// What happens to a visitor's header whose name is in [`SET_ON_EVERY_REQUEST`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VisitorHeader {
    /// Removed on arrival, before anything reads it, in every spelling that a backend may take for the same name.
    Removed,
    /// Overwritten.
    Replaced,
    /// Kept; ours is set only if there is none.
    Kept,
    /// Kept; ours is appended.
    Extended,
}

/// The headers set on every forwarded request, in this order. A route's rules are applied after them.
pub static SET_ON_EVERY_REQUEST: [SetHeader; 8] = [
    SetHeader {
        name: HeaderName::from_static("x-request-id"),
        from_visitor: VisitorHeader::Replaced,
        value: |source| Some(source.request_id.clone()),
    },
    // An HTTP/2 request may have none. A visitor's value was checked against the accepted hosts.
    SetHeader { name: header::HOST, from_visitor: VisitorHeader::Kept, value: |source| Some(source.host.clone()) },
    SetHeader {
        name: HeaderName::from_static("x-forwarded-for"),
        from_visitor: VisitorHeader::Removed,
        value: |source| Some(source.chain.unwrap_or(&source.client.address).clone()),
    },
    SetHeader {
        name: HeaderName::from_static("x-forwarded-proto"),
        from_visitor: VisitorHeader::Removed,
        value: |source| Some(source.client.proto.clone()),
    },
    SetHeader {
        name: HeaderName::from_static("x-forwarded-host"),
        from_visitor: VisitorHeader::Removed,
        value: |source| Some(source.host.clone()),
    },
    SetHeader {
        name: HeaderName::from_static("x-real-ip"),
        from_visitor: VisitorHeader::Removed,
        value: |source| Some(source.client.address.clone()),
    },
    SetHeader {
        name: header::FORWARDED,
        from_visitor: VisitorHeader::Removed,
        value: |source| Some(source.client.forwarded.clone()),
    },
    // RFC 8586: hygiene counts it to find loops. `Via` would do too, but makes nginx send uncompressed answers.
    SetHeader {
        name: HeaderName::from_static("cdn-loop"),
        from_visitor: VisitorHeader::Extended,
        value: |_| Some(HeaderValue::from_static("vestibule")),
    },
];

/// The names in [`SET_ON_EVERY_REQUEST`] that must be removed from what visitors send.
pub fn removed_on_arrival() -> impl Iterator<Item = &'static HeaderName> {
    SET_ON_EVERY_REQUEST.iter().filter(|row| row.from_visitor == VisitorHeader::Removed).map(|row| &row.name)
}

/// Whether a header of this name in trailers could pass for one that the gateway sets in the head.
pub(super) fn is_set_in_head(name: &str) -> bool {
    SET_ON_EVERY_REQUEST.iter().any(|row| row.name == name)
}

/// What the values in [`SET_ON_EVERY_REQUEST`] are made from.
#[derive(Clone, Copy, Debug)]
pub struct HeaderSource<'a> {
    /// The id of the request.
    pub request_id: &'a HeaderValue,
    /// The values about the client.
    pub client: &'a ClientHeaders,
    /// The host the visitor asked for: the value of `Host`, or `:authority`.
    pub host: &'a HeaderValue,
    /// The value of `X-Forwarded-For`, if trusted proxies reported more than the client.
    pub chain: Option<&'a HeaderValue>,
}

impl HeaderSource<'_> {
    pub(super) fn set_all(&self, headers: &mut HeaderMap) {
        for row in &SET_ON_EVERY_REQUEST {
            if row.from_visitor == VisitorHeader::Kept && headers.contains_key(&row.name) {
                continue;
            }
            let Some(value) = (row.value)(self) else { continue };
            match row.from_visitor {
                VisitorHeader::Kept | VisitorHeader::Replaced | VisitorHeader::Removed => {
                    drop(headers.insert(&row.name, value));
                }
                VisitorHeader::Extended => drop(headers.append(&row.name, value)),
            }
        }
    }
}

/// The header values about one client, made once for all requests of its connection.
#[derive(Clone, Debug)]
pub struct ClientHeaders {
    address: HeaderValue,
    proto: HeaderValue,
    /// An element of `Forwarded` (RFC 7239 section 4).
    forwarded: HeaderValue,
}

impl ClientHeaders {
    /// For the client at `address`.
    pub fn new(address: IpAddr, scheme: Scheme) -> Self {
        let address = address.to_canonical();
        let proto = scheme.as_str();
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        Self {
            address: ascii(address.to_string()),
            proto: HeaderValue::from_static(proto),
            forwarded: ascii(format!("for={node};proto={proto}")),
        }
    }

    /// The address, as in `X-Real-IP`.
    pub fn address(&self) -> &HeaderValue {
        &self.address
    }

    #[cfg(test)]
    pub(super) fn forwarded(&self) -> &HeaderValue {
        &self.forwarded
    }
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("an address is visible ASCII")
}
