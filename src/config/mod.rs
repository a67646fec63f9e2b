//! Reads `gateway.toml` into typed settings, or returns all complaints about it.
//!
//! `sections/` declares each key beside its reader, `checks.rs` compares tables with each other, and `schema/` is the
//! engine for such files, independent of Vestibule.

use std::{fs, io, path::Path};

mod checks;
mod derived;
mod schema;
mod sections;

#[cfg(test)]
mod tests;

pub use derived::{CookieSizes, Registration};
pub use schema::{
    Environment,
    complaint::{Complaint, Complaints},
};

use checks::{Checks, ReadRoute};
use schema::{FileFormat, SharedKeys, complaint::Problems, context::Context, section::Section, tree::Place};
use sections::{
    RootTable,
    authority::{self, Issuer},
    call, limits, login, otp,
    pages::{self, PagesTable},
    providers, routes, server,
    session::{self, SessionTable},
    signing,
    store::{self, StoreTable},
    telemetry, upstreams,
};

use crate::{
    authority::AuthorityKind,
    hygiene::{self, EncodedSlash},
    own_headers::OWN_HEADERS,
    route::{self, DevPages},
    secret::Random,
    upstream::{Bearer, HeaderPiece},
};

/// The whole configuration, validated. It cannot contain invalid values, and no code that uses it reads TOML, the
/// environment or files.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets, their limits, and the shutdown.
    pub listen: crate::listen::Settings,
    /// Which requests are refused, and which headers are stripped.
    pub hygiene: hygiene::Settings,
    /// Cookies, refreshes and lifetimes.
    pub session: crate::session::Settings,
    /// Largest request body, in bytes, that is kept to send it again after a 401.
    pub replay_body: u64,
    /// Login page, and the targets after login and logout.
    pub login: crate::login::Settings,
    /// How the gateway's own pages look.
    pub pages: crate::pages::Settings,
    /// Who issues the sessions' tokens, and the calls to it.
    pub authority: crate::authority::Settings,
    /// The keys of `[signing]`. If it is empty, [`Config::signing_keys`] derives keys.
    pub signing: Vec<crate::signing::SigningKey>,
    /// Identity providers, in the order of the file.
    pub providers: Vec<crate::oidc::Settings>,
    /// Upstreams; routes and calls refer to them by index.
    pub upstreams: Vec<crate::upstream::Settings>,
    /// Routes, in the order of the file.
    pub routes: Vec<route::Settings>,
    /// Kind and address of the store.
    pub store: crate::store::Settings,
    /// One-time codes.
    pub otp: crate::otp::Settings,
    /// Limits of wrong guesses, per client and per account.
    pub guesses: crate::endpoint::GuessLimits,
    /// Largest answers of providers and the authority, in bytes.
    pub answers: crate::oidc::AnswerSizes,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
    /// Whether `server.development` allows what is otherwise for loopback.
    pub development: bool,
    /// Whether the pages of `vestibule demo` and `vestibule dev` are routed; a file of people's own has none.
    pub dev_pages: DevPages,
}

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Complaints that do not prevent a start.
    pub warnings: Vec<Complaint>,
}

/// The settings of the engine for `gateway.toml`.
const FORMAT: FileFormat = FileFormat {
    title: "gateway.toml of Vestibule",
    introduction: include_str!("introduction.md"),
    shared: Some(SharedKeys {
        table: "CallTable",
        heading: "Keys of every call",
        doc: "Every call to a backend has these keys in its own table, e.g. in `[authority.refresh]`.",
    }),
    program: "vestibule",
    variables: "VESTIBULE_",
};

/// The JSON Schema of `gateway.toml` (draft 7).
pub fn schema() -> serde_json::Value {
    FORMAT.schema::<RootTable>()
}

/// The reference of all keys in Markdown: `docs/config.md`.
pub fn reference() -> String {
    FORMAT.reference::<RootTable>()
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

/// Reads what is written on standard input, with the settings and secrets of `environment`; relative paths in it start
/// at the working directory.
pub fn load_input(input: &mut dyn io::Read, environment: &Environment, random: &Random) -> Result<Loaded, Complaints> {
    const NAME: &str = "standard input";
    match io::read_to_string(input) {
        Ok(text) => parse(&text, NAME, Path::new(""), environment, random),
        Err(error) => {
            let mut problems = Problems::default();
            problems.complain(&Place::Nowhere, format!("{NAME} cannot be read: {error}"), "it must be text in UTF-8");
            Err(problems.finish(NAME, ""))
        }
    }
}

/// Reads `text`, the content of the file `name` in `folder`.
pub fn parse(
    text: &str,
    name: &str,
    folder: &Path,
    environment: &Environment,
    random: &Random,
) -> Result<Loaded, Complaints> {
    let build = |root: &Section<'_, RootTable>, cx: &mut Context<'_>| build(root, DevPages::None, random, cx);
    let read = FORMAT.read((text, name, folder), environment, build);
    read.map(|(config, warnings)| Loaded { config, warnings })
}

/// Reads the `text` that `vestibule demo` or `vestibule dev` has made: routes may lead to their pages, and no variable
/// of the environment changes it.
pub fn parse_with_dev_pages(text: &str, name: &str, random: &Random) -> Result<Loaded, Complaints> {
    let build = |root: &Section<'_, RootTable>, cx: &mut Context<'_>| build(root, DevPages::Routed, random, cx);
    let read = FORMAT.read((text, name, Path::new("")), &Environment::default(), build);
    read.map(|(config, warnings)| Loaded { config, warnings })
}

/// Reads the tables into settings, in the order of their dependencies. `None` only after a complaint; after a complaint
/// `Some` may be wrong too.
fn build(root: &Section<'_, RootTable>, dev_pages: DevPages, random: &Random, cx: &mut Context<'_>) -> Option<Config> {
    let limits = root.section(&RootTable::LIMITS);
    let sessions = root.section(&RootTable::SESSION);
    let authority = root.section(&RootTable::AUTHORITY);
    let otp = root.section(&RootTable::OTP);
    let stores = root.section(&RootTable::STORE);

    let sockets = limits::of_sockets(&limits, cx);
    let server = server::server(&root.section(&RootTable::SERVER), sockets, cx);
    let issuer = authority::issuer(&authority);
    let upstream_names: Vec<_> = root.named(&RootTable::UPSTREAMS).map(|upstream| upstream.name).collect();
    let providers: Vec<_> =
        root.named(&RootTable::PROVIDERS).map(|section| providers::provider(&section, &server, issuer, cx)).collect();
    let logins = otp::logins(&otp, issuer, &server, cx);
    let calls = call::Upstreams { names: &upstream_names, own: authority::upstream(&authority, &upstream_names) };
    let inputs = authority::AuthorityInputs {
        server: &server,
        lifetimes: session::lifetimes(&sessions),
        upstreams: &upstream_names,
        codes: logins.clone(),
        notify: login::notify(&root.section(&RootTable::LOGIN), &upstream_names, cx),
    };
    let authority = authority::authority(&authority, inputs, cx);
    let signing = signing::signing(&root.section(&RootTable::SIGNING), cx);

    let bearer = if issuer == Issuer::Provider { Bearer::None } else { Bearer::Access };
    let cookie = |name| session::cookie_name(&sessions, name);
    let own_cookies = [cookie("at"), cookie("did")];
    let upstreams: Vec<_> = root
        .named(&RootTable::UPSTREAMS)
        .map(|section| upstreams::upstream(&section, bearer, &own_cookies, &cookie("rt"), cx))
        .collect();
    let body_rate = limits::body_rate(&limits);
    let read: Vec<_> = root
        .tables(&RootTable::ROUTES)
        .map(|section| (section, routes::route(&section, &upstream_names, body_rate, cx)))
        .collect();
    let all_routes = read.iter().all(|(_, route)| route.is_some());
    let routes: Vec<ReadRoute<'_>> = read.into_iter().filter_map(|(section, route)| Some((section, route?))).collect();

    let of_routes = routes.iter().filter_map(|(_, route)| route.timeout);
    let longest_timeout = upstreams.iter().map(|upstream| upstream.timeout).chain(of_routes).max();
    let session = session::session(&sessions, &server, longest_timeout.unwrap_or_default(), random, cx);
    let login = session::login(&sessions, &server, cx);
    let telemetry = telemetry::telemetry(&root.section(&RootTable::TELEMETRY), cx);
    let page_section = root.section(&RootTable::PAGES);
    let site = page_section.optional(&PagesTable::NAME);
    let otp = otp::otp(&otp, &otp::OtpInputs { server: &server, site, logins: &logins, upstreams: calls }, cx);
    let key_was_made = session.as_ref().is_some_and(|session| session.key_was_made);
    let called = authority.as_ref().zip(otp.as_ref());
    let used_claims = called.map(|(authority, otp)| {
        let routes: Vec<_> = routes.iter().map(|(_, route)| route.clone()).collect();
        claims_in(&routes, authority, otp)
    });
    let called = called.map(|(authority, otp)| derived::calls(authority, otp).map(|call| call.upstream).collect());
    let channels = otp::channels(&root.section(&RootTable::OTP)).iter().filter(|(_, code)| code.is_present()).count();
    let longest_cookie_header =
        session.as_ref().map(|session| CookieSizes::of(session, providers.len(), channels).during_logins);
    Checks {
        root,
        server: &server,
        issuer,
        logins: &logins,
        upstreams: &upstreams,
        routes: &routes,
        all_routes,
        called,
        used_claims: used_claims.as_deref(),
        longest_cookie_header,
        key_was_made,
        dev_pages,
    }
    .run(cx);
    let store = store::store(&stores, cx);
    let pages = login.as_ref().map(|login| pages::pages(&page_section, login, cx));

    let (authority, otp) = (authority?, otp?);
    let routes: Vec<_> = routes.into_iter().map(|(_, route)| route).collect();
    let session = session.map(|session| crate::session::Settings {
        template_claims: used_claims.unwrap_or_default(),
        store_down: stores.read(&StoreTable::STORE_DOWN),
        ..session
    });
    let hygiene = hygiene(&server, &routes)?;
    Some(Config {
        listen: server.listen?,
        session: session?,
        replay_body: sessions.read(&SessionTable::REPLAY_BODY),
        login: crate::login::Settings { codes: otp::pages(&otp), hosts: hygiene.accepted_hosts(), ..login? },
        hygiene,
        pages: pages?,
        authority,
        signing,
        providers: providers.into_iter().collect::<Option<_>>()?,
        upstreams,
        routes,
        store: store?,
        otp,
        guesses: limits::guesses(&limits),
        answers: limits::answers(&limits, cx),
        telemetry,
        development: server.development,
        dev_pages,
    })
}

fn hygiene(server: &server::ServerSettings, routes: &[route::Settings]) -> Option<hygiene::Settings> {
    let mut route_hosts: Vec<String> = routes.iter().flat_map(|route| &route.hosts).cloned().collect();
    route_hosts.sort();
    route_hosts.dedup();
    let keeps_slash = routes.iter().any(|route| route.encoded_slash == EncodedSlash::Keep);
    let set = routes.iter().flat_map(|route| route.headers.set.iter().map(|(name, _)| name.clone()));
    let on_every_request = crate::upstream::headers::removed_on_arrival().cloned();
    let mut own_headers: Vec<_> = OWN_HEADERS.into_iter().chain(on_every_request).chain(set).collect();
    own_headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    own_headers.dedup();
    let trusted_proxies = server.trusted_proxies.clone();
    let limits = &server.listen.as_ref()?.limits;
    let size = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    let header_limits = hygiene::HeaderLimits { bytes: size(limits.head_bytes), lines: size(limits.head_lines) };
    Some(hygiene::Settings {
        public_url: server.public_url.clone()?,
        hosts: server.hosts.clone(),
        route_hosts,
        trusted_proxies,
        request_ids: server.request_ids,
        encoded_slash: if keeps_slash { EncodedSlash::Keep } else { EncodedSlash::Refuse },
        own_headers,
        header_limits,
    })
}

/// The claims that a session keeps: those that header rules, the refresh call and the `notify` calls of `[otp]` use.
fn claims_in(
    routes: &[route::Settings],
    authority: &crate::authority::Settings,
    otp: &crate::otp::Settings,
) -> Vec<String> {
    let set = routes.iter().flat_map(|route| &route.headers.set).flat_map(|(_, template)| &template.0);
    let in_headers = set.filter_map(|piece| match piece {
        HeaderPiece::Claim(name) => Some(name.clone()),
        HeaderPiece::Literal(_) | HeaderPiece::ProviderSub => None,
    });
    let refresh = match &authority.kind {
        AuthorityKind::Backend(backend) => backend.refresh.as_ref(),
        AuthorityKind::Provider | AuthorityKind::Gateway(_) => None,
    };
    let notify = otp.channels().filter_map(|(_, channel)| channel.notify.as_ref());
    let mut claims: Vec<_> = in_headers.chain(refresh.into_iter().chain(notify).flat_map(call::claims)).collect();
    claims.sort_unstable();
    claims.dedup();
    claims
}
