//! A route's own header rules: names removed, and values made of text and claims.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::value::append_value;

/// What a route changes in headers (`headers = { set, remove }`): `set` in the request, `remove` in the request and the
/// answer.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// Name and value; the only placeholders are `{claims.NAME}`, `{sub}` and `{provider_sub}`.
    pub set: Vec<(HeaderName, HeaderTemplate)>,
    /// Names removed.
    pub remove: Vec<HeaderName>,
}

/// A header value made of literal text and claims.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderTemplate(pub Vec<HeaderPiece>);

/// A piece of a [`HeaderTemplate`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderPiece {
    /// Literal text.
    Literal(String),
    /// The claim of this name.
    Claim(String),
    /// The subject that the identity provider gave.
    ProviderSub,
}

/// A value of a session that a header may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionValue<'n> {
    /// The claim of this name.
    Claim(&'n str),
    /// The subject that the identity provider gave.
    ProviderSub,
}

impl HeaderRules {
    /// Applies `remove`, then `set`. `of_session` returns a value of the session.
    pub(super) fn apply_to_request<'c>(
        &self,
        headers: &mut HeaderMap,
        of_session: impl Fn(SessionValue<'_>) -> Option<Cow<'c, Value>>,
    ) {
        self.remove_from(headers);
        for (name, template) in &self.set {
            // Removed also if no value is set: a visitor must not supply what the session does not have.
            headers.remove(name);
            if let Some(value) = template.value(&of_session) {
                headers.insert(name, value);
            }
        }
    }

    pub(super) fn remove_from(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
    }

    /// Whether a header that they set tells who the user is.
    pub fn use_claims(&self) -> bool {
        let mut pieces = self.set.iter().flat_map(|(_, template)| &template.0);
        pieces.any(|piece| !matches!(piece, HeaderPiece::Literal(_)))
    }

    /// Whether the rules set or remove `name`.
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.set.iter().map(|(set, _)| set).chain(&self.remove).any(|own| own == name)
    }
}

impl HeaderTemplate {
    /// `None` if a value is absent or no header can have it: part of a value would mean something else.
    fn value<'c>(&self, of_session: impl Fn(SessionValue<'_>) -> Option<Cow<'c, Value>>) -> Option<HeaderValue> {
        let mut text = String::new();
        for piece in &self.0 {
            let value = match piece {
                HeaderPiece::Literal(literal) => {
                    text.push_str(literal);
                    continue;
                }
                HeaderPiece::Claim(name) => SessionValue::Claim(name),
                HeaderPiece::ProviderSub => SessionValue::ProviderSub,
            };
            append_value(&mut text, of_session(value)?.as_ref())?;
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}
