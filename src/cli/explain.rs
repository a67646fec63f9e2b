//! `vestibule explain GET /path`: what becomes of a request, by the parts that `run` uses.

use std::{
    borrow::Cow,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
};

use clap::Args;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts, uri::PathAndQuery};
use url::Position;

use crate::{
    config::Config,
    hygiene::{Admitted, Hygiene, Refusal},
    respond::X_REQUEST_ID,
    route::{Access, Candidate, Decision, Found, OwnEndpoint, Route, Table, Verdict, Who},
    scheme::Scheme,
    upstream::{
        self, Bearer, Target,
        headers::{self, Authorization, ClientHeaders, Forwarded, Purpose},
    },
};

/// The request to explain.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method, e.g. GET; small letters do too.
    #[arg(value_parser = method)]
    pub method: Method,
    /// The path, e.g. /api/users/me.
    pub path: String,
    /// The host it is sent to; without it, that of `public_url`.
    #[arg(long)]
    pub host: Option<String>,
    /// A role that the visitor has; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// HTTP's methods are told apart by case and all have capitals; whoever types one means that.
fn method(text: &str) -> Result<Method, http::method::InvalidMethod> {
    text.to_ascii_uppercase().parse()
}

/// Some visitor's address: one of those that are for documentation (RFC 5737).
const VISITOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Prints what becomes of `request`.
pub(super) fn explain(request: &Request, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let own_host = &config.hygiene.public_url[Position::BeforeHost..Position::AfterPort];
    let host = request.host.as_deref().unwrap_or(own_host);
    writeln!(out, "{} {host}{}", request.method, request.path)?;
    let asked = http::Request::builder().method(&request.method).uri(&request.path).header(header::HOST, host);
    let Ok((mut parts, ())) = asked.body(()).map(http::Request::into_parts) else {
        return answer(
            out,
            "400: this is no path and host of a request (a path begins with `/`, other characters are percent-encoded)",
        );
    };
    let admitted = match Hygiene::new(config.hygiene.clone()).admit(&mut parts, VISITOR, false) {
        Ok(admitted) => admitted,
        Err(refusal) => return answer(out, &refused(&refusal)),
    };
    let table = match config.table() {
        Ok(table) => table,
        Err(conflicts) => {
            return conflicts.iter().try_for_each(|conflict| writeln!(out, "line {}: {conflict}", conflict.line()));
        }
    };
    let (host, path) = (admitted.host.as_str(), parts.uri.path());
    if path != request.path.split('?').next().unwrap_or_default() {
        writeln!(out, "path      {path}, as routes and upstream see it")?;
    }
    let candidates = table.explain(&parts.method, host, path);
    match table.find(&parts.method, host, path) {
        Found::Own(endpoint) => answer(out, &format!("the gateway's own: {}", named(endpoint, &table)))?,
        Found::WrongMethod(allow) => answer(out, &format!("405: this endpoint of the gateway takes {allow}"))?,
        Found::None if table.is_own(path) => {
            let base_path = &config.login.base_path;
            answer(
                out,
                &format!(
                    "404: everything under `{base_path}` is the gateway's own (`session.base_path`), and it has no such endpoint"
                ),
            )?;
        }
        Found::None => answer(out, "404: no route matches")?,
        Found::Route(route) => return proxied(request, config, &admitted, &parts, route, &candidates, out),
    }
    others(&candidates, out)
}

/// What becomes of a request that meets a route.
fn proxied(
    request: &Request,
    config: &Config,
    admitted: &Admitted,
    parts: &Parts,
    route: &Route,
    candidates: &[Candidate<'_>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let settings = &route.settings;
    let upstream = &config.upstreams[settings.upstream];
    let targets: Vec<_> = upstream.targets.iter().map(address).collect();
    let root = PathAndQuery::from_static("/");
    let target = route.upstream_path(parts.uri.path_and_query().unwrap_or(&root));
    writeln!(out, "route     {} (line {})", route.name, settings.line)?;
    others(candidates, out)?;
    if config.own_calls().meets(settings.upstream, &parts.method, target.path()) {
        return answer(
            out,
            &format!(
                "404: `{} {}` at `{}` is a call that the gateway itself makes, so nobody else may",
                parts.method,
                target.path(),
                upstream.name
            ),
        );
    }
    writeln!(out, "access    {}", access(&settings.access, &request.roles))?;
    writeln!(out, "upstream  {}: {}", upstream.name, targets.join(", "))?;
    writeln!(out, "path      {target}")?;
    headers(admitted, route, upstream, out)
}

fn answer(out: &mut dyn Write, what: &str) -> io::Result<()> {
    writeln!(out, "answer    {what}")
}

/// The routes that match the path too, and why it is none of them.
fn others(candidates: &[Candidate<'_>], out: &mut dyn Write) -> io::Result<()> {
    candidates.iter().filter(|candidate| candidate.verdict != Verdict::Wins).try_for_each(
        |Candidate { route, verdict }| {
            writeln!(out, "          not {} (line {}): {verdict}", route.name, route.settings.line)
        },
    )
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Misdirected => "421: neither `public_url` nor `server.hosts` nor a route names this host".to_owned(),
        Refusal::Method => format!("405: {refusal}"),
        Refusal::TargetTooLong => format!("414: {refusal}"),
        Refusal::OptionsStar | Refusal::LastHop => format!("204: {refusal}"),
        Refusal::Expectation => format!("417: {refusal}"),
        Refusal::ToPublicUrl(_) => format!("308: {refusal}"),
        Refusal::TooManyHeaders => format!("431: {refusal}"),
        Refusal::Loop => format!("508: {refusal}"),
        Refusal::Ambiguous(_) => format!("400: {refusal}"),
    }
}

fn named(endpoint: OwnEndpoint, table: &Table) -> String {
    let at = |what: &str, provider| format!("{what} `{}`", table.provider_name(provider));
    match endpoint {
        OwnEndpoint::LoginPage => "the login page".to_owned(),
        OwnEndpoint::Start(provider) => at("a login begins at", provider),
        OwnEndpoint::Callback(provider) => at("a login comes back from", provider),
        OwnEndpoint::IdToken(provider) => at("the login of an app with an ID token of", provider),
        OwnEndpoint::Nonce(provider) => at("the nonce for an ID token of", provider),
        OwnEndpoint::Credentials => "the login with e-mail and password".to_owned(),
        OwnEndpoint::Refresh => "the refresh".to_owned(),
        OwnEndpoint::Session => "what scripts may know of the session".to_owned(),
        OwnEndpoint::Script => "what the pages do more where scripts run".to_owned(),
        OwnEndpoint::Logo => "the logo of the pages".to_owned(),
        OwnEndpoint::Logout => "the logout".to_owned(),
        OwnEndpoint::SendCode(_) => "sends a one-time code".to_owned(),
        OwnEndpoint::ResendCode(_) => "sends a one-time code again".to_owned(),
        OwnEndpoint::VerifyCode(_) => "takes a one-time code".to_owned(),
        OwnEndpoint::CodePage(_) => "the page for one-time codes".to_owned(),
        OwnEndpoint::Jwks => "its public keys".to_owned(),
    }
}

fn access(access: &Access, roles: &[String]) -> String {
    match access {
        Access::Public => "public: anyone, without any session work".to_owned(),
        Access::Optional => "optional: anyone, with the session where there is one".to_owned(),
        Access::User => "user: whoever is logged in".to_owned(),
        Access::Anonymous => "anonymous: whoever is not logged in".to_owned(),
        Access::Roles(wanted) => {
            let verdict = match access.decide(Who::Person { roles }) {
                _ if roles.is_empty() => "--role tries one",
                Decision::Allow => "these may",
                Decision::LogIn | Decision::Forbidden | Decision::AlreadyIn => "403 for these",
            };
            let roles = if roles.is_empty() { String::new() } else { format!("{}: ", roles.join(", ")) };
            format!("roles: whoever has one of {} ({roles}{verdict})", wanted.join(", "))
        }
    }
}

/// The target as the file has it.
pub(super) fn address(target: &Target) -> String {
    let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match target {
        Target::Http { host, port } => format!("http://{}:{port}", bracketed(host)),
        Target::Https { host, port } => format!("https://{}:{port}", bracketed(host)),
        Target::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// What the upstream gets beside the visitor's own headers.
fn headers(admitted: &Admitted, route: &Route, upstream: &upstream::Settings, out: &mut dyn Write) -> io::Result<()> {
    let settings = &route.settings;
    // Whoever comes to an `anonymous` route has no session as a rule, and a public one looks at none.
    let with_session = !matches!(settings.access, Access::Public | Access::Anonymous);
    let (authorization, note) = match (&settings.access, upstream.bearer) {
        (Access::Public, _) => (Authorization::Keep, Some("authorization: as the visitor sent it")),
        (_, Bearer::Access) if with_session => (bearer("Bearer {access token}"), None),
        (_, Bearer::Id) if with_session => (bearer("Bearer {ID token}"), None),
        _ => (Authorization::Remove, Some("no authorization")),
    };
    let proto = if admitted.scheme == Scheme::Https { Scheme::Https } else { Scheme::Http };
    let client = ClientHeaders::new(VISITOR, proto);
    let forwarded = Forwarded { client: &client, host: admitted.host.header(), chain: admitted.forwarded_for.as_ref() };
    let claim = |name: &str| with_session.then(|| Cow::Owned(format!("{{claims.{name}}}")));
    let mut sent = HeaderMap::new();
    sent.insert(X_REQUEST_ID, HeaderValue::from_static("{request id}"));
    headers::prepare_request(&mut sent, &forwarded, authorization, &settings.headers, Purpose::Exchange, claim);

    let by_rule = |name: &http::HeaderName| settings.headers.set.iter().any(|(own, _)| own == name);
    let mut lines: Vec<String> = note.map(str::to_owned).into_iter().collect();
    // What differs from route to route comes first.
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
    let session = match settings.access {
        Access::Public => "",
        _ if with_session => " with a session",
        _ => " without a session",
    };
    writeln!(out, "headers   of a visitor at {VISITOR}{session}:")?;
    lines.iter().try_for_each(|line| writeln!(out, "          {line}"))
}

fn bearer(value: &'static str) -> Authorization {
    Authorization::Replace(HeaderValue::from_static(value))
}
