//! `[session]`: the cookies, their keys, and where logins and logouts lead.

use std::time::Duration;

use crate::config::{form, secrets::Surroundings, section::Section, server::Server};
use crate::{login, seal::SealKey, secret::Random, session};

/// Reads `[session]`; `verifies` says whether `[authority.verify]` is there, `longest_timeout` is that of any upstream or route.
pub(crate) fn session(
    section: &Section<'_>,
    server: &Server,
    verifies: bool,
    longest_timeout: Duration,
    random: &Random,
    around: &mut Surroundings<'_>,
) -> Option<session::Settings> {
    let seal = section.flag("seal");
    if !seal && !verifies {
        around.problems.complain(
            section.place("seal"),
            "`seal = false` needs `[authority.verify]`",
            "say there how the access token is verified, or write `seal = true`",
        );
    }
    let host_prefix = section.flag("host_prefix");
    if host_prefix && !server.https() {
        let (place, help) = (section.place("host_prefix"), "leave it out while `public_url` is http");
        // Such cookies are `Secure`; localhost is where some browsers take those by http too.
        if server.local_url {
            around.problems.warn(place, "not every browser accepts `__Host-` cookies from localhost by http", help);
        } else {
            around.problems.complain(place, "browsers accept `__Host-` cookies by https alone", help);
        }
    }
    let cookie_prefix = section.read("cookie_prefix", form::cookie);
    if cookie_prefix.to_ascii_lowercase().starts_with("__host-")
        || cookie_prefix.to_ascii_lowercase().starts_with("__secure-")
    {
        around.problems.complain(
            section.place("cookie_prefix"),
            "browsers give `__Host-` and `__Secure-` a meaning of their own",
            "write `host_prefix = true` instead",
        );
    }
    let key_was_made = !names_keys(section);
    let keys = keys(section, server, random, around);
    let public_url = server.public_url.clone();
    public_url.map(|public_url| session::Settings {
        public_url,
        cookie_prefix,
        host_prefix,
        seal,
        keys,
        key_was_made,
        refresh_ahead: section.read("refresh_ahead", form::delay),
        refresh_grace: section.read("refresh_grace", form::delay),
        refresh_token_lifetime: section.read("refresh_token_lifetime", form::duration),
        idle: section.read("idle", form::duration),
        absolute: section.read("absolute", form::duration),
        leeway: section.read("leeway", form::delay),
        roles_claim: section.read("roles_claim", form::pointer),
        expose_claims: section.values("expose_claims", form::text),
        template_claims: Vec::new(),
        store_down: session::StoreDown::default(),
        longest_timeout,
    })
}

/// The name of one of our cookies.
pub(crate) fn cookie_name(section: &Section<'_>, name: &str) -> String {
    let host_prefix = if section.flag("host_prefix") { "__Host-" } else { "" };
    format!("{host_prefix}{}{name}", section.read("cookie_prefix", form::cookie))
}

fn keys(section: &Section<'_>, server: &Server, random: &Random, around: &mut Surroundings<'_>) -> Vec<SealKey> {
    let mut keys: Vec<SealKey> = Vec::new();
    let listed = section.list("keys", form::text);
    for (text, place) in &listed {
        let Some(secret) = around.resolve_secret(text, place) else { continue };
        match SealKey::from_base64(&secret) {
            Some(key) if keys.iter().any(|other| other.id() == key.id()) => {
                around.problems.complain(place, "this key is listed twice", "leave one of the two out");
            }
            Some(key) => keys.push(key),
            None => around.problems.complain(
                place,
                "this key is not 32 bytes in base64",
                "`vestibule keygen` prints a good one",
            ),
        }
    }
    if !names_keys(section) {
        // A file without `[session]` needs keys, or does not, because of its `public_url`.
        let place = if section.is_present() { section.own_place() } else { &server.place };
        if server.local {
            keys.push(SealKey(random.bytes().into()));
            around.problems.warn(
                place,
                "no `session.keys`: one was made, and everybody is logged out at the next start",
                "write `keys = [\"env:VESTIBULE_KEY\"]`; `vestibule keygen` prints a key",
            );
        } else {
            around.problems.complain(
                place,
                "`session.keys` is needed where something is not on loopback",
                "write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`; `vestibule keygen` prints a key",
            );
        }
    }
    keys
}

fn names_keys(section: &Section<'_>) -> bool {
    section.has("keys") && !section.is_empty_list("keys")
}

/// Reads what `[session]` says of logins.
pub(crate) fn login(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<login::Settings> {
    let origins = section.values("return_to_origins", form::origin);
    let mut place = |key: &str| {
        let text = section.read(key, form::text);
        if let Ok(url) = form::url(&text) {
            let known = server.is_own(&url) || origins.iter().any(|origin| origin.origin() == url.origin());
            if !known {
                around.problems.complain(
                    section.place(key),
                    format!("`{key}` leads to another origin"),
                    "list its origin in `return_to_origins`, or write a path",
                );
            }
        }
        text
    };
    let (after_login, after_logout) = (place("after_login"), place("after_logout"));
    let login_page = section.read("login_page", form::text);
    let login_page = (login_page != "built-in").then_some(login_page);
    if let Some(Err(help)) = login_page.as_deref().map(form::path) {
        around.problems.complain(
            section.place("login_page"),
            "`login_page` must be \"built-in\" or a path of the app's own",
            help,
        );
    }
    Some(login::Settings {
        public_url: server.public_url.clone()?,
        base_path: section.read("base_path", form::prefix),
        login_page,
        after_login,
        after_logout,
        codes: Vec::new(),
        return_to_origins: origins.iter().map(|origin| origin.origin().ascii_serialization()).collect(),
    })
}
