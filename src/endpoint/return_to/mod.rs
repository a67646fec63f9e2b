//! Checks `return_to`: a path on the visitor's own origin, or a URL on a listed origin, that no parser reads as another
//! site. Anything else is replaced by `after_login` (the contract, "`return_to`").

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Origin, Url};

use super::origins::VisitorOrigin;

/// Longest `return_to`, in bytes. Of a longer one the query is left out; a longer path is replaced by `after_login`.
pub const LONGEST_RETURN_TO: usize = 8 * 1024;
/// Longest `return_to` in a cookie, in bytes: with its other content the cookie must be shorter than 4 KiB.
pub const LONGEST_IN_COOKIE: usize = 2000;
/// A path that is percent-encoded more often is refused.
const MAX_DECODINGS: usize = 3;

/// The settings of [`ReturnTo`].
#[derive(Clone, Copy, Debug)]
pub struct ReturnToSettings<'s> {
    /// The path prefix of the gateway's own endpoints.
    pub base_path: &'s str,
    /// The address after a login without `return_to`.
    pub after_login: &'s str,
    /// Origins besides the visitor's own that `return_to` may name.
    pub origins: &'s [String],
}

/// Decides which addresses a login may redirect to.
#[derive(Debug)]
pub struct ReturnTo {
    origins: Vec<Origin>,
    /// All below it is the gateway's own on the visitor's origin, and none of it is a page to be led to.
    base_path: [String; 1],
    /// A listed origin may be another host of this gateway: its endpoints that begin or end a login, or end a logout.
    endpoints: [String; 3],
    after_login: String,
}

impl ReturnTo {
    /// Parses the origins of the settings; an origin that is no URL is left out.
    pub fn new(settings: &ReturnToSettings<'_>) -> Self {
        let listed = settings.origins.iter().filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin());
        Self {
            origins: listed.filter(Origin::is_tuple).collect(),
            base_path: [settings.base_path.to_owned()],
            endpoints: ["login", "callback", "logged-out"].map(|endpoint| format!("{}/{endpoint}", settings.base_path)),
            after_login: settings.after_login.to_owned(),
        }
    }

    /// The address to redirect a visitor of `own` to after a login: `asked` if it is allowed, else `after_login`. Of an
    /// address over [`LONGEST_RETURN_TO`] only the path counts.
    pub fn follow<'a>(&'a self, asked: Option<&'a str>, own: &VisitorOrigin) -> &'a str {
        let asked = asked.map(|asked| if asked.len() > LONGEST_RETURN_TO { without_query(asked) } else { asked });
        asked.filter(|asked| self.is_allowed(asked, own)).unwrap_or(&self.after_login)
    }

    /// As much of `asked` as a cookie may hold: all, or its path; `None` if it is not allowed.
    pub fn in_cookie(&self, asked: &str, own: &VisitorOrigin) -> Option<String> {
        let allowed = Some(asked).filter(|asked| self.is_allowed(asked, own))?;
        let kept = [allowed, without_query(allowed)].into_iter().find(|kept| kept.len() <= LONGEST_IN_COOKIE);
        kept.map(str::to_owned)
    }

    /// The address after a login without `return_to`.
    pub fn after_login(&self) -> &str {
        &self.after_login
    }

    fn is_allowed(&self, asked: &str, own: &VisitorOrigin) -> bool {
        // Browsers write everything else percent-encoded.
        let is_written = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        if asked.len() > LONGEST_RETURN_TO || !asked.bytes().all(is_written) {
            return false;
        }
        let Ok(own) = Url::parse(own.as_str()) else { return false };
        if asked.starts_with('/') { self.is_own_path(asked, &own) } else { self.is_listed(asked, &own) }
    }

    /// Whether it is a path (with query and fragment) on the visitor's origin.
    fn is_own_path(&self, asked: &str, own: &Url) -> bool {
        let stays = own.join(asked).is_ok_and(|url| url.origin() == own.origin());
        stays && is_plain_path(without_query(asked), own, &self.base_path)
    }

    /// Whether it is an absolute URL on the visitor's origin or on one that the configuration lists.
    fn is_listed(&self, asked: &str, own: &Url) -> bool {
        let Ok(url) = Url::parse(asked) else { return false };
        let origin = url.origin();
        // Written as every parser writes it: no user, no default port, no upper case, no other spelling of the host.
        let Some(rest) = asked.strip_prefix(&origin.ascii_serialization()) else { return false };
        let path = if rest.is_empty() { "/" } else { rest };
        path.starts_with('/')
            && url.username().is_empty()
            && url.password().is_none()
            && if origin == own.origin() {
                is_plain_path(without_query(path), own, &self.base_path)
            } else {
                self.origins.contains(&origin) && is_plain_path(without_query(path), own, &self.endpoints)
            }
    }
}

/// Whether every parser reads it as the same path of the same origin, also one that decodes it once too often: it has
/// no step upwards, no backslash and no control character, and does not begin with two slashes. Nothing at or below
/// `endpoints` is such a path: after a redirect there another login would start, the session would end, or no page
/// would be shown.
fn is_plain_path(path: &str, own: &Url, endpoints: &[String]) -> bool {
    if path.split('/').any(is_step) {
        return false;
    }
    let mut path = Cow::Borrowed(path);
    for _ in 0..MAX_DECODINGS {
        let is_endpoint = endpoints.iter().any(|endpoint| {
            path.strip_prefix(endpoint.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if is_endpoint
            || path.chars().any(|c| c == '\\' || c.is_control())
            || begins_with_empty_segment(&path)
            || own.join(&path).is_ok_and(|url| url.origin() != own.origin() || url.path().starts_with("//"))
        {
            return false;
        }
        match percent_decode_str(&path).decode_utf8_lossy() {
            decoded if decoded == path => return true,
            decoded => path = Cow::Owned(decoded.into_owned()),
        }
    }
    false
}

/// The address up to its query or fragment.
pub fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

/// Whether a segment is `.` or `..`, also percent-encoded or with parameters (`..;a`).
fn is_step(segment: &str) -> bool {
    let segment = segment.split(';').next().unwrap_or_default();
    let dots = percent_decode_str(segment).collect::<Vec<_>>();
    dots == b"." || dots == b".."
}

/// Whether a path begins with an empty segment after its steps are resolved: a browser that is redirected to it would
/// read the next segment as a host.
fn begins_with_empty_segment(path: &str) -> bool {
    let mut resolved: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment.split(';').next().unwrap_or_default() {
            "." => {}
            ".." => drop(resolved.pop()),
            _ => resolved.push(segment),
        }
    }
    resolved.len() > 1 && resolved[0].is_empty()
}

#[cfg(test)]
mod tests;
