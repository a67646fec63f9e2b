//! What becomes of a request: which route it meets, who may use it, and what the upstream sees. Told from the settings alone.

use std::fmt::Write as _;

use http::Method;
use url::Position;

use super::{Config, routes, server};
use crate::{
    route::{Access, Settings},
    upstream::{Bearer, HeaderPiece, HeaderTemplate, Target},
};

/// Tells what becomes of a request for `target` (a path, with a query perhaps). Without a `host` it is sent to that of `public_url`; `roles` are those of the visitor.
pub fn explain(config: &Config, method: &Method, host: Option<&str>, target: &str, roles: &[String]) -> String {
    let own_host = &config.hygiene.public_url[Position::BeforeHost..Position::AfterPort];
    let host = host.unwrap_or(own_host).to_ascii_lowercase();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let head = format!("{method} {host}{target}\n");
    if !accepts(config, own_host, &host) {
        return head + "answer    421: neither `public_url` nor `server.hosts` nor a route names this host\n";
    }
    let base_path = &config.login.base_path;
    if routes::strips(path, base_path) {
        return head + &format!("answer    the gateway's own: `{base_path}` is `session.base_path`\n");
    }
    let Some(index) = routes::find(&config.routes, method, &host, path) else {
        return head + "answer    404: no route matches\n";
    };
    let route = &config.routes[index];
    let upstream = &config.upstreams[route.upstream];
    let targets: Vec<_> = upstream.targets.iter().map(address).collect();
    let mut told = head;
    let _ = writeln!(told, "route     {} (line {})", route.path, route.line);
    let _ = writeln!(told, "access    {}", access(&route.access, roles));
    let _ = writeln!(told, "upstream  {}: {}", upstream.name, targets.join(", "));
    let _ = writeln!(told, "path      {}{query}", stripped(route, path));
    headers(&mut told, route, upstream.bearer);
    told
}

/// Whether the host is one that hygiene lets in: on loopback every name of this machine is.
fn accepts(config: &Config, own_host: &str, host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let alias = server::on_loopback(&config.hygiene.public_url) && matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    host == own_host || alias || config.hygiene.hosts.iter().any(|accepted| accepted == host || accepted == name)
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

fn address(target: &Target) -> String {
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

fn headers(told: &mut String, route: &Settings, bearer: Bearer) {
    let authorization = match (&route.access, bearer) {
        (Access::Public, _) => "authorization as the visitor sent it",
        (_, Bearer::Access) => "authorization: Bearer {access token}",
        (_, Bearer::Id) => "authorization: Bearer {ID token}",
        (_, Bearer::None) => "no authorization",
    };
    let _ = writeln!(told, "headers   {authorization}");
    for (name, template) in &route.headers.set {
        let _ = writeln!(told, "          {name}: {}", shown(template));
    }
    for name in &route.headers.remove {
        let _ = writeln!(told, "          no {name} (the visitor does not get the upstream's either)");
    }
}

fn shown(template: &HeaderTemplate) -> String {
    let piece = |piece: &HeaderPiece| match piece {
        HeaderPiece::Literal(text) => text.clone(),
        HeaderPiece::Claim(name) => format!("{{claims.{name}}}"),
    };
    template.0.iter().map(piece).collect()
}
