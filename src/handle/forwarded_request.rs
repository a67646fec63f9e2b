//! A request to be forwarded, and its head as the upstream gets it.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderValue, Method, Request, Uri, Version, header, request::Parts, uri::PathAndQuery};
use hyper::body::{Body as _, Incoming};

use super::{authorize::Authorized, peer::Peer, request_handler::RequestHandler};
use crate::{
    head_memory::HeadGuard,
    hygiene::Admitted,
    route::{RetryOn401, Route},
    session::{AccessGrant, Visit},
    telemetry::RequestId,
    upstream::{
        Bearer, RequestBody, RequestDeadlines, Upstream,
        headers::{self, Authorization, ClientHeaders, ExchangeKind, HeaderSource, SessionValue},
    },
};

/// One request to be forwarded through a route, for one try or two.
pub(super) struct ForwardedRequest<'h, 'p> {
    pub(super) handler: &'h Arc<RequestHandler>,
    pub(super) route: &'h Route,
    pub(super) upstream: &'h Arc<Upstream>,
    pub(super) kind: ExchangeKind,
    /// Its headers are taken when it is forwarded.
    pub(super) parts: &'p mut Parts,
    peer: &'p Peer,
    request_id: &'p RequestId,
    admitted: Admitted,
    target: PathAndQuery,
    overridden: Option<Method>,
    /// Counts the head while it, or a copy for a second try, is in memory.
    pub(super) head: Option<HeadGuard>,
}

impl<'h, 'p> ForwardedRequest<'h, 'p> {
    pub(super) fn new(
        handler: &'h Arc<RequestHandler>,
        peer: &'p Peer,
        parts: &'p mut Parts,
        authorized: Authorized<'h>,
        request_id: &'p RequestId,
        body: &Incoming,
        mut head: HeadGuard,
    ) -> Self {
        head.forget_body();
        let Authorized { admitted, route, target, overridden } = authorized;
        let upstream = &handler.upstreams[route.settings.upstream];
        let kind = exchange_kind(parts, body.is_end_stream());
        let head = Some(head);
        Self { handler, route, upstream, kind, parts, peer, request_id, admitted, target, overridden, head }
    }

    /// The request as the upstream gets it, without its body. The headers are taken out of `parts`.
    pub(super) fn take_head(
        &mut self,
        authorization: Authorization,
        access: Option<&AccessGrant>,
    ) -> Request<RequestBody> {
        let mut headers = std::mem::take(&mut self.parts.headers);
        self.handler.sessions.strip_request(&mut headers, &self.upstream.settings().cookies);
        let reported;
        let is_peer = self.admitted.client.address() == self.peer.address && self.admitted.scheme == self.peer.scheme;
        let client = if is_peer {
            &self.peer.headers
        } else {
            reported = ClientHeaders::new(self.admitted.client.address(), self.admitted.scheme);
            &reported
        };
        let source = HeaderSource {
            request_id: self.request_id.header(),
            client,
            host: self.admitted.host.header(),
            chain: self.admitted.forwarded_for.as_ref(),
        };
        let of_session = |value: SessionValue<'_>| match value {
            SessionValue::Claim(name) => access?.claims.get(name).map(Cow::Borrowed),
            SessionValue::ProviderSub => access?.provider_sub.as_ref().map(Cow::Borrowed),
        };
        let rules = &self.route.settings.headers;
        headers::prepare_request(&mut headers, &source, authorization, rules, self.kind, of_session);
        let mut request = Request::new(RequestBody::empty());
        request.method_mut().clone_from(&self.parts.method);
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = headers;
        request
    }

    /// The route's deadlines; its `timeout` overrides the upstream's.
    pub(super) fn deadlines(&self) -> RequestDeadlines {
        let settings = &self.route.settings;
        RequestDeadlines {
            first_byte: settings.timeout.unwrap_or(self.upstream.settings().timeout),
            idle: settings.idle_timeout,
            body_rate: settings.body_rate,
        }
    }

    /// Whether the route allows this request to be sent again after a 401.
    pub(super) fn may_retry(&self) -> bool {
        match self.route.settings.retry_on_401 {
            RetryOn401::All => true,
            RetryOn401::Safe => std::iter::once(&self.parts.method).chain(&self.overridden).all(is_safe),
            RetryOn401::Off => false,
        }
    }
}

/// Whether a request with this method may be sent twice (RFC 9110 section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The `Authorization` that the upstream gets for this session.
pub(super) fn authorization(bearer: Bearer, visit: &Visit) -> Authorization {
    let value = match bearer {
        Bearer::Access => visit.access().map(|access| access.bearer.clone()),
        Bearer::Id => visit.id_token().and_then(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
            value.set_sensitive(true);
            Some(value)
        }),
        Bearer::None => None,
    };
    value.map_or(Authorization::Remove, Authorization::Replace)
}

/// A WebSocket handshake (RFC 6455 section 4.1) is the only protocol switch that is forwarded: any other would be a
/// tunnel that no rule inspects. Extended CONNECT is off. A request with a body is an ordinary one, else a tunnel could
/// begin in the middle of the body.
fn exchange_kind(parts: &Parts, is_empty: bool) -> ExchangeKind {
    let is_websocket = is_empty
        && parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && parts.headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && parts.headers.get_all(header::CONNECTION).iter().any(|value| {
            value.as_bytes().split(|b| *b == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        });
    if is_websocket { ExchangeKind::Upgrade } else { ExchangeKind::RequestResponse }
}
