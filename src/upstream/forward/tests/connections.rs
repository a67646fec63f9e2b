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
async fn without_a_reachable_target_it_is_unreachable() {
    let upstream = upstream_of(vec![closed_target().await]);
    for _ in 0..5 {
        let error = send(&upstream, get("/")).await.unwrap_err();
        assert!(matches!(error, ForwardError::Unreachable(_)), "{error:?}");
    }
    assert!(!upstream.targets()[0].is_ejected(), "an only target never is");
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

/// The first request is answered; the second is read from the same connection, which is then closed. The number of
/// connections on which the second request arrived, and its error.
async fn close_after_second_request(second: Request<RequestBody>, has_copy: bool) -> (usize, Option<ForwardError>) {
    let (listener, upstream) = one_target().await;
    let expected = format!("{} {} HTTP/1.1\r\nhost: app.example\r\n", second.method(), second.uri());
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
        assert!(read_head(&mut stream).await.starts_with(&expected));
        drop(stream);
        let mut stream = accept(&listener).await;
        assert!(read_head(&mut stream).await.starts_with(&expected));
        write(&mut stream, OK).await;
    };
    let ask = async {
        text(send(&upstream, get("/")).await.unwrap()).await;
        let copy = has_copy.then(|| copy_of(&second));
        upstream.forward(second, copy.as_ref(), PATIENT).await
    };
    tokio::pin!(serve);
    tokio::select! {
        biased;
        asked = ask => (1, asked.err()),
        () = &mut serve => (2, None),
    }
}

#[tokio::test]
async fn a_safe_request_whose_reused_connection_is_closed_is_sent_once_more_however_busy_the_connection_was() {
    for has_copy in [false, true] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let mut request = get("/second?x=1");
            *request.method_mut() = method;
            assert!(matches!(close_after_second_request(request, has_copy).await, (2, None)));
        }
    }
}

#[tokio::test]
async fn no_other_request_that_may_have_arrived_is_sent_again() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let mut request = get("/second");
        *request.method_mut() = method;
        let broken = close_after_second_request(request, false).await;
        assert!(matches!(broken, (1, Some(ForwardError::Broken(_)))), "{broken:?}");
    }
    let mut with_body = get("/second");
    *with_body.body_mut() = RequestBody::full("body".into());
    let broken = close_after_second_request(with_body, false).await;
    assert!(matches!(broken, (1, Some(ForwardError::Broken(_)))), "{broken:?}");
}

#[tokio::test]
async fn a_safe_request_is_sent_again_once_and_not_from_a_new_connection() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
        read_head(&mut stream).await;
        drop(stream);
        for _ in 0..2 {
            read_head(&mut accept(&listener).await).await;
        }
    };
    let ask = async {
        text(send(&upstream, get("/")).await.unwrap()).await;
        send(&upstream, get("/")).await.unwrap_err()
    };
    tokio::select! {
        biased;
        error = ask => assert!(matches!(error, ForwardError::Broken(_)), "{error:?}"),
        () = serve => panic!("it was sent a third time"),
    }
}

/// A target that answers with this line of its head; how many connections three requests need.
async fn connections_for_three(line: &str, method: Method, age: Duration) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let targets = vec![target(listener.local_addr().unwrap())];
    let settings = Settings { targets, max_connection_age: Duration::from_secs(3600), ..settings() };
    let upstream = upstream_from(settings, rustls::RootCertStore::empty());
    let connections = std::cell::Cell::new(0);
    let serve = async {
        loop {
            let mut stream = accept(&listener).await;
            connections.set(connections.get() + 1);
            while let Ok(1..) = stream.peek(&mut [0]).await {
                read_head(&mut stream).await;
                write(&mut stream, format!("HTTP/1.1 200 OK\r\n{line}content-length: 2\r\n\r\nok")).await;
            }
        }
    };
    let ask = async {
        for _ in 0..3 {
            let mut request = get("/");
            *request.method_mut() = method.clone();
            text(send(&upstream, request).await.unwrap()).await;
            pool::age(upstream.targets()[0].id, age);
        }
    };
    tokio::select! {
        () = ask => connections.get(),
        () = serve => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
async fn a_connection_is_used_a_second_less_than_its_keep_alive_says() {
    let millis = Duration::from_millis;
    for (line, age, connections) in [
        ("keep-alive: timeout=5\r\n", millis(3900), 1),
        ("keep-alive: timeout=5\r\n", millis(4000), 3),
        ("Keep-Alive: timeout=5, max=100\r\n", millis(4000), 3),
        ("keep-alive: timeout=1\r\n", millis(0), 3),
        ("keep-alive: timeout=0\r\n", millis(0), 3),
        ("keep-alive: max=5\r\nkeep-alive: timeout=1\r\n", millis(0), 3),
        ("keep-alive: timeout=3600\r\n", millis(59_000), 1),
        ("keep-alive: timeout=3600\r\n", millis(60_000), 3),
        ("keep-alive: max=5\r\n", millis(20_000), 1),
        ("", millis(59_000), 1),
        ("", millis(60_000), 3),
    ] {
        for method in [Method::GET, Method::POST] {
            assert_eq!(connections_for_three(line, method, age).await, connections, "{line:?} {age:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_older_than_its_age_gets_no_further_request_though_it_is_never_idle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let targets = vec![target(listener.local_addr().unwrap())];
    let settings = Settings { targets, max_connection_age: Duration::from_secs(7), ..settings() };
    let upstream = upstream_from(settings, rustls::RootCertStore::empty());
    let serve = async {
        for requests in [3, 1] {
            let mut stream = accept(&listener).await;
            for _ in 0..requests {
                read_head(&mut stream).await;
                write(&mut stream, OK).await;
            }
            if requests == 3 {
                assert_eq!(read_to_end(&mut stream).await, "", "it is closed, and what was under way was answered");
            }
        }
    };
    let ask = async {
        for _ in 0..4 {
            text(send(&upstream, get("/")).await.unwrap()).await;
            pool::age(upstream.targets()[0].id, Duration::from_millis(2400));
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn a_post_finds_out_that_its_connection_was_closed_though_the_reactor_has_not_seen_it() {
    for reset in [false, true] {
        let (listener, upstream) = one_target().await;
        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, OK).await;
            stream
        };
        let (answer, stream) = with(&upstream, get("/"), serve).await;
        text(answer.unwrap()).await;
        assert_eq!(pool::idle_count(upstream.targets()[0].id), 1);
        // Nothing is awaited between the end of the connection and the request, so the reactor does not run.
        let stream = stream.into_std().unwrap();
        if reset {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(stream);
        let serve = async {
            let mut stream = accept(&listener).await;
            assert!(read_head(&mut stream).await.starts_with("POST / "));
            read_until(&mut stream, "body").await;
            write(&mut stream, OK).await;
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = send(&upstream, post(RequestBody::full("body".into()))) => answer,
            () = serve => unreachable!("it waits for ever"),
        };
        assert_eq!(text(answer.unwrap()).await, "ok", "reset: {reset}");
    }
}

#[tokio::test]
async fn a_name_is_connected_at_whichever_of_its_addresses_accepts() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = listener.local_addr().unwrap().port();
        let upstream = upstream_of(vec![Target::Http { host: "localhost".into(), port }]);
        let serve = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            write(&mut stream, OK).await;
        };
        if address.starts_with('[') && !resolves_to_both().await {
            continue;
        }
        assert_eq!(text(with(&upstream, get("/"), serve).await.0.unwrap()).await, "ok", "{address}");
    }
}

async fn resolves_to_both() -> bool {
    let mut found: Vec<_> = tokio::net::lookup_host(("localhost", 1)).await.unwrap().map(|at| at.is_ipv6()).collect();
    found.dedup();
    found.len() > 1
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
