//! HTTP/2 without TLS, and frames that are never completed.

use super::*;

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let gateway = defaults();
    let io = TokioIo::new(gateway.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    let driven = tokio::spawn(connection);
    let answer = client.send_request(Request::get("http://a/").body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_2));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"[HTTP/2.0 127.0.0.1 tls=false"), "{body:?}");
    let large = Request::get("http://a/").header("x", "y".repeat(40 * 1024)).body(Empty::new()).unwrap();
    assert_eq!(client.send_request(large).await.unwrap().status(), 431);
    gateway.end().await;
    timeout(TEST_TIMEOUT, driven).await.expect("GOAWAY ended the connection").unwrap().unwrap();
}

#[tokio::test]
async fn an_http2_preface_in_pieces_is_http2_and_a_similar_method_is_http1() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    for piece in ["P", "R", "I * HTTP/2.0\r\n\r\nSM\r", "\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut frame = [0; 9];
    timeout(TEST_TIMEOUT, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "SETTINGS");
    let answer = gateway.raw(LAST_GET.replace("GET", "PRIZE")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// An HTTP/2 connection on which a request has been answered.
async fn http2_after_a_request(gateway: &TestServer) -> TcpStream {
    let mut stream = gateway.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.write_all(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a").await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(7).any(|seven| seven == b"worker=") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {answer:?}");
    }
    stream
}

const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0 a ping ";

#[tokio::test]
async fn an_incomplete_frame_ends_its_connection_after_the_time_for_a_head() {
    let limits = Limits { head: Duration::from_millis(500), idle: NEVER, ..Limits::default() };
    let gateway = start(settings(), limits);
    let ended = |part: &'static [u8]| {
        let gateway = &gateway;
        async move {
            let mut stream = http2_after_a_request(gateway).await;
            stream.write_all(part).await.unwrap();
            let _end_or_reset =
                timeout(TEST_TIMEOUT, stream.read_to_end(&mut Vec::new())).await.expect("the connection ends");
        }
    };
    let open_block = b"\0\0\x01\x01\x01\0\0\0\x03\x82";
    tokio::join!(ended(open_block), ended(&PING[..3]), ended(&PING[..12]));
    assert_eq!(gateway.metrics.connections_flooded.get(), 0);
}

#[tokio::test]
async fn parts_of_frames_do_not_keep_an_idle_connection_open() {
    let gateway = start(settings(), Limits { idle: SHORT, idle_while_draining: SHORT, ..Limits::default() });
    let mut stream = http2_after_a_request(&gateway).await;
    let ended = async {
        loop {
            let sent = [&PING[..12], &PING[12..]];
            for part in sent {
                if stream.write_all(part).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if !matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {
                return;
            }
        }
    };
    timeout(TEST_TIMEOUT, ended).await.expect("the connection ends");
}

#[tokio::test]
async fn requests_whose_heads_have_no_room_are_refused_and_going_on_after_that_ends_the_connection() {
    let heads = HeadLimits { per_connection: 64 * 1024, ..HeadLimits::default() };
    let mut gateway = start(settings(), Limits { heads, ..Limits::default() });
    let io = TokioIo::new(gateway.connect().await);
    let (client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let reason = |error: hyper::Error| {
        std::error::Error::source(&error).and_then(|source| source.downcast_ref::<h2::Error>()?.reason())
    };
    let send = || {
        let request = Request::get("http://a/wait").header("x", "y".repeat(12 * 1024)).body(Empty::new()).unwrap();
        client.clone().send_request(request)
    };
    // Five heads of 12 KiB have room.
    let mut served = Vec::new();
    for _ in 0..5 {
        served.push(tokio::spawn(send()));
        gateway.arrived.recv().await.unwrap();
    }
    for _ in 0..20 {
        let error = timeout(TEST_TIMEOUT, send()).await.unwrap().unwrap_err();
        assert_eq!(reason(error), Some(h2::Reason::REFUSED_STREAM));
    }
    // Once there is room again, so is service.
    gateway.release.add_permits(5);
    for answer in served {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let waiting = (0..5).map(|_| tokio::spawn(send())).collect::<Vec<_>>();
    for _ in &waiting {
        gateway.arrived.recv().await.unwrap();
    }
    let mut refused = 0;
    let end = loop {
        match reason(timeout(TEST_TIMEOUT, send()).await.unwrap().unwrap_err()) {
            Some(h2::Reason::REFUSED_STREAM) => refused += 1,
            other => break other,
        }
        assert!(refused < 5000, "the connection goes on");
    };
    assert!(refused > 100 && matches!(end, None | Some(h2::Reason::ENHANCE_YOUR_CALM)), "{refused} {end:?}");
}
