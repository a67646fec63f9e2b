//! The last hop of `vestibule dev`: passes requests on to the developer's own app, upgrades included, so that buttons
//! can make "the backend" answer 401, and shows a page that waits while the app is not up.

use std::{io, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{
    backend::Backend,
    page,
    provider::StartError,
    reply,
    server::{self, Hangup, LoopbackServer, Reply, Service},
};

/// Where the app listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppAddress {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The running hop. Dropping it stops it.
pub struct Front {
    address: SocketAddr,
    server: LoopbackServer,
}

struct FrontState {
    app: AppAddress,
    /// Whose buttons are obeyed, and whose journal has what happens.
    backend: Backend,
    stopped: CancellationToken,
}

impl Front {
    /// Starts it at a port of the system's choice.
    pub async fn start(app: AppAddress, backend: Backend) -> Result<Self, StartError> {
        let (listener, address) = server::bind().await?;
        let stopped = CancellationToken::new();
        let state = Arc::new(FrontState { app, backend, stopped: stopped.clone() });
        Ok(Self { address, server: LoopbackServer::start(listener, state, stopped) })
    }

    /// Where the gateway reaches it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection.
    pub fn stop(&self) {
        self.server.stop();
    }
}

impl Service for FrontState {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let has_token = request.headers().contains_key(header::AUTHORIZATION);
        let what = format!("{} {}", request.method(), request.uri().path());
        if has_token && self.backend.refuses_for_front(&what) {
            let refusal = reply::error(StatusCode::UNAUTHORIZED, "invalid_token", "a button of the panel said so");
            return Ok(reply::with(refusal, header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#));
        }
        let waiting = waiting_page(request.method(), request.headers(), &self.app);
        match self.pass_on(request).await {
            Ok(reply) => Ok(reply),
            // A dev server that is starting accepts connections and closes them.
            Err(_) => waiting.ok_or(Hangup),
        }
    }
}

impl FrontState {
    async fn pass_on(&self, mut request: Request<Incoming>) -> io::Result<Reply> {
        let stream = TcpStream::connect((self.app.host.as_str(), self.app.port)).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends with the answer's body, because nothing else is sent on it. Errors reach the answer.
        tokio::spawn(self.stopped.clone().run_until_cancelled_owned(connection.with_upgrades()));
        let visitor = hyper::upgrade::on(&mut request);
        let mut answer = sender.send_request(request).await.map_err(io::Error::other)?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let app = hyper::upgrade::on(&mut answer);
            tokio::spawn(self.stopped.clone().run_until_cancelled_owned(tunnel(visitor, app)));
        } else {
            // They are about the app's connection, not about that of the gateway.
            answer.headers_mut().remove(header::CONNECTION);
            answer.headers_mut().remove("keep-alive");
        }
        Ok(answer.map(|body| body.map_err(io::Error::other).boxed_unsync()))
    }
}

async fn tunnel(visitor: OnUpgrade, app: OnUpgrade) {
    let (Ok(visitor), Ok(app)) = (visitor.await, app.await) else { return };
    // A broken connection needs no report.
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(visitor), &mut TokioIo::new(app)).await;
}

/// The page for a request that shows one; it loads itself again each second.
fn waiting_page(method: &Method, headers: &HeaderMap, app: &AppAddress) -> Option<Reply> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mode = headers.get("sec-fetch-mode").map(http::HeaderValue::as_bytes);
    let shows_a_page = mode.map_or_else(|| accept.contains("text/html"), |mode| mode == b"navigate");
    if *method != Method::GET || !shows_a_page {
        return None;
    }
    Some(page::waiting(headers, &format!("{}:{}", app.host, app.port)))
}
