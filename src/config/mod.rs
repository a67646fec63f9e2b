//! `gateway.toml` → typed settings, or all complaints at once.

use std::{fs, io, path::Path};

use crate::{
    authority::Kind,
    channel::Channel,
    hygiene,
    route::{self, Access, Decision, Found, Who},
    secret::Random,
    upstream::{Bearer, HeaderPiece},
};

mod authority;
mod complaint;
mod environment;
mod form;
mod gateway;
mod key;
mod keys;
mod limits;
mod mail;
mod messages;
mod oauth2;
mod otp;
mod pages;
mod providers;
mod reference;
mod routes;
mod secrets;
mod section;
mod server;
mod session;
mod shape;
mod signing;
mod sms;
mod sms_http;
mod store;
mod template;
mod tree;
mod upstreams;

#[cfg(test)]
mod tests;

pub use complaint::{Complaint, Complaints};
pub use environment::Environment;
pub use reference::{reference, schema};

use authority::Issuer;
use complaint::Problems;
use secrets::Surroundings;
use section::Section;
use server::Server;
use tree::{Place, Table};

/// The whole configuration, validated: nothing invalid can be expressed in it, and no code past it reads TOML, environment or files.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets.
    pub listen: crate::listen::Settings,
    /// What is refused and stripped.
    pub hygiene: hygiene::Settings,
    /// Cookies, refresh.
    pub session: crate::session::Settings,
    /// Most bytes of a request body kept for a replay.
    pub replay_body: u64,
    /// Login pages and targets.
    pub login: crate::login::Settings,
    /// How our own pages look.
    pub pages: crate::pages::Settings,
    /// Who issues tokens.
    pub authority: crate::authority::Settings,
    /// The keys of the gateway's own signature; none: derived, see [`Config::signing_keys`].
    pub signing: Vec<crate::signing::SigningKey>,
    /// Identity providers, in the order of the file.
    pub providers: Vec<crate::oidc::Settings>,
    /// Upstreams; routes and calls refer to them by index.
    pub upstreams: Vec<crate::upstream::Settings>,
    /// Routes, in the order of the file.
    pub routes: Vec<route::Settings>,
    /// Store.
    pub store: crate::store::Settings,
    /// One-time codes.
    pub otp: crate::otp::Settings,
    /// What guessing costs.
    pub guesses: crate::endpoint::GuessLimits,
    /// How much is read of what providers and the authority answer.
    pub answers: crate::oidc::AnswerSizes,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What was asked for.
    pub config: Config,
    /// What should be known before it runs.
    pub warnings: Vec<Complaint>,
}

/// Reads the file at `path`, with the settings and secrets of `environment`.
pub fn load(path: &Path, environment: &Environment, random: &Random) -> Result<Loaded, Complaints> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, &name, path.parent().unwrap_or(Path::new("")), environment, random),
        Err(error) => {
            let mut problems = Problems::default();
            let help = match error.kind() {
                io::ErrorKind::InvalidData => "save it as text in UTF-8",
                io::ErrorKind::PermissionDenied => "it must be readable for the user that vestibule runs as",
                _ => "say where the file is: `--config PATH`",
            };
            problems.complain(&Place::Nowhere, format!("{name} cannot be read: {error}"), help);
            Err(problems.finish(&name, ""))
        }
    }
}

/// Reads `text`, which stands in the file `name` in `folder`.
pub fn parse(
    text: &str,
    name: &str,
    folder: &Path,
    environment: &Environment,
    random: &Random,
) -> Result<Loaded, Complaints> {
    let mut problems = Problems::default();
    let config = match tree::read(text) {
        Ok(mut table) => {
            problems.hide_passwords(&table);
            environment::apply(&mut table, keys::ROOT, environment, &mut problems);
            shape::check(&table, keys::ROOT, "", &START, &mut problems);
            build(&table, text, &mut Surroundings { environment, folder, problems: &mut problems }, random)
        }
        Err(error) => {
            complain_of_syntax(&error, text, &mut problems);
            None
        }
    };
    let complaints = problems.finish(name, text);
    match config {
        Some(config) if complaints.errors.is_empty() => Ok(Loaded { config, warnings: complaints.warnings }),
        _ => Err(complaints),
    }
}

/// Where a complaint about the file as a whole points.
const START: Place = Place::File(0..0);

/// Turns the tree into settings. `None` only where something was complained about; `Some` may be wrong where something was.
fn build(table: &Table, text: &str, around: &mut Surroundings<'_>, random: &Random) -> Option<Config> {
    let root = Section::root(keys::ROOT, table, &START);
    let (session_section, authority_section) = (root.section("session"), root.section("authority"));
    let limits_section = root.section("limits");
    let sockets = limits::of_sockets(&limits_section, around);
    let server = server::server(&root.section("server"), sockets, around);
    let upstream_names: Vec<_> = root.named("upstreams").map(|upstream| upstream.name).collect();
    let issuer = authority::issuer(&authority_section);

    let providers: Vec<_> =
        root.named("providers").map(|section| providers::provider(&section, &server, issuer, around)).collect();
    let code_logins = gateway::code_logins(&root, issuer, &server, around);
    let authority = authority::authority(&root, &server, &upstream_names, code_logins.clone(), around);
    let signing = signing::signing(&root.section("signing"), around);
    let bearer = if issuer == Issuer::Provider { Bearer::None } else { Bearer::Access };
    let cookie = |name| session::cookie_name(&session_section, name);
    let own_cookies = [cookie("at"), cookie("did")];
    let upstreams: Vec<_> = root
        .named("upstreams")
        .map(|section| upstreams::upstream(&section, bearer, &own_cookies, &cookie("rt"), around))
        .collect();

    let base_path = session_section.read("base_path", form::prefix);
    let body_rate = limits::body_rate(&limits_section);
    let read: Vec<_> = root
        .tables("routes")
        .map(|section| {
            let route = upstreams::route(&section, &upstream_names, body_rate, line(section.own_place(), text), around);
            (section, route)
        })
        .collect();
    let all_read = read.iter().all(|(_, route)| route.is_some());
    let routes: Vec<_> = read.into_iter().filter_map(|(section, route)| Some((section, route?))).collect();
    let longest_timeout = upstreams
        .iter()
        .map(|upstream| upstream.timeout)
        .chain(routes.iter().filter_map(|(_, route)| route.timeout))
        .max();
    let verifies = authority_section.has("verify") || issuer == Issuer::Gateway;
    let session =
        session::session(&session_section, &server, verifies, longest_timeout.unwrap_or_default(), random, around);
    let login = session::login(&session_section, &server, around);
    let telemetry = server::telemetry(&root.section("telemetry"), around);
    let context = otp::Context {
        authority: authority_section,
        code_logins: &code_logins,
        pages: root.section("pages"),
        server: &server,
        upstreams: &upstream_names,
    };
    let otp = otp::otp(&root.section("otp"), &context, around);
    warn_of_sms_alone(&root, &code_logins, around);

    let table = routes::table(&routes, &base_path, around.problems);
    if routes.is_empty() && all_read {
        around.problems.warn(
            &START,
            "there are no routes: everything but the gateway's own pages is 404",
            "write `[[routes]]`",
        );
    }
    let has_claims = issuer != Issuer::Backend || verifies || !providers.is_empty();
    check_roles(&routes, has_claims, around);
    if issuer == Issuer::Provider {
        warn_of_unsaid_bearers(&root, &routes, around);
    }
    warn_of_missing_id_tokens(&root, around);
    if let Some(table) = table.filter(|_| all_read) {
        check_login_page(&session_section, &server, &table, &routes, around);
    }

    let store_section = root.section("store");
    let lacks_keys = server.local && session.as_ref().is_some_and(|session| session.key_was_made);
    let store = store::store(&store_section, lacks_keys, around);
    let pages = login.as_ref().map(|login| pages::pages(&root.section("pages"), login, around));
    let (authority, otp) = (authority?, otp?);
    let routes: Vec<_> = routes.into_iter().map(|(_, route)| route).collect();
    let session = session.map(|session| crate::session::Settings {
        template_claims: claims_in(&routes, &authority, &otp),
        store_down: store::store_down(&store_section),
        ..session
    });
    Some(Config {
        hygiene: hygiene(&server, &routes)?,
        listen: server.listen?,
        session: session?,
        replay_body: session_section.read("replay_body", form::size),
        login: crate::login::Settings { codes: otp::pages(&otp), ..login? },
        pages: pages?,
        authority,
        signing,
        providers: providers.into_iter().collect::<Option<_>>()?,
        upstreams,
        routes,
        store: store?,
        otp,
        guesses: limits::guesses(&limits_section),
        answers: limits::answers(&limits_section, around),
        telemetry,
    })
}

fn hygiene(server: &Server, routes: &[route::Settings]) -> Option<hygiene::Settings> {
    let mut hosts: Vec<String> =
        server.hosts.iter().chain(routes.iter().flat_map(|route| &route.hosts)).cloned().collect();
    hosts.sort();
    hosts.dedup();
    let ours = ["x-auth-status", "vestibule-assertion"].map(http::HeaderName::from_static);
    let set = routes.iter().flat_map(|route| route.headers.set.iter().map(|(name, _)| name.clone()));
    let on_every_request = crate::upstream::headers::removed_on_arrival().cloned();
    let mut own_headers: Vec<_> = ours.into_iter().chain(on_every_request).chain(set).collect();
    own_headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    own_headers.dedup();
    let trusted_proxies = server.trusted_proxies.clone();
    let limits = &server.listen.as_ref()?.limits;
    let size = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    let header_limits = hygiene::HeaderLimits { bytes: size(limits.head_bytes), lines: size(limits.head_lines) };
    Some(hygiene::Settings {
        public_url: server.public_url.clone()?,
        hosts,
        trusted_proxies,
        own_headers,
        header_limits,
    })
}

/// The claims that a session must keep: those that header rules put into requests, and those that its refresh or a verified address tells the backend.
fn claims_in(
    routes: &[route::Settings],
    authority: &crate::authority::Settings,
    otp: &crate::otp::Settings,
) -> Vec<String> {
    let set = routes.iter().flat_map(|route| &route.headers.set).flat_map(|(_, template)| &template.0);
    let in_headers = set.filter_map(|piece| match piece {
        HeaderPiece::Claim(name) => Some(name.clone()),
        HeaderPiece::Literal(_) => None,
    });
    let refresh = match &authority.kind {
        Kind::Backend(backend) => backend.refresh.as_ref(),
        Kind::Provider | Kind::Gateway(_) => None,
    };
    let notify = otp.channels().filter_map(|(_, channel)| channel.notify.as_ref());
    let mut claims: Vec<_> = in_headers.chain(refresh.into_iter().chain(notify).flat_map(template::claims)).collect();
    claims.sort_unstable();
    claims.dedup();
    claims
}

/// Roles are read from the claims of an access token that can be verified, or of an ID token.
fn check_roles(routes: &[(Section<'_>, route::Settings)], has_claims: bool, around: &mut Surroundings<'_>) {
    for (section, route) in routes {
        if matches!(&route.access, Access::Roles(roles) if !roles.is_empty()) && !has_claims {
            let help = "write `[authority.verify]`, so that the roles in the backend's access token can be believed";
            around.problems.complain(section.place("access"), "there is nothing that roles could be read from", help);
        }
    }
}

/// A provider's tokens are for its own APIs: whether an upstream is to see them is for the file to say.
fn warn_of_unsaid_bearers(
    root: &Section<'_>,
    routes: &[(Section<'_>, route::Settings)],
    around: &mut Surroundings<'_>,
) {
    for (index, section) in root.named("upstreams").enumerate() {
        let used = routes.iter().any(|(_, route)| route.upstream == index && route.access != Access::Public);
        if used && !section.has("bearer") {
            let message = format!("the upstream `{}` gets no token", section.name);
            around.problems.warn(
                section.own_place(),
                message,
                "write `bearer = \"access\"` or `\"id\"` for it to get one, or `\"none\"` if it needs none",
            );
        }
    }
}

/// NIST SP 800-63B section 3.1.3.3 calls codes over the telephone network restricted: people are to have another way.
fn warn_of_sms_alone(root: &Section<'_>, code_logins: &[crate::authority::CodeLogin], around: &mut Surroundings<'_>) {
    let by_code = matches!(code_logins, [login] if login.channel == Channel::Sms);
    let otherwise = root.named("providers").next().is_some() || root.section("authority").has("credentials");
    if by_code && !otherwise {
        around.problems.warn(
            root.section("otp").section("sms").place("purpose"),
            "codes by SMS are the only way to log in: whoever gets a person's number gets in, and who loses it stays out",
            "offer another way too: `[providers.NAME]`, `[authority.credentials]`, or `[otp.email]` with `purpose = \"login\"`",
        );
    }
}

/// Without OpenID Connect there is no ID token that an upstream could get.
fn warn_of_missing_id_tokens(root: &Section<'_>, around: &mut Surroundings<'_>) {
    if root.named("providers").any(|provider| provider.read("kind", form::text) != "oauth2") {
        return;
    }
    for section in root.named("upstreams") {
        if section.optional("bearer", form::text).as_deref() == Some("id") {
            around.problems.warn(
                section.place("bearer"),
                format!("the upstream `{}` gets no token: no provider here gives ID tokens", section.name),
                "write `bearer = \"access\"` or `\"none\"`",
            );
        }
    }
}

/// A login page of the app's own must be there, for people who have not logged in.
fn check_login_page(
    session: &Section<'_>,
    server: &Server,
    table: &route::Table,
    routes: &[(Section<'_>, route::Settings)],
    around: &mut Surroundings<'_>,
) {
    let page = session.read("login_page", form::text);
    let path = page.split(['?', '#']).next().unwrap_or_default();
    let Some(public_url) = server.public_url.as_ref().filter(|_| form::path(&page).is_ok()) else { return };
    let place = session.place("login_page");
    let path = match hygiene::canonical_path(path) {
        Ok(path) => path,
        Err(problem) => {
            around.problems.complain(place, format!("no request has the path `{path}`"), problem);
            return;
        }
    };
    if table.is_own(&path) {
        around.problems.complain(
            place,
            format!("`{path}` is the gateway's own"),
            "write \"built-in\", or a path of the app",
        );
        return;
    }
    let host = &public_url[url::Position::BeforeHost..url::Position::AfterPort];
    let Found::Route(found) = table.find(&http::Method::GET, host, &path) else {
        around.problems.complain(
            place,
            format!("no route serves the login page `{path}`"),
            "write a route for it, with `access = \"anonymous\"`",
        );
        return;
    };
    let (_, route) = &routes[found.index];
    if route.access.decide(Who::Nobody) != Decision::Allow {
        let message =
            format!("the login page `{path}` itself needs a login: its route on line {} is not open", route.line);
        around.problems.complain(place, message, "write a route for it, with `access = \"anonymous\"`");
    }
}

fn line(place: &Place, text: &str) -> usize {
    if let Place::File(range) = place { complaint::position(text, range.start).0 } else { 0 }
}

fn complain_of_syntax(error: &toml::de::Error, text: &str, problems: &mut Problems) {
    let span = error.span().unwrap_or(0..0);
    hide_secrets_around(span.start.min(text.len()), text, problems);
    problems.complain(
        &Place::File(span),
        format!("this is not TOML: {}", error.message().replace('\n', ", ")),
        "the rest of the file is looked at when this is right",
    );
}

/// Without a tree, what may be a secret is told by the words before it, on its line or (in a list) on the line where the list began.
fn hide_secrets_around(at: usize, text: &str, problems: &mut Problems) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let word_end = |line: &str| {
        let line = line.to_ascii_lowercase();
        let words = shape::SECRET_WORDS.iter().chain(&["bearer ", "basic "]);
        words.filter_map(|word| Some(line.find(word)? + word.len())).min()
    };
    // The `=` at the end of a key in base64 stands in a text.
    let assigns = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.matches(['"', '\'']).count() % 2 == 0);
    let line = &text[start..end];
    let from = word_end(line).or_else(|| complaint::has_password(line).then_some(0));
    if let Some(from) = from {
        problems.hide(&Place::File(start + from..end));
    } else if !assigns(line)
        && text[..start].lines().rev().find(|line| assigns(line)).is_some_and(|line| word_end(line).is_some())
    {
        problems.hide(&Place::File(start..end));
    }
}
