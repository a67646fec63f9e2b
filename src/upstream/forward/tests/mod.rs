//! Upstreams that speak raw bytes: what they get, and what is made of what they send.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::oneshot,
};

use super::{
    super::{AnswerError, testing::*},
    *,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn send(upstream: &Upstream, request: Request<RequestBody>) -> Result<Response<AnswerBody>, ForwardError> {
    upstream.forward(request, PATIENT, &Clock::system()).await
}

/// Sends `request` while `serve` answers.
async fn with<T>(
    upstream: &Upstream,
    request: Request<RequestBody>,
    serve: impl Future<Output = T>,
) -> (Result<Response<AnswerBody>, ForwardError>, T) {
    tokio::join!(send(upstream, request), serve)
}

/// The answer to a GET that an upstream answers with `raw`, and then closes.
async fn answer_of(raw: &str) -> Result<Response<AnswerBody>, ForwardError> {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, raw).await;
    };
    with(&upstream, get("/"), serve).await.0
}

#[tokio::test]
async fn targets_take_turns_and_an_ejected_one_is_left_out() {
    let targets = (1..=3).map(|port| Target::Http { host: "192.0.2.1".into(), port }).collect();
    let upstream = upstream_of(targets);
    let now = Timestamp::from_secs(1_000_000);
    let turns = |count: usize, now| (0..count).map(|_| upstream.pick(now).base_url()).collect::<Vec<_>>();
    let (one, two, three) = ("http://192.0.2.1:1", "http://192.0.2.1:2", "http://192.0.2.1:3");
    assert_eq!(turns(4, now), [one, two, three, one]);
    for _ in 0..3 {
        upstream.targets()[1].failed(now);
    }
    assert!(!turns(6, now).contains(&two));
    assert!(turns(3, now.plus(Duration::from_secs(10))).contains(&two));
    let later = now.plus(Duration::from_secs(1));
    for target in [0, 2] {
        for _ in 0..3 {
            upstream.targets()[target].failed(later);
        }
    }
    assert_eq!(turns(2, later), [two, two], "with all ejected the first of them is tried");
}

#[tokio::test]
async fn a_refused_connection_goes_on_to_the_next_target() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let live = target(listener.local_addr().unwrap());
    let upstream = upstream_of(vec![closed_target().await, live]);
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
    };
    assert_eq!(text(with(&upstream, get("/"), serve).await.0.unwrap()).await, "ok");
}

#[tokio::test]
async fn with_no_target_left_it_is_unreachable_and_the_targets_are_ejected() {
    let upstream = upstream_of(vec![closed_target().await]);
    let clock = Clock::system();
    for _ in 0..3 {
        let error = upstream.forward(get("/"), PATIENT, &clock).await.unwrap_err();
        assert!(matches!(error, ForwardError::Unreachable(_)), "{error:?}");
    }
    assert!(upstream.targets()[0].is_ejected(clock.now()));
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        for path in ["/1", "/2", "/3"] {
            assert!(read_head(&mut stream).await.starts_with(&format!("GET {path} HTTP/1.1\r\nhost: app.example\r\n")));
            write(&mut stream, OK).await;
        }
        stream
    };
    let ask = async {
        for path in ["/1", "/2", "/3"] {
            assert_eq!(text(send(&upstream, get(path)).await.unwrap()).await, "ok");
            assert_eq!(pool::kept(upstream.targets()[0].id), 1);
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn an_answer_without_a_body_gives_its_connection_back_at_once() {
    for raw in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let (listener, upstream) = one_target().await;
        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, raw).await;
            stream
        };
        let (answer, _stream) = with(&upstream, get("/"), serve).await;
        assert!(http_body::Body::is_end_stream(answer.unwrap().body()));
        assert_eq!(pool::kept(upstream.targets()[0].id), 1);
    }
}

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
async fn an_unwanted_answer_gives_its_connection_back_if_it_has_come() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\nnope").await;
        stream
    };
    let (answer, _stream) = with(&upstream, get("/"), serve).await;
    answer.unwrap().into_body().discard();
    assert_eq!(pool::kept(upstream.targets()[0].id), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_replaced_by_a_fresh_one() {
    let (listener, upstream) = one_target().await;
    let (closed, is_closed) = oneshot::channel();
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
        drop(stream);
        closed.send(()).unwrap();
        let mut stream = accept(&listener).await;
        let head = read_head(&mut stream).await;
        assert_eq!(read_until(&mut stream, "body").await, "body");
        write(&mut stream, OK).await;
        head
    };
    let ask = async {
        text(send(&upstream, get("/")).await.unwrap()).await;
        is_closed.await.unwrap();
        // Also a request that must not be sent twice: nothing of it was sent.
        text(send(&upstream, post(RequestBody::full("body".into()))).await.unwrap()).await
    };
    let (head, answer) = tokio::join!(serve, ask);
    assert!(head.starts_with("POST / HTTP/1.1\r\n"));
    assert_eq!(answer, "ok");
}

/// The first request is answered; the second is read from the same connection, which is then closed.
async fn close_after_second_request(idle: Duration, second: Request<RequestBody>) -> (usize, Option<ForwardError>) {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
        read_head(&mut stream).await;
        drop(stream);
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
    };
    let ask = async {
        text(send(&upstream, get("/")).await.unwrap()).await;
        pool::age(upstream.targets()[0].id, idle);
        send(&upstream, second).await
    };
    tokio::pin!(serve);
    tokio::select! {
        biased;
        asked = ask => (1, asked.err()),
        () = &mut serve => (2, None),
    }
}

#[tokio::test]
async fn a_safe_request_is_sent_again_where_the_connection_had_been_idle_for_long() {
    assert!(matches!(close_after_second_request(DOUBTFUL, get("/")).await, (2, None)));
}

#[tokio::test]
async fn no_other_request_that_may_have_arrived_is_sent_again() {
    let busy = close_after_second_request(Duration::ZERO, get("/")).await;
    assert!(matches!(busy, (1, Some(ForwardError::Broken(_)))), "{busy:?}");
    let unsafe_ = close_after_second_request(DOUBTFUL, post(RequestBody::empty())).await;
    assert!(matches!(unsafe_, (1, Some(ForwardError::Broken(_)))), "{unsafe_:?}");
}

#[tokio::test]
async fn an_upstream_that_is_silent_is_too_slow() {
    let (listener, upstream) = one_target().await;
    let deadlines = Deadlines { first_byte: SHORT, ..PATIENT };
    let clock = Clock::system();
    let asked = upstream.forward(get("/"), deadlines, &clock);
    let (error, _stream) = tokio::join!(asked, accept(&listener));
    assert!(matches!(error, Err(ForwardError::Timeout(Stage::Answer))), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_an_error() {
    let (listener, upstream) = one_target().await;
    let deadlines = Deadlines { idle: SHORT, ..PATIENT };
    let clock = Clock::system();
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
        stream
    };
    let (answer, _stream) = tokio::join!(upstream.forward(get("/"), deadlines, &clock), serve);
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
    assert_eq!(read_to_end(&mut stream).await, "", "the upstream is let go too");
}

#[tokio::test]
async fn an_upstream_that_dies_in_the_middle_of_its_answer_is_an_error() {
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
        assert_eq!(pool::kept(upstream.targets()[0].id), 0, "{raw:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_instead_of_answering_is_broken() {
    for raw in ["", "HTTP/1.1 200 OK\r\ncontent-"] {
        let answer = answer_of(raw).await;
        assert!(matches!(answer, Err(ForwardError::Broken(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_of_http_1_0_ends_with_its_connection_and_informational_ones_are_dropped() {
    let answer =
        answer_of("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    assert!(!answer.headers().contains_key("link"));
    assert_eq!(text(answer).await, "all of it");
}

/// The trailers of an answer to a GET with this `TE`; the connection must be kept in any case.
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
    assert_eq!(pool::kept(upstream.targets()[0].id), 1);
    trailers
}

#[tokio::test]
async fn trailers_of_an_answer_pass_to_whoever_asked_for_them_and_its_connection_is_kept() {
    let trailers = trailers_of_answer(Some("trailers")).await.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers_of_answer(None).await, None);
}

#[tokio::test]
async fn bytes_behind_an_answer_that_has_no_body_reach_nobody() {
    for (method, raw) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\nbody"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nbody"),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"),
    ] {
        let (listener, upstream) = one_target().await;
        let mut request = get("/");
        *request.method_mut() = method;
        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, raw).await;
            stream
        };
        let (answer, mut stream) = with(&upstream, request, serve).await;
        text(answer.unwrap()).await;
        assert_eq!(pool::kept(upstream.targets()[0].id), 0, "{raw:?}");
        // It may be a reset, since bytes were left unread.
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await;

        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, OK).await;
        };
        assert_eq!(text(with(&upstream, get("/next"), serve).await.0.unwrap()).await, "ok", "{raw:?}");
    }
}

#[tokio::test]
async fn bytes_that_come_to_an_idle_connection_are_no_answer_to_the_next_request() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        stream
    };
    let (answer, mut stream) = with(&upstream, get("/"), serve).await;
    text(answer.unwrap()).await;
    assert_eq!(pool::kept(upstream.targets()[0].id), 1);
    write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await;
    // Another connection between two sockets of this process is made after those bytes were delivered.
    let meanwhile = async {
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        tokio::join!(near, listener.accept())
    };
    drop(meanwhile.await);
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
    };
    // A request that must not be sent twice: nothing of it went over the first connection.
    let (answer, ()) = with(&upstream, post(RequestBody::full("body".into())), serve).await;
    assert_eq!(text(answer.unwrap()).await, "ok");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_the_upstream_hears_of_it() {
    let (listener, upstream) = one_target().await;
    let (request, _near) = visitor("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n").await;
    let error = send(&upstream, request.map(|body| RequestBody::stream(body, Some(10)))).await.unwrap_err();
    assert!(matches!(error, ForwardError::RequestTooLarge));
    assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none());
}

/// What becomes of a chunked body of which `rest` comes after its first chunk of four bytes.
async fn upload(rest: Option<&str>, limit: Option<u64>, idle: Duration) -> (Option<ForwardError>, String) {
    let (listener, upstream) = one_target().await;
    let raw = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";
    let (request, mut near) = visitor(raw).await;
    let clock = Clock::system();
    let request = request.map(|body| RequestBody::stream(body, limit));
    let serve = async {
        let mut stream = accept(&listener).await;
        read_until(&mut stream, "4\r\nsome\r\n").await;
        match rest {
            Some(rest) => write(&mut near, rest).await,
            None => drop(near),
        }
        let mut got = Vec::new();
        // A reset is as good an end as any.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await;
        String::from_utf8(got).unwrap()
    };
    let deadlines = Deadlines { idle, ..PATIENT };
    let asked = async { upstream.forward(request, deadlines, &clock).await.err() };
    tokio::join!(asked, serve)
}

#[tokio::test]
async fn a_bad_body_ends_the_request_and_never_looks_complete() {
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
async fn a_request_of_http_2_becomes_one_of_http_1_1() {
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
async fn an_early_answer_arrives_while_the_body_is_still_under_way() {
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
    assert_eq!(pool::kept(upstream.targets()[0].id), 1);
}

#[tokio::test]
async fn a_unix_socket_is_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let upstream = upstream_of(vec![Target::Unix(path)]);
    let serve = async {
        let mut stream = listener.accept().await.unwrap().0;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
    };
    assert_eq!(text(with(&upstream, get("/"), serve).await.0.unwrap()).await, "ok");
}

#[tokio::test]
async fn an_https_target_is_checked_and_spoken_to_in_http_1_1() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let trusting = upstream_with(vec![Target::Https { host: "localhost".into(), port }], roots);
    let wary = upstream_of(vec![Target::Https { host: "localhost".into(), port }]);

    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));

    let serve = async {
        let mut stream = acceptor.accept(accept(&listener).await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
        stream
    };
    let (answer, _stream) = with(&trusting, get("/"), serve).await;
    assert_eq!(text(answer.unwrap()).await, "ok");

    let refused = async { acceptor.accept(accept(&listener).await).await.is_err() };
    let (answer, was_refused) = with(&wary, get("/"), refused).await;
    assert!(matches!(answer, Err(ForwardError::Unreachable(_))) && was_refused);
}
