//! `[[routes]]`: which requests are forwarded to which upstream, and who may send them.

use http::HeaderName;

use super::{call, forms, upstreams};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, Either, Entries, Flag, List, Table, table, words},
        section::Section,
        suggestion::is_variable,
        tree::Place,
    },
    hygiene::EncodedSlash,
    route::{self, Access, Cors, OnSecond401, OwnCallsRule, RetryOn401},
    upstream::HeaderRules,
};

table! {
    /// One of `[[routes]]`.
    pub(crate) struct RouteTable {
        /// The paths it is for: `/users/{id}` (one segment), `/files/{*rest}` (the rest, also nothing).
        PATH: form::Text = required("path");
        /// Hosts it is for. Absent: every accepted host.
        HOSTS: List<forms::Host> = optional("hosts");
        /// Methods it is for, e.g. `["GET", "HEAD"]`. Absent: all.
        METHODS: List<form::Method> = optional("methods");
        /// A prefix that is removed from the path for the upstream: with `"/api"` it gets `/users` for `/api/users`.
        STRIP: form::Prefix = optional("strip");
        /// The name of the upstream it goes to.
        UPSTREAM: form::Text = required("upstream");
        /// `public`: anyone; sessions are not read. `optional`: anyone, with the session where there is one. `user`:
        /// people who are logged in. `anonymous`: people who are not (a login page). `{ roles = […] }`: people who have
        /// one of these roles.
        ACCESS: Either<Choice<AccessWord>, RolesTable> = default("access", "\"user\"");
        /// Changes to the headers of requests and answers.
        HEADERS: Table<HeadersTable> = optional("headers");
        /// Largest request body; a larger one is answered 413. Absent: no limit.
        BODY_LIMIT: form::Size = optional("body_limit");
        /// How long to wait for the first byte of the answer; then 504. Default: the upstream's.
        TIMEOUT: form::Duration = optional("timeout");
        /// Longest time without a byte in a body, stream or WebSocket, in either direction; then the connection is
        /// closed. The exchange as a whole has no time limit.
        IDLE_TIMEOUT: form::Duration = default("idle_timeout", "\"5m\"");
        /// The `body_rate` of `[limits]` for this route; `"0B"` where clients send a body in pieces with long pauses
        /// and the answer comes at its end.
        BODY_RATE: form::Size = optional("body_rate");
        /// Which requests are sent again, once and after a refresh, when the upstream says 401: all, those with GET,
        /// HEAD or OPTIONS, or none.
        RETRY_ON_401: Choice<RetryOn401> = default("retry_on_401", "\"all\"");
        /// What a 401 to the second try means. `clear`: the session is over. `pass`: the visitor gets the 401 and stays
        /// logged in. Default `clear` where the upstream is the authority's own, else `pass`.
        ON_SECOND_401: Choice<OnSecond401> = optional("on_second_401");
        /// Whether requests may meet a call that the gateway makes itself (under `authority`, `otp` or `login`).
        /// `closed`: they are answered 404, so that no visitor speaks in the gateway's name. `open`: they pass, because
        /// the app uses that path too (GraphQL, say); the backend must then tell the gateway's calls by a secret or by
        /// `vestibule-assertion`.
        OWN_CALLS: Choice<OwnCallsRule> = default("own_calls", "\"closed\"");
        /// Other origins whose scripts may call this route. Absent: none.
        CORS: Table<CorsTable> = optional("cors");
        /// Whether `X-HTTP-Method-Override`, `X-HTTP-Method` and `X-Method-Override` reach the upstream, which may then
        /// act as if the method were the one that they name. With `true` both methods have to match a route to this
        /// upstream and pass its rules. With `false` the headers are removed.
        METHOD_OVERRIDE: Flag = default("method_override", "false");
        /// What becomes of a path with `%2F`. `refuse`: 400, because some backends read it as `/`. `keep`: it is a part
        /// of its segment and reaches the upstream; only an empty, `.` or `..` piece beside it is still 400.
        ENCODED_SLASH: Choice<EncodedSlash> = default("encoded_slash", "\"refuse\"");
    }
}

table! {
    /// `access = { roles = […] }`
    pub(crate) struct RolesTable {
        /// The roles of which a person must have one.
        ROLES: List<form::Text> = required("roles");
        later "when";
    }
}

table! {
    /// `headers` of a route.
    pub(crate) struct HeadersTable {
        /// Set on the request, e.g. `{ x-user-id = "{claims.sub}" }`. Headers of these names that a visitor sends are
        /// removed, on every route.
        SET: Entries<form::Text> = optional("set");
        /// Headers that are removed from the request and from the answer, e.g. `["server"]`.
        REMOVE: List<form::HeaderName> = default("remove", "[]");
    }
}

table! {
    /// `cors` of a route.
    pub(crate) struct CorsTable {
        /// Origins that may call, each in full.
        ORIGINS: List<form::Origin> = required("origins");
        /// Whether their requests may carry cookies.
        CREDENTIALS: Flag = default("credentials", "false");
    }
}

/// `access` where it is a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AccessWord {
    Public,
    Optional,
    User,
    Anonymous,
}

words! {
    AccessWord:
    "user" => Self::User,
    "public" => Self::Public,
    "optional" => Self::Optional,
    "anonymous" => Self::Anonymous,
}

words! { RetryOn401: "all" => Self::All, "safe" => Self::Safe, "off" => Self::Off }

words! { EncodedSlash: "refuse" => Self::Refuse, "keep" => Self::Keep }

words! { OwnCallsRule: "closed" => Self::Closed, "open" => Self::Open }

words! { OnSecond401: "clear" => Self::Clear, "pass" => Self::Pass }

/// Reads one of `[[routes]]`; `body_rate` is that of `[limits]`. `None` where it has no path, or where it cannot be
/// compared with others because what it matches or permits has an error.
pub(crate) fn route(
    section: &Section<'_, RouteTable>,
    upstreams: &[&str],
    body_rate: u64,
    cx: &mut Context<'_>,
) -> Option<route::Settings> {
    let upstream = upstreams::index(section, &RouteTable::UPSTREAM, upstreams, cx);
    let headers = headers(&section.section(&RouteTable::HEADERS), cx);
    let lists: [&dyn AnyKey<Table = RouteTable>; 2] = [&RouteTable::HOSTS, &RouteTable::METHODS];
    for key in lists {
        if section.is_empty_list(key) {
            cx.complain(
                section.place(key),
                format!("an empty `{}` could be read as none or as all", key.name()),
                "leave it out for all",
            );
        }
    }
    let path = section.optional(&RouteTable::PATH)?;
    let access = access(section, cx);
    let compared: [&dyn AnyKey<Table = RouteTable>; 3] =
        [&RouteTable::HOSTS, &RouteTable::METHODS, &RouteTable::ACCESS];
    if compared.iter().any(|key| section.is_faulty(*key, &cx.problems)) {
        return None;
    }
    Some(route::Settings {
        hosts: section.values(&RouteTable::HOSTS),
        methods: section.values(&RouteTable::METHODS),
        strip: section.optional(&RouteTable::STRIP),
        // After the complaint about a missing upstream, the route is still compared with the others.
        upstream: upstream.unwrap_or(usize::MAX),
        access,
        headers,
        body_limit: section.optional(&RouteTable::BODY_LIMIT),
        timeout: section.optional(&RouteTable::TIMEOUT),
        idle_timeout: section.read(&RouteTable::IDLE_TIMEOUT),
        body_rate: section.optional(&RouteTable::BODY_RATE).unwrap_or(body_rate),
        retry_on_401: section.read(&RouteTable::RETRY_ON_401),
        on_second_401: section.optional(&RouteTable::ON_SECOND_401),
        own_calls: section.read(&RouteTable::OWN_CALLS),
        cors: cors(&section.section(&RouteTable::CORS), cx),
        method_override: section.read(&RouteTable::METHOD_OVERRIDE),
        encoded_slash: section.read(&RouteTable::ENCODED_SLASH),
        line: cx.line(section.own_place()),
        path,
    })
}

fn access(section: &Section<'_, RouteTable>, cx: &mut Context<'_>) -> Access {
    let roles = section.section(&RouteTable::ACCESS);
    if roles.is_present() {
        if roles.is_empty_list(&RolesTable::ROLES) {
            cx.complain(
                roles.place(&RolesTable::ROLES),
                "without a role nobody could use this route",
                "write `access = { roles = [\"admin\"] }`",
            );
        }
        let list = roles.list(&RolesTable::ROLES);
        for (role, place) in list.iter().filter(|(role, _)| role.contains('*')) {
            cx.complain(
                place,
                format!("`{role}` would be taken as the name of a role: there are no wildcards here"),
                "write `access = \"user\"` for everybody who is logged in",
            );
        }
        for (role, place) in list.iter().filter(|(role, _)| role.is_empty() || role.trim() != role) {
            cx.complain(place, format!("`{role}` is no name of a role"), "write the name without blanks around it");
        }
        return Access::Roles(list.into_iter().map(|(role, _)| role).collect());
    }
    match section.read(&RouteTable::ACCESS) {
        AccessWord::Public => Access::Public,
        AccessWord::Optional => Access::Optional,
        AccessWord::User => Access::User,
        AccessWord::Anonymous => Access::Anonymous,
    }
}

fn headers(section: &Section<'_, HeadersTable>, cx: &mut Context<'_>) -> HeaderRules {
    let mut rules = HeaderRules::default();
    for entry in section.entries(&HeadersTable::SET) {
        let name = match form::header(&entry.name) {
            Ok(name) => name,
            Err(help) => {
                cx.complain(&entry.place, format!("`{}` cannot be the name of a header", entry.name), help);
                continue;
            }
        };
        if entry.node.text().is_some_and(is_variable) {
            let message = format!(
                "this would be sent as text in `{}`: no other placeholders than claims are filled in",
                entry.name
            );
            cx.complain(&entry.node.place, message, "write e.g. \"{claims.sub}\"");
            continue;
        }
        let template = entry.node.text().and_then(|text| call::header(text, &entry.node.place, cx));
        if complain_of_own(&name, &entry.place, cx) {
            continue;
        }
        rules.set.extend(template.map(|template| (name, template)));
    }
    for (name, place) in section.list(&HeadersTable::REMOVE) {
        if !complain_of_own(&name, &place, cx) {
            rules.remove.push(name);
        }
    }
    rules
}

/// Complains of a header that the rules of routes must not change, and returns whether it is one.
fn complain_of_own(name: &HeaderName, place: &Place, cx: &mut Context<'_>) -> bool {
    let authorization = name == http::header::AUTHORIZATION;
    let own = authorization || call::forbidden_header(name);
    if own {
        let help = if authorization { "`bearer` of the upstream decides what stands there" } else { "leave it out" };
        cx.complain(place, format!("the header `{name}` is set by the gateway alone"), help);
    }
    own
}

fn cors(section: &Section<'_, CorsTable>, cx: &mut Context<'_>) -> Option<Cors> {
    if !section.is_present() {
        return None;
    }
    let origins = section.values(&CorsTable::ORIGINS);
    if section.is_empty_list(&CorsTable::ORIGINS) {
        cx.complain(
            section.place(&CorsTable::ORIGINS),
            "without an origin `cors` allows nothing",
            "list the origins, or leave `cors` out",
        );
    }
    let origins = origins.iter().map(|origin| origin.origin().ascii_serialization()).collect();
    Some(Cors { origins, credentials: section.read(&CorsTable::CREDENTIALS) })
}
