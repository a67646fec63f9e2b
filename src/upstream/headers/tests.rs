//! Which headers pass, which are removed, and which are set.

use std::net::Ipv4Addr;

use http::HeaderName;
use serde_json::json;

use super::*;
use crate::scheme::Scheme;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).fold(
        HeaderMap::new(),
        |mut map, (name, value)| {
            map.append(name, value);
            map
        },
    )
}

fn client() -> ClientHeaders {
    ClientHeaders::new(Ipv4Addr::new(203, 0, 113, 7).into(), Scheme::Https)
}

struct Setup<'a> {
    chain: Option<&'a str>,
    authorization: Authorization,
    rules: HeaderRules,
    kind: ExchangeKind,
    claims: &'a [(&'a str, Value)],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            chain: None,
            authorization: Authorization::Remove,
            rules: HeaderRules::default(),
            kind: ExchangeKind::RequestResponse,
            claims: &[],
        }
    }
}

impl Setup<'_> {
    fn prepare(self, lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = map(lines);
        let chain = self.chain.map(|chain| HeaderValue::from_str(chain).unwrap());
        let host = HeaderValue::from_static("app.example");
        let id = HeaderValue::from_static("id-1");
        let source = HeaderSource { request_id: &id, client: &client(), host: &host, chain: chain.as_ref() };
        prepare_request(&mut headers, &source, self.authorization, &self.rules, self.kind, |value| {
            self.claims.iter().find(|claim| SessionValue::Claim(claim.0) == value).map(|claim| Cow::Borrowed(&claim.1))
        });
        headers
    }
}

#[test]
fn hop_by_hop_headers_are_removed_in_both_directions() {
    let lines = [
        ("connection", "keep-alive, X-Hop , cookie,host"),
        ("connection", "authorization, x-other"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("x-kept", "1"),
        ("cookie", "a=1"),
        ("host", "app.example"),
        ("set-cookie", "b=2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy-authenticate", "Basic"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
    ];
    let gone = [
        "connection",
        "x-hop",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let request = Setup::default().prepare(&lines);
    let mut answer = map(&lines);
    prepare_answer(&mut answer, &HeaderRules::default(), ExchangeKind::RequestResponse);
    for headers in [request, answer] {
        for name in gone {
            assert!(!headers.contains_key(name), "{name}");
        }
        for name in ["x-kept", "cookie", "host", "set-cookie"] {
            assert!(headers.contains_key(name), "{name}");
        }
    }
}

#[test]
fn an_upgrade_keeps_the_protocol_and_names_it() {
    let lines = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")];
    let headers = Setup { kind: ExchangeKind::Upgrade, ..Setup::default() }.prepare(&lines);
    assert_eq!(headers["connection"], "upgrade");
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["sec-websocket-key"], "k");
    let plain = Setup { kind: ExchangeKind::Upgrade, ..Setup::default() }.prepare(&[("connection", "close")]);
    assert!(!plain.contains_key("connection"));
}

#[test]
fn te_and_trailer_are_reduced_to_what_may_pass() {
    let rules = HeaderRules { set: vec![("x-role".parse().unwrap(), HeaderTemplate(Vec::new()))], remove: Vec::new() };
    let lines =
        [("te", "gzip, Trailers"), ("trailer", "grpc-status, X-User-Id, cookie"), ("trailer", "x-role,x_b, x-c")];
    let headers = Setup { rules, ..Setup::default() }.prepare(&lines);
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["connection"], "te");
    assert_eq!(headers["trailer"], "grpc-status, x-c");
    assert!(!Setup::default().prepare(&[("trailer", "authorization")]).contains_key("trailer"));
    let of_connection = [("connection", "TE, X-C"), ("te", "trailers"), ("trailer", "x-c, x-d")];
    assert_eq!(Setup::default().prepare(&of_connection)["trailer"], "x-d");
}

#[test]
fn trailers_that_belong_into_the_head_are_removed() {
    for forbidden in [
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "host",
        "te",
        "trailer",
        "upgrade",
        "max-forwards",
        "cdn-loop",
        "via",
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "cookie",
        "set-cookie",
        "cache-control",
        "location",
        "vary",
        "access-control-allow-origin",
        "forwarded",
        "x-forwarded-for",
        "x-real-ip",
        "x-auth-status",
        "x-user-id",
        "x_user_id",
        "remote.user",
        "vestibule-assertion",
        "proxy",
        "x-original-uri",
        "x-original-method",
        "x-http-method-override",
        "x-method-override",
        "x-http-method",
        "x-request-id",
    ] {
        let mut trailers = map(&[(forbidden, "1"), ("grpc-status", "0"), ("server-timing", "db;dur=1")]);
        prepare_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("grpc-status", "0"), ("server-timing", "db;dur=1")]), "{forbidden}");
    }
}

#[test]
fn each_pass_through_the_gateway_appends_to_cdn_loop() {
    let names = |headers: &HeaderMap| {
        headers.get_all("cdn-loop").iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&Setup::default().prepare(&[])), ["vestibule"]);
    let lines = [("connection", "cdn-loop, close"), ("cdn-loop", "cdn.example; id=7"), ("cdn-loop", "vestibule")];
    assert_eq!(names(&Setup::default().prepare(&lines)), ["cdn.example; id=7", "vestibule", "vestibule"]);
    let rules = HeaderRules { set: Vec::new(), remove: vec![HeaderName::from_static("cdn-loop")] };
    assert!(names(&Setup { rules, ..Setup::default() }.prepare(&[])).is_empty());
}

#[test]
fn expect_is_removed() {
    assert!(!Setup::default().prepare(&[("expect", "100-continue")]).contains_key("expect"));
}

#[test]
fn forwarded_headers_are_set_once_and_replace_the_visitors() {
    let headers =
        Setup::default().prepare(&[("x-forwarded-for", "evil"), ("forwarded", "for=evil"), ("x-real-ip", "evil")]);
    assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["203.0.113.7"]);
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "app.example");
    assert_eq!(headers["x-real-ip"], "203.0.113.7");
    assert_eq!(headers.get_all("forwarded").iter().collect::<Vec<_>>(), ["for=203.0.113.7;proto=https"]);
    assert_eq!(headers["host"], "app.example", "set for an HTTP/2 request, which has none");
    let chained = Setup { chain: Some("198.51.100.1, 203.0.113.7"), ..Setup::default() }.prepare(&[]);
    assert_eq!(chained["x-forwarded-for"], "198.51.100.1, 203.0.113.7");
}

#[test]
fn an_ipv6_address_is_quoted_where_it_must_be_and_a_mapped_one_is_ipv4() {
    let client = ClientHeaders::new("2001:db8::1".parse().unwrap(), Scheme::Http);
    assert_eq!(client.forwarded(), "for=\"[2001:db8::1]\";proto=http");
    assert_eq!(client.address(), "2001:db8::1");
    assert_eq!(ClientHeaders::new("::ffff:192.0.2.1".parse().unwrap(), Scheme::Http).address(), "192.0.2.1");
}

#[test]
fn authorization_is_replaced_removed_or_kept() {
    let lines = [("authorization", "Basic visitor")];
    let with = |authorization| Setup { authorization, ..Setup::default() }.prepare(&lines);
    let bearer = HeaderValue::from_static("Bearer ours");
    assert_eq!(with(Authorization::Replace(bearer))["authorization"], "Bearer ours");
    assert!(!with(Authorization::Remove).contains_key("authorization"));
    assert_eq!(with(Authorization::Keep)["authorization"], "Basic visitor");
}

#[test]
fn rules_strip_then_set_in_requests_and_remove_in_both_directions() {
    let literal = |text: &str| HeaderPiece::Literal(text.into());
    let claim = |name: &str| HeaderPiece::Claim(name.into());
    let rules = HeaderRules {
        set: vec![
            ("x-id".parse().unwrap(), HeaderTemplate(vec![literal("user:"), claim("sub")])),
            ("x-absent".parse().unwrap(), HeaderTemplate(vec![literal("role:"), claim("role")])),
        ],
        remove: vec!["server".parse().unwrap()],
    };
    let lines = [("x-id", "forged"), ("x-id", "twice"), ("x-absent", "forged"), ("server", "x")];
    let headers = Setup { rules: rules.clone(), claims: &[("sub", json!("u1"))], ..Setup::default() }.prepare(&lines);
    assert_eq!(headers.get_all("x-id").iter().collect::<Vec<_>>(), ["user:u1"]);
    assert!(!headers.contains_key("x-absent") && !headers.contains_key("server"));
    let mut answer = map(&lines);
    prepare_answer(&mut answer, &rules, ExchangeKind::RequestResponse);
    assert!(answer.contains_key("x-id") && !answer.contains_key("server"));
}

#[test]
fn a_header_may_have_the_subject_that_the_provider_gave() {
    let template = HeaderTemplate(vec![HeaderPiece::Literal("p:".into()), HeaderPiece::ProviderSub]);
    let rules = HeaderRules { set: vec![("x-provider-id".parse().unwrap(), template)], remove: Vec::new() };
    assert!(rules.use_claims(), "its answers are private");
    for (of_session, sent) in [(Some(json!("104")), Some("p:104")), (None, None)] {
        let mut headers = map(&[("x-provider-id", "forged")]);
        rules.apply_to_request(&mut headers, |value| {
            of_session.as_ref().filter(|_| value == SessionValue::ProviderSub).map(Cow::Borrowed)
        });
        assert_eq!(headers.get("x-provider-id").map(|value| value.to_str().unwrap()), sent);
    }
}

#[test]
fn a_header_without_a_usable_claim_is_removed_and_not_left_to_the_visitor() {
    let template = || HeaderTemplate(vec![HeaderPiece::Literal("user:".into()), HeaderPiece::Claim("c".into())]);
    for (claim, sent) in [
        (json!("홍 길동"), Some("user:%ED%99%8D%20%EA%B8%B8%EB%8F%99")),
        (json!(["a", "b,c"]), Some("user:a,b%2Cc")),
        (json!(null), None),
        (json!([]), None),
        (json!({"a": 1}), None),
        (json!(["a", null]), None),
    ] {
        let rules = HeaderRules { set: vec![("x-name".parse().unwrap(), template())], remove: Vec::new() };
        let headers =
            Setup { rules, claims: &[("c", claim.clone())], ..Setup::default() }.prepare(&[("x-name", "forged")]);
        assert_eq!(headers.get("x-name").map(|value| value.to_str().unwrap()), sent, "{claim}");
    }
}

#[test]
fn no_trailer_can_replace_a_header_that_is_removed_on_arrival() {
    for name in removed_on_arrival().chain(&METHOD_OVERRIDES) {
        for spelling in [name.as_str().to_owned(), name.as_str().replace('-', "_"), name.as_str().replace('-', ".")] {
            let mut trailers = map(&[(&spelling, "1")]);
            prepare_trailers(&mut trailers);
            assert!(trailers.is_empty(), "{spelling}");
        }
    }
}
