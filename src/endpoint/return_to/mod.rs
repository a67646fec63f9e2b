//! Where a login ends: a path on the visitor's origin, or an address on a listed origin, that no parser reads as
//! another site; anything else becomes `after_login` (the contract, "`return_to`").

use percent_encoding::percent_decode_str;
use url::{Origin, Url};

/// The most bytes: it is part of the attempt's cookie, which must stay under 4 KiB.
const LONGEST: usize = 2000;
/// A path that is percent-encoded more often is refused.
const MAX_ROUNDS: usize = 3;

/// The settings it depends on.
#[derive(Clone, Copy, Debug)]
pub struct Places<'s> {
    /// The address visitors use.
    pub public_url: &'s Url,
    /// Where our own endpoints live.
    pub base_path: &'s str,
    /// Where a login without `return_to` goes.
    pub after_login: &'s str,
    /// Origins besides `public_url`'s that `return_to` may name.
    pub origins: &'s [String],
}

/// Decides where logins may end.
#[derive(Debug)]
pub struct ReturnTo {
    own: Url,
    origins: Vec<Origin>,
    /// Our own endpoints that begin or end a login.
    endpoints: [String; 2],
    after_login: String,
}

impl ReturnTo {
    /// Built once per configuration.
    pub fn new(places: &Places<'_>) -> Self {
        let listed = places.origins.iter().filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin());
        let origins = std::iter::once(places.public_url.origin()).chain(listed).filter(Origin::is_tuple).collect();
        let mut own = places.public_url.clone();
        own.set_path("/");
        own.set_query(None);
        own.set_fragment(None);
        Self {
            own,
            origins,
            endpoints: ["login", "callback"].map(|endpoint| format!("{}/{endpoint}", places.base_path)),
            after_login: places.after_login.to_owned(),
        }
    }

    /// The address to redirect to after a login that asked for `asked`.
    pub fn follow<'a>(&'a self, asked: Option<&'a str>) -> &'a str {
        asked.filter(|asked| self.is_allowed(asked)).unwrap_or(&self.after_login)
    }

    fn is_allowed(&self, asked: &str) -> bool {
        let is_plain = asked.len() <= LONGEST && asked.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if !is_plain {
            return false;
        }
        if asked.starts_with('/') { self.is_own_path(asked) } else { self.is_listed(asked) }
    }

    /// A path (with query and fragment) on the origin that visitors use.
    fn is_own_path(&self, asked: &str) -> bool {
        let Some(url) = self.own.join(asked).ok().filter(|url| url.origin() == self.own.origin()) else { return false };
        let is_written_as_read =
            url.as_str().strip_prefix(&self.own.as_str()[..self.own.as_str().len() - 1]) == Some(asked);
        // A login that ended at an endpoint of the login would start another one.
        let is_endpoint = self.endpoints.iter().any(|endpoint| {
            url.path().strip_prefix(endpoint.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        is_written_as_read && !is_endpoint && self.is_plain_path(url.path())
    }

    /// An absolute address on an origin that the configuration names.
    fn is_listed(&self, asked: &str) -> bool {
        let Ok(url) = Url::parse(asked) else { return false };
        let is_written_as_read = url.as_str() == asked || url.as_str().strip_suffix('/') == Some(asked);
        is_written_as_read
            && url.username().is_empty()
            && url.password().is_none()
            && self.origins.contains(&url.origin())
            && self.is_plain_path(url.path())
    }

    /// Whether a reader that decodes the path once too often still reads a path of the same origin: no empty segment,
    /// no backslash, no invisible character.
    fn is_plain_path(&self, path: &str) -> bool {
        let mut path = path.to_owned();
        for _ in 0..MAX_ROUNDS {
            let is_ambiguous = path.contains("//")
                || path.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace() && c != ' ');
            if is_ambiguous
                || self.own.join(&path).is_ok_and(|url| url.origin() != self.own.origin() || url.path().contains("//"))
            {
                return false;
            }
            match percent_decode_str(&path).decode_utf8_lossy() {
                decoded if decoded == path => return true,
                decoded => path = decoded.into_owned(),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
