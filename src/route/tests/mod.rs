//! Unit tests of the table of routes.

use std::time::Duration;

use http::{Method, uri::PathAndQuery};
use proptest::{prelude::*, sample::select};
use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::{hygiene::EncodedSlash, upstream::HeaderRules};

mod decision;
mod lenient;
mod own;
mod stricter;

fn settings(line: usize, methods: &[&str], hosts: &[&str], path: &str) -> Settings {
    Settings {
        path: path.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        methods: methods.iter().map(|method| method.parse().unwrap()).collect(),
        strip: None,
        upstream: 0,
        access: Access::User,
        headers: HeaderRules::default(),
        body_limit: None,
        timeout: None,
        body_rate: 0,
        idle_timeout: Duration::from_secs(1),
        retry_on_401: RetryOn401::All,
        on_second_401: None,
        own_calls: OwnCallsRule::Closed,
        cors: None,
        method_override: false,
        encoded_slash: EncodedSlash::Refuse,
        line,
    }
}

fn own() -> OwnSettings {
    OwnSettings {
        base_path: "/auth".into(),
        providers: vec!["google".into()],
        credentials: true,
        codes: vec![],
        auth_js: false,
        dev_pages: DevPages::None,
    }
}

fn build(routes: Vec<Settings>) -> Result<Table, Vec<Conflict>> {
    Table::build(routes, own(), &SharedTargets::default())
}

/// Routes in lines 1, 2, 3 …
fn table(routes: &[(&[&str], &[&str], &str)]) -> Result<Table, Vec<Conflict>> {
    let routes = routes.iter().enumerate().map(|(at, (methods, hosts, path))| settings(at + 1, methods, hosts, path));
    build(routes.collect())
}

/// The line of the route that is found; 0: none, `usize::MAX`: an own endpoint.
fn line(table: &Table, method: &str, host: &str, path: &str) -> usize {
    match table.find(&method.parse().unwrap(), host, path) {
        TableMatch::Route(route) => route.settings.line,
        TableMatch::NoEndpoint | TableMatch::None => 0,
        TableMatch::Own(_) | TableMatch::WrongMethod(_) => usize::MAX,
    }
}

#[test]
fn the_most_specific_route_wins() {
    let table = table(&[
        (&[], &[], "/{*rest}"),
        (&[], &[], "/api/{*rest}"),
        (&[], &[], "/api/{id}"),
        (&[], &[], "/api/me"),
        (&["GET"], &[], "/api/me"),
        (&[], &[], "/api/{id}/posts/{*rest}"),
        (&[], &["admin.example"], "/{*rest}"),
        (&[], &["admin.example:8080"], "/{*rest}"),
        (&["POST"], &["admin.example"], "/api/{*rest}"),
        (&["PURGE"], &[], "/cache"),
    ])
    .unwrap();
    for (method, host, path, wanted) in [
        ("GET", "x", "/", 1),
        ("GET", "x", "/apix", 1),
        ("GET", "x", "/API/me", 1),
        ("GET", "x", "/api", 2),
        ("GET", "x", "/api/", 2),
        ("GET", "x", "/api/7", 3),
        ("GET", "x", "/api/7/", 2),
        ("GET", "x", "/api/me", 5),
        ("HEAD", "x", "/api/me", 5),
        ("POST", "x", "/api/me", 4),
        ("GET", "x", "/api/me/posts", 6),
        ("GET", "x", "/api/me/posts/1/2", 6),
        ("GET", "x", "/api/me/likes", 2),
        ("GET", "admin.example", "/api/me", 7),
        ("POST", "admin.example", "/api/me", 9),
        ("GET", "admin.example:99", "/api/me", 7),
        ("POST", "admin.example:8080", "/api/me", 8),
        ("PURGE", "x", "/cache", 10),
        ("PURGED", "x", "/cache", 1),
        ("GET", "x", "/cache", 1),
    ] {
        assert_eq!(line(&table, method, host, path), wanted, "{method} {host} {path}");
    }
}

#[test]
fn a_request_that_no_route_matches_finds_nothing() {
    let table = table(&[(&["GET"], &["a.example"], "/docs/{*rest}")]).unwrap();
    for (method, host, path) in [
        ("GET", "b.example", "/docs"),
        ("POST", "a.example", "/docs"),
        ("GET", "a.example", "/"),
        ("GET", "a.example", "/docsx"),
        ("GET", "a.example", "//docs"),
    ] {
        assert_eq!(line(&table, method, host, path), 0, "{method} {host} {path}");
    }
}

#[test]
fn the_base_path_is_never_proxied() {
    let table = table(&[(&[], &[], "/{*rest}"), (&[], &[], "/{a}/{b}")]).unwrap();
    assert_eq!(line(&table, "POST", "x", "/auth/refresh"), usize::MAX);
    assert_eq!(line(&table, "GET", "x", "/auth/refresh"), usize::MAX);
    for path in ["/auth", "/auth/", "/auth/x", "/auth/sms", "/auth//login", "/auth;x/login", "/;x/auth/login"] {
        assert_eq!(line(&table, "GET", "x", path), 0, "{path}");
    }
    assert_eq!(line(&table, "GET", "x", "/authx/login"), 2);
}

#[test]
fn strip_removes_whole_segments() {
    let mut proxy = settings(1, &[], &[], "/api/proxy/{*rest}");
    proxy.strip = Some("/api/proxy".into());
    let mut korean = settings(2, &[], &[], "/식방/{id}");
    korean.strip = Some("/식방/".into());
    let table = build(vec![proxy, korean, settings(3, &[], &[], "/{*rest}")]).unwrap();
    for (target, forwarded) in [
        ("/api/proxy", "/"),
        ("/api/proxy/", "/"),
        ("/api/proxy?a=/b", "/?a=/b"),
        ("/api/proxy/users/me?x=1", "/users/me?x=1"),
        ("/api/proxy/a//b", "/a//b"),
        ("/%EC%8B%9D%EB%B0%A9/7", "/7"),
        ("/api/proxyx/a", "/api/proxyx/a"),
        ("/a?b", "/a?b"),
    ] {
        let target: PathAndQuery = target.parse().unwrap();
        let TableMatch::Route(route) = table.find(&Method::GET, "x", target.path()) else { panic!("{target}") };
        assert_eq!(route.upstream_path(&target), forwarded, "{target}");
    }
    assert_eq!(line(&table, "GET", "x", "/api/proxy//evil"), 0, "the rest would start with two slashes");
}

#[test]
fn equally_specific_routes_for_the_same_requests_conflict() {
    let conflicts = |routes: &[(&[&str], &[&str], &str)]| table(routes).err().unwrap_or_default();
    let same = |line, other| vec![Conflict::Same { line, other }];
    assert_eq!(conflicts(&[(&[], &[], "/a"), (&[], &[], "/a")]), same(2, 1));
    assert_eq!(conflicts(&[(&[], &[], "/{a}/x"), (&[], &[], "/{b}/x")]), same(2, 1));
    assert_eq!(conflicts(&[(&[], &[], "/%61"), (&[], &[], "/a")]), same(2, 1));
    assert_eq!(conflicts(&[(&["GET", "PUT"], &[], "/a"), (&["PUT"], &[], "/a")]), same(2, 1));
    assert_eq!(conflicts(&[(&["PURGE"], &[], "/a"), (&["PURGE"], &[], "/a")]), same(2, 1));
    assert_eq!(conflicts(&[(&[], &["a", "b"], "/a"), (&[], &["b", "a"], "/a")]), same(2, 1));
    assert_eq!(conflicts(&[(&[], &["a:80"], "/a"), (&[], &["a:443"], "/a")]), same(2, 1));
    for fine in [
        [(&[][..], &[][..], "/a"), (&[], &[], "/{a}")],
        [(&[], &[], "/a"), (&[], &[], "/a/")],
        [(&[], &[], "/a"), (&[], &[], "/a/{*rest}")],
        [(&[], &[], "/a"), (&["GET"], &[], "/a")],
        [(&["GET"], &[], "/a"), (&["POST"], &[], "/a")],
        [(&["GET"], &[], "/a"), (&["HEAD"], &[], "/a")],
        [(&[], &["a", "a"], "/a"), (&[], &["b"], "/a")],
        [(&[], &["a"], "/a"), (&[], &["a:8080"], "/a")],
        [(&[], &["a"], "/a"), (&[], &[], "/a")],
    ] {
        assert_eq!(conflicts(&fine), [], "{fine:?}");
    }
}

#[test]
fn every_route_that_can_never_match_is_reported() {
    let mut strip = settings(6, &[], &[], "/api/{*rest}");
    strip.strip = Some("/ap".into());
    let conflicts = build(vec![
        settings(1, &[], &[], "/auth"),
        settings(2, &[], &[], "/auth/login"),
        settings(3, &[], &[], "/auth/{*rest}"),
        settings(4, &[], &[], "/a/../b"),
        settings(5, &["GET", "TRACE"], &[], "/t"),
        strip,
        settings(7, &[], &[], "/authx"),
    ])
    .unwrap_err();
    assert_eq!(conflicts.iter().map(Conflict::line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(matches!(
        conflicts[..],
        [
            Conflict::UnderBasePath { .. },
            Conflict::UnderBasePath { .. },
            Conflict::UnderBasePath { .. },
            Conflict::Path { .. },
            Conflict::Method { .. },
            Conflict::Strip { .. }
        ]
    ));
}

#[test]
fn an_explanation_says_why_each_matching_route_is_chosen_or_not() {
    let table = table(&[
        (&[], &[], "/{*rest}"),
        (&[], &[], "/a/{x}"),
        (&["GET"], &[], "/a/b"),
        (&[], &[], "/a/b"),
        (&["POST"], &[], "/a/{*rest}"),
        (&[], &["h"], "/a/b"),
        (&[], &[], "/z"),
    ])
    .unwrap();
    let explained = |method: &Method, host: &str, path: &str| {
        table.explain(method, host, path).iter().map(|one| (one.route.settings.line, one.outcome)).collect::<Vec<_>>()
    };
    let less = MatchOutcome::LessSpecificPath;
    assert_eq!(
        explained(&Method::GET, "x", "/a/b"),
        [
            (1, less),
            (2, less),
            (3, MatchOutcome::Wins),
            (4, MatchOutcome::NoMethods),
            (5, MatchOutcome::OtherMethod),
            (6, MatchOutcome::OtherHost)
        ]
    );
    let less = MatchOutcome::LessSpecificHost;
    assert_eq!(
        explained(&Method::POST, "h", "/a/b"),
        [(1, less), (2, less), (3, MatchOutcome::OtherMethod), (4, less), (5, less), (6, MatchOutcome::Wins)]
    );
    assert_eq!(explained(&Method::GET, "x", "/auth/x"), [(1, MatchOutcome::OwnPath)]);
    assert_eq!(explained(&Method::GET, "x", "/a//b"), [(1, MatchOutcome::Wins), (5, MatchOutcome::OtherMethod)]);
}

#[test]
fn names_of_own_endpoints_are_reserved_for_providers() {
    for name in [
        "login",
        "logout",
        "session",
        "refresh",
        "callback",
        "sms",
        "email",
        "magic",
        "passkey",
        "devices",
        "verify",
        "backchannel-logout",
        "csrf",
        "providers",
        "signin",
        "signout",
        "error",
        "_log",
        "credentials",
        ".well-known",
    ] {
        assert!(reserved_provider_name(name));
    }
    assert!(!reserved_provider_name("google"));
}

#[test]
fn only_origins_with_credentials_may_use_the_session_cookie() {
    let mut cors = Cors { origins: vec!["https://partner.example".into()], credentials: true };
    assert_eq!(cors.cookie_origins(), ["https://partner.example"]);
    cors.credentials = false;
    assert!(cors.cookie_origins().is_empty());
}

/// The routes that match, in a list, and the best of them by the rule of the contract (product.md, "The life of a
/// request", step 3).
mod oracle {
    use super::*;

    fn path_rank(pattern: &str, path: &str) -> Option<Vec<u8>> {
        let pattern: Vec<&str> = pattern[1..].split('/').collect();
        let path: Vec<&str> = path[1..].split('/').collect();
        let mut rank = Vec::new();
        for (at, segment) in pattern.iter().enumerate() {
            if *segment == "{*rest}" {
                rank.push(3);
                return Some(rank);
            }
            let part = path.get(at)?;
            if *segment == "{x}" && !part.is_empty() {
                rank.push(1);
            } else if segment == part {
                rank.push(0);
            } else {
                return None;
            }
        }
        rank.push(2);
        (pattern.len() == path.len()).then_some(rank)
    }

    fn host_rank(route: &Settings, host: &str) -> Option<u8> {
        if route.hosts.is_empty() {
            return Some(2);
        }
        let name = host.split(':').next().unwrap();
        if route.hosts.iter().any(|own| own.contains(':') && own == host) {
            Some(0)
        } else if route.hosts.iter().any(|own| own == name) {
            Some(1)
        } else {
            None
        }
    }

    fn method_rank(route: &Settings, method: &Method) -> Option<u8> {
        if route.methods.contains(method) {
            Some(0)
        } else if *method == Method::HEAD && route.methods.contains(&Method::GET) {
            Some(1)
        } else {
            route.methods.is_empty().then_some(2)
        }
    }

    pub(super) fn line(routes: &[Settings], method: &Method, host: &str, path: &str) -> usize {
        let ranked = routes.iter().filter_map(|route| {
            Some(((host_rank(route, host)?, path_rank(&route.path, path)?, method_rank(route, method)?), route.line))
        });
        ranked.min().map_or(0, |(_, line)| line)
    }
}

fn any_path() -> impl Strategy<Value = String> {
    (proptest::collection::vec(select(vec!["a", "b", "{x}"]), 0..4), select(vec!["", "/", "/{*rest}"])).prop_map(
        |(segments, end)| {
            let path: String = segments.iter().flat_map(|segment| ["/", segment]).collect::<String>() + end;
            if path.is_empty() { "/".to_owned() } else { path }
        },
    )
}

fn any_methods() -> impl Strategy<Value = Vec<&'static str>> {
    select(vec![vec![], vec!["GET"], vec!["POST"], vec!["GET", "POST"], vec!["HEAD"], vec!["PURGE"]])
}

fn any_hosts() -> impl Strategy<Value = Vec<&'static str>> {
    select(vec![vec![], vec![], vec!["h"], vec!["h:8080"], vec!["g", "h"]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_finds_the_same_route_as_a_linear_search(
        routes in proptest::collection::vec((any_methods(), any_hosts(), any_path()), 1..12),
        requests in proptest::collection::vec(("(GET|HEAD|POST|PURGE|PUT)", "(g|h|h:8080|h:81|i)", "(/(a|b|c)){0,4}/?"), 20),
    ) {
        let mut valid: Vec<Settings> = Vec::new();
        for (at, (methods, hosts, path)) in routes.iter().enumerate() {
            valid.push(settings(at + 1, methods, hosts, path));
            if build(valid.clone()).is_err() {
                valid.pop();
            }
        }
        let table = build(valid.clone()).unwrap();
        for (method, host, path) in &requests {
            let path = if path.is_empty() { "/" } else { path };
            let method = method.parse().unwrap();
            let wanted = oracle::line(&valid, &method, host, path);
            prop_assert_eq!(line(&table, method.as_str(), host, path), wanted, "{} {} {}", method, host, path);
            let winners: Vec<_> = table.explain(&method, host, path).into_iter().filter(|one| one.outcome == MatchOutcome::Wins).map(|one| one.route.settings.line).collect();
            prop_assert_eq!(winners, if wanted == 0 { vec![] } else { vec![wanted] });
        }
    }
}

#[test]
fn what_starts_a_login_and_a_route_that_needs_one_begin_a_login() {
    let mut user = settings(1, &[], &[], "/app/{*rest}");
    user.access = Access::User;
    let mut open = settings(2, &[], &["open.example.kr"], "/{*rest}");
    open.access = Access::Optional;
    let table = build(vec![user, open]).unwrap();
    let begins = |host, path| table.begins_login(host, path, true);
    for (path, does) in [
        ("/app/x", true),
        ("/auth/login/google", true),
        ("/auth/login", true),
        ("/auth/logged-out", false),
        ("/auth/session", false),
        ("/nothing", false),
    ] {
        assert_eq!(begins("app.example.kr", path), does, "{path}");
    }
    assert!(!begins("open.example.kr", "/nothing"));
    assert!(!table.begins_login("app.example.kr", "/auth/login", false), "a page with several methods");
}

/// The least processor time of this thread for one of five runs.
pub(super) fn processor_time(work: impl Fn()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let run = |_| {
        let begin = now();
        work();
        now().saturating_sub(begin)
    };
    (0..5).map(run).min().unwrap()
}
