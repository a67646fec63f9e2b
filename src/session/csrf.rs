//! The CSRF token of Auth.js: a random value that a cookie holds with its keyed digest, and that each call repeats in
//! its body. It proves what the cross-site rule has already proved; the clients of Auth.js insist on it.

use std::fmt::Write as _;

use http::{HeaderMap, header};

use super::{cookies::CookieChanges, shared::Shared};
use crate::secret::ct_eq;

/// Hexadecimal digits of a token.
const DIGITS: usize = 64;
/// Between the token and its digest: a `|`, percent-encoded as in the cookies of Auth.js.
const SEPARATOR: &[u8] = b"%7C";

/// The CSRF tokens of Auth.js, and the cookies that it left behind.
pub struct CsrfTokens<'s> {
    shared: &'s Shared,
}

impl<'s> CsrfTokens<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared }
    }

    /// The token in a browser's cookie; without a genuine one, a new token and the cookie that keeps it.
    pub fn of(&self, headers: &HeaderMap) -> (String, CookieChanges) {
        if let Some(token) = self.genuine(headers).next() {
            return (token.to_owned(), CookieChanges::default());
        }
        let token = hexadecimal(&self.shared.random.bytes::<{ DIGITS / 2 }>());
        let cookie = [token.as_bytes(), SEPARATOR, self.digest(&token).as_bytes()].concat();
        let set = self.shared.jar.set_csrf(&String::from_utf8_lossy(&cookie));
        (token, set)
    }

    /// Whether `token` is that of the browser's cookie. There may be several cookies: other hosts of the site can set
    /// one too, unless its name begins with `__Host-`.
    pub fn is_of(&self, headers: &HeaderMap, token: &str) -> bool {
        self.genuine(headers).any(|own| ct_eq(own.as_bytes(), token.as_bytes()))
    }

    /// Deletes the cookies of a NextAuth that the gateway replaced.
    pub fn clear_left_behind(&self, headers: &HeaderMap) -> CookieChanges {
        let found = self.shared.jar.find(headers.get_all(header::COOKIE).iter());
        self.shared.jar.clear_left_behind(&found.left_behind)
    }

    /// The tokens of the request's cookies whose digest is ours.
    fn genuine<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        let found = self.shared.jar.find(headers.get_all(header::COOKIE).iter());
        found.csrf.into_iter().filter_map(|value| {
            let (token, rest) = value.split_at_checked(DIGITS)?;
            let token = std::str::from_utf8(token).ok()?;
            let digest = rest.strip_prefix(SEPARATOR)?;
            ct_eq(digest, self.digest(token).as_bytes()).then_some(token)
        })
    }

    fn digest(&self, token: &str) -> String {
        hexadecimal(&self.shared.ring.mac_key().digest(&[b"csrf token", token.as_bytes()]))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
