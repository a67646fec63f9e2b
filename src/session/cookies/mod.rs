//! The gateway's cookies: the only place with their names and attributes. Finds them in a request, removes them from
//! requests and answers of upstreams, and makes the `Set-Cookie` values that set and delete them.

use std::collections::HashSet;

use http::{HeaderMap, HeaderValue, header};

use super::settings::Settings;
use crate::{channel::Channel, scheme::Scheme};

mod auth_js;
mod changes;
mod found;
mod parts;

use auth_js::{AuthJsCookies, OfAuthJs};
pub use changes::CookieChanges;
pub(super) use found::FoundCookies;
use found::{named, pairs, pieces};
pub(super) use parts::{Candidates, TokenParts};

/// Longest name and value of one cookie in octets: browsers keep 4,096, and a part number must fit too.
const LONGEST_COOKIE: usize = 4000;
/// Most octets of both token cookies together; a login with more fails. Proxies in front of the gateway may refuse
/// longer headers.
pub(super) const MOST_SESSION_OCTETS: usize = 16 * 1024;
/// Longest name and value of a login attempt's cookie in octets: the longest `return_to` (2,000 octets), state, nonce
/// and verifier, sealed.
const LONGEST_ATTEMPT: usize = 3200;
/// Longest name and value of a challenge's cookie in octets: the longest address, device name and `return_to`, sealed.
const LONGEST_CHALLENGE: usize = 4000;
/// 400 days in seconds: the longest lifetime that browsers grant a cookie (RFC 6265bis section 5.5), and that of the
/// device cookie.
pub(super) const LONGEST_LIFETIME: u64 = 400 * 24 * 3600;
/// The attributes that delete a cookie. `Expires` is for clients that do not support `Max-Age`.
const DELETED: &str = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
/// Up to this number of `Cookie` headers, equal ones are not looked for.
const FEW_LINES: usize = 16;
/// How long a login may take, in seconds.
pub(super) const ATTEMPT_LIFETIME: u64 = 600;

impl Settings {
    /// Longest `Cookie` header in octets, with this number of unfinished login attempts (at most
    /// [`MOST_ATTEMPTS`](super::MOST_ATTEMPTS)) and of channels that have a challenge.
    pub fn longest_cookie_header(&self, attempts: usize, channels: usize) -> usize {
        let jar = Jar::new(self);
        let pair = |name: &str| "; ".len() + name.len() + "=".len();
        // Each part adds the cookie's name, a dot and the part's number.
        let parts = jar.parts(MOST_SESSION_OCTETS) + 1;
        let tokens = MOST_SESSION_OCTETS + parts * (pair(&jar.access).max(pair(&jar.refresh)) + 2);
        let device = pair(&jar.device) + uuid::fmt::Hyphenated::LENGTH;
        let challenges = channels * ("; ".len() + LONGEST_CHALLENGE);
        "Cookie: ".len() + tokens + device + challenges + attempts * ("; ".len() + LONGEST_ATTEMPT)
    }
}

/// One of the session's two token cookies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokenCookie {
    /// `sb_at`.
    Access,
    /// `sb_rt`.
    Refresh,
}

/// From which sites a browser sends a login attempt's cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// `SameSite=Lax`: the provider redirects the browser back (a top-level navigation).
    Lax,
    /// `SameSite=None; Secure`: the provider's page posts a form back.
    CrossSite,
}

/// The names and attributes of the gateway's cookies under one configuration.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    access: String,
    refresh: String,
    device: String,
    attempt: String,
    challenge: String,
    /// `None` without `session.compat`.
    auth_js: Option<AuthJsCookies>,
    secure: bool,
    refresh_lifetime: u64,
}

impl Jar {
    pub(super) fn new(settings: &Settings) -> Self {
        let prefix = format!("{}{}", if settings.host_prefix { "__Host-" } else { "" }, settings.cookie_prefix);
        Self {
            access: format!("{prefix}at"),
            refresh: format!("{prefix}rt"),
            device: format!("{prefix}did"),
            attempt: format!("{prefix}tx"),
            challenge: format!("{prefix}otp_"),
            auth_js: settings.compat.map(|version| AuthJsCookies::new(version, &settings.public_url)),
            // Browsers accept `__Host-` only with `Secure`, on http://localhost too.
            secure: settings.public_url.scheme() == Scheme::Https.as_str() || settings.host_prefix,
            refresh_lifetime: settings.refresh_token_lifetime.as_secs(),
        }
    }

    /// Finds our cookies in a request's `Cookie` headers, in one pass. Parts with a higher number than any that is set
    /// are not found, so they are neither read nor deleted; they are not forwarded either.
    pub(super) fn find<'h>(&self, headers: impl Iterator<Item = &'h HeaderValue>) -> FoundCookies<'h> {
        let most_parts = self.parts(MOST_SESSION_OCTETS);
        let mut found = FoundCookies::default();
        for (name, value) in headers.flat_map(|v| pairs(v.as_bytes())) {
            match self.classify(name) {
                Some(OurCookie::Access(part)) if part < most_parts => found.access.add(part, value),
                Some(OurCookie::Refresh(part)) if part < most_parts => found.refresh.add(part, value),
                Some(OurCookie::Device) => found.device = Some(value),
                Some(OurCookie::Attempt(id)) => found.attempts.push((id, value)),
                Some(OurCookie::Challenge(channel)) => found.challenges.push((channel, value)),
                Some(OurCookie::AuthJs(OfAuthJs::Csrf)) => found.csrf.push(value),
                Some(OurCookie::AuthJs(OfAuthJs::LeftBehind(name))) => found.left_behind.push(name),
                Some(OurCookie::Access(_) | OurCookie::Refresh(_)) | None => {}
            }
        }
        found
    }

    /// The `Cookie` headers that have a cookie of ours. If there are many, as over HTTP/2, only one of equal ones.
    pub(super) fn own_lines<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h HeaderValue> {
        let lines = headers.get_all(header::COOKIE);
        let mut seen = (lines.iter().nth(FEW_LINES).is_some()).then(HashSet::new);
        let has_own = |line: &HeaderValue| pairs(line.as_bytes()).any(|(name, _)| self.classify(name).is_some());
        lines.iter().filter(move |line| has_own(line) && seen.as_mut().is_none_or(|seen| seen.insert(line.as_bytes())))
    }

    /// Removes our cookies from the `Cookie` headers, except the access token's and the device's if `keep` names them.
    /// Other cookies keep their bytes and their order.
    pub(super) fn strip_request(&self, headers: &mut HeaderMap, keep: &[String]) {
        let dropped = |name: &[u8]| match self.classify(name) {
            // An app's own login page may ask for its CSRF token on the server, with the visitor's cookies.
            None | Some(OurCookie::AuthJs(OfAuthJs::Csrf)) => false,
            Some(OurCookie::Access(_)) => !keep.contains(&self.access),
            Some(OurCookie::Device) => !keep.contains(&self.device),
            // A session of the NextAuth that the gateway replaced would name a person who may have logged out.
            Some(
                OurCookie::AuthJs(OfAuthJs::LeftBehind(_))
                | OurCookie::Refresh(_)
                | OurCookie::Attempt(_)
                | OurCookie::Challenge(_),
            ) => true,
        };
        let values = headers.get_all(header::COOKIE);
        let mut first_two = values.iter();
        if let (Some(one), None) = (first_two.next(), first_two.next())
            && !pieces(one.as_bytes()).any(|piece| dropped(named(piece).0))
        {
            return;
        }
        // HTTP/2 allows several headers (RFC 9113 section 8.2.3), HTTP/1.1 one: they are joined.
        let mut kept = Vec::with_capacity(values.iter().map(HeaderValue::len).sum());
        for value in values {
            for piece in pieces(value.as_bytes()) {
                match (piece.trim_ascii().is_empty() || dropped(named(piece).0), kept.is_empty()) {
                    (true, _) => {}
                    (false, true) => kept.extend_from_slice(piece.trim_ascii_start()),
                    (false, false) => {
                        kept.push(b';');
                        // A piece at the start of a header has no space before it; the spaces within a header stay.
                        if !piece.starts_with(b" ") {
                            kept.push(b' ');
                        }
                        kept.extend_from_slice(piece);
                    }
                }
            }
        }
        match (kept.is_empty(), HeaderValue::from_maybe_shared(bytes::Bytes::from(kept))) {
            (false, Ok(value)) => drop(headers.insert(header::COOKIE, value)),
            _ => drop(headers.remove(header::COOKIE)),
        }
    }

    /// Removes `Set-Cookie` of our names from an upstream's answer.
    pub(super) fn strip_answer(&self, headers: &mut HeaderMap) {
        let name_of = |value: &HeaderValue| {
            // A browser keeps `=sb_at=x` as a cookie without a name and sends it as `sb_at=x` (RFC 6265bis, section
            // 5.8.3), so what follows the `=` is the name that we would read.
            let mut value = value.as_bytes().trim_ascii_start();
            while let Some(nameless) = value.strip_prefix(b"=") {
                value = nameless.trim_ascii_start();
            }
            let end = memchr::memchr2(b'=', b';', value).unwrap_or(value.len());
            value[..end].trim_ascii().to_vec()
        };
        if !headers.get_all(header::SET_COOKIE).iter().any(|v| self.classify(&name_of(v)).is_some()) {
            return;
        }
        if let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) {
            let others: Vec<_> = entry.remove_entry_mult().1.filter(|v| self.classify(&name_of(v)).is_none()).collect();
            for value in others {
                headers.append(header::SET_COOKIE, value);
            }
        }
    }

    /// Number of cookies that a value of `len` octets is split into.
    pub(super) fn parts(&self, len: usize) -> usize {
        len.div_ceil(self.longest_part()).max(1)
    }

    /// Octets of each part of a split value but the last.
    pub(super) fn longest_part(&self) -> usize {
        LONGEST_COOKIE - self.access.len() - 4
    }

    /// Sets a token cookie, split into parts. `max_age` is in seconds and cut to 400 days.
    pub(super) fn set(&self, token: TokenCookie, text: &str, max_age: u64) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let count = self.parts(text.len());
        let max_age = max_age.min(LONGEST_LIFETIME);
        let (name, attributes) = (self.name(token), self.attributes());
        let mut rest = text;
        for part in 0..count {
            let (value, remaining) = rest.split_at(rest.len().min(self.longest_part()));
            rest = remaining;
            changes.push(format!("{}={value}; Max-Age={max_age}{attributes}", part_name(name, part)));
        }
        changes
    }

    /// Deletes all parts of a token cookie, with the name, path, prefix and `Secure` that it was set with.
    pub(super) fn clear(&self, token: TokenCookie, parts: usize) -> CookieChanges {
        self.clear_beyond(token, 0, parts.max(1))
    }

    /// Deletes the parts `kept`..`extent` of a token cookie, which a browser may still have of a longer value.
    pub(super) fn clear_beyond(&self, token: TokenCookie, kept: usize, extent: usize) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let (name, attributes) = (self.name(token), self.attributes());
        for part in kept..extent {
            changes.push(format!("{}=; {DELETED}{attributes}", part_name(name, part)));
        }
        changes
    }

    /// Sets the device cookie. It is not `HttpOnly`, so that scripts can read it.
    pub(super) fn set_device(&self, id: uuid::Uuid) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let secure = if self.secure { "; Secure" } else { "" };
        changes.push(format!("{}={id}; Max-Age={LONGEST_LIFETIME}; Path=/{secure}; SameSite=Lax", self.device));
        changes
    }

    /// Sets the cookie of the login attempt `id`.
    pub(super) fn set_attempt(&self, id: &str, sealed: &str, reach: Reach) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!(
            "{}{id}={sealed}; Max-Age={ATTEMPT_LIFETIME}{}",
            self.attempt,
            self.attempt_attributes(reach)
        ));
        changes
    }

    /// Deletes the cookie of the login attempt `id`.
    pub(super) fn clear_attempt(&self, id: &str, reach: Reach) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!("{}{id}=; {DELETED}{}", self.attempt, self.attempt_attributes(reach)));
        changes
    }

    /// Sets the challenge cookie of `channel`. `max_age` is in seconds.
    pub(super) fn set_challenge(&self, channel: Channel, sealed: &str, max_age: u64) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!("{}{channel}={sealed}; Max-Age={max_age}{}", self.challenge, self.attributes()));
        changes
    }

    /// Deletes the challenge cookie of `channel`.
    pub(super) fn clear_challenge(&self, channel: Channel) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!("{}{channel}=; {DELETED}{}", self.challenge, self.attributes()));
        changes
    }

    /// Sets the CSRF cookie of Auth.js until the browser is closed.
    pub(super) fn set_csrf(&self, value: &str) -> CookieChanges {
        self.auth_js.as_ref().map(|auth_js| auth_js.set_csrf(value)).unwrap_or_default()
    }

    /// Deletes the cookies of these names, which Auth.js left behind.
    pub(super) fn clear_left_behind(&self, names: &[&str]) -> CookieChanges {
        self.auth_js.as_ref().map(|auth_js| auth_js.clear_left_behind(names)).unwrap_or_default()
    }

    /// Lifetime of the refresh token's cookie in seconds.
    pub(super) fn refresh_lifetime(&self) -> u64 {
        self.refresh_lifetime
    }

    fn name(&self, token: TokenCookie) -> &str {
        match token {
            TokenCookie::Access => &self.access,
            TokenCookie::Refresh => &self.refresh,
        }
    }

    fn attributes(&self) -> &'static str {
        if self.secure { "; Path=/; HttpOnly; Secure; SameSite=Lax" } else { "; Path=/; HttpOnly; SameSite=Lax" }
    }

    fn attempt_attributes(&self, reach: Reach) -> &'static str {
        match reach {
            Reach::Lax => self.attributes(),
            Reach::CrossSite => "; Path=/; HttpOnly; Secure; SameSite=None",
        }
    }

    fn classify<'n>(&self, name: &'n [u8]) -> Option<OurCookie<'n>> {
        if let Some(suffix) = name.strip_prefix(self.access.as_bytes()) {
            return part_number(suffix).map(OurCookie::Access);
        }
        if let Some(suffix) = name.strip_prefix(self.refresh.as_bytes()) {
            return part_number(suffix).map(OurCookie::Refresh);
        }
        if name == self.device.as_bytes() {
            return Some(OurCookie::Device);
        }
        if let Some(suffix) = name.strip_prefix(self.challenge.as_bytes()) {
            return Channel::ALL
                .into_iter()
                .find(|channel| channel.as_str().as_bytes() == suffix)
                .map(OurCookie::Challenge);
        }
        if let Some(id) = name.strip_prefix(self.attempt.as_bytes()) {
            return std::str::from_utf8(id).ok().map(OurCookie::Attempt);
        }
        self.auth_js.as_ref()?.classify(name).map(OurCookie::AuthJs)
    }
}

/// One of our cookies, by its name.
enum OurCookie<'n> {
    Access(usize),
    Refresh(usize),
    Device,
    Attempt(&'n str),
    Challenge(Channel),
    AuthJs(OfAuthJs<'n>),
}

fn part_name(name: &str, part: usize) -> String {
    if part == 0 { name.to_owned() } else { format!("{name}.{part}") }
}

/// The part number that follows a token cookie's name: `""` is part 0, `".7"` is part 7. At most two digits.
fn part_number(suffix: &[u8]) -> Option<usize> {
    match suffix {
        [] => Some(0),
        [b'.', digits @ ..]
            if matches!(digits.len(), 1..=2) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit) =>
        {
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
