//! Our cookies in a request's `Cookie` headers, before they are opened.

use crate::channel::Channel;

/// Our cookies in one request.
#[derive(Debug, Default)]
pub(crate) struct FoundCookies<'h> {
    pub(crate) access: TokenParts<'h>,
    pub(crate) refresh: TokenParts<'h>,
    pub(crate) device: Option<&'h [u8]>,
    pub(crate) attempts: Vec<(&'h str, &'h [u8])>,
    pub(crate) challenges: Vec<(Channel, &'h [u8])>,
}

impl FoundCookies<'_> {
    /// True if the request has no cookie of ours.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_empty(&self) -> bool {
        let tokens = self.access.is_absent() && self.refresh.is_absent();
        tokens && self.device.is_none() && self.attempts.is_empty() && self.challenges.is_empty()
    }
}

/// The parts of one token cookie. A name may occur twice: a cookie of a parent domain has the same name.
#[derive(Debug, Default)]
pub(crate) struct TokenParts<'h> {
    first: Option<&'h [u8]>,
    others: Vec<(usize, &'h [u8])>,
}

impl<'h> TokenParts<'h> {
    pub(super) fn add(&mut self, part: usize, value: &'h [u8]) {
        if part == 0 && self.first.is_none() {
            self.first = Some(value);
        } else {
            self.others.push((part, value));
        }
    }

    /// The cookie's value, if it has one part and occurs once, as it usually does.
    pub(crate) fn single(&self) -> Option<&'h [u8]> {
        self.others.is_empty().then_some(self.first).flatten()
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    /// One more than the highest part number: a deletion must cover as many parts.
    pub(crate) fn extent(&self) -> usize {
        self.others.iter().map(|(part, _)| part + 1).max().unwrap_or(0).max(usize::from(self.first.is_some()))
    }

    /// Every first part: more than one if the name occurs more than once.
    pub(crate) fn first_parts(&self) -> impl Iterator<Item = &'h [u8]> + '_ {
        self.first.into_iter().chain(self.others.iter().filter(|(part, _)| *part == 0).map(|(_, v)| *v))
    }

    /// `first` and the parts after it, `count` in all, joined; `None` if one is missing.
    pub(crate) fn joined(&self, first: &'h [u8], count: usize) -> Option<Vec<u8>> {
        let mut whole = first.to_vec();
        for part in 1..count {
            whole.extend_from_slice(self.others.iter().find(|(p, _)| *p == part)?.1);
        }
        Some(whole)
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
