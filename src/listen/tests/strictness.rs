//! Requests that two parsers could read differently ("two readings") are answered 400 by hyper; all others are served.

use super::*;

#[tokio::test]
async fn a_head_with_two_readings_is_400_and_no_handler_is_called() {
    let mut gateway = defaults();
    for head in [
        "POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /wait HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        "GET /wait HTTP/1.1\nhost: a\r\n\r\n",
        "GET /wait HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "GET /wait HTTP/1.1\r\nhost: a\r\n\n",
        "GET /wait#frag HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /wait?x#y HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let smuggled = format!("{head}GET /wait HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = gateway.raw(&smuggled).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{head:?} {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");

        let mut slow = gateway.connect().await;
        slow.set_nodelay(true).unwrap();
        for byte in head.as_bytes() {
            // The refusal may come before the last byte.
            let _ = slow.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        assert!(rest(&mut slow).await.starts_with("HTTP/1.1 400 "), "{head:?}");
    }
    assert!(gateway.arrived.try_recv().is_err(), "no handler was called");
}

#[tokio::test]
async fn requests_before_a_faulty_one_are_answered() {
    let mut gateway = defaults();
    let faulty = "GET /wait#x HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = gateway.raw(format!("{GET}{GET}{faulty}{GET}")).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").filter_map(|answer| answer.get(..4)).collect();
    // The text of a good answer names the version as well.
    assert_eq!(statuses.iter().filter(|s| **s == "200 ").count(), 2, "{answer}");
    assert_eq!(statuses.last(), Some(&"400 "), "{answer}");

    let mut stream = gateway.connect().await;
    stream.write_all(format!("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n{faulty}").as_bytes()).await.unwrap();
    gateway.arrived.recv().await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    gateway.release.add_permits(1);
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1, "{answer}");
    assert!(gateway.arrived.try_recv().is_err());
}

#[tokio::test]
async fn requests_with_one_reading_are_served() {
    let gateway = defaults();
    let requests = [
        "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n\n#\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\n\n#\n\r\n0\r\nx: y\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx",
        LAST_GET,
    ];
    let answer = gateway.raw(requests.concat()).await;
    assert_eq!(answer.matches(" 200 OK\r\n").count(), requests.len(), "{answer}");
}

#[tokio::test]
async fn bytes_after_a_websocket_handshake_go_to_the_tunnel_or_are_not_served() {
    let mut gateway = defaults();
    let handshake =
        |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    let mut stream = gateway.connect().await;
    stream.write_all(format!("{GET}{}\n#\n\n", handshake("/upgrade")).as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\n#\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("HTTP/1.1 101 "), "{answer}");

    let smuggled = "GET /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n";
    let answer = gateway.raw(format!("{GET}{}{smuggled}", handshake("/"))).await;
    assert_eq!(answer.matches(" 200 OK\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
    assert!(gateway.arrived.try_recv().is_err());
    gateway.end().await;
}
