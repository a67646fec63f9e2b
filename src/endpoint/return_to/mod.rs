//! Checks `return_to`: a path on the visitor's own origin, or a URL on a listed origin, that no parser reads as another
//! site. Anything else is replaced by `after_login` (the contract, "`return_to`").

use std::borrow::Cow;

use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use url::{Origin, Url};

use super::origins::VisitorOrigin;

/// Longest `return_to`, in bytes. Of a longer one the query is left out; a longer path is replaced by `after_login`.
pub const LONGEST_RETURN_TO: usize = 8 * 1024;
/// Longest `return_to` in a cookie, in bytes: with its other content the cookie must be shorter than 4 KiB.
pub const LONGEST_IN_COOKIE: usize = 2000;
/// Of a path nothing in ASCII is encoded: what a browser would write percent-encoded there does not stay.
const OF_PATHS: &AsciiSet = &AsciiSet::EMPTY;
/// In a query a blank is what an app wrote as `+` or as a blank.
const OF_QUERIES: &AsciiSet = &AsciiSet::EMPTY.add(b' ');
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
    /// address over [`LONGEST_RETURN_TO`] only the path counts. It is in ASCII: letters of other scripts are
    /// percent-encoded, as browsers send them.
    pub fn follow<'a>(&'a self, asked: Option<&'a str>, own: &VisitorOrigin) -> Cow<'a, str> {
        asked.and_then(|asked| self.allow(asked, own)).unwrap_or(Cow::Borrowed(&self.after_login))
    }

    /// The same address; `None` if `asked` is not allowed.
    pub fn allow<'a>(&self, asked: &'a str, own: &VisitorOrigin) -> Option<Cow<'a, str>> {
        let shortened = if asked.len() > LONGEST_RETURN_TO { without_query(asked) } else { asked };
        self.allowed(shortened, own)
    }

    /// As much of `asked` as a cookie may hold: all, or its path; `None` if it is not allowed.
    pub fn in_cookie(&self, asked: &str, own: &VisitorOrigin) -> Option<String> {
        let allowed = self.allowed(asked, own)?;
        let kept = [&*allowed, without_query(&allowed)].into_iter().find(|kept| kept.len() <= LONGEST_IN_COOKIE);
        kept.map(str::to_owned)
    }

    /// The address after a login without `return_to`.
    pub fn after_login(&self) -> &str {
        &self.after_login
    }

    /// `asked`, written in ASCII and with its origin as browsers write it; `None` if it is not allowed.
    fn allowed<'a>(&self, asked: &'a str, own: &VisitorOrigin) -> Option<Cow<'a, str>> {
        if asked.len() > LONGEST_RETURN_TO || asked.contains(char::is_control) {
            return None;
        }
        let (path, more) = asked.split_at(without_query(asked).len());
        let mut asked = match (utf8_percent_encode(path, OF_PATHS).into(), utf8_percent_encode(more, OF_QUERIES).into())
        {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(asked),
            (path, more) => path + more,
        };
        if asked.len() > LONGEST_RETURN_TO {
            asked = Cow::Owned(without_query(&asked).to_owned());
        }
        // Browsers write everything else percent-encoded.
        let is_written = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        if asked.len() > LONGEST_RETURN_TO || !asked.bytes().all(is_written) {
            return None;
        }
        let own = Url::parse(own.as_str()).ok()?;
        if !asked.starts_with('/') {
            return self
                .on_listed_origin(&asked, &own)
                .map(|address| if address == asked { asked } else { Cow::Owned(address) });
        }
        self.is_own_path(&asked, &own).then_some(asked)
    }

    /// Whether it is a path (with query and fragment) on the visitor's origin.
    fn is_own_path(&self, asked: &str, own: &Url) -> bool {
        let stays = own.join(asked).is_ok_and(|url| url.origin() == own.origin());
        stays && is_plain_path(without_query(asked), own, &self.base_path)
    }

    /// An absolute URL on the visitor's origin or on one that the configuration lists, with its origin in lower case
    /// and without a default port.
    fn on_listed_origin(&self, asked: &str, own: &Url) -> Option<String> {
        let url = Url::parse(asked).ok()?;
        let origin = url.origin();
        // Written as every parser reads it: no user, no other spelling of the host.
        let written = origin.ascii_serialization();
        let (start, rest) = asked.split_at_checked(written.len())?;
        let default_port = url.port_or_known_default().filter(|_| url.port().is_none());
        let rest = default_port.and_then(|port| rest.strip_prefix(&format!(":{port}"))).unwrap_or(rest);
        let path = if rest.is_empty() { "/" } else { rest };
        let is_allowed = start.eq_ignore_ascii_case(&written)
            && path.starts_with('/')
            && url.username().is_empty()
            && url.password().is_none()
            && if origin == own.origin() {
                is_plain_path(without_query(path), own, &self.base_path)
            } else {
                self.origins.contains(&origin) && is_plain_path(without_query(path), own, &self.endpoints)
            };
        is_allowed.then(|| format!("{written}{rest}"))
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
