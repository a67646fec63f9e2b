//! A request that asks for another protocol, and the byte stream that remains if the upstream agrees.

use std::{fmt, future::poll_fn};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::client::conn::http1::Parts;
use tokio::time::Instant;

use super::{
    answer::AnswerBody,
    balance::Upstream,
    body::RequestBody,
    connect::UpstreamStream,
    connection::AnswerConnection,
    error::{AnswerFault, ForwardError, Stage},
    forward::{asks_for_trailers, into_answer, is_safe, ready_to_send},
    settings::RequestDeadlines,
};

/// An upstream's answer to a request that asks for another protocol.
#[derive(Debug)]
pub enum UpgradeAnswer {
    /// 101: the head for the visitor, and the stream to join with the visitor's ([`super::tunnel`]).
    Switched(Response<()>, SwitchedConnection),
    /// Any other answer.
    Ordinary(Response<AnswerBody>),
}

/// A connection to an upstream that has switched from HTTP to another protocol.
pub struct SwitchedConnection {
    pub(super) stream: UpstreamStream,
    /// Bytes that were read together with the head of the answer.
    pub(super) early: Bytes,
    pub(super) is_websocket: bool,
}

impl Upstream {
    /// Sends a request that asks for another protocol, over a new connection. Its headers have been prepared for
    /// [`super::headers::ExchangeKind::Upgrade`].
    pub async fn upgrade(
        &self,
        request: Request<RequestBody>,
        deadlines: RequestDeadlines,
    ) -> Result<UpgradeAnswer, ForwardError> {
        let asked_for = request.headers().get(header::UPGRADE).cloned();
        let mut request = ready_to_send(request)?;
        let upload = request.body_mut().watch(deadlines);
        let passes_trailers = asks_for_trailers(&request);
        let first = self.next_index(Instant::now());
        let may_repeat = is_safe(&request);
        let (answer, connection) =
            self.exchange_over_new_connection(request, first, deadlines, upload.as_ref(), may_repeat).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return into_answer(answer, connection, deadlines, upload, passes_trailers).map(UpgradeAnswer::Ordinary);
        }
        let protocol = answer.headers().get(header::UPGRADE);
        let (AnswerConnection::Open(mut connection), Some(protocol)) = (connection, protocol) else {
            return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
        };
        connection.request.succeeded();
        // RFC 9110 section 7.8: only to a protocol that was asked for.
        if !asked_for.is_some_and(|asked| asked.as_bytes().eq_ignore_ascii_case(protocol.as_bytes())) {
            return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
        }
        let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        // The rest of the request is still HTTP.
        let rest = poll_fn(|cx| connection.driver.poll_without_shutdown(cx));
        tokio::time::timeout(deadlines.first_byte, rest)
            .await
            .map_err(|_| ForwardError::Timeout(Stage::Send))?
            .map_err(ForwardError::Broken)?;
        let Parts { io, read_buf, .. } = connection.driver.into_parts();
        let mut head = answer.map(drop);
        head.extensions_mut().clear();
        Ok(UpgradeAnswer::Switched(
            head,
            SwitchedConnection { stream: io.into_inner().into_stream(), early: read_buf, is_websocket },
        ))
    }
}

impl fmt::Debug for SwitchedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchedConnection").field("is_websocket", &self.is_websocket).finish_non_exhaustive()
    }
}
