//! A browser's WebSocket (RFC 6455).

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use super::{Browser, within_time_limit};

/// An open WebSocket.
pub(crate) struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// Opens a WebSocket with the browser's cookies, from a page of that origin.
    pub(crate) async fn open_from(browser: &Browser, path: &str, origin: &str) -> Result<Self, tungstenite::Error> {
        let url = browser.home().join(path).unwrap();
        let mut request = url.as_str().replacen("http", "ws", 1).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        let cookies = browser.cookie_header();
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, HeaderValue::from_str(&cookies).unwrap());
        }
        let tcp = TcpStream::connect(browser.address()).await.unwrap();
        let handshake = tokio_tungstenite::client_async(request, tcp);
        let (socket, _) = within_time_limit("a WebSocket handshake", handshake).await?;
        Ok(Self(socket))
    }

    /// Opens a WebSocket from a page of the gateway's own origin.
    pub(crate) async fn open(browser: &Browser, path: &str) -> Result<Self, tungstenite::Error> {
        let origin = browser.home().origin().ascii_serialization();
        Self::open_from(browser, path, &origin).await
    }

    /// Sends a text and returns the echo.
    pub(crate) async fn echo(&mut self, text: &str) -> String {
        self.0.send(Message::text(text)).await.unwrap();
        within_time_limit("an echo", self.0.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
    }

    /// Waits for the end; returns the close frame, if there is one.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match within_time_limit("the end of a WebSocket", self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}
