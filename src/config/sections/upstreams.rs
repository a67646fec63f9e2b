//! `[upstreams.NAME]`: the backends, and the tokens that they get.

use super::forms;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Choice, Includes, Key, List, Read as _, table, words},
        kind::{closest, quoted},
        section::Section,
    },
    upstream::{self, Bearer},
};

table! {
    /// `[upstreams.NAME]`
    pub(crate) struct UpstreamTable {
        /// Where it listens: `http://host:port`, `https://host:port` (with a certificate that this machine trusts) or
        /// `unix:/path`. Several targets are used in turn.
        TARGETS: List<forms::Target> = required("targets");
        /// Which token it gets in `Authorization`. Default `access` with the authorities `backend` and `gateway`; with
        /// `provider`: none. With `id` the ID token's `exp` decides too when a refresh is due; past its end it is not
        /// sent.
        BEARER: Choice<Bearer> = optional("bearer");
        /// Cookies of the gateway that are forwarded to it, e.g. `["sb_at"]`; never the refresh token's.
        COOKIES: List<forms::CookieName> = default("cookies", "[]");
        /// How long connecting may take; then the next target is tried, and after the last one the answer is 504.
        CONNECT_TIMEOUT: form::Duration = default("connect_timeout", "\"2s\"");
        /// How long to wait for the first byte of the answer, counted from the end of the request; then 504.
        TIMEOUT: form::Duration = default("timeout", "\"30s\"");
        later "balance", "health";
    }
}

words! { Bearer: "access" => Self::Access, "id" => Self::Id, "none" => Self::None }

/// Reads `[upstreams.NAME]`. `own_cookies` are the cookies that it may ask for, `refresh_cookie` is the one that no
/// upstream gets.
pub(crate) fn upstream(
    section: &Section<'_, UpstreamTable>,
    default_bearer: Bearer,
    own_cookies: &[String],
    refresh_cookie: &str,
    cx: &mut Context<'_>,
) -> upstream::Settings {
    let targets = section.values(&UpstreamTable::TARGETS);
    if section.is_empty_list(&UpstreamTable::TARGETS) {
        cx.complain(
            section.place(&UpstreamTable::TARGETS),
            "an upstream needs a target",
            "write `targets = [\"http://127.0.0.1:3000\"]`",
        );
    }
    let cookies = section.list(&UpstreamTable::COOKIES);
    for (name, place) in &cookies {
        if name == refresh_cookie || name.strip_prefix(refresh_cookie).is_some_and(|rest| rest.starts_with('.')) {
            cx.complain(place, format!("`{name}` holds the refresh token: no upstream gets it"), "leave it out");
        } else if !own_cookies.contains(name) {
            let own: Vec<_> = own_cookies.iter().map(String::as_str).collect();
            cx.complain(
                place,
                format!("`{name}` is not a cookie of the gateway"),
                format!("there are {}; cookies of the app pass anyway", quoted(&own)),
            );
        }
    }
    upstream::Settings {
        name: section.name.to_owned(),
        targets,
        bearer: section.optional(&UpstreamTable::BEARER).unwrap_or(default_bearer),
        cookies: cookies.into_iter().map(|(name, _)| name).collect(),
        connect_timeout: section.read(&UpstreamTable::CONNECT_TIMEOUT),
        timeout: section.read(&UpstreamTable::TIMEOUT),
    }
}

/// The index of the upstream that `key` names; an unknown name is complained about.
pub(crate) fn index<S, B, N>(
    section: &Section<'_, S>,
    key: &Key<B, form::Text, N>,
    upstreams: &[&str],
    cx: &mut Context<'_>,
) -> Option<usize>
where
    S: Includes<B>,
{
    let name = form::Text::read(section.node(key)?)?;
    let found = upstreams.iter().position(|upstream| *upstream == name);
    if found.is_none() {
        let help = match closest(&name, upstreams.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if upstreams.is_empty() => format!("write `[upstreams.{name}]`"),
            None => format!("write `[upstreams.{name}]`, or name one of {}", quoted(upstreams)),
        };
        cx.complain(section.place(key), format!("there is no upstream `{name}`"), help);
    }
    found
}
