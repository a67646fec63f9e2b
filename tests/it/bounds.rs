//! Limits of `[limits]` for the size of heads and answers, and for the streams of one connection.

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{Raw, Setup, TestStack, Upstream, ok, raw};

type Sender = http2::SendRequest<Empty<bytes::Bytes>>;

async fn over_http2(stack: &TestStack) -> Sender {
    let io = TokioIo::new(TcpStream::connect(stack.gateway.address()).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The statuses of one request with these header lines, over HTTP/1.1 and over HTTP/2.
async fn statuses(stack: &TestStack, lines: &[(String, String)]) -> [u16; 2] {
    let host = stack.gateway.host();
    let lines_of = lines.iter().fold(String::new(), |head, (name, value)| head + name + ": " + value + "\r\n");
    let head = format!("GET /public/ping HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines_of}\r\n");
    let http1 = raw::status(&Raw::exchange(stack.gateway.address(), head).await);
    let request = Request::get(format!("http://{host}/public/ping"));
    let request = lines.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = over_http2(stack).await.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    [http1, answer.status().as_u16()]
}

fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("x-{n}"), "y".to_owned())).collect()
}

fn one(bytes: usize) -> Vec<(String, String)> {
    vec![("x-large".to_owned(), "y".repeat(bytes))]
}

/// A gateway with these limits, in front of an upstream that accepts any head.
async fn stack_with(limits: &str) -> (TestStack, Upstream) {
    let upstream = Upstream::saying("here").await;
    let toml = format!(
        "limits = {{ {limits} }}\nupstreams.raw = {{ targets = [\"{}\"] }}\nroutes = [{{ path = \"/public/ping\", upstream = \"raw\", access = \"public\" }}]",
        upstream.target()
    );
    (TestStack::with(&toml).await, upstream)
}

#[tokio::test]
async fn a_head_of_more_lines_or_bytes_than_allowed_is_431() {
    let (usual, _upstream) = stack_with("").await;
    assert_eq!(statuses(&usual, &many(97)).await, [200, 200]);
    assert_eq!(statuses(&usual, &many(101)).await, [431, 431]);
    assert_eq!(statuses(&usual, &one(30 << 10)).await, [200, 200]);
    assert_eq!(statuses(&usual, &one(33 << 10)).await, [431, 431]);

    let (strict, _upstream) = stack_with("header_lines = 10, header_bytes = \"8KiB\"").await;
    assert_eq!(statuses(&strict, &many(7)).await, [200, 200]);
    assert_eq!(statuses(&strict, &many(11)).await, [431, 431]);
    assert_eq!(statuses(&strict, &one(9 << 10)).await, [431, 431]);

    let (lax, _upstream) = stack_with("header_lines = 300, header_bytes = \"100KiB\"").await;
    assert_eq!(statuses(&lax, &many(290)).await, [200, 200]);
    assert_eq!(statuses(&lax, &one(90 << 10)).await, [200, 200]);
}

#[tokio::test]
async fn cookie_fields_of_http2_count_as_one_header_line() {
    let stack = TestStack::start().await;
    let request = Request::get(format!("http://{}/public/ping", stack.gateway.host()));
    let request = (0..200).fold(request, |request, n| request.header("cookie", format!("c{n}=v")));
    let answer = over_http2(&stack).await.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_settings_frame_announces_the_limit_of_streams() {
    let stack = TestStack::with("limits.streams = 7").await;
    let mut raw = Raw::connect(stack.gateway.address()).await;
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let head = raw.exactly(9).await;
    assert_eq!(head[3], 4, "SETTINGS come first (RFC 9113 section 3.4)");
    let settings = raw.exactly(usize::from(head[2])).await;
    let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(streams[2..], [0, 0, 0, 7]);
}

/// Whether a login starts if the provider's metadata have about that many bytes.
async fn login_begins(document: usize, limits: &str) -> bool {
    let provider = Upstream::start(move |mut wire| async move {
        while let Some(heard) = wire.request().await {
            let issuer = format!("http://{}", heard.header("host").unwrap_or_default());
            let [authorize, token, keys] = ["authorize", "token", "keys"].map(|end| format!("{issuer}/{end}"));
            let metadata = serde_json::json!({
                "issuer": issuer, "authorization_endpoint": authorize, "token_endpoint": token, "jwks_uri": keys,
                "code_challenge_methods_supported": ["S256"], "padding": "x".repeat(document),
            });
            wire.send(ok(&metadata.to_string())).await;
        }
    })
    .await;
    let toml = format!(
        "limits = {{ {limits} }}\nproviders.large = {{ issuer = \"{}\", client_id = \"x\", client_secret = \"y\" }}",
        provider.target()
    );
    let stack = TestStack::with(&toml).await;
    let answer = stack.browser().navigate("/auth/login/large").await;
    assert!(!provider.heard().is_empty());
    answer.header("location").is_some_and(|to| to.starts_with(&provider.target()))
}

#[tokio::test]
async fn an_answer_of_a_provider_is_read_up_to_its_limit() {
    assert!(login_begins(900 << 10, "").await);
    assert!(!login_begins(2 << 20, "").await);
    assert!(!login_begins(5 << 10, "document_bytes = \"4KiB\"").await);
    assert!(login_begins(2 << 20, "document_bytes = \"4MiB\"").await);
}

#[tokio::test]
async fn an_answer_of_the_authority_is_read_up_to_its_limit() {
    let answer = serde_json::json!({ "accessToken": "x".repeat(2000), "refreshToken": "y", "expiresIn": 300 });
    let authority = Upstream::answering(ok(&answer.to_string())).await;
    for (limits, status) in [("", 200), ("limits.answer_bytes = \"1KiB\"", 503)] {
        let toml = format!(
            "authority.upstream = \"large\"\nupstreams.large = {{ targets = [\"{}\"] }}\n{limits}",
            authority.target()
        );
        let stack = Setup::new().without("authority.verify").with(&toml).start().await;
        let who = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
        stack.browser().post("/auth/login").json(&who).await.is(status);
    }
}
