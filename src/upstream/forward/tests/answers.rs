//! What the visitor gets of an upstream's answer, and answers with faults.

use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn the_answer_to_head_keeps_its_length_and_has_no_body() {
    let (listener, upstream) = one_target().await;
    let mut request = get("/");
    *request.method_mut() = Method::HEAD;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        stream
    };
    let (answer, _stream) = with(&upstream, request, serve).await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-length"], "1000");
    assert_eq!(text(answer).await, "");
}

#[tokio::test]
async fn a_silent_upstream_is_a_timeout() {
    let (listener, upstream) = one_target().await;
    let deadlines = RequestDeadlines { first_byte: SHORT, ..PATIENT };
    let asked = upstream.forward(get("/"), None, deadlines);
    let (error, _stream) = tokio::join!(asked, accept(&listener));
    assert!(matches!(error, Err(ForwardError::Timeout(Stage::Answer))), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_an_error() {
    let (listener, upstream) = one_target().await;
    let deadlines = RequestDeadlines { idle: SHORT, ..PATIENT };
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
        stream
    };
    let (answer, _stream) = tokio::join!(upstream.forward(get("/"), None, deadlines), serve);
    let error = answer.unwrap().into_body().collect().await.unwrap_err();
    assert!(matches!(error, AnswerError::Idle), "{error:?}");
}

#[tokio::test]
async fn an_answer_is_cut_when_its_session_ends() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nevent\r\n").await;
        stream
    };
    let (answer, mut stream) = with(&upstream, get("/"), serve).await;
    let mut body = answer.unwrap().into_body();
    let (end, ended) = oneshot::channel::<()>();
    body.cut_when(Box::pin(async { drop(ended.await) }));
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "event");
    end.send(()).unwrap();
    assert!(matches!(body.frame().await, Some(Err(AnswerError::Ended))));
    assert_eq!(read_to_end(&mut stream).await, "", "the connection to the upstream is closed too");
}

#[tokio::test]
async fn an_upstream_that_closes_within_its_answer_is_an_error() {
    for raw in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        let error = answer_of(raw).await.unwrap().into_body().collect().await.unwrap_err();
        assert!(matches!(error, AnswerError::Upstream(_)), "{error:?}");
    }
}

#[tokio::test]
async fn the_visitor_sees_a_broken_answer_as_broken() {
    let (listener, upstream) = one_target().await;
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let upstream = Arc::new(upstream);
    tokio::spawn(async move {
        let service = service_fn(|request: Request<Incoming>| {
            let upstream = Arc::clone(&upstream);
            async move { send(&upstream, request.map(|body| RequestBody::stream(body, None))).await }
        });
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service).await
    });
    write(&mut near, "GET / HTTP/1.1\r\nhost: app.example\r\n\r\n").await;
    let mut stream = accept(&listener).await;
    read_head(&mut stream).await;
    write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    read_until(&mut near, "half\r\n").await;
    drop(stream);
    assert_eq!(read_to_end(&mut near).await, "", "no last chunk");
}

#[tokio::test]
async fn an_answer_may_have_1024_headers_and_no_more() {
    let with_headers = |count: usize| {
        let head = (1..count).fold("HTTP/1.1 200 OK\r\n".to_owned(), |head, n| format!("{head}x-{n}: {n}\r\n"));
        format!("{head}content-length: 2\r\n\r\nok")
    };
    for count in [101, 1024] {
        let answer = answer_of(&with_headers(count)).await.unwrap();
        assert_eq!(answer.headers().len(), count);
        assert_eq!(text(answer).await, "ok");
    }
    let more = answer_of(&with_headers(1025)).await;
    assert!(matches!(more, Err(ForwardError::BadAnswer(_))), "{more:?}");
}

#[tokio::test]
async fn long_values_reasons_trailers_and_many_informational_answers_pass() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".repeat(500);
    let answer = answer_of(&format!(
        "{hints}HTTP/1.1 200 {}\r\nx-long: {}\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: {}\r\n\r\n",
        "r".repeat(8_000),
        "v".repeat(300_000),
        "t".repeat(100_000)
    ))
    .await
    .unwrap();
    assert_eq!(answer.headers()["x-long"].len(), 300_000);
    assert_eq!(text(answer).await, "ok");
    let endless = answer_of(&format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "v".repeat(420_000))).await;
    assert!(matches!(endless, Err(ForwardError::BadAnswer(_))), "{endless:?}");
}

#[tokio::test]
async fn an_answer_whose_end_is_ambiguous_is_refused() {
    for raw in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let (listener, upstream) = one_target().await;
        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, raw).await;
            stream
        };
        let (answer, _stream) = with(&upstream, get("/"), serve).await;
        assert!(matches!(answer, Err(ForwardError::BadAnswer(_))), "{raw:?}: {answer:?}");
        assert_eq!(pool::idle_count(upstream.targets()[0].id), 0, "{raw:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_before_its_answer_is_broken() {
    for raw in ["", "HTTP/1.1 200 OK\r\ncontent-"] {
        let answer = answer_of(raw).await;
        assert!(matches!(answer, Err(ForwardError::Broken(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_http_1_0_answer_ends_with_its_connection_and_1xx_answers_are_dropped() {
    let answer =
        answer_of("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    assert!(!answer.headers().contains_key("link"));
    assert_eq!(text(answer).await, "all of it");
}

/// The trailers of an answer to a GET with this `TE`; the connection must return to the pool in any case.
async fn trailers_of_answer(te: Option<&'static str>) -> Option<HeaderMap> {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
        write(&mut stream, format!("{head}0\r\ngrpc-status: 0\r\nset-cookie: sb_at=evil\r\n\r\n")).await;
        stream
    };
    let mut request = get("/");
    if let Some(te) = te {
        request.headers_mut().insert("te", HeaderValue::from_static(te));
    }
    let (answer, _stream) = with(&upstream, request, serve).await;
    let mut body = answer.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    let trailers = body.frame().await.map(|frame| frame.unwrap().into_trailers().unwrap());
    assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
    trailers
}

#[tokio::test]
async fn trailers_of_an_answer_pass_only_if_asked_for_and_its_connection_is_kept() {
    let trailers = trailers_of_answer(Some("trailers")).await.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers_of_answer(None).await, None);
}
