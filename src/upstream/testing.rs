//! Shared by the tests of this module: upstreams and visitors that speak raw bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{AnswerBody, Bearer, EjectionRule, RequestBody, RequestDeadlines, Settings, Target, Upstream};
use crate::{secret::Random, telemetry::UpstreamCounters};

/// Longer than any test takes.
pub(super) const PATIENT: RequestDeadlines =
    RequestDeadlines { first_byte: Duration::from_secs(60), idle: Duration::from_secs(60), body_rate: 0 };

/// Short enough to be waited for.
pub(super) const SHORT: Duration = Duration::from_millis(30);

pub(crate) fn upstream_of(targets: Vec<Target>) -> Upstream {
    upstream_with(targets, rustls::RootCertStore::empty())
}

pub(super) fn upstream_with(targets: Vec<Target>, roots: rustls::RootCertStore) -> Upstream {
    upstream_from(Settings { targets, ..settings() }, roots)
}

/// An upstream whose targets are ejected by this rule.
pub(crate) fn upstream_by(targets: Vec<Target>, eject: EjectionRule) -> Upstream {
    upstream_from(Settings { targets, eject, ..settings() }, rustls::RootCertStore::empty())
}

/// Without targets, and with deadlines that no test reaches.
pub(super) fn settings() -> Settings {
    Settings {
        name: "app".into(),
        targets: Vec::new(),
        bearer: Bearer::None,
        cookies: Vec::new(),
        connect_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(60),
        eject: EjectionRule::default(),
        max_connection_age: Duration::from_secs(60),
    }
}

pub(super) fn upstream_from(settings: Settings, roots: rustls::RootCertStore) -> Upstream {
    // An error means that another test has installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Upstream::new(settings, Arc::new(tls), Random::system(), UpstreamCounters::default())
}

pub(super) fn target(address: SocketAddr) -> Target {
    Target::Http { host: address.ip().to_string(), port: address.port() }
}

/// A listener and an upstream with it as its only target.
pub(super) async fn one_target() -> (TcpListener, Upstream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream_of(vec![target(listener.local_addr().unwrap())]);
    (listener, upstream)
}

/// A target that refuses connections.
pub(super) async fn closed_target() -> Target {
    target(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// Reads up to and including `end`.
pub(super) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        match stream.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&seen)),
        }
    }
    String::from_utf8(seen).unwrap()
}

pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    read_until(stream, "\r\n\r\n").await
}

pub(super) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut seen = Vec::new();
    stream.read_to_end(&mut seen).await.unwrap();
    String::from_utf8(seen).unwrap()
}

pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.unwrap();
    stream.flush().await.unwrap();
}

pub(super) fn get(path: &str) -> Request<RequestBody> {
    Request::get(path).header("host", "app.example").body(RequestBody::empty()).unwrap()
}

pub(super) fn post(body: RequestBody) -> Request<RequestBody> {
    Request::post("/").header("host", "app.example").body(body).unwrap()
}

pub(super) async fn text(answer: Response<AnswerBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A visitor's request as hyper's server reads it from `raw`, and the visitor's end to send more of it.
pub(super) async fn visitor(raw: impl AsRef<[u8]>) -> (Request<Incoming>, DuplexStream) {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    let (give, mut take) = mpsc::channel(1);
    tokio::spawn(async move {
        let service = service_fn(|request| {
            let give = give.clone();
            async move {
                give.send(request).await.unwrap();
                std::future::pending::<Result<Response<Full<Bytes>>, std::io::Error>>().await
            }
        });
        // Ends with an error when the test drops the visitor.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service).await;
    });
    write(&mut near, raw).await;
    (take.recv().await.unwrap(), near)
}
