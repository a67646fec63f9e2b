//! Which connection a request takes, when it is sent again, and when a connection is used again.

use std::sync::Arc;

use tokio::{
    net::{TcpListener, UnixListener},
    sync::oneshot,
};

use super::*;

#[tokio::test]
async fn after_a_refused_connection_the_next_target_is_tried() {
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
async fn without_a_reachable_target_it_is_unreachable_and_targets_are_ejected() {
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
            assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn an_answer_without_a_body_returns_its_connection_at_once() {
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
        assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
    }
}

#[tokio::test]
async fn a_discarded_answer_returns_its_connection_if_it_has_arrived() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\nnope").await;
        stream
    };
    let (answer, _stream) = with(&upstream, get("/"), serve).await;
    answer.unwrap().into_body().discard();
    assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_replaced_by_a_new_one() {
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
async fn a_safe_request_is_sent_again_if_its_connection_had_been_idle_for_long() {
    assert!(matches!(close_after_second_request(MAY_BE_CLOSED_AFTER, get("/")).await, (2, None)));
}

#[tokio::test]
async fn no_other_request_that_may_have_arrived_is_sent_again() {
    let busy = close_after_second_request(Duration::ZERO, get("/")).await;
    assert!(matches!(busy, (1, Some(ForwardError::Broken(_)))), "{busy:?}");
    let unsafe_ = close_after_second_request(MAY_BE_CLOSED_AFTER, post(RequestBody::empty())).await;
    assert!(matches!(unsafe_, (1, Some(ForwardError::Broken(_)))), "{unsafe_:?}");
}

#[tokio::test]
async fn bytes_after_an_answer_without_a_body_are_dropped_with_the_connection() {
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
        assert_eq!(pool::idle_count(upstream.targets()[0].id), 0, "{raw:?}");
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
async fn bytes_on_an_idle_connection_do_not_answer_the_next_request() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        stream
    };
    let (answer, mut stream) = with(&upstream, get("/"), serve).await;
    text(answer.unwrap()).await;
    assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
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
async fn the_certificate_of_an_https_target_is_checked_and_alpn_is_http_1_1() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let with_root = upstream_with(vec![Target::Https { host: "localhost".into(), port }], roots);
    let without_root = upstream_of(vec![Target::Https { host: "localhost".into(), port }]);

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
    let (answer, _stream) = with(&with_root, get("/"), serve).await;
    assert_eq!(text(answer.unwrap()).await, "ok");

    let refused = async { acceptor.accept(accept(&listener).await).await.is_err() };
    let (answer, was_refused) = with(&without_root, get("/"), refused).await;
    assert!(matches!(answer, Err(ForwardError::Unreachable(_))) && was_refused);
}
