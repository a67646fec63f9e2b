//! A scripted backend of raw bytes: it records requests byte for byte and sends the answers of a test.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::within_time_limit;

/// A received request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReceivedRequest {
    /// The request line and headers, with the empty line.
    pub(crate) head: String,
    /// The body's bytes, with the framing of chunks.
    pub(crate) body: Vec<u8>,
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
}

impl ReceivedRequest {
    /// The request line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The value of a header that occurs at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times", all.len());
        all.first().copied()
    }
}

/// The scripted backend; dropping it stops it.
pub(crate) struct Upstream {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<ReceivedRequest>>>,
    news: watch::Sender<usize>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Upstream {
    /// Starts a backend that calls `serve` for every connection.
    pub(crate) async fn start<F, Served>(serve: F) -> Self
    where
        F: Fn(UpstreamConnection) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, news, connections) = (Arc::default(), watch::Sender::new(0), Arc::new(AtomicUsize::new(0)));
        let (log, tell, count) = (Arc::clone(&heard), news.clone(), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let connection = count.fetch_add(1, Ordering::Relaxed);
                let wire = UpstreamConnection {
                    stream,
                    buffer: Vec::new(),
                    connection,
                    log: Arc::clone(&log),
                    news: tell.clone(),
                };
                tokio::spawn(serve(wire));
            }
        });
        Self { address, heard, news, connections, accepting }
    }

    /// Starts a backend that answers every request with these bytes.
    pub(crate) async fn answering(answer: impl AsRef<[u8]>) -> Self {
        let answer: Arc<[u8]> = answer.as_ref().into();
        Self::start(move |mut wire| {
            let answer = Arc::clone(&answer);
            async move {
                while wire.request().await.is_some() {
                    wire.send(&answer).await;
                }
            }
        })
        .await
    }

    /// Starts a backend that answers every request with 200 and this text.
    pub(crate) async fn saying(text: &str) -> Self {
        Self::answering(ok(text)).await
    }

    /// Starts a backend that answers each request with the status and the JSON that `serve` returns for it.
    pub(crate) async fn serving(serve: impl Fn(&ReceivedRequest) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        Self::start(move |mut wire| {
            let serve = Arc::clone(&serve);
            async move {
                while let Some(request) = wire.request().await {
                    let (status, json) = serve(&request);
                    let body = json.to_string();
                    let length = body.len();
                    wire.send(format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                    ))
                    .await;
                }
            }
        })
        .await
    }

    /// Its URL as a target in the configuration.
    pub(crate) fn target(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub(crate) fn heard(&self) -> Vec<ReceivedRequest> {
        self.heard.lock().unwrap().clone()
    }

    /// The latest request.
    #[track_caller]
    pub(crate) fn last(&self) -> ReceivedRequest {
        self.heard.lock().unwrap().last().cloned().expect("the upstream was asked")
    }

    /// Waits until it has received that many requests.
    pub(crate) async fn until_heard(&self, count: usize) {
        let mut news = self.news.subscribe();
        within_time_limit("a request at the upstream", news.wait_for(|heard| *heard >= count)).await.unwrap();
    }

    /// Number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A connection from the gateway.
pub(crate) struct UpstreamConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
    connection: usize,
    log: Arc<Mutex<Vec<ReceivedRequest>>>,
    news: watch::Sender<usize>,
}

impl UpstreamConnection {
    /// Reads and records a whole request; `None` if the connection ends first.
    pub(crate) async fn request(&mut self) -> Option<ReceivedRequest> {
        let head = self.head().await?;
        let body = self.body(&head).await?;
        Some(self.record(head, body))
    }

    /// Reads only a request's head.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let head = self.until(b"\r\n\r\n").await?;
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// Reads the body that belongs to `head`.
    pub(crate) async fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let heard = ReceivedRequest { head: head.to_owned(), body: Vec::new(), connection: 0 };
        if heard.all("transfer-encoding").iter().any(|coding| coding.contains("chunked")) {
            return self.chunks().await;
        }
        let length = heard.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        self.exactly(length).await
    }

    /// Records a request.
    pub(crate) fn record(&mut self, head: String, body: Vec<u8>) -> ReceivedRequest {
        let heard = ReceivedRequest { head, body, connection: self.connection };
        self.log.lock().unwrap().push(heard.clone());
        self.news.send_modify(|count| *count += 1);
        heard
    }

    /// The number of this connection, from 0.
    pub(crate) fn number(&self) -> usize {
        self.connection
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Sends bytes; false if the gateway does not accept them.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Waits until the gateway closes the connection.
    pub(crate) async fn until_closed(&mut self) {
        while self.more().await {}
    }

    /// Reads up to `end`, and `end`.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.take(at + end.len()));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads that many bytes.
    pub(crate) async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.take(length))
    }

    /// A chunked body with its framing and trailers (RFC 9112 section 7.1).
    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("a chunk size");
            body.extend(line);
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size + 2).await?);
        }
        loop {
            let line = self.until(b"\r\n").await?;
            let is_last = line == b"\r\n";
            body.extend(line);
            if is_last {
                return Some(body);
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.buffer).await.is_ok_and(|length| length > 0)
    }
}

/// An answer with status 200 and this text.
pub(crate) fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}
