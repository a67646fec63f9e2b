//! The exchange with the upstream, and the one retry after a 401, for ordinary requests and upgrades alike.

use http::{Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};

use super::{
    answer_head::{AnswerSource, PendingAnswer},
    body::Body,
    forwarded_request::{ForwardedRequest, authorization},
};
use crate::{
    problem::{Failure, ProblemKind},
    route::OnSecond401,
    session::{After401, Visit},
    upstream::{
        self, RequestBody, SwitchedConnection, TunnelEnd, UpgradeAnswer,
        headers::{Authorization, ExchangeKind},
        is_event_stream, is_stream,
        replay::{self, Replay},
    },
};

/// The body of a second try.
enum SecondBody {
    /// There is no second try: the route, the session or the body does not allow it.
    None,
    /// Empty, like the first.
    Empty,
    /// The body of the first try, if all of it was recorded.
    Recorded(Replay),
}

impl ForwardedRequest<'_, '_> {
    /// Forwards a request; with a session, once more with a fresh token after a 401. Without a session (on a public
    /// route) the client's own `Authorization` is forwarded unchanged.
    pub(super) async fn forward(
        &mut self,
        body: Incoming,
        visit: Option<&mut Visit>,
    ) -> Result<PendingAnswer, Failure> {
        let Some(visit) = visit else {
            let mut request = self.take_head(Authorization::Keep, None);
            *request.body_mut() = self.bodies(body, false).0;
            self.head = None;
            let mut response = self.exchange(request, None, None).await?;
            self.end_events_at_drain(&mut response);
            return Ok(PendingAnswer { response, source: AnswerSource::Upstream, session: None });
        };
        let authorization = authorization(self.upstream.settings().bearer, visit);
        let carries_token = matches!(authorization, Authorization::Replace(_));
        let access = visit.access().cloned();
        let mut request = self.take_head(authorization, access.as_deref());
        let again = (carries_token && visit.may_be_renewed()).then(|| clone_head(&request));
        let (body, second_body) = self.bodies(body, again.is_some() && self.may_retry());
        *request.body_mut() = body;
        if again.is_none() {
            self.head = None;
        }

        let mut response = self.exchange(request, again.as_ref(), Some(visit)).await?;
        if let Some(again) = again
            && is_token_rejected(&response)
        {
            // Boxed, because it is large and runs seldom: unboxed it would enlarge every connection's future.
            let second = Box::pin(self.after_401(&mut response, again, second_body, visit)).await?;
            response = second.unwrap_or(response);
        }
        self.end_events_at_drain(&mut response);
        if is_stream(response.headers())
            && visit.access().is_some()
            && let Body::Upstream(body) = response.body_mut()
        {
            body.cut_when(Box::pin(visit.stream_end()));
        }
        let tells_user = access.is_some()
            && (self.route.settings.headers.use_claims() || !self.upstream.settings().cookies.is_empty());
        let is_personal = carries_token || tells_user;
        let source = if is_personal { AnswerSource::UpstreamToUser } else { AnswerSource::Upstream };
        Ok(PendingAnswer { response, source, session: None })
    }

    /// An event stream is ended when the process drains: its reader connects again, to another instance. Other answers
    /// run on until the end of the drain time.
    fn end_events_at_drain(&self, response: &mut Response<Body>) {
        if is_event_stream(response.headers())
            && let Body::Upstream(body) = response.body_mut()
        {
            body.end_when(Box::pin(self.handler.draining.clone().cancelled_owned()));
        }
    }

    /// The answer to a second try after a 401 (`first`), where the session has a fresh token and the request can be
    /// sent again.
    async fn after_401(
        &mut self,
        first: &mut Response<Body>,
        mut again: Request<()>,
        second_body: SecondBody,
        visit: &mut Visit,
    ) -> Result<Option<Response<Body>>, Failure> {
        let body = match visit.after_401().await {
            After401::Pass => None,
            After401::NoNewToken => {
                self.on_second_401(visit).await;
                None
            }
            After401::Retry => match second_body {
                SecondBody::None => None,
                SecondBody::Empty => Some(RequestBody::empty()),
                SecondBody::Recorded(replay) => replay.again(),
            },
        };
        let Some(body) = body else { return Ok(None) };
        self.handler.metrics.retries.inc();
        if let Body::Upstream(rejected) = std::mem::replace(first.body_mut(), Body::Empty) {
            // Its connection may serve the second try.
            rejected.discard();
        }
        match authorization(self.upstream.settings().bearer, visit) {
            Authorization::Replace(value) => drop(again.headers_mut().insert(header::AUTHORIZATION, value)),
            Authorization::Remove | Authorization::Keep => drop(again.headers_mut().remove(header::AUTHORIZATION)),
        }
        let second = self.exchange(again.map(|()| body), None, Some(visit)).await?;
        if is_token_rejected(&second) {
            self.on_second_401(visit).await;
        }
        Ok(Some(second))
    }

    /// Handles a 401 to a fresh token, or a 401 when no fresh token can be had: the session ends or stays, by the
    /// route's `on_second_401`.
    async fn on_second_401(&self, visit: &mut Visit) {
        let is_authority = self.handler.authority_upstream == Some(self.route.settings.upstream);
        let default = if is_authority { OnSecond401::Clear } else { OnSecond401::Pass };
        match self.route.settings.on_second_401.unwrap_or(default) {
            OnSecond401::Clear => visit.end_rejected().await,
            OnSecond401::Pass => {}
        }
    }

    /// The bodies of the first try and of a second one.
    fn bodies(&self, body: Incoming, may_retry: bool) -> (RequestBody, SecondBody) {
        let limit = self.route.settings.body_limit;
        match (body.is_end_stream(), may_retry) {
            (true, true) => (RequestBody::empty(), SecondBody::Empty),
            (true, false) => (RequestBody::empty(), SecondBody::None),
            (false, true) => {
                let (body, replay) = replay::record(body, limit, self.handler.replay_body, &self.handler.replay_budget);
                (body, SecondBody::Recorded(replay))
            }
            (false, false) => (RequestBody::stream(body, limit), SecondBody::None),
        }
    }

    /// Sends the request once. `copy` is a copy of its head, if there is one. A stream that an upgrade opens ends with
    /// the session of `visit`.
    async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        copy: Option<&Request<()>>,
        visit: Option<&Visit>,
    ) -> Result<Response<Body>, Failure> {
        match self.kind {
            ExchangeKind::RequestResponse => {
                let answer = self.upstream.forward(request, copy, self.deadlines()).await?;
                Ok(answer.map(Body::from))
            }
            // Boxed, because it is large and runs seldom: unboxed it would enlarge every connection's future.
            ExchangeKind::Upgrade => Box::pin(self.upgrade(request, visit.map(Visit::stream_end))).await,
        }
    }

    /// Asks the upstream for the upgrade.
    async fn upgrade(
        &mut self,
        request: Request<RequestBody>,
        session_end: Option<impl Future<Output = ()> + Send + 'static>,
    ) -> Result<Response<Body>, Failure> {
        match self.upstream.upgrade(request, self.deadlines()).await? {
            UpgradeAnswer::Ordinary(answer) => Ok(answer.map(Body::from)),
            UpgradeAnswer::Switched(head, switched) => {
                self.open_tunnel(switched, session_end)?;
                Ok(head.map(|()| Body::Empty))
            }
        }
    }

    /// Copies bytes between client and upstream, in a task that ends with either connection, with the session, or when
    /// the process drains.
    fn open_tunnel(
        &mut self,
        switched: SwitchedConnection,
        session_end: Option<impl Future<Output = ()> + Send + 'static>,
    ) -> Result<(), Failure> {
        let client = self.parts.extensions.remove::<hyper::upgrade::OnUpgrade>().ok_or(ProblemKind::CannotUpgrade)?;
        let (draining, idle) = (self.handler.draining.clone(), self.route.settings.idle_timeout);
        let running = self.handler.tunnels.token();
        tokio::spawn(async move {
            let _running = running;
            let session_end = async move {
                match session_end {
                    Some(end) => end.await,
                    None => std::future::pending().await,
                }
            };
            let end = async move {
                tokio::select! {
                    () = session_end => TunnelEnd::SessionOver,
                    () = draining.cancelled() => TunnelEnd::GoingAway,
                }
            };
            match client.await {
                Ok(client) => {
                    let outcome = upstream::tunnel(client, switched, end, idle).await;
                    tracing::debug!(?outcome, "a tunnel ended");
                }
                Err(error) => tracing::debug!(%error, "the client disconnected before the upgrade"),
            }
        });
        Ok(())
    }
}

fn clone_head(request: &Request<RequestBody>) -> Request<()> {
    let mut copy = Request::new(());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// A 401 that a fresh token may turn into success: not `insufficient_scope` (RFC 6750 section 3.1).
fn is_token_rejected<B>(answer: &Response<B>) -> bool {
    answer.status() == StatusCode::UNAUTHORIZED
        && !answer
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .any(|challenge| memchr::memmem::find(challenge.as_bytes(), b"insufficient_scope").is_some())
}
