//! Checks `return_to`: a path on the visitor's origin, or a URL on a listed origin, that no parser reads as another
//! site. Anything else is replaced by `after_login` (the contract, "`return_to`").

use percent_encoding::percent_decode_str;
use url::{Origin, Url};

/// Longest `return_to`, in bytes: it is part of the attempt's cookie, which must be shorter than 4 KiB.
const LONGEST: usize = 2000;
/// A path that is percent-encoded more often is refused.
const MAX_DECODINGS: usize = 3;

/// The settings of [`ReturnTo`].
#[derive(Clone, Copy, Debug)]
pub struct ReturnToSettings<'s> {
    /// The URL that visitors use.
    pub public_url: &'s Url,
    /// The path prefix of the gateway's own endpoints.
    pub base_path: &'s str,
    /// The address after a login without `return_to`.
    pub after_login: &'s str,
    /// Origins besides `public_url`'s that `return_to` may name.
    pub origins: &'s [String],
}

/// Decides which addresses a login may redirect to.
#[derive(Debug)]
pub struct ReturnTo {
    own: Url,
    origins: Vec<Origin>,
    /// The gateway's own endpoints that begin or end a login.
    endpoints: [String; 2],
    after_login: String,
}

impl ReturnTo {
    /// Parses the origins of the settings; an origin that is no URL is left out.
    pub fn new(settings: &ReturnToSettings<'_>) -> Self {
        let listed = settings.origins.iter().filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin());
        let origins = std::iter::once(settings.public_url.origin()).chain(listed).filter(Origin::is_tuple).collect();
        let mut own = settings.public_url.clone();
        own.set_path("/");
        own.set_query(None);
        own.set_fragment(None);
        Self {
            own,
            origins,
            endpoints: ["login", "callback"].map(|endpoint| format!("{}/{endpoint}", settings.base_path)),
            after_login: settings.after_login.to_owned(),
        }
    }

    /// The address to redirect to after a login: `asked` if it is allowed, else `after_login`.
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

    /// Whether it is a path (with query and fragment) on the origin that visitors use.
    fn is_own_path(&self, asked: &str) -> bool {
        let Some(url) = self.own.join(asked).ok().filter(|url| url.origin() == self.own.origin()) else { return false };
        let is_written_as_read =
            url.as_str().strip_prefix(&self.own.as_str()[..self.own.as_str().len() - 1]) == Some(asked);
        // After a redirect to an endpoint of the login another login would start.
        let is_endpoint = self.endpoints.iter().any(|endpoint| {
            url.path().strip_prefix(endpoint.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        is_written_as_read && !is_endpoint && self.is_plain_path(url.path())
    }

    /// Whether it is an absolute URL on an origin that the configuration lists.
    fn is_listed(&self, asked: &str) -> bool {
        let Ok(url) = Url::parse(asked) else { return false };
        let is_written_as_read = url.as_str() == asked || url.as_str().strip_suffix('/') == Some(asked);
        is_written_as_read
            && url.username().is_empty()
            && url.password().is_none()
            && self.origins.contains(&url.origin())
            && self.is_plain_path(url.path())
    }

    /// Whether a parser that decodes the path once too often still reads a path of the same origin: no empty segment,
    /// no backslash, no control character.
    fn is_plain_path(&self, path: &str) -> bool {
        let mut path = path.to_owned();
        for _ in 0..MAX_DECODINGS {
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
