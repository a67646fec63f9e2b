//! `vestibule explain GET /path`: which route a request meets, who may use it, and what the upstream sees.

use std::io::{self, Write};

use clap::Args;
use http::Method;
use url::Position;

use crate::{
    config::{self, Config},
    route::{Access, Settings},
    upstream::{Bearer, HeaderPiece, HeaderTemplate, Target},
};

/// The request to explain.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method, e.g. GET.
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

/// Prints what becomes of `request`.
pub(super) fn explain(request: &Request, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let own_host = &config.hygiene.public_url[Position::BeforeHost..Position::AfterPort];
    let host = request.host.as_deref().unwrap_or(own_host).to_ascii_lowercase();
    let (path, query) = request.path.split_at(request.path.find('?').unwrap_or(request.path.len()));
    writeln!(out, "{} {host}{}", request.method, request.path)?;
    if host != own_host && !config.hygiene.hosts.contains(&host) {
        return writeln!(out, "answer    421: neither `public_url` nor `server.hosts` nor a route names this host");
    }
    let base_path = &config.login.base_path;
    if path == base_path || path.strip_prefix(base_path.as_str()).is_some_and(|rest| rest.starts_with('/')) {
        return writeln!(out, "answer    the gateway's own: `{base_path}` is `session.base_path`");
    }
    let Some(index) = config::find_route(&config.routes, &request.method, &host, path) else {
        return writeln!(out, "answer    404: no route matches");
    };
    let route = &config.routes[index];
    let upstream = &config.upstreams[route.upstream];
    writeln!(out, "route     {} (line {})", route.path, route.line)?;
    writeln!(out, "access    {}", access(&route.access, &request.roles))?;
    let targets: Vec<_> = upstream.targets.iter().map(target).collect();
    writeln!(out, "upstream  {}: {}", upstream.name, targets.join(", "))?;
    writeln!(out, "path      {}{query}", stripped(route, path))?;
    headers(route, upstream.bearer, out)
}

fn access(access: &Access, has: &[String]) -> String {
    match access {
        Access::Public => "public: anyone, without any session work".to_owned(),
        Access::Optional => "optional: anyone, with the session where there is one".to_owned(),
        Access::User => "user: whoever is logged in".to_owned(),
        Access::Anonymous => "anonymous: whoever is not logged in".to_owned(),
        Access::Roles(wanted) => {
            let verdict = match has.iter().find(|role| wanted.contains(role)) {
                Some(role) => format!("`{role}` may"),
                None if has.is_empty() => "--role tries one".to_owned(),
                None => "403 for these".to_owned(),
            };
            format!("roles: whoever has one of {} ({verdict})", wanted.join(", "))
        }
    }
}

fn target(target: &Target) -> String {
    let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match target {
        Target::Http { host, port } => format!("http://{}:{port}", bracketed(host)),
        Target::Https { host, port } => format!("https://{}:{port}", bracketed(host)),
        Target::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn stripped<'p>(route: &Settings, path: &'p str) -> &'p str {
    let rest = route.strip.as_deref().and_then(|strip| path.strip_prefix(strip)).unwrap_or(path);
    if rest.is_empty() { "/" } else { rest }
}

fn headers(route: &Settings, bearer: Bearer, out: &mut dyn Write) -> io::Result<()> {
    let authorization = match (&route.access, bearer) {
        (Access::Public, _) => "authorization as the visitor sent it",
        (_, Bearer::Access) => "authorization: Bearer {access token}",
        (_, Bearer::Id) => "authorization: Bearer {ID token}",
        (_, Bearer::None) => "no authorization",
    };
    writeln!(out, "headers   {authorization}")?;
    for (name, template) in &route.headers.set {
        writeln!(out, "          {name}: {}", shown(template))?;
    }
    for name in &route.headers.remove {
        writeln!(out, "          no {name} (the visitor does not get the upstream's either)")?;
    }
    Ok(())
}

fn shown(template: &HeaderTemplate) -> String {
    let piece = |piece: &HeaderPiece| match piece {
        HeaderPiece::Literal(text) => text.clone(),
        HeaderPiece::Claim(name) => format!("{{claims.{name}}}"),
    };
    template.0.iter().map(piece).collect()
}
