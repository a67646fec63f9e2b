//! The request that an upstream gets, and bodies with faults.

use super::*;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_a_connection_is_made() {
    let (listener, upstream) = one_target().await;
    let (request, _near) = visitor("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n").await;
    let error = send(&upstream, request.map(|body| RequestBody::stream(body, Some(10)))).await.unwrap_err();
    assert!(matches!(error, ForwardError::RequestTooLarge));
    assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none());
}

/// The error of a chunked body of which `rest` arrives after its first chunk of four bytes, and what the upstream got.
async fn upload(rest: Option<&str>, limit: Option<u64>, idle: Duration) -> (Option<ForwardError>, String) {
    let (listener, upstream) = one_target().await;
    let raw = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";
    let (request, mut near) = visitor(raw).await;
    let request = request.map(|body| RequestBody::stream(body, limit));
    let serve = async {
        let mut stream = accept(&listener).await;
        read_until(&mut stream, "4\r\nsome\r\n").await;
        match rest {
            Some(rest) => write(&mut near, rest).await,
            None => drop(near),
        }
        let mut got = Vec::new();
        // The connection may end with a reset.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await;
        String::from_utf8(got).unwrap()
    };
    let deadlines = RequestDeadlines { idle, ..PATIENT };
    let asked = async { upstream.forward(request, None, deadlines).await.err() };
    tokio::join!(asked, serve)
}

#[tokio::test]
async fn a_bad_body_is_an_error_and_never_looks_complete_to_the_upstream() {
    let long = Duration::from_secs(60);
    let cases = [
        upload(Some("7\r\ntoo big\r\n"), Some(10), long).await,
        upload(Some("zz\r\n"), None, long).await,
        upload(None, None, long).await,
        upload(Some(""), None, SHORT).await,
    ];
    assert!(matches!(cases[0].0, Some(ForwardError::RequestTooLarge)), "{cases:?}");
    assert!(matches!(cases[1].0, Some(ForwardError::RequestBroken(_))), "{cases:?}");
    assert!(matches!(cases[2].0, Some(ForwardError::RequestBroken(_))), "{cases:?}");
    assert!(matches!(cases[3].0, Some(ForwardError::RequestStalled)), "{cases:?}");
    for (_, rest) in cases {
        assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn a_request_is_framed_anew() {
    let bodies = [
        ("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "2\r\nhi\r\n0\r\n\r\n"),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi", "hi"),
        ("POST http://a/x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi", "hi"),
    ];
    for (raw, body) in bodies {
        let (listener, upstream) = one_target().await;
        let (request, _near) = visitor(raw).await;
        let serve = async {
            let mut stream = accept(&listener).await;
            let head = read_head(&mut stream).await;
            assert_eq!(read_until(&mut stream, body).await, body);
            write(&mut stream, OK).await;
            head
        };
        let (answer, head) = with(&upstream, request.map(|body| RequestBody::stream(body, None)), serve).await;
        assert_eq!(text(answer.unwrap()).await, "ok");
        assert_eq!(head.contains("transfer-encoding: chunked\r\n"), raw.contains("chunked"), "{head}");
        assert_ne!(head.contains("content-length: 2\r\n"), raw.contains("chunked"), "{head}");
    }
}

#[tokio::test]
async fn an_http_2_request_becomes_http_1_1_in_origin_form() {
    let mut request = Request::get("https://app.example/path?query").body(RequestBody::empty()).unwrap();
    *request.version_mut() = Version::HTTP_2;
    let request = ready_to_send(request).unwrap();
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.uri(), "/path?query");
    assert_eq!(request.headers()["host"], "app.example");
}

#[tokio::test]
async fn large_bodies_pass_whole_in_both_directions() {
    let (listener, upstream) = one_target().await;
    let sent: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let expected = sent.clone();
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        let mut got = vec![0; expected.len()];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut got).await.unwrap();
        write(&mut stream, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", got.len())).await;
        write(&mut stream, got).await;
    };
    let ask = async {
        let answer = send(&upstream, post(RequestBody::full(sent.into()))).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let ((), got) = tokio::join!(serve, ask);
    assert_eq!(got, expected);
}

#[tokio::test]
async fn an_early_answer_arrives_while_the_body_is_being_sent() {
    let (listener, upstream) = one_target().await;
    let (request, mut near) = visitor("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nfour").await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_until(&mut stream, "four").await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        stream
    };
    let (answer, mut stream) = with(&upstream, request.map(|body| RequestBody::stream(body, None)), serve).await;
    write(&mut near, "more").await;
    let serve = async {
        assert_eq!(read_until(&mut stream, "more").await, "more");
        write(&mut stream, "4\r\ndone\r\n0\r\n\r\n").await;
        stream
    };
    let (text, _stream) = tokio::join!(text(answer.unwrap()), serve);
    assert_eq!(text, "done");
    assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
}
