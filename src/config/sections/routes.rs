//! `[upstreams.NAME]` and `[[routes]]`: the backends, and which requests reach them.

use http::HeaderName;

use crate::config::{authority, form, secrets::Surroundings, section::Section, template, tree::Place};
use crate::{
    route::{self, Access, Cors, OnSecond401, RetryOn401},
    upstream::{self, Bearer, HeaderRules},
};

/// Reads `[upstreams.NAME]`. `own_cookies` are the names that it may ask for, `refresh_cookie` the one that it never gets.
pub(crate) fn upstream(
    section: &Section<'_>,
    default_bearer: Bearer,
    own_cookies: &[String],
    refresh_cookie: &str,
    around: &mut Surroundings<'_>,
) -> upstream::Settings {
    let targets = section.values("targets", form::target);
    if section.is_empty_list("targets") {
        around.problems.complain(
            section.place("targets"),
            "an upstream needs a target",
            "write `targets = [\"http://127.0.0.1:3000\"]`",
        );
    }
    let cookies = section.list("cookies", form::cookie);
    for (name, place) in &cookies {
        if name == refresh_cookie || name.strip_prefix(refresh_cookie).is_some_and(|rest| rest.starts_with('.')) {
            around.problems.complain(
                place,
                format!("`{name}` holds the refresh token: no upstream gets it"),
                "leave it out",
            );
        } else if !own_cookies.contains(name) {
            let own: Vec<_> = own_cookies.iter().map(String::as_str).collect();
            around.problems.complain(
                place,
                format!("`{name}` is not a cookie of the gateway"),
                format!("there are {}; cookies of the app pass anyway", crate::config::key::quoted(&own)),
            );
        }
    }
    let bearer = match section.optional("bearer", form::text).as_deref() {
        Some("access") => Bearer::Access,
        Some("id") => Bearer::Id,
        Some("none") => Bearer::None,
        _ => default_bearer,
    };
    upstream::Settings {
        name: section.name.to_owned(),
        targets,
        bearer,
        cookies: cookies.into_iter().map(|(name, _)| name).collect(),
        connect_timeout: section.read("connect_timeout", form::duration),
        timeout: section.read("timeout", form::duration),
    }
}

/// Reads one of `[[routes]]`; `line` is where it stands, `body_rate` what `[limits]` says. `None` where it has no path.
pub(crate) fn route(
    section: &Section<'_>,
    upstreams: &[&str],
    body_rate: u64,
    line: usize,
    around: &mut Surroundings<'_>,
) -> Option<route::Settings> {
    let upstream = authority::upstream(section, "upstream", upstreams, around);
    let headers = headers(&section.section("headers"), around);
    for key in ["hosts", "methods"] {
        if section.is_empty_list(key) {
            around.problems.complain(
                section.place(key),
                format!("an empty `{key}` could be read as none or as all"),
                "leave it out for all",
            );
        }
    }
    let path = section.optional("path", form::text)?;
    Some(route::Settings {
        hosts: section.values("hosts", form::host),
        methods: section.values("methods", form::method),
        strip: section.optional("strip", form::prefix),
        // None was complained about; the route is still compared with the others.
        upstream: upstream.unwrap_or(usize::MAX),
        access: access(section, around),
        headers,
        body_limit: section.optional("body_limit", form::size),
        timeout: section.optional("timeout", form::duration),
        idle_timeout: section.read("idle_timeout", form::duration),
        body_rate: section.optional("body_rate", form::size).unwrap_or(body_rate),
        retry_on_401: match section.read("retry_on_401", form::text).as_str() {
            "safe" => RetryOn401::Safe,
            "off" => RetryOn401::Off,
            _ => RetryOn401::All,
        },
        on_second_401: section
            .optional("on_second_401", form::text)
            .map(|word| if word == "pass" { OnSecond401::Pass } else { OnSecond401::Clear }),
        cors: cors(&section.section("cors"), around),
        line,
        path,
    })
}

fn access(section: &Section<'_>, around: &mut Surroundings<'_>) -> Access {
    let roles = section.section("access");
    if roles.is_present() {
        let roles_listed = roles.values("roles", form::text);
        if roles.is_empty_list("roles") {
            around.problems.complain(
                roles.place("roles"),
                "without a role nobody could use this route",
                "write `access = { roles = [\"admin\"] }`",
            );
        }
        return Access::Roles(roles_listed);
    }
    match section.read("access", form::text).as_str() {
        "public" => Access::Public,
        "optional" => Access::Optional,
        "anonymous" => Access::Anonymous,
        _ => Access::User,
    }
}

fn headers(section: &Section<'_>, around: &mut Surroundings<'_>) -> HeaderRules {
    let mut rules = HeaderRules::default();
    for entry in section.entries("set") {
        let name = match form::header(&entry.name) {
            Ok(name) => name,
            Err(help) => {
                around.problems.complain(
                    &entry.place,
                    format!("`{}` cannot be the name of a header", entry.name),
                    help,
                );
                continue;
            }
        };
        let template = entry.node.text().and_then(|text| template::header(text, &entry.node.place, around.problems));
        if complain_of_own(&name, &entry.place, around) {
            continue;
        }
        rules.set.extend(template.map(|template| (name, template)));
    }
    for (name, place) in section.list("remove", form::header) {
        if !complain_of_own(&name, &place, around) {
            rules.remove.push(name);
        }
    }
    rules
}

/// Complains of a header that a route's rules may not touch, and says whether it is one.
fn complain_of_own(name: &HeaderName, place: &Place, around: &mut Surroundings<'_>) -> bool {
    let authorization = name == http::header::AUTHORIZATION;
    let own = authorization || template::forbidden_header(name);
    if own {
        let help = if authorization { "`bearer` of the upstream decides what stands there" } else { "leave it out" };
        around.problems.complain(place, format!("the header `{name}` is the gateway's own business"), help);
    }
    own
}

fn cors(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Cors> {
    if !section.is_present() {
        return None;
    }
    let origins = section.values("origins", form::origin);
    if section.is_empty_list("origins") {
        around.problems.complain(
            section.place("origins"),
            "without an origin `cors` allows nothing",
            "list the origins, or leave `cors` out",
        );
    }
    let origins = origins.iter().map(|origin| origin.origin().ascii_serialization()).collect();
    Some(Cors { origins, credentials: section.flag("credentials") })
}
