//! Requests that are admitted, refused or rewritten.

use http::{HeaderName, Request, Version};
use proptest::prelude::*;

use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

fn hygiene(public_url: &str) -> Hygiene {
    Hygiene::new(Settings {
        public_url: public_url.parse().unwrap(),
        hosts: vec!["other.example".into(), "vestibule:8080".into()],
        route_hosts: vec!["route.example".into()],
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        request_ids: RequestIdSource::Trusted,
        encoded_slash: EncodedSlash::Refuse,
        own_headers: vec![HeaderName::from_static("x-tenant-id")],
        header_limits: HeaderLimits { bytes: 32 * 1024, lines: 100 },
    })
}

fn parts(method: &str, target: &str, lines: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn admitted(method: &str, target: &str, lines: &[(&str, &str)]) -> Result<(Admitted, Parts), Refusal> {
    let mut parts = parts(method, target, lines);
    let admitted = hygiene("https://app.example.kr").admit(&mut parts, PEER, Scheme::Http)?;
    Ok((admitted, parts))
}

const HOST: (&str, &str) = ("host", "app.example.kr");

#[test]
fn a_clean_request_passes_unchanged() {
    let lines = [HOST, ("cookie", "a=b"), ("authorization", "Bearer x"), ("connection", "cookie, host, authorization")];
    let (admitted, parts) = admitted("GET", "/a/b?x=%2e%2e/|", &lines).unwrap();
    assert_eq!(admitted.host.as_str(), "app.example.kr");
    assert_eq!(admitted.scheme, Scheme::Https);
    assert_eq!(admitted.client.address(), PEER);
    assert_eq!(admitted.forwarded_for, None);
    assert_eq!(parts.uri, "/a/b?x=%2e%2e/|");
    assert_eq!(parts.headers.len(), 4);
}

#[test]
fn a_method_that_a_backend_could_read_as_another_is_refused() {
    for method in ["post", "Get", "dElEtE", "propfind"] {
        assert!(matches!(admitted(method, "/a", &[HOST]), Err(Refusal::Ambiguous(_))), "{method}");
    }
    for method in ["POST", "PROPFIND", "M-SEARCH"] {
        assert!(admitted(method, "/a", &[HOST]).is_ok(), "{method}");
    }
}

#[test]
fn the_canonical_target_replaces_the_received_one() {
    for (target, forwarded) in [
        ("/public/../admin/x?y=/../z", "/admin/x?y=/../z"),
        ("/%41dmin", "/Admin"),
        ("/a?x=/public/", "/a?x=/public/"),
        ("http://app.example.kr", "/"),
        ("http://app.example.kr/a?b", "/a?b"),
        ("HTTPS://APP.example.kr:443/%61", "/a"),
    ] {
        let (_, parts) = admitted("GET", target, &[HOST]).unwrap();
        assert_eq!(parts.uri.to_string(), forwarded, "{target}");
        assert!(parts.uri.authority().is_none());
    }
}

#[test]
fn an_empty_target_before_a_fragment_becomes_the_root() {
    let (_, parts) = admitted("GET", "http://app.example.kr#/admin", &[HOST]).unwrap();
    assert_eq!((parts.uri.path(), parts.uri.path_and_query().map(PathAndQuery::as_str)), ("/", Some("/")));
}

#[test]
fn ambiguous_targets_are_refused() {
    for (method, target) in [
        ("GET", "*"),
        ("GET", "admin"),
        ("POST", "app.example.kr:443"),
        ("GET", "//admin"),
        ("GET", "/a%2fb"),
        ("GET", "/public/..;/admin"),
        ("GET", "/a%"),
        ("GET", "ftp://app.example.kr/"),
        ("GET", "http://user@app.example.kr/"),
        ("GET", "http://user:pw@app.example.kr/"),
        ("GET", "http://app.example.kr//x"),
        ("GET", "http://app.example.kr?x"),
    ] {
        assert!(matches!(admitted(method, target, &[HOST]), Err(Refusal::Ambiguous(_))), "{method} {target}");
    }
}

#[test]
fn connect_and_trace_are_refused_and_options_star_is_answered_here() {
    assert_eq!(admitted("CONNECT", "app.example.kr:443", &[HOST]).unwrap_err(), Refusal::Method);
    assert_eq!(admitted("TRACE", "/", &[HOST]).unwrap_err(), Refusal::Method);
    assert_eq!(admitted("OPTIONS", "*", &[HOST]).unwrap_err(), Refusal::OptionsStar);
    assert_eq!(admitted("OPTIONS", "*", &[("host", "evil")]).unwrap_err(), Refusal::Misdirected);
    assert!(admitted("OPTIONS", "/", &[HOST]).is_ok());
}

#[test]
fn exactly_one_accepted_host_is_required() {
    for (target, lines) in [
        ("/", &[][..]),
        ("/", &[HOST, HOST]),
        ("/", &[("host", "")]),
        ("/", &[("host", "app.example.kr, evil")]),
        ("/", &[("host", "app.example.kr evil")]),
        ("/", &[("host", "evil@app.example.kr")]),
        ("http://app.example.kr/", &[]),
    ] {
        assert!(matches!(admitted("GET", target, lines), Err(Refusal::Ambiguous(_))), "{target} {lines:?}");
    }
    for (target, lines) in [
        ("/", [("host", "evil")]),
        ("http://evil/", [HOST]),
        ("http://app.example.kr/", [("host", "evil")]),
        ("/", [("host", "app.example.kr:8443")]),
    ] {
        assert_eq!(admitted("GET", target, &lines).unwrap_err(), Refusal::Misdirected, "{target} {lines:?}");
    }
    let (admitted, parts) = admitted("GET", "http://other.example/", &[HOST]).unwrap();
    assert_eq!(admitted.host.as_str(), "other.example", "absolute-form goes before Host");
    assert_eq!(parts.headers["host"], "other.example");
}

#[test]
fn in_http2_the_authority_is_the_host() {
    let admit = |lines: &[(&str, &str)]| {
        let mut parts = parts("GET", "https://APP.example.kr:443/x", lines);
        parts.version = Version::HTTP_2;
        let admitted = hygiene("https://app.example.kr").admit(&mut parts, PEER, Scheme::Https);
        admitted.map(|admitted| (admitted.host.to_string(), parts))
    };
    let (host, parts) = admit(&[]).unwrap();
    assert_eq!(host, "app.example.kr");
    assert_eq!(parts.headers["host"], "app.example.kr");
    assert_eq!(parts.uri, "/x");
    assert!(admit(&[HOST]).is_ok());
    assert!(matches!(admit(&[("host", "other.example")]), Err(Refusal::Ambiguous(_))));
    assert_eq!(admit(&[("host", "evil")]).unwrap_err(), Refusal::Misdirected);
}

#[test]
fn a_navigation_to_another_name_of_the_loopback_is_redirected_to_public_url() {
    let hygiene = hygiene("http://localhost:8080");
    let navigation = ("sec-fetch-mode", "navigate");
    for host in ["127.0.0.1:8080", "[::1]:8080"] {
        let mut page = parts("GET", "/a/../b?c=%20d", &[("host", host), navigation]);
        assert_eq!(
            hygiene.admit(&mut page, PEER, Scheme::Http).unwrap_err(),
            Refusal::ToPublicUrl(HeaderValue::from_static("http://localhost:8080/b?c=%20d"))
        );
        let mut script = parts("GET", "/", &[("host", host)]);
        assert_eq!(hygiene.admit(&mut script, PEER, Scheme::Http).unwrap().host.as_str(), host);
        // 307 keeps the method and the body: a password must not go on to another address.
        let mut form = parts("POST", "/auth/login", &[("host", host), navigation]);
        assert!(hygiene.admit(&mut form, PEER, Scheme::Http).is_ok());
    }
    let mut page = parts("GET", "/", &[("host", "localhost:8080"), navigation]);
    assert!(hygiene.admit(&mut page, PEER, Scheme::Http).is_ok());
}

#[test]
fn headers_that_could_pass_for_ours_are_removed() {
    let lines = [
        HOST,
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-uri", "/public/"),
        ("x-user-name", "root"),
        ("remote-user", "root"),
        ("x-tenant-id", "1"),
        ("x-http-method-override", "DELETE"),
        ("x.http.method", "DELETE"),
        ("x_auth_request_user", "root"),
        ("any_name", "1"),
        ("accept", "a"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ];
    let (admitted, parts) = admitted("GET", "/", &lines).unwrap();
    assert_eq!(admitted.client.address(), PEER);
    let mut left: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    left.sort();
    assert_eq!(left, ["accept: a", "cookie: a=1", "cookie: b=2", "host: app.example.kr"]);
}

#[test]
fn the_scheme_is_the_one_that_the_visitor_sees() {
    let seen = |host: &str, peer: &str, scheme: Scheme, proto: &str| {
        let mut parts = parts("GET", "/", &[("host", host), ("x-forwarded-proto", proto)]);
        hygiene("https://app.example.kr").admit(&mut parts, peer.parse().unwrap(), scheme).unwrap().scheme
    };
    for proto in ["http", "https", "wss", "junk"] {
        assert_eq!(seen("app.example.kr", "203.0.113.9", Scheme::Http, proto), Scheme::Https, "{proto}");
        assert_eq!(seen("vestibule:8080", "203.0.113.9", Scheme::Http, proto), Scheme::Http, "{proto}");
        assert_eq!(seen("vestibule:8080", "203.0.113.9", Scheme::Https, proto), Scheme::Https, "{proto}");
    }
    assert_eq!(seen("app.example.kr", "10.0.0.1", Scheme::Http, "http"), Scheme::Http);
    assert_eq!(seen("vestibule:8080", "10.0.0.1", Scheme::Http, "https"), Scheme::Https);
}

#[test]
fn a_long_target_and_large_headers_have_refusals_of_their_own() {
    let long = |start: &str, length| start.to_owned() + &"a".repeat(length - start.len());
    for (target, refusal) in [
        (long("/", 16 * 1024), None),
        (long("/", 16 * 1024 + 1), Some(Refusal::TargetTooLong)),
        (long("/?", 28 * 1024), None),
        (long("/?", 28 * 1024 + 1), Some(Refusal::TargetTooLong)),
    ] {
        assert_eq!(admitted("GET", &target, &[HOST]).err(), refusal, "{}", target.len());
    }
    assert_eq!(admitted("GET", "/", &[HOST, ("x", &"a".repeat(40_000))]).unwrap_err(), Refusal::TooManyHeaders);
}

#[test]
fn a_request_that_passed_here_twice_is_refused_as_a_loop() {
    assert!(admitted("GET", "/", &[HOST, ("cdn-loop", "vestibule, cdn.example")]).is_ok());
    assert_eq!(
        admitted("GET", "/", &[HOST, ("cdn-loop", "vestibule"), ("cdn-loop", "vestibule")]).unwrap_err(),
        Refusal::Loop
    );
}

#[test]
fn max_forwards_of_options_is_reduced_and_ends_at_zero() {
    assert_eq!(admitted("OPTIONS", "/", &[HOST, ("max-forwards", "0")]).unwrap_err(), Refusal::LastHop);
    let (_, parts) = admitted("OPTIONS", "/", &[HOST, ("max-forwards", "3")]).unwrap();
    assert_eq!(parts.headers["max-forwards"], "2");
    let malformed = admitted("OPTIONS", "/", &[HOST, ("max-forwards", "few")]);
    assert!(matches!(malformed, Err(Refusal::Ambiguous(_))));
    // For other methods it has no meaning (RFC 9110 section 7.6.2).
    let (_, parts) = admitted("GET", "/", &[HOST, ("max-forwards", "0")]).unwrap();
    assert_eq!(parts.headers["max-forwards"], "0");
}

#[test]
fn an_expectation_other_than_100_continue_is_refused() {
    for (lines, met) in [
        (&[HOST, ("expect", "100-continue")][..], true),
        (&[HOST, ("expect", "100-Continue")], true),
        (&[HOST, ("expect", "")], true),
        (&[HOST, ("expect", "tea")], false),
        (&[HOST, ("expect", "100-continue, tea")], false),
        (&[HOST, ("expect", "100-continue"), ("expect", "tea=1")], false),
    ] {
        assert_eq!(admitted("POST", "/", lines).map(drop), if met { Ok(()) } else { Err(Refusal::Expectation) });
    }
}

#[test]
fn a_refused_request_is_left_unchanged() {
    let mut parts = parts("GET", "/a%2fb", &[HOST, ("x-user", "root")]);
    assert!(hygiene("https://app.example.kr").admit(&mut parts, PEER, Scheme::Http).is_err());
    assert_eq!(parts.uri, "/a%2fb");
    assert!(parts.headers.contains_key("x-user"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_request_is_refused_or_is_admitted_again_unchanged(target in "(http://[a-z.@:]{0,8}|/)?[ -~]{0,40}", host in "(app\\.example\\.kr|[!-~]{0,12})", forwarded in "[!-~ ]{0,40}") {
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        let mut parts = parts("GET", "/", &[("host", &host), ("x-forwarded-for", &forwarded), ("forwarded", &forwarded)]);
        parts.uri = uri;
        let peer = "10.0.0.1".parse().unwrap();
        if hygiene("https://app.example.kr").admit(&mut parts, peer, Scheme::Http).is_ok() {
            prop_assert!(parts.uri.authority().is_none());
            let path = parts.uri.path();
            let again = canonical_path(path, EncodedSlash::Refuse);
            prop_assert_eq!(again.as_deref(), Ok(path));
            let before = parts.uri.clone();
            prop_assert!(hygiene("https://app.example.kr").admit(&mut parts, peer, Scheme::Http).is_ok(), "once admitted, always admitted");
            prop_assert_eq!(before, parts.uri);
        }
    }
}
