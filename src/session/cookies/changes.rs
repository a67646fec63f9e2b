//! Cookie changes as values: they travel up to the answer and are written onto its head.

use http::{HeaderMap, HeaderValue, header};

/// Changes of cookies, as `Set-Cookie` values. They are written once, with the head of the answer.
#[derive(Clone, Debug, Default)]
pub struct CookieChanges(pub(super) Vec<HeaderValue>);

impl CookieChanges {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These changes, followed by `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Writes the changes onto an answer.
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
            // Names are checked with the configuration; values are base64 or checked tokens.
            tracing::error!("a cookie value cannot be written in a header");
        }
    }
}
