//! Cookie changes as values: they are returned to the caller and written onto the head of the answer.

use http::{HeaderMap, HeaderValue, header};

/// `Set-Cookie` values for the answer. They are written once, onto its head.
#[derive(Clone, Debug, Default)]
pub struct CookieChanges(pub(super) Vec<HeaderValue>);

impl CookieChanges {
    /// True if no cookie changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These changes, followed by `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Appends the changes to the headers of an answer.
    pub fn write(self, headers: &mut HeaderMap) {
        for value in self.0 {
            headers.append(header::SET_COOKIE, value);
        }
    }

    pub(super) fn push(&mut self, value: String) {
        if let Ok(mut value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
            value.set_sensitive(true);
            self.0.push(value);
        } else {
            // Cannot happen: names are checked with the configuration, values are base64 or checked tokens.
            tracing::error!("a cookie was not set: it has octets that are invalid in a header");
        }
    }
}
