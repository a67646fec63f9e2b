//! The heads of answers: one ordered list of what is removed and set, for every answer, applied in one place.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{body::Body, cors, request_handler::RequestHandler, request_log::RequestFacts};
use crate::{
    endpoint::Failed,
    problem::{Failure, ProblemKind},
    respond,
    route::Route,
    session::{AuthStatus, CookieChanges, Visit},
    upstream::headers::{self, ExchangeKind},
};

/// An answer whose head is not complete yet.
pub(super) struct PendingAnswer {
    pub(super) response: Response<Body>,
    pub(super) source: AnswerSource,
    /// `None` on public routes and where no session was read.
    pub(super) session: Option<SessionHead>,
}

/// Who wrote an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerSource {
    /// The gateway.
    Gateway,
    /// The upstream, to a request without a token of ours.
    Upstream,
    /// The upstream, to a request with a user's token.
    UpstreamWithToken,
}

/// The session's part of an answer's head: `x-auth-status` and the cookies to set.
pub(super) struct SessionHead {
    pub(super) status: AuthStatus,
    pub(super) cookies: CookieChanges,
}

/// A failure that ends a request before an ordinary answer.
pub(super) struct Stop {
    pub(super) failure: Failure,
    /// `None` where no session was read.
    pub(super) session: Option<SessionHead>,
}

impl RequestHandler {
    /// The page or problem document for a stopped request.
    pub(super) fn answer_to(&self, stop: Stop, facts: &RequestFacts<'_>) -> PendingAnswer {
        let response = self.responder.answer(&stop.failure, facts.wants, &facts.request_id).map(Body::from);
        PendingAnswer { response, source: AnswerSource::Gateway, session: stop.session }
    }

    /// Completes the head of an answer. The order matters: headers that only the gateway may send are removed from an
    /// upstream's answer before ours are set, and an answer that sets cookies is `no-store` whatever the upstream's
    /// `Cache-Control` was.
    pub(super) fn complete(&self, answer: PendingAnswer, facts: &mut RequestFacts<'_>) -> Response<Body> {
        let PendingAnswer { mut response, source, session } = answer;
        let status = response.status();
        let headers = response.headers_mut();
        match source {
            AnswerSource::Gateway => self.responder.guard(headers, facts.scheme),
            AnswerSource::Upstream | AnswerSource::UpstreamWithToken => self.strip(headers, status, facts.route),
        }
        if let Some(cors) = facts.cors {
            cors::allow_origin(headers, facts.origin.as_ref(), cors);
        }
        if source == AnswerSource::UpstreamWithToken && status != StatusCode::SWITCHING_PROTOCOLS {
            keep_private(headers);
        }
        if let Some(SessionHead { status, cookies }) = session {
            facts.auth_status = Some(status);
            headers.insert(respond::X_AUTH_STATUS, HeaderValue::from_static(status.as_str()));
            if !cookies.is_empty() {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                cookies.write(headers);
            }
        }
        headers.insert(respond::X_REQUEST_ID, facts.request_id.header());
        response
    }

    /// Removes from an upstream's head the hop-by-hop headers, those that the route removes, and those that only the
    /// gateway may send.
    fn strip(&self, headers: &mut HeaderMap, status: StatusCode, route: Option<&Route>) {
        let kind = match status {
            StatusCode::SWITCHING_PROTOCOLS => ExchangeKind::Upgrade,
            _ => ExchangeKind::RequestResponse,
        };
        if let Some(route) = route {
            headers::prepare_answer(headers, &route.settings.headers, kind);
        }
        headers.remove(respond::X_AUTH_STATUS);
        self.sessions.strip_answer(headers);
    }
}

impl PendingAnswer {
    pub(super) fn of_gateway(response: Response<Body>, session: SessionHead) -> Self {
        Self { response, source: AnswerSource::Gateway, session: Some(session) }
    }
}

impl SessionHead {
    /// From the newest state of the session.
    pub(super) fn of(visit: &Visit) -> Self {
        let (status, cookies) = visit.head();
        Self { status, cookies }
    }
}

impl Stop {
    pub(super) fn with(failure: impl Into<Failure>, visit: &Visit) -> Self {
        Self { failure: failure.into(), session: Some(SessionHead::of(visit)) }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure, session: None }
    }
}

impl From<ProblemKind> for Stop {
    fn from(kind: ProblemKind) -> Self {
        Failure::from(kind).into()
    }
}

impl<E: Into<Failure>> From<Failed<E>> for Stop {
    fn from(failed: Failed<E>) -> Self {
        let session = SessionHead { status: failed.auth_status, cookies: failed.cookies };
        let mut failure: Failure = failed.error.into();
        failure.set_return_to(failed.return_to);
        Self { failure, session: Some(session) }
    }
}

/// Makes the answer to a request with a user's token `private` (RFC 9111 section 5.2.2.7), unless the upstream has set
/// `public`, `s-maxage` or `private`.
fn keep_private(headers: &mut HeaderMap) {
    let values: Vec<_> = headers.get_all(header::CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        return;
    }
    let joined = values.join(&b", "[..]);
    let lower = joined.to_ascii_lowercase();
    if [&b"public"[..], b"s-maxage", b"private"].into_iter().any(|word| memchr::memmem::find(&lower, word).is_some()) {
        return;
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from([&joined[..], b", private"].concat())) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}
