//! A request that asks for another protocol, and what is left when it is granted: a stream of bytes.

use std::{fmt, future::poll_fn};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::client::conn::http1::Parts;

use super::{
    AnswerBody, AnswerFault, Deadlines, ForwardError, RequestBody, Stage, Upstream,
    connect::Stream,
    forward::{asks_for_trailers, passed_on, ready_to_send},
};
use crate::clock::Clock;

/// An upstream's answer to a request that asks for another protocol.
#[derive(Debug)]
pub enum UpgradeAnswer {
    /// 101: the head for the visitor, and the stream to join with the visitor's ([`super::tunnel`]).
    Switched(Response<()>, Switched),
    /// Any other answer.
    Ordinary(Response<AnswerBody>),
}

/// A connection to an upstream that speaks no HTTP any more.
pub struct Switched {
    pub(super) stream: Stream,
    /// What came together with the head of the answer.
    pub(super) early: Bytes,
    pub(super) is_websocket: bool,
}

impl Upstream {
    /// Sends a request that asks for another protocol, over a connection of its own. Its headers are prepared for
    /// [`super::headers::Purpose::Upgrade`].
    pub async fn upgrade(
        &self,
        request: Request<RequestBody>,
        deadlines: Deadlines,
        clock: &Clock,
    ) -> Result<UpgradeAnswer, ForwardError> {
        let asked_for = request.headers().get(header::UPGRADE).cloned();
        let mut request = ready_to_send(request)?;
        let upload = request.body_mut().watch(deadlines);
        let passes_trailers = asks_for_trailers(&request);
        let first = self.first(clock);
        let (answer, link) = self.exchange_afresh(request, first, deadlines, upload.as_ref(), clock).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return passed_on(answer, link, deadlines, upload, passes_trailers).map(UpgradeAnswer::Ordinary);
        }
        let protocol = answer.headers().get(header::UPGRADE);
        let (Some(mut link), Some(protocol)) = (link, protocol) else {
            return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
        };
        // RFC 9110 section 7.8: to a protocol that was asked for, and no other.
        if !asked_for.is_some_and(|asked| asked.as_bytes().eq_ignore_ascii_case(protocol.as_bytes())) {
            return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
        }
        let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        // What is left of the request is still HTTP.
        let rest = poll_fn(|cx| link.connection.poll_without_shutdown(cx));
        tokio::time::timeout(deadlines.first_byte, rest)
            .await
            .map_err(|_| ForwardError::Timeout(Stage::Send))?
            .map_err(ForwardError::Broken)?;
        let Parts { io, read_buf, .. } = link.connection.into_parts();
        let mut head = answer.map(drop);
        head.extensions_mut().clear();
        Ok(UpgradeAnswer::Switched(head, Switched { stream: io.into_inner(), early: read_buf, is_websocket }))
    }
}

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switched").field("is_websocket", &self.is_websocket).finish_non_exhaustive()
    }
}
