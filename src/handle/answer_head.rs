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
    /// The upstream, to a request that does not say whose it is.
    Upstream,
    /// The upstream, to a request that says whose it is: with a token, identity headers or a session cookie.
    UpstreamToUser,
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
            AnswerSource::Upstream | AnswerSource::UpstreamToUser => self.strip(headers, status, facts.route),
        }
        if let Some(cors) = facts.cors {
            cors::allow_origin(headers, facts.origin.as_ref(), cors);
        }
        if source == AnswerSource::UpstreamToUser && status != StatusCode::SWITCHING_PROTOCOLS {
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
        headers.insert(respond::X_REQUEST_ID, facts.request_id.header().clone());
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

/// Makes the answer to a user's request `private` (RFC 9111 section 5.2.2.7), unless the upstream has set `public`,
/// `s-maxage` or `private`. A `private` with names of fields, which is about those alone, does not count.
fn keep_private(headers: &mut HeaderMap) {
    let values: Vec<_> = headers.get_all(header::CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    let joined = values.join(&b", "[..]);
    if directives(&joined).any(|(name, value)| match name.to_ascii_lowercase().as_slice() {
        b"public" | b"s-maxage" => true,
        b"private" => value.is_empty(),
        _ => false,
    }) {
        return;
    }
    let value = if joined.trim_ascii().is_empty() { b"private".to_vec() } else { [&joined[..], b", private"].concat() };
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}

/// The directives of a `Cache-Control` and their arguments (empty if there is none), which may be quoted.
fn directives(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut is_quoted = false;
    let parts = value.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    });
    parts.map(|part| {
        let (name, argument) = match memchr::memchr(b'=', part) {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &[][..]),
        };
        (name.trim_ascii(), argument.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_added_unless_public_s_maxage_or_private_stand_there() {
        for (sent, kept) in [
            (&[][..], "private"),
            (&[""], "private"),
            (&["max-age=60"], "max-age=60, private"),
            (&["no-cache", "max-age=0"], "no-cache, max-age=0, private"),
            (&["no-store"], "no-store, private"),
            (&["Public, max-age=60"], "Public, max-age=60"),
            (&["max-age=1", "S-MaxAge=60"], "max-age=1"),
            (&["private"], "private"),
            (&["max-age=1,PRIVATE"], "max-age=1,PRIVATE"),
            (&["private=\"set-cookie\""], "private=\"set-cookie\", private"),
            (&["no-cache=\"x, public\""], "no-cache=\"x, public\", private"),
            (&["x-public, not-private"], "x-public, not-private, private"),
            (&["ext=\"s-maxage=1\""], "ext=\"s-maxage=1\", private"),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            keep_private(&mut headers);
            assert_eq!(headers[header::CACHE_CONTROL], kept, "{sent:?}");
        }
    }
}
