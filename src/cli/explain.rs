//! `vestibule explain GET /path`: what happens to a request, by the same parts that `run` uses.

use std::{
    borrow::Cow,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
};

use http::{HeaderMap, HeaderValue, StatusCode, header, uri::PathAndQuery};
use url::Position;

use super::explain_request::ExplainRequest;
use crate::{
    config::Config,
    handle::{Destination, RouteMatch, Routing},
    hygiene::{Admitted, Hygiene, Refusal},
    problem::Failure,
    route::{Access, Candidate, Decision, LaxPath, MatchOutcome, OwnCallsRule, Requester, Route, Rules},
    scheme::Scheme,
    upstream::{
        self, Bearer, Target,
        headers::{self, Authorization, ClientHeaders, ExchangeKind, HeaderSource, SessionValue},
    },
};

/// The client's address in the output: one reserved for documentation (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Prints what happens to `request`.
pub(super) fn explain(request: &ExplainRequest, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let own_host = &config.hygiene.public_url[Position::BeforeHost..Position::AfterPort];
    let sent = match request.sent_to() {
        Ok(sent) => sent,
        Err(problem) => return answer(out, &problem),
    };
    let host = sent.host.unwrap_or(own_host);
    writeln!(out, "{} {host}{}", request.method, sent.target)?;
    sent.notes.iter().try_for_each(|note| writeln!(out, "note      {note}"))?;
    let built = http::Request::builder().method(&request.method).uri(&*sent.target).header(header::HOST, host);
    let Ok((mut parts, ())) = built.body(()).map(http::Request::into_parts) else {
        return answer(out, "400: this path or host cannot be in a request");
    };
    let table = match config.table() {
        Ok(table) => table,
        Err(conflicts) => {
            return conflicts.iter().try_for_each(|conflict| writeln!(out, "line {}: {conflict}", conflict.line()));
        }
    };
    let routing = Routing { hygiene: Hygiene::new(config.hygiene.clone()), table, own_calls: config.own_calls() };
    let admitted = match routing.hygiene.admit(&mut parts, CLIENT, sent.scheme.unwrap_or(Scheme::Http)) {
        Ok(admitted) => admitted,
        Err(refusal) => return answer(out, &refused(&refusal)),
    };
    let (host, path) = (admitted.host.as_str(), parts.uri.path());
    if path != sent.target.split('?').next().unwrap_or_default() {
        writeln!(out, "path      {path}, as routes and upstream see it")?;
    }
    let candidates = routing.table.explain(&parts.method, host, path);
    match routing.destination(&parts, &admitted, &parts.method) {
        Destination::Own(own) => {
            let provider = own.provider.map_or("", |provider| routing.table.provider_name(provider));
            let what = own.row.explain.replace("{provider}", provider);
            answer(out, &format!("the gateway's own: {what}"))?;
        }
        Destination::WrongMethod(allow) => answer(out, &format!("405: this endpoint of the gateway takes {allow}"))?,
        Destination::NoEndpoint => {
            let base_path = &config.login.base_path;
            answer(
                out,
                &format!(
                    "404: everything under `{base_path}` is the gateway's own (`session.base_path`), and it has no such endpoint"
                ),
            )?;
        }
        Destination::NoRoute => answer(out, "404: no route matches")?,
        Destination::Refused(refusal) => answer(out, &refused(&refusal))?,
        Destination::OwnCall(RouteMatch { route, target, .. }) => {
            matched(route, &candidates, out)?;
            return answer(
                out,
                &format!(
                    "404: `{} {}` at `{}` is a call that the gateway itself makes, so no client may send it",
                    parts.method,
                    target.path(),
                    config.upstreams[route.settings.upstream].name
                ),
            );
        }
        Destination::Route(RouteMatch { route, target, rules, .. }) => {
            matched(route, &candidates, out)?;
            if route.settings.own_calls == OwnCallsRule::Open
                && routing.own_calls.include(route.settings.upstream, &parts.method, &LaxPath::new(target.path()))
            {
                writeln!(
                    out,
                    "          a call that the gateway makes too: `own_calls = \"open\"` lets clients send it"
                )?;
            }
            rules.routes().try_for_each(|rule| access(rule, route, &request.roles, out))?;
            return forwarded(config, &admitted, (route, &rules), &target, out);
        }
    }
    others(&candidates, out)
}

/// The route that the request matches, and why it matches none of the others.
fn matched(route: &Route, candidates: &[Candidate<'_>], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "route     {} (line {})", route.name, route.settings.line)?;
    others(candidates, out)
}

/// The request that the upstream gets.
fn forwarded(
    config: &Config,
    admitted: &Admitted,
    (route, rules): (&Route, &Rules<'_>),
    target: &PathAndQuery,
    out: &mut dyn Write,
) -> io::Result<()> {
    let upstream = &config.upstreams[route.settings.upstream];
    let targets: Vec<_> = upstream.targets.iter().map(address).collect();
    writeln!(out, "upstream  {}: {}", upstream.name, targets.join(", "))?;
    writeln!(out, "path      {target}")?;
    headers(admitted, (route, rules), upstream, out)
}

fn answer(out: &mut dyn Write, what: &str) -> io::Result<()> {
    writeln!(out, "answer    {what}")
}

/// The other routes that match the path, and why they are not chosen.
fn others(candidates: &[Candidate<'_>], out: &mut dyn Write) -> io::Result<()> {
    candidates.iter().filter(|candidate| candidate.outcome != MatchOutcome::Wins).try_for_each(
        |Candidate { route, outcome }| {
            writeln!(out, "          not {} (line {}): {outcome}", route.name, route.settings.line)
        },
    )
}

/// Status and reason of a refusal by hygiene.
fn refused(refusal: &Refusal) -> String {
    let status = match Failure::from(refusal.clone()) {
        Failure::Problem(problem) => problem.row().status,
        Failure::AboutGateway => StatusCode::NO_CONTENT,
        Failure::ToPublicUrl(_) => StatusCode::TEMPORARY_REDIRECT,
        Failure::LogIn { .. } | Failure::AlreadyLoggedIn => StatusCode::FOUND,
    };
    match refusal {
        Refusal::Misdirected => {
            format!("{}: neither `public_url` nor `server.hosts` nor a route names this host", status.as_u16())
        }
        _ => format!("{}: {refusal}", status.as_u16()),
    }
}

/// A rule that applies to the request, and where it comes from if it is not that of the route.
fn access(rule: &Route, route: &Route, roles: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "access    {}", in_words(&rule.settings.access, roles))?;
    if rule.index == route.index {
        return Ok(());
    }
    writeln!(
        out,
        "          by the stricter rule of {} (line {}): a lenient backend reads the path as one of that route",
        rule.name, rule.settings.line
    )
}

fn in_words(access: &Access, roles: &[String]) -> String {
    match access {
        Access::Public => "public: anyone, without any session work".to_owned(),
        Access::Optional => "optional: anyone, with the session where there is one".to_owned(),
        Access::User => "user: every person who is logged in".to_owned(),
        Access::Anonymous => "anonymous: every visitor who is not logged in".to_owned(),
        Access::Roles(wanted) => {
            let verdict = match access.decide(Requester::User { roles }) {
                _ if roles.is_empty() => "--role tries one",
                Decision::Allow => "these may",
                Decision::LogIn | Decision::Forbidden | Decision::AlreadyLoggedIn => "403 for these",
            };
            let roles = if roles.is_empty() { String::new() } else { format!("{}: ", roles.join(", ")) };
            format!("roles: every person who has one of {} ({roles}{verdict})", wanted.join(", "))
        }
    }
}

/// The target as the configuration writes it.
pub(super) fn address(target: &Target) -> String {
    let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match target {
        Target::Http { host, port } => format!("http://{}:{port}", bracketed(host)),
        Target::Https { host, port } => format!("https://{}:{port}", bracketed(host)),
        Target::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// The headers that the upstream gets in addition to the client's own.
fn headers(
    admitted: &Admitted,
    (route, rules): (&Route, &Rules<'_>),
    upstream: &upstream::Settings,
    out: &mut dyn Write,
) -> io::Result<()> {
    let settings = &route.settings;
    // A request to an `anonymous` route usually has no session; a public route reads none.
    let with_session = !rules.is_public() && rules.routes().any(|rule| rule.settings.access != Access::Anonymous);
    let (authorization, note) = match (rules.is_public(), upstream.bearer) {
        (true, _) => (Authorization::Keep, Some("authorization: as the visitor sent it")),
        (_, Bearer::Access) if with_session => (bearer("Bearer {access token}"), None),
        (_, Bearer::Id) if with_session => (bearer("Bearer {ID token}"), None),
        _ => (Authorization::Remove, Some("no authorization")),
    };
    let client = ClientHeaders::new(CLIENT, admitted.scheme);
    let source = HeaderSource {
        request_id: &HeaderValue::from_static("{request id}"),
        client: &client,
        host: admitted.host.header(),
        chain: admitted.forwarded_for.as_ref(),
    };
    let of_session = |value: SessionValue<'_>| {
        let placeholder = match value {
            SessionValue::Claim(name) => format!("{{claims.{name}}}"),
            SessionValue::ProviderSub => "{provider_sub}".to_owned(),
        };
        with_session.then(|| Cow::Owned(placeholder.into()))
    };
    let mut sent = HeaderMap::new();
    let kind = ExchangeKind::RequestResponse;
    headers::prepare_request(&mut sent, &source, authorization, &settings.headers, kind, of_session);

    let by_rule = |name: &http::HeaderName| settings.headers.set.iter().any(|(own, _)| own == name);
    let mut lines: Vec<String> = note.map(str::to_owned).into_iter().collect();
    // Headers that differ from route to route come first.
    let (mut ours, rest): (Vec<_>, Vec<_>) =
        sent.iter().partition(|(name, _)| **name == header::AUTHORIZATION || by_rule(name));
    ours.extend(rest);
    lines
        .extend(ours.into_iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))));
    if !upstream.cookies.is_empty() {
        lines.push(format!("cookie: the app's own, and {}", upstream.cookies.join(", ")));
    }
    for name in &settings.headers.remove {
        lines.push(format!("no {name} (the visitor does not get the upstream's either)"));
    }
    let session = match (rules.is_public(), with_session) {
        (true, _) => "",
        (_, true) => " with a session",
        (_, false) => " without a session",
    };
    writeln!(out, "headers   of a visitor at {CLIENT}{session}:")?;
    lines.iter().try_for_each(|line| writeln!(out, "          {line}"))
}

fn bearer(value: &'static str) -> Authorization {
    Authorization::Replace(HeaderValue::from_static(value))
}
