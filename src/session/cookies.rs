//! The gateway's cookies: their names and attributes, here and nowhere else. Reading them out of a request, taking them away from what the upstream sees, and the
//! `Set-Cookie` values that change them.

use http::{HeaderMap, HeaderValue, header};

use super::Settings;
use crate::channel::Channel;

/// Name and value of one cookie stay under the 4,096 octets that browsers keep, with room for a chunk's suffix.
const LONGEST_COOKIE: usize = 4000;
/// Past this many octets of session cookies no front server's header limits can be trusted: a login fails instead.
pub(super) const MOST_SESSION_OCTETS: usize = 16 * 1024;
/// A login attempt's cookie, name and value: a `return_to` as long as one may be (2,000 octets), sealed, beside state, nonce and verifier.
const LONGEST_ATTEMPT: usize = 3200;
/// A challenge's cookie, name and value: an address, a device's name and a `return_to`, each as long as it may be, sealed.
const LONGEST_CHALLENGE: usize = 4000;
/// 400 days: the longest life that browsers grant a cookie (RFC 6265bis section 5.5); that of the device's.
pub(super) const LONGEST_LIFETIME: u64 = 400 * 24 * 3600;
/// What deletes a cookie; the date is for what does not know `Max-Age`.
const GONE: &str = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
/// How long a login may take.
pub(super) const ATTEMPT_LIFETIME: u64 = 600;

/// `Set-Cookie` values on their way to the answer; they are written once, when its head is.
#[derive(Clone, Debug, Default)]
pub struct CookieChanges(Vec<HeaderValue>);

impl CookieChanges {
    /// True where nothing changes.
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

    fn push(&mut self, value: String) {
        if let Ok(mut value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
            value.set_sensitive(true);
            self.0.push(value);
        } else {
            // Names are checked with the configuration and values are base64 or checked tokens.
            tracing::error!("a cookie value cannot be written in a header");
        }
    }
}

impl Settings {
    /// The most octets that the `Cookie` header takes, with `attempts` logins under way (of those the newest [`MOST_ATTEMPTS`](super::MOST_ATTEMPTS) are kept) and one-time codes of `channels`.
    pub fn longest_cookie_header(&self, attempts: usize, channels: usize) -> usize {
        let jar = Jar::new(self);
        let pair = |name: &str| "; ".len() + name.len() + "=".len();
        // Each part adds its name, and its number after a dot.
        let parts = jar.parts(MOST_SESSION_OCTETS) + 1;
        let tokens = MOST_SESSION_OCTETS + parts * (pair(&jar.access).max(pair(&jar.refresh)) + 2);
        let device = pair(&jar.device) + uuid::fmt::Hyphenated::LENGTH;
        let challenges = channels * ("; ".len() + LONGEST_CHALLENGE);
        "Cookie: ".len() + tokens + device + challenges + attempts * ("; ".len() + LONGEST_ATTEMPT)
    }
}

/// Which of the session's two token cookies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// `sb_at`.
    Access,
    /// `sb_rt`.
    Refresh,
}

/// A site's reach of a login attempt's cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// `SameSite=Lax`: the provider sends the browser back with a navigation.
    Lax,
    /// `SameSite=None; Secure`: the provider's page posts a form.
    CrossSite,
}

/// The names and attributes of this gateway's cookies.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    access: String,
    refresh: String,
    device: String,
    attempt: String,
    challenge: String,
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
            // Browsers take `__Host-` with `Secure` alone, on http://localhost too.
            secure: settings.public_url.scheme() == "https" || settings.host_prefix,
            refresh_lifetime: settings.refresh_token_lifetime.as_secs(),
        }
    }

    /// Finds our cookies in the `Cookie` headers of a request, of which there may be several.
    pub(super) fn find<'h>(&self, headers: impl Iterator<Item = &'h HeaderValue>) -> Found<'h> {
        let mut found = Found::default();
        for (name, value) in headers.flat_map(|v| pairs(v.as_bytes())) {
            match self.kind(name) {
                Some(Kind::Access(part)) => found.access.add(part, value),
                Some(Kind::Refresh(part)) => found.refresh.add(part, value),
                Some(Kind::Device) => found.device = Some(value),
                Some(Kind::Attempt(id)) => found.attempts.push((id, value)),
                Some(Kind::Challenge(channel)) => found.challenges.push((channel, value)),
                None => {}
            }
        }
        found
    }

    /// Takes our cookies out of the `Cookie` headers, except the access token's where `keep` names it; foreign cookies keep their bytes and their order.
    pub(super) fn strip_request(&self, headers: &mut HeaderMap, keep: &[String]) {
        let dropped = |name: &[u8]| match self.kind(name) {
            None => false,
            Some(Kind::Access(_)) => !keep.contains(&self.access),
            Some(Kind::Device) => !keep.contains(&self.device),
            Some(Kind::Refresh(_) | Kind::Attempt(_) | Kind::Challenge(_)) => true,
        };
        let theirs = headers.get_all(header::COOKIE);
        let mut values = theirs.iter();
        let alone = (values.next(), values.next());
        if let (Some(one), None) = alone
            && !pieces(one.as_bytes()).any(|piece| dropped(named(piece).0))
        {
            return;
        }
        // HTTP/2 may bring several headers (RFC 9113 section 8.2.3): joined, as HTTP/1.1 wants one.
        let mut left = Vec::with_capacity(theirs.iter().map(HeaderValue::len).sum());
        for value in theirs {
            for piece in pieces(value.as_bytes()) {
                match (piece.trim_ascii().is_empty() || dropped(named(piece).0), left.is_empty()) {
                    (true, _) => {}
                    (false, true) => left.extend_from_slice(piece.trim_ascii_start()),
                    (false, false) => {
                        left.push(b';');
                        // Between two headers there was no space; within one the spaces are theirs.
                        if !piece.starts_with(b" ") {
                            left.push(b' ');
                        }
                        left.extend_from_slice(piece);
                    }
                }
            }
        }
        match (left.is_empty(), HeaderValue::from_maybe_shared(bytes::Bytes::from(left))) {
            (false, Ok(value)) => drop(headers.insert(header::COOKIE, value)),
            _ => drop(headers.remove(header::COOKIE)),
        }
    }

    /// Removes an upstream's `Set-Cookie` of our names: nobody else sets them.
    pub(super) fn strip_answer(&self, headers: &mut HeaderMap) {
        let name_of = |value: &HeaderValue| {
            let value = value.as_bytes();
            let end = memchr::memchr2(b'=', b';', value).unwrap_or(value.len());
            value[..end].trim_ascii().to_vec()
        };
        if !headers.get_all(header::SET_COOKIE).iter().any(|v| self.kind(&name_of(v)).is_some()) {
            return;
        }
        if let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) {
            let theirs: Vec<_> = entry.remove_entry_mult().1.filter(|v| self.kind(&name_of(v)).is_none()).collect();
            for value in theirs {
                headers.append(header::SET_COOKIE, value);
            }
        }
    }

    /// How many parts a text of `len` octets takes.
    pub(super) fn parts(&self, len: usize) -> usize {
        len.div_ceil(LONGEST_COOKIE - self.access.len() - 4).max(1)
    }

    /// Sets a token cookie, in as many parts as it takes.
    pub(super) fn set(&self, token: Token, text: &str, max_age: u64) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let count = self.parts(text.len());
        let max_age = max_age.min(LONGEST_LIFETIME);
        let (name, attributes) = (self.name(token), self.attributes());
        let mut rest = text;
        for part in 0..count {
            let (now, later) = rest.split_at(rest.len().min(LONGEST_COOKIE - self.access.len() - 4));
            rest = later;
            changes.push(format!("{}={now}; Max-Age={max_age}{attributes}", part_name(name, part)));
        }
        changes
    }

    /// Deletes a token cookie: same name, path, prefix and `Secure` as it was set with, all its parts.
    pub(super) fn clear(&self, token: Token, parts: usize) -> CookieChanges {
        self.clear_beyond(token, 0, parts.max(1))
    }

    /// Deletes the parts of a token cookie from number `kept` on: what a browser may still hold of a longer value.
    pub(super) fn clear_beyond(&self, token: Token, kept: usize, extent: usize) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let (name, attributes) = (self.name(token), self.attributes());
        for part in kept..extent {
            changes.push(format!("{}=; {GONE}{attributes}", part_name(name, part)));
        }
        changes
    }

    /// Sets the device cookie, which scripts may read.
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
        changes.push(format!("{}{id}=; {GONE}{}", self.attempt, self.attempt_attributes(reach)));
        changes
    }

    /// Sets the cookie of the challenge of `channel`.
    pub(super) fn set_challenge(&self, channel: Channel, sealed: &str, max_age: u64) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!("{}{channel}={sealed}; Max-Age={max_age}{}", self.challenge, self.attributes()));
        changes
    }

    /// Deletes the cookie of the challenge of `channel`.
    pub(super) fn clear_challenge(&self, channel: Channel) -> CookieChanges {
        let mut changes = CookieChanges::default();
        changes.push(format!("{}{channel}=; {GONE}{}", self.challenge, self.attributes()));
        changes
    }

    /// Lifetime of the refresh token's cookie in seconds.
    pub(super) fn refresh_lifetime(&self) -> u64 {
        self.refresh_lifetime
    }

    fn name(&self, token: Token) -> &str {
        match token {
            Token::Access => &self.access,
            Token::Refresh => &self.refresh,
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

    fn kind<'n>(&self, name: &'n [u8]) -> Option<Kind<'n>> {
        if let Some(suffix) = name.strip_prefix(self.access.as_bytes()) {
            return part_number(suffix).map(Kind::Access);
        }
        if let Some(suffix) = name.strip_prefix(self.refresh.as_bytes()) {
            return part_number(suffix).map(Kind::Refresh);
        }
        if name == self.device.as_bytes() {
            return Some(Kind::Device);
        }
        if let Some(suffix) = name.strip_prefix(self.challenge.as_bytes()) {
            return Channel::ALL.into_iter().find(|channel| channel.as_str().as_bytes() == suffix).map(Kind::Challenge);
        }
        let id = name.strip_prefix(self.attempt.as_bytes())?;
        std::str::from_utf8(id).ok().map(Kind::Attempt)
    }
}

enum Kind<'n> {
    Access(usize),
    Refresh(usize),
    Device,
    Attempt(&'n str),
    Challenge(Channel),
}

/// Our cookies as one request brought them.
#[derive(Debug, Default)]
pub(super) struct Found<'h> {
    pub(super) access: Parts<'h>,
    pub(super) refresh: Parts<'h>,
    pub(super) device: Option<&'h [u8]>,
    pub(super) attempts: Vec<(&'h str, &'h [u8])>,
    pub(super) challenges: Vec<(Channel, &'h [u8])>,
}

impl Found<'_> {
    /// None of ours came.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        let tokens = self.access.is_absent() && self.refresh.is_absent();
        tokens && self.device.is_none() && self.attempts.is_empty() && self.challenges.is_empty()
    }
}

/// The parts of one token cookie; a name may stand there twice (a parent domain's shadow).
#[derive(Debug, Default)]
pub(super) struct Parts<'h> {
    first: Option<&'h [u8]>,
    others: Vec<(usize, &'h [u8])>,
}

impl<'h> Parts<'h> {
    fn add(&mut self, part: usize, value: &'h [u8]) {
        if part == 0 && self.first.is_none() {
            self.first = Some(value);
        } else {
            self.others.push((part, value));
        }
    }

    /// The cookie's value where it is one part and stands there once: the ordinary case.
    pub(super) fn alone(&self) -> Option<&'h [u8]> {
        self.others.is_empty().then_some(self.first).flatten()
    }

    pub(super) fn is_absent(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    /// One more than the highest part number: what a deletion must cover.
    pub(super) fn extent(&self) -> usize {
        self.others.iter().map(|(part, _)| part + 1).max().unwrap_or(0).max(usize::from(self.first.is_some()))
    }

    /// Every first part: more than one where the name stands there twice.
    pub(super) fn firsts(&self) -> impl Iterator<Item = &'h [u8]> + '_ {
        self.first.into_iter().chain(self.others.iter().filter(|(part, _)| *part == 0).map(|(_, v)| *v))
    }

    /// `first` and the parts after it, `count` in all, put together; `None` where one is missing.
    pub(super) fn joined(&self, first: &'h [u8], count: usize) -> Option<Vec<u8>> {
        let mut whole = first.to_vec();
        for part in 1..count {
            whole.extend_from_slice(self.others.iter().find(|(p, _)| *p == part)?.1);
        }
        Some(whole)
    }
}

fn part_name(name: &str, part: usize) -> String {
    if part == 0 { name.to_owned() } else { format!("{name}.{part}") }
}

/// `""` is part 0, `".7"` part 7.
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

/// The pairs of a `Cookie` header, in order (RFC 6265 section 5.4).
fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pieces(header).filter_map(|piece| {
        let (name, value) = named(piece);
        Some((name, value?))
    })
}

/// A piece's name, and what follows its `=` if it has one. White space around a name is no part of it: lax readers behind us see it so.
fn named(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    let pair = piece.trim_ascii();
    match memchr::memchr(b'=', pair) {
        Some(equals) => (pair[..equals].trim_ascii_end(), Some(&pair[equals + 1..])),
        None => (pair, None),
    }
}

/// What stands between the semicolons of a `Cookie` header.
fn pieces(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let here = rest?;
        let end = memchr::memchr(b';', here);
        rest = end.map(|end| &here[end + 1..]);
        Some(&here[..end.unwrap_or(here.len())])
    })
}

#[cfg(test)]
pub(super) mod tests;
