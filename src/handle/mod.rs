//! The steps of a request, in their order. Each step is a file of this folder.

mod answer_head;
mod authorize;
mod body;
mod cors;
mod forward;
mod forwarded_request;
mod own;
mod peer;
mod request_handler;
mod request_log;
mod routing;

use std::sync::Arc;

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;

use self::{
    answer_head::{PendingAnswer, SessionHead, Stop},
    authorize::Verdict,
    forwarded_request::ForwardedRequest,
    request_log::{RequestFacts, RequestLog},
};
pub use self::{
    body::Body,
    peer::Peer,
    request_handler::RequestHandler,
    routing::{Destination, RouteMatch, Routing},
};
use crate::{
    head_memory::{HeadGuard, RefusedStream},
    problem::ProblemKind,
};

impl RequestHandler {
    /// Answers one request and writes its line to the access log.
    /// `head` is dropped as soon as nothing of the request's head is kept.
    pub async fn handle(self: &Arc<Self>, peer: &Peer, request: Request<Incoming>, head: HeadGuard) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let mut log = RequestLog::begin(self, peer, &parts);
        let answer = match self.answer(peer, &mut parts, body, head, &mut log.facts).await {
            Ok(answer) => answer,
            Err(stop) => self.answer_to(stop, &log.facts),
        };
        let mut response = self.complete(answer, &mut log.facts);
        if log.facts.is_refused {
            response.extensions_mut().insert(RefusedStream);
        }
        log.end(&response);
        response
    }

    async fn answer<'h>(
        self: &'h Arc<Self>,
        peer: &Peer,
        parts: &mut Parts,
        body: Incoming,
        head: HeadGuard,
        facts: &mut RequestFacts<'h>,
    ) -> Result<PendingAnswer, Stop> {
        let (authorized, mut visit) = match self.authorize(parts, peer, facts).await? {
            Verdict::Forward(authorized, visit) => (authorized, visit),
            Verdict::Preflight(session) => {
                return match cors::preflight_answer(&parts.headers, facts.cors) {
                    Some(response) => Ok(PendingAnswer::of_gateway(response, session)),
                    None => Err(Stop { failure: ProblemKind::OriginNotAllowed.into(), session: Some(session) }),
                };
            }
            // Boxed, because it is large and runs seldom: unboxed it would enlarge every connection's future.
            Verdict::Own(own, admitted) => return Box::pin(self.own(own, admitted, parts, body, head, facts)).await,
        };
        let mut request = ForwardedRequest::new(self, peer, parts, authorized, &facts.request_id, &body, head);
        // Boxed, because it is large: unboxed each request's future would be moved about with room for it.
        let answer = Box::pin(request.forward(body, visit.as_mut())).await;
        // Read after the exchange, so that the answer has the newest cookies.
        let session = visit.as_ref().map(SessionHead::of);
        match answer {
            Ok(answer) => Ok(PendingAnswer { session, ..answer }),
            Err(failure) => Err(Stop { failure, session }),
        }
    }
}

#[cfg(test)]
mod tests;
