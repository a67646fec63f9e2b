//! The cookies of Auth.js (`session.compat`): its CSRF cookie, which the gateway keeps in its place, and the cookies of
//! a NextAuth that the gateway replaced, which browsers keep for up to 30 days.

use url::Url;

use super::{super::settings::AuthJsVersion, CookieChanges, DELETED, part_number};
use crate::scheme::Scheme;

/// What the names of its cookies begin with, in version 4 and in version 5.
const FAMILIES: [&str; 2] = ["next-auth.", "authjs."];
/// Cookies of NextAuth that hold a session or the address of a login; all others end within 15 minutes or with the
/// browser. The session's is split into `.0`, `.1` … if it is long.
const LEFT_BEHIND: [&str; 2] = ["session-token", "callback-url"];
/// Deleted cookies of one answer. A NextAuth session has two or three parts.
const MOST_DELETED: usize = 24;

/// The names and attributes of the cookies of Auth.js under one configuration.
#[derive(Clone, Debug)]
pub(super) struct AuthJsCookies {
    csrf: String,
    secure: bool,
}

/// A cookie of Auth.js, by its name.
pub(super) enum OfAuthJs<'n> {
    /// The CSRF token's.
    Csrf,
    /// One that the gateway does not use.
    LeftBehind(&'n str),
}

impl AuthJsCookies {
    /// The names that the client's version has; with https the CSRF cookie is one of this host alone.
    pub(super) fn new(version: AuthJsVersion, public_url: &Url) -> Self {
        let secure = public_url.scheme() == Scheme::Https.as_str();
        let family = match version {
            AuthJsVersion::NextAuth4 => FAMILIES[0],
            AuthJsVersion::AuthJs5 => FAMILIES[1],
        };
        Self { csrf: format!("{}{family}csrf-token", if secure { "__Host-" } else { "" }), secure }
    }

    pub(super) fn classify<'n>(&self, name: &'n [u8]) -> Option<OfAuthJs<'n>> {
        if name == self.csrf.as_bytes() {
            return Some(OfAuthJs::Csrf);
        }
        let name = std::str::from_utf8(name).ok()?;
        let plain = name.strip_prefix("__Secure-").unwrap_or(name);
        let rest = FAMILIES.iter().find_map(|family| plain.strip_prefix(family))?;
        let is_left = LEFT_BEHIND.iter().any(|known| rest.strip_prefix(known).is_some_and(is_part));
        is_left.then_some(OfAuthJs::LeftBehind(name))
    }

    pub(super) fn set_csrf(&self, value: &str) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let secure = if self.secure { "; Secure" } else { "" };
        changes.push(format!("{}={value}; Path=/; HttpOnly{secure}; SameSite=Lax", self.csrf));
        changes
    }

    pub(super) fn clear_left_behind(&self, names: &[&str]) -> CookieChanges {
        let mut changes = CookieChanges::default();
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        for name in names.into_iter().take(MOST_DELETED) {
            let secure = if self.secure || name.starts_with("__Secure-") { "; Secure" } else { "" };
            changes.push(format!("{name}=; {DELETED}; Path=/; HttpOnly{secure}; SameSite=Lax"));
        }
        changes
    }
}

/// Whether a name ends here or goes on with the number of a part. NextAuth counts from 0.
fn is_part(suffix: &str) -> bool {
    suffix == ".0" || part_number(suffix.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::super::{Jar, Settings, tests};
    use super::*;

    fn jar(public_url: &str, compat: Option<AuthJsVersion>) -> Jar {
        Jar::new(&Settings { compat, ..tests::settings(public_url) })
    }

    fn cookies(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, value.parse().unwrap())])
    }

    fn lines(changes: &CookieChanges) -> Vec<&str> {
        changes.0.iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn the_csrf_cookie_has_the_name_of_the_version_and_of_one_host_on_https() {
        let set = |url, version| lines(&jar(url, Some(version)).set_csrf("a%7Cb"))[0].to_owned();
        assert_eq!(
            set("https://app.example", AuthJsVersion::NextAuth4),
            "__Host-next-auth.csrf-token=a%7Cb; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert_eq!(
            set("http://localhost:3000", AuthJsVersion::AuthJs5),
            "authjs.csrf-token=a%7Cb; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn cookies_that_nextauth_left_behind_are_found_deleted_and_reach_no_upstream() {
        let jar = jar("https://app.example", Some(AuthJsVersion::AuthJs5));
        let mut headers = cookies(
            "a=1; __Secure-next-auth.session-token.0=A; __Secure-next-auth.session-token.1=B; \
             authjs.session-token=C; next-auth.callback-url=D; next-auth.session-tokens=keep; \
             next-auth.session-token.x=keep; __Host-authjs.csrf-token=E; authjs.session-token=C",
        );
        let found = jar.find(headers.get_all(header::COOKIE).iter());
        assert_eq!(found.csrf, [b"E"]);
        let deleted = jar.clear_left_behind(&found.left_behind);
        let names: Vec<_> = lines(&deleted).iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        assert_eq!(
            names,
            [
                "__Secure-next-auth.session-token.0",
                "__Secure-next-auth.session-token.1",
                "authjs.session-token",
                "next-auth.callback-url"
            ]
        );
        assert!(lines(&deleted)[0].ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax"), "{deleted:?}");
        jar.strip_request(&mut headers, &[]);
        assert_eq!(
            headers[header::COOKIE],
            "a=1; next-auth.session-tokens=keep; next-auth.session-token.x=keep; __Host-authjs.csrf-token=E"
        );
    }

    #[test]
    fn without_compat_the_cookies_of_auth_js_are_the_apps_own() {
        let jar = jar("https://app.example", None);
        let mut headers = cookies("next-auth.session-token=A; __Host-next-auth.csrf-token=B");
        assert!(jar.find(headers.get_all(header::COOKIE).iter()).is_empty());
        assert_eq!(jar.own_lines(&headers).count(), 0);
        jar.strip_request(&mut headers, &[]);
        assert_eq!(headers[header::COOKIE], "next-auth.session-token=A; __Host-next-auth.csrf-token=B");
        assert!(jar.set_csrf("x").is_empty() && jar.clear_left_behind(&["x"]).is_empty());
    }
}
