//! The decision about a path is the same before and after hygiene rewrites it.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use http::{Method, Request, Uri, request::Parts};
use proptest::prelude::*;

use crate::{
    hygiene::{self, EncodedSlash, Hygiene, Settings},
    route::{Access, OwnSettings, RetryOn401, Settings as RouteSettings, Table, TableMatch},
    scheme::Scheme,
    upstream,
};

fn hygiene() -> Hygiene {
    Hygiene::new(Settings {
        public_url: "https://app.example".parse().unwrap(),
        hosts: vec!["other.example".into()],
        route_hosts: Vec::new(),
        trusted_proxies: Vec::new(),
        request_ids: hygiene::RequestIdSource::Trusted,
        encoded_slash: EncodedSlash::Refuse,
        own_headers: Vec::new(),
        header_limits: hygiene::HeaderLimits { bytes: 32 * 1024, lines: 100 },
    })
}

fn table() -> Table {
    let route = |line, path: &str, strip: Option<&str>, hosts: &[&str]| RouteSettings {
        path: path.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        methods: Vec::new(),
        strip: strip.map(str::to_owned),
        upstream: 0,
        access: Access::User,
        headers: upstream::HeaderRules::default(),
        body_limit: None,
        timeout: None,
        idle_timeout: Duration::from_secs(1),
        body_rate: 0,
        retry_on_401: RetryOn401::All,
        on_second_401: None,
        own_calls: crate::route::OwnCallsRule::Closed,
        cors: None,
        method_override: false,
        encoded_slash: EncodedSlash::Refuse,
        line,
    };
    let own = OwnSettings {
        base_path: "/auth".into(),
        providers: vec!["a".into()],
        credentials: true,
        codes: Vec::new(),
        auth_js: false,
        dev_pages: crate::route::DevPages::None,
    };
    let routes = vec![
        route(1, "/{*rest}", None, &[]),
        route(2, "/a/{*rest}", Some("/a"), &[]),
        route(3, "/a/b/{*rest}", None, &[]),
        route(4, "/b/{id}", None, &[]),
        route(5, "/a/b/a/{*rest}", Some("/a/b"), &["other.example"]),
        route(6, "/%EA%B0%80/{*rest}", Some("/%EA%B0%80"), &[]),
    ];
    Table::build(routes, own, &crate::route::SharedTargets::default()).unwrap()
}

/// The head of a request as received.
fn head(target: &Uri, host: &str) -> Parts {
    let (mut parts, ()) = Request::builder().header("host", host).body(()).unwrap().into_parts();
    parts.uri = target.clone();
    parts
}

/// What a request matches: the line of a route, or an own endpoint.
fn decision(table: &Table, host: &str, path: &str) -> String {
    match table.find(&Method::GET, host, path) {
        TableMatch::Route(route) => route.settings.line.to_string(),
        other => format!("{other:?}"),
    }
}

/// CVE-2026-33494, CVE-2019-9901: rules and upstream read the same path, and reading it again changes nothing.
#[test]
fn the_decision_before_a_rewrite_is_the_decision_after_it() {
    let (hygiene, table) = (hygiene(), table());
    let (judged_count, routed_count) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    proptest!(ProptestConfig::with_cases(6_000), |(
        path in "(/|/(a|b|%61|%62|auth|A|\\.|\\.\\.|c|;|;v=1|%EA%B0%80|%ea%b0%80|%[0-9a-fA-F]{2}|%25[0-9]{2}|[a-z.;%~!@:]{0,3})){1,6}/?",
        query in "(\\?[a-c/.%&=?;]{0,8})?",
        host in prop::sample::select(&["app.example", "other.example", "OTHER.example:443"][..]),
        absolute in any::<bool>(),
    )| {
        let start = if absolute { format!("http://{host}") } else { String::new() };
        let Ok(target) = format!("{start}{path}{query}").parse::<Uri>() else { return Ok(()) };
        let mut parts = head(&target, host);
        let peer = IpAddr::from([203, 0, 113, 9]);
        let Ok(admitted) = hygiene.admit(&mut parts, peer, Scheme::Https) else { return Ok(()) };
        let host = admitted.host.as_str();
        let judged = decision(&table, host, parts.uri.path());
        judged_count.update(|count| count + 1);

        let canonical = hygiene::canonical_path(parts.uri.path(), EncodedSlash::Refuse);
        prop_assert!(matches!(&canonical, Ok(Cow::Borrowed(same)) if *same == parts.uri.path()), "{:?}", parts.uri);
        prop_assert_eq!(parts.uri.query().unwrap_or(""), query.strip_prefix('?').unwrap_or(""));

        let text = parts.uri.to_string();
        let mut again = head(&text.parse().unwrap(), host);
        let admitted = hygiene.admit(&mut again, peer, Scheme::Https);
        prop_assert!(admitted.is_ok(), "{}", text);
        prop_assert_eq!(&again.uri, &parts.uri);
        prop_assert_eq!(&decision(&table, host, again.uri.path()), &judged);

        if let TableMatch::Route(route) = table.find(&Method::GET, host, parts.uri.path()) {
            routed_count.update(|count| count + 1);
            let forwarded = route.upstream_path(parts.uri.path_and_query().unwrap());
            let stripped = route.settings.strip.as_deref().unwrap_or("");
            let left = text.strip_prefix(stripped).unwrap();
            let left = if left.starts_with('/') { left.to_owned() } else { format!("/{left}") };
            prop_assert_eq!(forwarded.as_str(), left);
            let canonical = hygiene::canonical_path(forwarded.path(), EncodedSlash::Refuse);
            prop_assert_eq!(canonical.as_deref(), Ok(forwarded.path()));
        }
    });
    assert!(
        routed_count.get() > 500 && judged_count.get() > routed_count.get() + 100,
        "{judged_count:?} {routed_count:?}"
    );
}
