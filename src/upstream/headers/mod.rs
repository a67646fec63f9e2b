//! Makes a visitor's headers an upstream's, and an upstream's headers a visitor's.

mod hops;
mod kind;
mod rules;
mod set;
mod trailers;

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

pub(super) use self::trailers::prepare_trailers;
use self::{
    hops::{has_hop_by_hop, remove_hop_by_hop},
    trailers::{accepts_trailers, announce_allowed_trailers},
};
pub use self::{
    kind::ExchangeKind,
    rules::{HeaderPiece, HeaderRules, HeaderTemplate},
    set::{ClientHeaders, HeaderSource, Incoming, SET_ON_EVERY_REQUEST, SetHeader, removed_on_arrival},
};

/// What an upstream gets in `Authorization`.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// This value.
    Replace(HeaderValue),
    /// None.
    Remove,
    /// The visitor's.
    Keep,
}

/// Makes a visitor's headers an upstream's. Headers of the visitor that could pass for ours have been removed before.
/// `claims` gives the text of a claim of the session.
pub fn prepare_request<'c>(
    headers: &mut HeaderMap,
    source: &HeaderSource<'_>,
    authorization: Authorization,
    rules: &HeaderRules,
    kind: ExchangeKind,
    claims: impl Fn(&str) -> Option<Cow<'c, str>>,
) {
    if has_hop_by_hop(headers) {
        let wants_trailers = headers.get_all(header::TE).iter().any(accepts_trailers);
        remove_hop_by_hop(headers, kind);
        headers.remove(header::EXPECT);
        if wants_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            // RFC 9110 section 10.1.4: TE is hop-by-hop, so `Connection` must name it.
            headers.append(header::CONNECTION, HeaderValue::from_static("te"));
        }
        if headers.contains_key(header::TRAILER) {
            announce_allowed_trailers(headers, rules);
        }
    }
    match authorization {
        Authorization::Replace(value) => drop(headers.insert(header::AUTHORIZATION, value)),
        Authorization::Remove => drop(headers.remove(header::AUTHORIZATION)),
        Authorization::Keep => {}
    }
    source.set_all(headers);
    rules.apply_to_request(headers, claims);
}

/// Makes an upstream's headers a visitor's.
pub fn prepare_answer(headers: &mut HeaderMap, rules: &HeaderRules, kind: ExchangeKind) {
    if has_hop_by_hop(headers) {
        remove_hop_by_hop(headers, kind);
    }
    rules.remove_from(headers);
}

#[cfg(test)]
mod tests;
