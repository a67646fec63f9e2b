//! `[session]`: the cookies, their keys, and the targets after login and logout.

use std::time::Duration;

use super::{forms, server::ServerSettings};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Always, Choice, Flag, Key, List, table, words},
        section::Section,
    },
    login,
    seal::SealKey,
    secret::Random,
    session,
};

table! {
    /// `[session]`
    pub(crate) struct SessionTable {
        /// The path under which the gateway's own endpoints live (`/auth/login`, `/auth/callback/NAME`, `/auth/session`
        /// …); no route can have it.
        BASE_PATH: form::Prefix = default("base_path", "\"/auth\"");
        /// What the names of the cookies begin with: `sb_` makes `sb_at`, `sb_rt`, `sb_did`. A change logs every person
        /// out.
        COOKIE_PREFIX: forms::CookieName = default("cookie_prefix", "\"sb_\"");
        /// Put `__Host-` in front of the cookies' names, so that no other host of the domain can set them. For https,
        /// where one host is served. A change logs every person out.
        HOST_PREFIX: Flag = default("host_prefix", "false");
        /// Whether the access token's cookie is encrypted. `false` puts the raw JWT there and needs
        /// `[authority.verify]` (with authority `gateway` its own keys verify); the refresh token is always encrypted.
        SEAL: Flag = default("seal", "true");
        /// Keys that encrypt the cookies: 32 random bytes in base64 each, as `vestibule keygen` prints them. The first
        /// encrypts, all decrypt: put a new one in front to rotate. Required unless everything is on loopback; there,
        /// without `keys`, one is generated at each start.
        KEYS: List<form::Secret> = default("keys", "[]");
        /// Where the tokens are: encrypted in the visitor's own cookies.
        STORE: Choice<InCookies> = default("store", "\"cookie\"");
        /// Refresh this long before the access token expires (a little earlier in some sessions, so that not all
        /// refresh at once), at most a fifth of its life.
        REFRESH_AHEAD: form::Delay = default("refresh_ahead", "\"60s\"");
        /// How long requests that still carry the cookies from before a refresh are served, counted from the first
        /// request that carries the new ones.
        REFRESH_GRACE: form::Delay = default("refresh_grace", "\"60s\"");
        /// How long a browser keeps the refresh token's cookie; counted anew from each refresh.
        REFRESH_TOKEN_LIFETIME: form::Duration = default("refresh_token_lifetime", "\"30d\"");
        /// A session without a refresh for this long has ended. One in use is refreshed after half of this at the
        /// latest.
        IDLE: form::Duration = default("idle", "\"30d\"");
        /// A session has ended this long after its login, used or not.
        ABSOLUTE: form::Duration = default("absolute", "\"90d\"");
        /// Tolerated difference between clocks, where the times of a token are checked.
        LEEWAY: form::Delay = default("leeway", "\"5s\"");
        /// Largest request body that is kept, to send it again after a 401 (`retry_on_401`); a larger one is sent once.
        REPLAY_BODY: form::Size = default("replay_body", "\"64KiB\"");
        /// `"built-in"`, or the path of the app's own page, e.g. `"/login"`; that needs a route that is open without a
        /// login.
        LOGIN_PAGE: form::Text = default("login_page", "\"built-in\"");
        /// The target after a login without `return_to`: a path, or an address at `public_url` or `return_to_origins`.
        AFTER_LOGIN: form::PathOrUrl = default("after_login", "\"/\"");
        /// The target after a logout, where the provider has no logout of its own; as for `after_login`. If it needs a
        /// login, a logout ends at `{base_path}/logged-out` instead.
        AFTER_LOGOUT: form::PathOrUrl = default("after_logout", "\"/\"");
        /// Origins besides the visitor's own to which a login may lead (`return_to`), and besides `public_url`'s
        /// `after_login` and `after_logout`.
        RETURN_TO_ORIGINS: List<form::Origin> = default("return_to_origins", "[]");
        /// The place of the role or the list of roles in the claims of the access token (which counts only with
        /// `[authority.verify]`, and always with authority `gateway`), else in those of the ID token: a JSON pointer,
        /// e.g. `"/realm_access/roles"`.
        ROLES_CLAIM: form::Pointer = default("roles_claim", "\"/role\"");
        /// Claims of the person that `GET {base_path}/session` returns to the app's scripts.
        EXPOSE_CLAIMS: List<form::Text> = default("expose_claims", r#"["sub", "email", "name", "role"]"#);
        /// The client library whose existing pages work unchanged: `["next-auth-4"]` or `["authjs-5"]`
        /// ([coming-from-nextauth.md](coming-from-nextauth.md)). `GET {base_path}/session` then answers in the shape of
        /// Auth.js, and `expose_claims` has `picture` too where the file does not set it.
        COMPAT: List<Choice<session::AuthJsVersion>> = default("compat", "[]");
    }
}

/// The only place of tokens in this version: cookies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InCookies;

words! { InCookies: "cookie" => InCookies; later "server" }

words! {
    session::AuthJsVersion:
        "next-auth-4" => Self::NextAuth4,
        "authjs-5" => Self::AuthJs5;
    later "oauth2-proxy"
}

/// Reads `[session]`; `longest_timeout` is the longest of all upstreams and routes.
pub(crate) fn session(
    section: &Section<'_, SessionTable>,
    server: &ServerSettings,
    longest_timeout: Duration,
    random: &Random,
    cx: &mut Context<'_>,
) -> Option<session::Settings> {
    let host_prefix = section.read(&SessionTable::HOST_PREFIX);
    if host_prefix && !server.https() {
        let (place, help) = (section.place(&SessionTable::HOST_PREFIX), "leave it out while `public_url` is http");
        // `__Host-` cookies are `Secure`, which some browsers also accept from localhost by http.
        if server.local_url {
            cx.warn(place, "not every browser accepts `__Host-` cookies from localhost by http", help);
        } else {
            cx.complain(place, "browsers accept `__Host-` cookies by https alone", help);
        }
    }
    let cookie_prefix = section.read(&SessionTable::COOKIE_PREFIX);
    if cookie_prefix.to_ascii_lowercase().starts_with("__host-")
        || cookie_prefix.to_ascii_lowercase().starts_with("__secure-")
    {
        cx.complain(
            section.place(&SessionTable::COOKIE_PREFIX),
            "browsers give `__Host-` and `__Secure-` a meaning of their own",
            "write `host_prefix = true` instead",
        );
    }
    let compat = compat(section, cx);
    let key_was_made = !lists_keys(section);
    let keys = keys(section, server, random, cx);
    let public_url = server.public_url.clone();
    public_url.map(|public_url| session::Settings {
        public_url,
        cookie_prefix,
        host_prefix,
        seal: section.read(&SessionTable::SEAL),
        keys,
        key_was_made,
        refresh_ahead: section.read(&SessionTable::REFRESH_AHEAD),
        refresh_grace: section.read(&SessionTable::REFRESH_GRACE),
        refresh_token_lifetime: section.read(&SessionTable::REFRESH_TOKEN_LIFETIME),
        idle: section.read(&SessionTable::IDLE),
        absolute: section.read(&SessionTable::ABSOLUTE),
        leeway: section.read(&SessionTable::LEEWAY),
        roles_claim: section.read(&SessionTable::ROLES_CLAIM),
        expose_claims: exposed_claims(section, compat),
        template_claims: Vec::new(),
        store_down: session::StoreDown::default(),
        longest_timeout,
        compat,
    })
}

fn exposed_claims(section: &Section<'_, SessionTable>, compat: Option<session::AuthJsVersion>) -> Vec<String> {
    let mut claims = section.values(&SessionTable::EXPOSE_CLAIMS);
    if compat.is_some() && !section.has(&SessionTable::EXPOSE_CLAIMS) {
        claims.push("picture".to_owned());
    }
    claims
}

/// The client library of `compat`, without complaints.
pub(crate) fn auth_js(section: &Section<'_, SessionTable>) -> Option<session::AuthJsVersion> {
    section.values(&SessionTable::COMPAT).first().copied()
}

fn compat(section: &Section<'_, SessionTable>, cx: &mut Context<'_>) -> Option<session::AuthJsVersion> {
    let listed = section.list(&SessionTable::COMPAT);
    let (first, _) = listed.first()?;
    for (version, place) in listed.iter().skip(1) {
        if version == first {
            cx.complain(place, "this word is listed twice", "leave one of the two out");
        } else {
            cx.complain(
                place,
                "`next-auth-4` and `authjs-5` answer the same paths in different ways",
                "write the one that `npm ls next-auth` names: 4 or 5",
            );
        }
    }
    Some(*first)
}

/// The full name of a cookie: `name` is `at`, `rt` or `did`.
pub(crate) fn cookie_name(section: &Section<'_, SessionTable>, name: &str) -> String {
    let host_prefix = if section.read(&SessionTable::HOST_PREFIX) { "__Host-" } else { "" };
    format!("{host_prefix}{}{name}", section.read(&SessionTable::COOKIE_PREFIX))
}

fn keys(
    section: &Section<'_, SessionTable>,
    server: &ServerSettings,
    random: &Random,
    cx: &mut Context<'_>,
) -> Vec<SealKey> {
    let mut keys: Vec<SealKey> = Vec::new();
    for (source, place) in &section.list(&SessionTable::KEYS) {
        let Some(secret) = cx.resolve_secret(&source.0, place) else { continue };
        match SealKey::from_base64(&secret) {
            Some(key) if keys.iter().any(|other| other.id() == key.id()) => {
                cx.complain(place, "this key is listed twice", "leave one of the two out");
            }
            Some(key) => keys.push(key),
            None => cx.complain(place, "this key is not 32 bytes in base64", "`vestibule keygen` prints a good one"),
        }
    }
    if !lists_keys(section) {
        // Without `[session]` the place of the complaint is `public_url`, which decides whether keys are required.
        let place = if section.is_present() { section.own_place() } else { &server.place };
        if server.local || server.development {
            keys.push(SealKey(random.bytes().into()));
            // With `development` that is part of the note of `check`.
            if server.local {
                cx.warn(
                    place,
                    "no `session.keys`: one was made, and every person is logged out at the next start",
                    "write `keys = [\"env:VESTIBULE_KEY\"]`; `vestibule keygen` prints a key",
                );
            }
        } else {
            cx.complain(
                place,
                "`session.keys` is needed where something is not on loopback",
                "write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`; `vestibule keygen` prints a key",
            );
        }
    }
    keys
}

fn lists_keys(section: &Section<'_, SessionTable>) -> bool {
    section.has(&SessionTable::KEYS) && !section.is_empty_list(&SessionTable::KEYS)
}

/// Reads the keys of `[session]` about logins and logouts.
pub(crate) fn login(
    section: &Section<'_, SessionTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<login::Settings> {
    let origins = section.values(&SessionTable::RETURN_TO_ORIGINS);
    let mut place = |key: &Key<_, form::PathOrUrl, Always>| {
        let text = section.read(key);
        if let Ok(url) = form::url(&text) {
            let known = server.is_own(&url) || origins.iter().any(|origin| origin.origin() == url.origin());
            if !known {
                cx.complain(
                    section.place(key),
                    format!("`{}` leads to another origin", key.row.name),
                    "list its origin in `return_to_origins`, or write a path",
                );
            }
        }
        text
    };
    let (after_login, after_logout) = (place(&SessionTable::AFTER_LOGIN), place(&SessionTable::AFTER_LOGOUT));
    let login_page = section.read(&SessionTable::LOGIN_PAGE);
    let login_page = (login_page != "built-in").then_some(login_page);
    if let Some(Err(help)) = login_page.as_deref().map(form::path) {
        cx.complain(
            section.place(&SessionTable::LOGIN_PAGE),
            "`login_page` must be \"built-in\" or a path of the app's own",
            help,
        );
    }
    Some(login::Settings {
        public_url: server.public_url.clone()?,
        hosts: Vec::new(),
        base_path: section.read(&SessionTable::BASE_PATH),
        login_page,
        after_login,
        after_logout,
        codes: Vec::new(),
        return_to_origins: origins.iter().map(|origin| origin.origin().ascii_serialization()).collect(),
    })
}

/// How long sessions last, and how long the tokens from before a refresh are still served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) refresh_grace: Duration,
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
}

/// Reads the lifetimes.
pub(crate) fn lifetimes(section: &Section<'_, SessionTable>) -> Lifetimes {
    Lifetimes {
        refresh_grace: section.read(&SessionTable::REFRESH_GRACE),
        idle: section.read(&SessionTable::IDLE),
        absolute: section.read(&SessionTable::ABSOLUTE),
    }
}
