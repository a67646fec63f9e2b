//! Converts a visitor's headers into those that the upstream gets, and an upstream's into those that the visitor gets.

mod hops;
mod kind;
mod reserved;
mod rules;
mod set;
mod trailers;
mod value;

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

pub(super) use self::trailers::prepare_trailers;
use self::{
    hops::{has_hop_by_hop, remove_hop_by_hop},
    trailers::{accepts_trailers, announce_allowed_trailers},
};
pub use self::{
    kind::ExchangeKind,
    reserved::{METHOD_OVERRIDES, is_reserved, is_same},
    rules::{HeaderPiece, HeaderRules, HeaderTemplate, SessionValue},
    set::{ClientHeaders, HeaderSource, SET_ON_EVERY_REQUEST, SetHeader, VisitorHeader, removed_on_arrival},
    value::append_value,
};

/// What an upstream gets in `Authorization`.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// This value, instead of the visitor's.
    Replace(HeaderValue),
    /// No value.
    Remove,
    /// The visitor's own value.
    Keep,
}

/// Converts a visitor's headers into those that the upstream gets. Hygiene has already removed those that could pass
/// for ours. `of_session` returns a value of the session.
pub fn prepare_request<'c>(
    headers: &mut HeaderMap,
    source: &HeaderSource<'_>,
    authorization: Authorization,
    rules: &HeaderRules,
    kind: ExchangeKind,
    of_session: impl Fn(SessionValue<'_>) -> Option<Cow<'c, Value>>,
) {
    if has_hop_by_hop(headers) {
        // Before `Connection` is removed, which it reads.
        if headers.contains_key(header::TRAILER) {
            announce_allowed_trailers(headers, rules);
        }
        let wants_trailers = headers.get_all(header::TE).iter().any(accepts_trailers);
        remove_hop_by_hop(headers, kind);
        headers.remove(header::EXPECT);
        if wants_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            // RFC 9110 section 10.1.4: TE is hop-by-hop, so `Connection` must name it.
            headers.append(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
    match authorization {
        Authorization::Replace(value) => drop(headers.insert(header::AUTHORIZATION, value)),
        Authorization::Remove => drop(headers.remove(header::AUTHORIZATION)),
        Authorization::Keep => {}
    }
    source.set_all(headers);
    rules.apply_to_request(headers, of_session);
}

/// Converts an upstream's headers into those that the visitor gets.
pub fn prepare_answer(headers: &mut HeaderMap, rules: &HeaderRules, kind: ExchangeKind) {
    if has_hop_by_hop(headers) {
        remove_hop_by_hop(headers, kind);
    }
    rules.remove_from(headers);
}

#[cfg(test)]
mod tests;
