//! A visitor, an upstream, and the bytes between them after a switch of protocols.

use http::Request;
use tokio::{io::DuplexStream, net::TcpStream, sync::oneshot, task::JoinHandle};

use super::{
    super::{RequestBody, UpgradeAnswer, testing::*},
    *,
};

struct Joined {
    visitor: DuplexStream,
    upstream: TcpStream,
    end: oneshot::Sender<TunnelEnd>,
    outcome: JoinHandle<TunnelOutcome>,
}

/// A tunnel to an upstream that switches to `protocol` and sends `early` with its head.
async fn joined(protocol: &str, early: &str, idle: Duration) -> Joined {
    let (listener, upstream) = one_target().await;
    let request = Request::get("/ws")
        .header("host", "a")
        .header("connection", "upgrade")
        .header("upgrade", protocol)
        .body(RequestBody::empty())
        .unwrap();
    let serve = async {
        let mut stream = accept(&listener).await;
        assert!(read_head(&mut stream).await.contains(&format!("upgrade: {protocol}\r\n")));
        let head =
            format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n{early}");
        write(&mut stream, head).await;
        stream
    };
    let (answer, stream) = tokio::join!(upstream.upgrade(request, PATIENT), serve);
    let UpgradeAnswer::Switched(head, switched) = answer.unwrap() else { panic!("no switch") };
    assert_eq!(head.headers()["upgrade"], protocol);
    let (near, far) = tokio::io::duplex(1 << 16);
    let (end, ended) = oneshot::channel();
    let ending = async { if let Ok(end) = ended.await { end } else { std::future::pending().await } };
    let outcome = tokio::spawn(join(far, switched, ending, idle));
    Joined { visitor: near, upstream: stream, end, outcome }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn bytes_pass_in_both_directions_and_each_end_is_passed_on() {
    let mut joined = joined("chat", "early", LONG).await;
    assert_eq!(read_until(&mut joined.visitor, "early").await, "early");
    write(&mut joined.visitor, "ask").await;
    assert_eq!(read_until(&mut joined.upstream, "ask").await, "ask");
    write(&mut joined.upstream, "answer").await;
    assert_eq!(read_until(&mut joined.visitor, "answer").await, "answer");
    joined.visitor.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut joined.upstream).await, "");
    write(&mut joined.upstream, "last").await;
    joined.upstream.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut joined.visitor).await, "last");
    assert!(matches!(joined.outcome.await.unwrap(), TunnelOutcome::Closed));
}

#[tokio::test]
async fn a_websocket_whose_session_is_over_is_closed_between_two_frames() {
    let mut joined = joined("websocket", "", LONG).await;
    // A frame of ten bytes, of which four come before the end.
    write(&mut joined.upstream, b"\x81\x0a0123").await;
    joined.visitor.read_exact(&mut [0; 6]).await.unwrap();
    joined.end.send(TunnelEnd::SessionOver).unwrap();
    write(&mut joined.upstream, b"456789\x81\x02no").await;
    let mut seen = vec![0; 6];
    joined.visitor.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, b"456789");
    let mut rest = Vec::new();
    joined.visitor.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, close_frame(4401, "session over"));
    drop(joined.visitor);
    assert!(matches!(joined.outcome.await.unwrap(), TunnelOutcome::Ended(TunnelEnd::SessionOver)));
    // The upstream is cut too; what it sent last was not read.
    let mut left = Vec::new();
    let _ = joined.upstream.read_to_end(&mut left).await;
    assert_eq!(left, b"");
}

#[tokio::test]
async fn a_websocket_is_closed_with_1001_when_the_process_shuts_down() {
    let mut joined = joined("websocket", "", LONG).await;
    joined.end.send(TunnelEnd::GoingAway).unwrap();
    let mut rest = Vec::new();
    joined.visitor.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, close_frame(1001, "going away"));
}

#[tokio::test]
async fn a_websocket_that_was_closed_gets_no_second_close_frame() {
    let mut joined = joined("websocket", "", LONG).await;
    write(&mut joined.upstream, b"\x88\x02\x03\xe8").await;
    let mut close = [0; 4];
    joined.visitor.read_exact(&mut close).await.unwrap();
    joined.end.send(TunnelEnd::SessionOver).unwrap();
    let mut rest = Vec::new();
    joined.visitor.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_websocket_whose_frame_does_not_end_in_time_is_cut() {
    let mut joined = joined("websocket", "", LONG).await;
    write(&mut joined.upstream, b"\x81\x0a0123").await;
    joined.visitor.read_exact(&mut [0; 6]).await.unwrap();
    joined.end.send(TunnelEnd::SessionOver).unwrap();
    assert_eq!(read_to_end(&mut joined.visitor).await, "");
}

#[tokio::test]
async fn a_protocol_other_than_websocket_is_cut() {
    let mut joined = joined("chat", "", LONG).await;
    joined.end.send(TunnelEnd::SessionOver).unwrap();
    assert_eq!(read_to_end(&mut joined.visitor).await, "");
    assert_eq!(read_to_end(&mut joined.upstream).await, "");
}

#[tokio::test]
async fn a_silent_websocket_is_closed_with_1001() {
    let mut joined = joined("websocket", "", SHORT).await;
    let mut rest = Vec::new();
    joined.visitor.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, close_frame(1001, "idle"));
    drop(joined.visitor);
    assert!(matches!(joined.outcome.await.unwrap(), TunnelOutcome::Idle));
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    };
    let (answer, ()) = tokio::join!(upstream.upgrade(get("/ws"), PATIENT), serve);
    let UpgradeAnswer::Ordinary(answer) = answer.unwrap() else { panic!("switched") };
    assert_eq!(answer.status(), 403);
    assert_eq!(text(answer).await, "no");
}

#[tokio::test]
async fn a_switch_that_names_no_protocol_is_a_bad_answer() {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
        stream
    };
    let (answer, _stream) = tokio::join!(upstream.upgrade(get("/ws"), PATIENT), serve);
    assert!(matches!(answer, Err(super::super::ForwardError::BadAnswer(_))));
}
