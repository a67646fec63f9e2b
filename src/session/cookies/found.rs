//! Our cookies in a request's `Cookie` headers, before they are opened.

use super::parts::TokenParts;
use crate::channel::Channel;

/// Our cookies in one request.
#[derive(Debug, Default)]
pub(crate) struct FoundCookies<'h> {
    pub(crate) access: TokenParts<'h>,
    pub(crate) refresh: TokenParts<'h>,
    pub(crate) device: Option<&'h [u8]>,
    pub(crate) attempts: Vec<(&'h str, &'h [u8])>,
    pub(crate) challenges: Vec<(Channel, &'h [u8])>,
    /// The values of the CSRF cookie of Auth.js.
    pub(crate) csrf: Vec<&'h [u8]>,
    /// The names of cookies that Auth.js left behind.
    pub(crate) left_behind: Vec<&'h str>,
}

impl FoundCookies<'_> {
    /// True if the request has no cookie of ours.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_empty(&self) -> bool {
        let tokens = self.access.is_absent() && self.refresh.is_absent();
        let of_auth_js = !self.csrf.is_empty() || !self.left_behind.is_empty();
        tokens && self.device.is_none() && self.attempts.is_empty() && self.challenges.is_empty() && !of_auth_js
    }
}

/// The name-value pairs of a `Cookie` header, in order (RFC 6265 section 5.4).
pub(super) fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pieces(header).filter_map(|piece| {
        let (name, value) = named(piece);
        Some((name, value?))
    })
}

/// A piece's name, and its value if it has a `=`. White space around the name is dropped, as lax parsers in upstreams
/// do.
pub(super) fn named(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    let pair = piece.trim_ascii();
    match memchr::memchr(b'=', pair) {
        Some(equals) => (pair[..equals].trim_ascii_end(), Some(&pair[equals + 1..])),
        None => (pair, None),
    }
}

/// The pieces of a `Cookie` header between its semicolons.
pub(super) fn pieces(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b';', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}
