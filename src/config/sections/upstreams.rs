//! `[upstreams.NAME]`: the backends, and the tokens that they get.

use http::StatusCode;

use super::forms;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Choice, Fraction, Includes, Key, List, Number, Read as _, Table, table, words},
        kind::{closest, quoted},
        section::Section,
    },
    upstream::{self, Bearer, EjectionRule},
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
        /// How old a connection may be to get another request; what is under way finishes. So traffic follows changes
        /// of addresses and of balancers behind an address. A host name is resolved again every 5 s while it is used,
        /// and a connection to an address that three answers in a row are without is closed.
        MAX_CONNECTION_AGE: form::Duration = default("max_connection_age", "\"60s\"");
        /// When a target that fails gets no requests for a while. Counted for each instance separately, and only where
        /// there are several targets: an only one is never left out. If no other target accepts a connection, those
        /// that are left out are tried too.
        EJECT: Table<EjectTable> = optional("eject");
        later "balance", "health", "host", "http", "max_in_flight", "queue_timeout", "rewrite_back", "tls";
    }
}

table! {
    /// `[upstreams.NAME.eject]`
    pub(crate) struct EjectTable {
        /// The failures within `window` that are needed: connections that are not accepted, no first byte within
        /// `timeout`, uploads of which nothing is read for `timeout`, answers that break off, fall silent for `timeout`
        /// or cannot be read, and `statuses`.
        FAILURES: Number<u32, 1, 1_000_000> = default("failures", "3");
        /// The part of the target's requests within `window` that these failures have to be. That many failures in a
        /// row are enough too, if no other request of the window failed; else 20 in a row.
        SHARE: Fraction = default("share", "0.5");
        /// The time in which requests and failures are counted.
        WINDOW: form::Duration = default("window", "\"10s\"");
        /// How long the target is left out; up to a quarter less, at random. Then one request tries it: if that
        /// succeeds the target gets its share again, if not it is left out once more.
        FOR: form::Duration = default("for", "\"10s\"");
        /// The part of the targets that may be left out at a time, rounded down to whole targets. 0: none ever.
        /// With 0.5 it is one of three: where two of three may hang at the same time, write 0.67.
        MOST: Fraction = default("most", "0.5");
        /// Statuses of answers that count as failures, e.g. `[502, 503]`. The answers are passed on.
        STATUSES: List<Number<u16, 400, 599>> = default("statuses", "[]");
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
        eject: ejection_rule(&section.section(&UpstreamTable::EJECT)),
        max_connection_age: section.read(&UpstreamTable::MAX_CONNECTION_AGE),
    }
}

fn ejection_rule(section: &Section<'_, EjectTable>) -> EjectionRule {
    let statuses = section.values(&EjectTable::STATUSES);
    EjectionRule {
        failures: section.read(&EjectTable::FAILURES),
        share: section.read(&EjectTable::SHARE),
        window: section.read(&EjectTable::WINDOW),
        duration: section.read(&EjectTable::FOR),
        most: section.read(&EjectTable::MOST),
        statuses: statuses.into_iter().filter_map(|status| StatusCode::from_u16(status).ok()).collect(),
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
            None if name.contains([':', '/']) => {
                "write the upstream's name, and its address as `targets = [\"http://host:port\"]` under `[upstreams.NAME]`"
                    .to_owned()
            }
            None if upstreams.is_empty() => format!("write `[upstreams.{name}]`"),
            None => format!("write `[upstreams.{name}]`, or name one of {}", quoted(upstreams)),
        };
        cx.complain(section.place(key), format!("there is no upstream `{name}`"), help);
    }
    found
}
