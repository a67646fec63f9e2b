//! HTTP/2 from the visitor: many requests on one connection, cookies in several fields, trailers.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{
    Frames, Protocol, Raw, TestStack, Upstream,
    frames::{block, frame, is, request},
};

/// A public route `/x/…` to an upstream, and a connection with raw frames.
struct Site {
    stack: TestStack,
    upstream: Upstream,
}

impl Site {
    async fn start() -> Self {
        let upstream = Upstream::saying("ok").await;
        let stack = TestStack::with(&format!(
            "server.hosts = [\"other.example\"]\nupstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
            upstream.target()
        ))
        .await;
        Self { stack, upstream }
    }

    /// The status of the answer; 0 if the stream or connection is refused.
    async fn ask<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        fields: impl IntoIterator<Item = (N, V)>,
        body: Option<&[u8]>,
    ) -> u16 {
        let mut link = Frames::connect(self.stack.gateway.address(), &[]).await;
        let end = if body.is_none() { is::END_STREAM } else { 0 };
        // At once: a head that arrives alone may be forwarded before its body can contradict it.
        let body = body.map(|body| frame(is::DATA, is::END_STREAM, 1, body)).unwrap_or_default();
        link.send([frame(is::HEADERS, is::END_HEADERS | end, 1, block(fields)), body].concat()).await;
        let outcome = link.until(|frame| frame.kind == is::HEADERS || frame.code().is_some()).await;
        outcome.and_then(|frame| frame.status()).unwrap_or(0)
    }

    /// A request for `/x/ok` with further fields, from another visitor's connection.
    async fn get_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(&self, fields: impl IntoIterator<Item = (N, V)>) -> u16 {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let host = self.stack.gateway.host();
        all.extend(request("GET", host, "/x/ok").into_iter().map(|(name, value)| (name.into(), value.into())));
        all.extend(fields.into_iter().map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec())));
        self.ask(all, None).await
    }

    /// Checks that the pooled connections to the upstream are in order.
    async fn serves(&self) {
        let before = self.upstream.heard().len();
        let answer = self.stack.browser().over(Protocol::Http2).fetch("/x/next").await.is(200);
        assert_eq!(answer.text(), "ok");
        assert_eq!(self.upstream.heard().len(), before + 1);
        assert!(self.upstream.last().line().starts_with("GET /x/next "));
    }
}

#[tokio::test]
async fn a_person_logs_in_and_works_over_one_connection() {
    let stack = TestStack::start().await;
    let browser = stack.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    browser.set_cookie("theme", "dark");
    let answer = browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(answer.version, Version::HTTP_2);
    assert_eq!(answer.header("connection"), None);
    let recorded = &stack.backend.recorded_at("/api/me")[0];
    assert_eq!(recorded.header("cookie"), Some("theme=dark"));
    assert_eq!(recorded.header("x-forwarded-host"), Some(stack.gateway.host()));
}

#[tokio::test]
async fn five_hundred_requests_on_one_connection_cause_one_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    stack.backend.set_refresh_delay(std::time::Duration::from_millis(300));
    stack.expire_tokens();
    let answers = join_all((0..500).map(|_| browser.fetch("/api/me").into_future())).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn cookies_in_several_fields_reach_the_upstream_as_one() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"user\"",
        upstream.target()
    ))
    .await;
    let browser = stack.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    for (name, value) in [("a", "1"), ("b", "2")] {
        browser.set_cookie(name, value);
    }
    browser.fetch("/x").await.is(200);
    assert_eq!(upstream.last().header("cookie"), Some("a=1; b=2"));
    assert!(upstream.last().line().ends_with("HTTP/1.1"));
}

#[tokio::test]
async fn trailers_pass_with_te_trailers_and_not_without() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/grpc\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n",
    )
    .await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    let browser = stack.browser().over(Protocol::Http2);
    let answer = browser.post("/x").header("te", "trailers").body("x").await.is(200);
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    assert_eq!(upstream.last().header("te"), Some("trailers"));
    let answer = browser.post("/x").body("x").await.is(200);
    assert_eq!((answer.text().as_str(), answer.trailers.is_none()), ("ok", true), "RFC 9110 section 6.5.1");
}

#[tokio::test]
async fn an_answer_with_hundreds_of_headers_reaches_visitors_of_both_versions() {
    // The client of this test accepts 16 KiB of headers over HTTP/2, which is less than 1,024 of them.
    for (protocol, count) in [(Protocol::Http1, 1024), (Protocol::Http2, 300)] {
        let head = (1..count).fold("HTTP/1.1 200 OK\r\n".to_owned(), |head, n| format!("{head}x-{n}: {n}\r\n"));
        let upstream = Upstream::answering(format!("{head}content-length: 2\r\n\r\nok")).await;
        let stack = TestStack::with(&format!(
            "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"public\"",
            upstream.target()
        ))
        .await;
        let request = format!("GET /x HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", stack.gateway.host());
        let answer = match protocol {
            Protocol::Http1 => Raw::exchange(stack.gateway.address(), request).await,
            Protocol::Http2 => format!("{}", stack.browser().over(protocol).fetch("/x").await.is(200)),
        };
        assert!(answer.contains(&format!("x-{}: {}", count - 1, count - 1)), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_resets_the_stream() {
    let stack = TestStack::start().await;
    let browser = stack.browser().over(Protocol::Http2);
    assert!(browser.fetch("/public/cut?bytes=100000").try_send().await.is_err());
    browser.fetch("/public/ping").await.is(200);
}

#[tokio::test]
async fn a_body_that_differs_from_its_content_length_resets_only_its_stream() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    let tcp = TcpStream::connect(stack.gateway.address()).await.unwrap();
    let (mut link, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/x", stack.gateway.host());
    let ask = |length: &str| Request::post(&uri).version(Version::HTTP_2).header("content-length", length);
    let short = Full::new(Bytes::from_static(b"12345")).boxed_unsync();
    let outcome = link.send_request(ask("10").body(short).unwrap()).await;
    assert!(outcome.is_err() || outcome.is_ok_and(|answer| answer.status().is_client_error()));
    let empty = Empty::<Bytes>::new().boxed_unsync();
    assert_eq!(link.send_request(ask("0").body(empty).unwrap()).await.unwrap().status(), 200);
    assert_eq!(upstream.heard().len(), 1, "no request with half a body was taken for whole");
}

/// CONNECT, plain and extended (RFC 8441), is never forwarded.
#[tokio::test]
async fn cve_2026_71324_a_connect_does_not_reach_the_upstream() {
    let site = Site::start().await;
    site.serves().await;
    let host = site.stack.gateway.host();
    let connections = site.upstream.connections();
    let plain = vec![(":method", "CONNECT"), (":authority", host)];
    let mut extended = request("CONNECT", host, "/x/ok");
    extended.push((":protocol", "websocket"));
    let with_a_path = request("CONNECT", host, "/x/ok");
    for fields in [plain, extended, with_a_path] {
        for body in [None, Some(&b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"[..])] {
            let status = site.ask(fields.clone(), body).await;
            assert!([0, 400, 405, 501].contains(&status), "{fields:?}: {status}");
        }
    }
    assert_eq!(site.upstream.heard().len(), 1);
    assert_eq!(site.upstream.connections(), connections);
    site.serves().await;
}

/// The HTTP/2 part: only `:authority` decides the host.
#[tokio::test]
async fn cve_2025_14523_a_host_beside_another_authority_is_refused() {
    let site = Site::start().await;
    let host = site.stack.gateway.host();
    for other in ["evil.example", "other.example", "", "127.0.0.1", "a b"] {
        let status = site.get_with([("host", other)]).await;
        let is_strange = ["evil.example", "127.0.0.1"].contains(&other);
        assert_eq!(status, if is_strange { 421 } else { 400 }, "{other:?}");
    }
    let twice = site.get_with([("host", host), ("host", "evil.example")]).await;
    assert!([0, 400].contains(&twice), "{twice}");
    let userinfo = format!("user@{host}");
    for authority in ["evil.example", "", userinfo.as_str()] {
        let status = site.ask(request("GET", authority, "/x/ok"), None).await;
        assert!([0, 400, 421].contains(&status), "{authority:?}: {status}");
    }
    let neither = [(":method", "GET"), (":scheme", "http"), (":path", "/x/ok")];
    let status = site.ask(neither, None).await;
    assert!([0, 400].contains(&status), "{status}");
    assert_eq!(site.upstream.heard().len(), 0);
    assert_eq!(site.get_with([("host", host)]).await, 200, "the same name twice is no fault");
    assert_eq!(
        site.ask(neither.into_iter().chain([("host", host)]), None).await,
        200,
        "as RFC 9113 section 8.3.1 has it"
    );
}

/// Also Envoy CVE-2023-27491 and `HAProxy` CVE-2026-33555: values of HTTP/2 are checked before they go into HTTP/1.1.
#[tokio::test]
async fn cve_2026_42926_lengths_and_names_are_checked_before_they_become_http1() {
    let site = Site::start().await;
    site.serves().await;
    let host = site.stack.gateway.host();
    for body in [&b""[..], b"12345", b"12345678901234567890"] {
        let mut fields = request("POST", host, "/x/ok");
        fields.push(("content-length", "10"));
        let status = site.ask(fields, Some(body)).await;
        assert!([0, 400].contains(&status), "{body:?}: {status}");
    }
    for length in ["0", "+5", "5, 5"] {
        let mut fields = request("POST", host, "/x/ok");
        fields.push(("content-length", length));
        let status = site.ask(fields, Some(b"hello")).await;
        assert!([0, 400].contains(&status), "{length}: {status}");
    }
    let mut twice = request("POST", host, "/x/ok");
    twice.extend([("content-length", "5"), ("content-length", "6")]);
    let status = site.ask(twice, Some(b"12345")).await;
    assert!([0, 400].contains(&status), "two lengths: {status}");
    let faulty: [(&[u8], &[u8]); 19] = [
        (b"X-Upper", b"y"),
        (b"x y", b"z"),
        (b"x\r\ny", b"z"),
        (b"x\0y", b"z"),
        (b"x:y", b"z"),
        (b"", b"z"),
        (b"x\xff", b"z"),
        (b"x", b"y\r\nsmuggled: 1"),
        (b"x", b"y\nsmuggled: 1"),
        (b"x", b"y\rz"),
        (b"x", b"y\0z"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"keep-alive", b"5"),
        (b"proxy-connection", b"close"),
        (b"upgrade", b"websocket"),
        (b"te", b"chunked"),
        (b":path", b"/x/other"),
        (b":x", b"1"),
    ];
    for (name, value) in faulty {
        let status = site.get_with([(name, value)]).await;
        let field = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        assert!([0, 400].contains(&status), "{field:?}: {status}");
    }
    for part in [":path", ":method", ":authority", ":scheme"] {
        for fault in ["\r\nsmuggled: 1", "\0", " HTTP/1.1"] {
            let fields = request("GET", host, "/x/ok").into_iter();
            let fields = fields
                .map(|(name, value)| (name, if name == part { format!("{value}{fault}") } else { value.to_owned() }));
            let status = site.ask(fields, None).await;
            assert!([0, 400, 421].contains(&status), "{part} with {fault:?}: {status}");
        }
    }
    assert_eq!(site.upstream.heard().len(), 1, "{:?}", site.upstream.heard());
    site.serves().await;
}

/// Also in Traefik: a rule for `/admin` does not match `admin`, but the backend treats both alike.
#[tokio::test]
async fn cve_2026_33186_a_path_without_a_slash_is_refused() {
    let site = Site::start().await;
    let host = site.stack.gateway.host();
    for path in ["x/ok", "x", "*", "http://evil.example/x/ok", "", "?x/ok", "\\x\\ok"] {
        let status = site.ask(request("GET", host, path), None).await;
        assert!([0, 400, 404, 421].contains(&status), "{path:?}: {status}");
    }
    assert_eq!(site.upstream.heard().len(), 0, "{:?}", site.upstream.heard());
    site.serves().await;
}

/// No path has a fragment (RFC 9113 section 8.3.1): h2 cuts it off, so the gateway finds it in the header block.
#[tokio::test]
async fn a_fragment_in_a_path_is_refused_and_other_streams_go_on() {
    let site = Site::start().await;
    let host = site.stack.gateway.host();
    let mut link = Frames::connect(site.stack.gateway.address(), &[]).await;
    let paths = ["/x/ok#", "/x/ok#/../../admin", "/x/ok#?y", "/x/ok?y#z", "#/x/other", "#"];
    for (path, stream) in paths.iter().zip((1..).step_by(2)) {
        let head = block(request("GET", host, path));
        link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, stream, head)).await;
        let outcome = link.until(|frame| frame.stream == stream).await.unwrap();
        assert_eq!((outcome.kind, outcome.code()), (is::RST_STREAM, Some(is::PROTOCOL_ERROR)), "{path}");
    }
    // `/x/ok#` in Huffman's code (RFC 7541 appendix B).
    let mut head = block(request("GET", host, "/x/ok").into_iter().filter(|(name, _)| *name != ":path"));
    head.extend([0x04, 0x86, 0x63, 0xcb, 0x07, 0xeb, 0xff, 0x5f]);
    link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, 21, head)).await;
    let outcome = link.until(|frame| frame.stream == 21).await.unwrap();
    assert_eq!((outcome.kind, outcome.code()), (is::RST_STREAM, Some(is::PROTOCOL_ERROR)));
    assert!(site.upstream.heard().is_empty(), "{:?}", site.upstream.heard());
    let head = block(request("GET", host, "/x/ok").into_iter().chain([("referer", "/x/a#b")]));
    link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, 23, head)).await;
    assert_eq!(link.until(|frame| frame.stream == 23).await.unwrap().status(), Some(200));
    assert_eq!(site.upstream.last().header("referer"), Some("/x/a#b"));
    site.serves().await;
}

/// RFC 9113 section 8.1: such a request is malformed. h2 would forward it without that field.
#[tokio::test]
async fn a_pseudo_header_field_in_trailers_ends_the_connection() {
    let site = Site::start().await;
    for trailers in [
        block([(":path", "/x/other"), ("x-test", "ok")]),
        block([(":x", "1")]),
        vec![0x82],
        [block([("x-test", "ok")]), vec![0x88]].concat(),
    ] {
        let mut link = Frames::connect(site.stack.gateway.address(), &[]).await;
        let fields = request("POST", site.stack.gateway.host(), "/x/ok");
        link.send(frame(is::HEADERS, is::END_HEADERS, 1, block(fields))).await;
        link.send(frame(is::DATA, 0, 1, "body")).await;
        // Padded, and in two frames.
        let (one, two) = trailers.split_at(trailers.len() / 2);
        let padded = [&[3], one, &[0; 3]].concat();
        link.send(frame(is::HEADERS, is::END_STREAM | is::PADDED, 1, padded)).await;
        link.send(frame(is::CONTINUATION, is::END_HEADERS, 1, two)).await;
        let outcome = link.until(|frame| frame.kind == is::HEADERS || frame.code().is_some()).await.unwrap();
        assert_eq!((outcome.kind, outcome.code()), (is::GOAWAY, Some(is::PROTOCOL_ERROR)), "{trailers:x?}");
        while link.next().await.is_some() {}
    }
    assert!(site.upstream.heard().is_empty(), "{:?}", site.upstream.heard());
    site.serves().await;
}

#[tokio::test]
async fn of_the_requests_that_wait_for_their_body_the_ninth_is_refused_and_can_be_sent_again() {
    let site = Site::start().await;
    let mut link = Frames::connect(site.stack.gateway.address(), &[]).await;
    let host = site.stack.gateway.host();
    let mut fields = request("POST", host, "/auth/logout");
    fields.push(("content-type", "application/json"));
    let head = |stream| frame(is::HEADERS, is::END_HEADERS, stream, block(fields.clone()));
    let body = |stream| frame(is::DATA, is::END_STREAM, stream, b"{}");
    for stream in (1..=17).step_by(2) {
        link.send(head(stream)).await;
    }
    let refused = link.until(|frame| frame.code().is_some()).await.expect("one is refused");
    assert_eq!((refused.stream, refused.code()), (17, Some(is::REFUSED_STREAM)));
    link.send(body(1)).await;
    let answer = link.until(|frame| frame.kind == is::HEADERS).await.expect("the first is answered");
    assert_eq!((answer.stream, answer.status()), (1, Some(200)));
    link.send([head(19), body(19)].concat()).await;
    let answer = link.until(|frame| frame.kind == is::HEADERS).await.expect("the ninth is answered");
    assert_eq!((answer.stream, answer.status()), (19, Some(200)));
    // A request without a body waits for none.
    link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, 21, block(request("GET", host, "/auth/session"))))
        .await;
    let answer = link.until(|frame| frame.kind == is::HEADERS).await.expect("it is answered");
    assert_eq!((answer.stream, answer.status()), (21, Some(200)));
}
