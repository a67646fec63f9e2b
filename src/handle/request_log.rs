//! The access log's line of a request: written when it is answered, also if the client leaves before that.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, Method, Response, StatusCode, Version, request::Parts, uri::PathAndQuery};
use hyper::body::Body as _;

use super::{body::Body, peer::Peer, request_handler::RequestHandler};
use crate::{
    client::RequestTrace,
    hygiene,
    respond::{WantedForm, Wants},
    route::{Cors, Route},
    scheme::Scheme,
    session::AuthStatus,
    telemetry::{AccessLine, RequestId, TraceParent},
};

/// Facts about a request that its answer's head and its log line need.
pub(super) struct RequestFacts<'h> {
    pub(super) request_id: RequestId,
    /// The trace that a trusted proxy began.
    pub(super) trace: Option<TraceParent>,
    /// The form and language of failures.
    pub(super) wants: Wants,
    /// The address of the client: the peer's, until hygiene has read the headers of a trusted proxy.
    pub(super) client: IpAddr,
    /// The scheme that the client used; `None` before hygiene.
    pub(super) scheme: Option<Scheme>,
    pub(super) route: Option<&'h Route>,
    /// The route's `cors`: the origins whose scripts may read the answer.
    pub(super) cors: Option<&'h Cors>,
    /// The request's `Origin`, where the route has `cors`.
    pub(super) origin: Option<HeaderValue>,
    /// The path that is logged: as received, until hygiene has written the one that is judged.
    pub(super) target: Option<PathAndQuery>,
    /// The value of `x-auth-status`; `None` if the answer has none.
    pub(super) auth_status: Option<AuthStatus>,
    /// Whether the request's stream is refused instead of answered.
    pub(super) is_refused: bool,
}

impl RequestFacts<'_> {
    /// The request's names for the backends that are called because of it.
    pub(super) fn trace(&self) -> RequestTrace {
        RequestTrace {
            request_id: Some(self.request_id.header().clone()),
            traceparent: self.trace.as_ref().map(|trace| trace.header().clone()),
        }
    }
}

/// One request's line in the access log.
pub(super) struct RequestLog<'h> {
    pub(super) facts: RequestFacts<'h>,
    handler: &'h RequestHandler,
    started: tokio::time::Instant,
    method: Method,
    version: Version,
    is_written: bool,
}

impl<'h> RequestLog<'h> {
    pub(super) fn begin(handler: &'h RequestHandler, peer: &Peer, parts: &Parts) -> Self {
        let hygiene = &handler.routing.hygiene;
        let kept = hygiene.reported_request_id(&parts.headers, peer.address).and_then(RequestId::kept);
        // Through a route, only a navigation gets pages.
        let form = if hygiene::is_navigation(parts) { WantedForm::Page } else { WantedForm::Problem };
        Self {
            facts: RequestFacts {
                request_id: kept.unwrap_or_else(|| handler.request_ids.next()),
                trace: hygiene.reported_trace(&parts.headers, peer.address).and_then(TraceParent::parse),
                wants: handler.responder.wants(form, &parts.headers),
                client: peer.address,
                scheme: None,
                route: None,
                cors: None,
                origin: None,
                target: parts.uri.path_and_query().cloned(),
                auth_status: None,
                is_refused: false,
            },
            handler,
            started: tokio::time::Instant::now(),
            method: parts.method.clone(),
            version: parts.version,
            is_written: false,
        }
    }

    pub(super) fn end(mut self, response: &Response<Body>) {
        self.write(response.status(), response.body().size_hint().exact());
    }

    fn write(&mut self, status: StatusCode, bytes: Option<u64>) {
        self.is_written = true;
        let auth = self.facts.auth_status.map(AuthStatus::as_str);
        self.handler.metrics.request(status, auth);
        let Some(log) = &self.handler.access_log else { return };
        let route = self.facts.route;
        let line = AccessLine {
            at: self.handler.clock.now(),
            method: self.method.clone(),
            version: self.version,
            status,
            duration: self.started.elapsed(),
            request_id: self.facts.request_id.clone(),
            trace: self.facts.trace.take().map(Box::new),
            route: route.map(|route| Arc::clone(&route.name)),
            upstream: route.map(|route| Arc::clone(&self.handler.upstream_names[route.settings.upstream])),
            auth,
            client: self.facts.client,
            bytes,
        };
        log.push(self.facts.target.as_ref().map_or("", PathAndQuery::path), line);
    }
}

impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            // 499, as in nginx: the client closed the connection before it was answered.
            self.write(StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), None);
        }
    }
}
