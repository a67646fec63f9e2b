//! HTTP/2 in front: many requests on one connection, each cookie in a field of its own, trailers.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{Protocol, Upstream, World};

#[tokio::test]
async fn a_person_logs_in_and_works_over_one_connection() {
    let world = World::start().await;
    let browser = world.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    browser.set_cookie("theme", "dark");
    let answer = browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(answer.version, Version::HTTP_2);
    assert_eq!(answer.header("connection"), None);
    let recorded = &world.backend.recorded_at("/api/me")[0];
    assert_eq!(recorded.header("cookie"), Some("theme=dark"));
    assert_eq!(recorded.header("x-forwarded-host"), Some(world.gateway.host()));
}

#[tokio::test]
async fn five_hundred_requests_on_one_connection_cause_one_refresh() {
    let world = World::start().await;
    let browser = world.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    world.backend.set_refresh_delay(std::time::Duration::from_millis(300));
    world.expire_tokens();
    let answers = join_all((0..500).map(|_| browser.fetch("/api/me").into_future())).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(world.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn cookies_in_several_fields_reach_the_upstream_as_one() {
    let upstream = Upstream::saying("ok").await;
    let world = World::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"user\"",
        upstream.target()
    ))
    .await;
    let browser = world.browser().over(Protocol::Http2);
    browser.login_as("mina").await;
    for (name, value) in [("a", "1"), ("b", "2")] {
        browser.set_cookie(name, value);
    }
    browser.fetch("/x").await.is(200);
    assert_eq!(upstream.last().header("cookie"), Some("a=1; b=2"));
    assert!(upstream.last().line().ends_with("HTTP/1.1"));
}

#[tokio::test]
async fn trailers_pass_to_whoever_asks_for_them() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/grpc\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n",
    )
    .await;
    let world = World::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    let browser = world.browser().over(Protocol::Http2);
    let answer = browser.post("/x").header("te", "trailers").body("x").await.is(200);
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    assert_eq!(upstream.last().header("te"), Some("trailers"));
    let answer = browser.post("/x").body("x").await.is(200);
    assert_eq!((answer.text().as_str(), answer.trailers.is_none()), ("ok", true), "RFC 9110 section 6.5.1");
}

#[tokio::test]
async fn an_answer_that_breaks_off_resets_the_stream() {
    let world = World::start().await;
    let browser = world.browser().over(Protocol::Http2);
    assert!(browser.fetch("/public/cut?bytes=100000").try_send().await.is_err());
    browser.fetch("/public/ping").await.is(200);
}

#[tokio::test]
async fn a_host_that_differs_from_the_authority_and_a_connect_are_refused() {
    let world = World::start().await;
    let tcp = TcpStream::connect(world.gateway.address()).await.unwrap();
    let (mut link, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let host = world.gateway.host();
    let ask =
        |authority: &str| Request::builder().version(Version::HTTP_2).uri(format!("http://{authority}/public/ping"));
    let differs = ask(host).header("host", "evil.example").body(Full::<Bytes>::default()).unwrap();
    assert!(link.send_request(differs).await.is_ok_and(|answer| answer.status() == 400) || !link.is_closed());
    let foreign = ask("evil.example").body(Full::default()).unwrap();
    assert_eq!(link.send_request(foreign).await.unwrap().status(), 421);
    let connect =
        Request::builder().method(Method::CONNECT).version(Version::HTTP_2).uri(host).body(Full::default()).unwrap();
    let refused = link.send_request(connect).await;
    assert!(
        refused.is_err() || refused.is_ok_and(|answer| answer.status().is_client_error() || answer.status() == 501)
    );
    let fine = ask(host).body(Full::default()).unwrap();
    assert_eq!(link.send_request(fine).await.unwrap().status(), 200);
    assert_eq!(world.backend.requests("/public/ping"), 1);
}

#[tokio::test]
async fn a_length_that_is_not_kept_resets_the_stream_and_nothing_else() {
    let upstream = Upstream::saying("ok").await;
    let world = World::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    let tcp = TcpStream::connect(world.gateway.address()).await.unwrap();
    let (mut link, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/x", world.gateway.host());
    let ask = |length: &str| Request::post(&uri).version(Version::HTTP_2).header("content-length", length);
    let short = Full::new(Bytes::from_static(b"12345")).boxed_unsync();
    let outcome = link.send_request(ask("10").body(short).unwrap()).await;
    assert!(outcome.is_err() || outcome.is_ok_and(|answer| answer.status().is_client_error()));
    let empty = Empty::<Bytes>::new().boxed_unsync();
    assert_eq!(link.send_request(ask("0").body(empty).unwrap()).await.unwrap().status(), 200);
    assert_eq!(upstream.heard().len(), 1, "no request with half a body was taken for whole");
}
