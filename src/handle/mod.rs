//! THE ONE PAGE: hygiene → route → session → access → upstream (→ refresh → once more) → response.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts,
    uri::PathAndQuery,
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    endpoint::{Answer, Call, Failed, Guesses},
    hygiene::{self, Admitted, Hygiene, SameSite},
    login::Logins,
    otp::Otps,
    pages::Asset,
    problem::{Problem, ProblemKind},
    respond::{self, Failure, Form, Responder, Wants},
    route::{Access, Cors, Decision, Found, OnSecond401, OwnCalls, OwnEndpoint, RetryOn401, Route, Table, Who},
    scheme::Scheme,
    session::{After401, AuthStatus, Claims, CookieChanges, Sessions, Visit},
    telemetry::{AccessLine, AccessLog, Metrics, RequestId, RequestIds},
    upstream::{
        self, Bearer, Deadlines, RequestBody, UpgradeAnswer, Upstream,
        headers::{self, Authorization, ClientHeaders, Forwarded, Purpose},
        replay,
    },
};

mod body;
mod guesses;

pub use body::Body;

/// An endpoint of ours reads at most this much.
const OWN_BODY: usize = 64 * 1024;
/// And for at most this long.
const OWN_BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address (after the PROXY protocol), IPv4-mapped forms unified.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What upstreams are told of it, written once for all its requests.
    client: ClientHeaders,
}

impl Peer {
    /// The visitor at `address`.
    pub fn new(address: IpAddr, tls: bool) -> Self {
        let address = address.to_canonical();
        Self { address, tls, client: ClientHeaders::new(address, if tls { Scheme::Https } else { Scheme::Http }) }
    }
}

/// The gateway: everything a request needs, built once from one configuration.
pub struct Gateway {
    /// Step 2.
    pub hygiene: Hygiene,
    /// Step 3.
    pub table: Table,
    /// What no visitor may call.
    pub own_calls: OwnCalls,
    /// By the index that routes use.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Their names, for the log.
    pub upstream_names: Vec<Arc<str>>,
    /// The upstream whose 401 is the authority's own word.
    pub authority_upstream: Option<usize>,
    /// Steps 5, 6, 9.
    pub sessions: Sessions,
    /// The ways in and out.
    pub logins: Arc<Logins>,
    /// One-time codes.
    pub otps: Arc<Otps>,
    /// What guessing costs.
    pub guesses: Arc<Guesses>,
    /// The public keys, as they are answered.
    pub jwks: Bytes,
    /// Failures into answers.
    pub responder: Responder,
    /// Most bytes of one body kept for a replay.
    pub replay_body: usize,
    /// Bytes of bodies kept in all.
    pub replay_budget: Arc<replay::Budget>,
    /// Numbers for requests.
    pub request_ids: RequestIds,
    /// One line for each.
    pub access_log: Option<AccessLog>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Now.
    pub clock: Clock,
    /// Where logins and refreshes run, whoever hangs up.
    pub background: Handle,
    /// Cancelled when the process begins to drain.
    pub draining: CancellationToken,
    /// Upgraded connections, which outlive their HTTP connection.
    pub streams: TaskTracker,
}

/// What is known of a request when its answer and its line are written.
struct Trail<'g> {
    request_id: RequestId,
    wants: Wants,
    route: Option<Arc<str>>,
    upstream: Option<Arc<str>>,
    status: Option<AuthStatus>,
    client: IpAddr,
    /// As the visitor sees it, once hygiene has told.
    scheme: Option<Scheme>,
    /// Of the route, where it has any: its answers and ours are for these origins' scripts to read.
    cors: Option<&'g Cors>,
    origin: Option<HeaderValue>,
}

/// The line of the access log that a request gets, also when its visitor leaves before the answer.
struct Line<'g> {
    gateway: &'g Gateway,
    started: tokio::time::Instant,
    method: Method,
    target: Option<PathAndQuery>,
    version: Version,
    trail: Trail<'g>,
    is_written: bool,
}

impl<'g> Line<'g> {
    fn begin(gateway: &'g Gateway, peer: &Peer, parts: &Parts) -> Self {
        Self {
            gateway,
            started: tokio::time::Instant::now(),
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
            version: parts.version,
            trail: Trail {
                request_id: gateway.request_ids.next(),
                wants: Wants::new(
                    if hygiene::is_navigation(parts) { Form::Page } else { Form::Problem },
                    &parts.headers,
                ),
                route: None,
                upstream: None,
                status: None,
                client: peer.address,
                scheme: None,
                cors: None,
                origin: None,
            },
            is_written: false,
        }
    }

    fn end(mut self, response: &Response<Body>) {
        self.write(response.status(), response.body().size_hint().exact());
    }

    fn write(&mut self, status: StatusCode, bytes: Option<u64>) {
        self.is_written = true;
        let trail = &mut self.trail;
        let auth = trail.status.map(AuthStatus::as_str);
        self.gateway.metrics.request(status, auth);
        let Some(log) = &self.gateway.access_log else { return };
        let line = AccessLine {
            at: self.gateway.clock.now(),
            method: self.method.clone(),
            version: self.version,
            status,
            duration: self.started.elapsed(),
            request_id: trail.request_id,
            route: trail.route.take(),
            upstream: trail.upstream.take(),
            auth,
            client: trail.client,
            bytes,
        };
        log.push(self.target.as_ref().map_or("", PathAndQuery::path), line);
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            // 499, as nginx says it: the visitor closed the connection, and nobody saw an answer.
            self.write(StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), None);
        }
    }
}

static ROOT: PathAndQuery = PathAndQuery::from_static("/");

impl Gateway {
    /// Answers one request.
    pub async fn handle(self: &Arc<Self>, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut line = Line::begin(self, peer, &parts);
        let mut response = match self.journey(peer, parts, body, &mut line.trail).await {
            Ok(response) => response,
            Err(Stop { failure, head }) => {
                let trail = &mut line.trail;
                let mut response = self.responder.answer(&failure, trail.wants, &trail.request_id).map(Body::from);
                self.responder.guard(response.headers_mut(), trail.scheme);
                if let Some(cors) = trail.cors {
                    respond::allow_origin(response.headers_mut(), trail.origin.as_ref(), cors);
                }
                if let Some((status, cookies)) = head {
                    trail.status = Some(status);
                    write_head(&mut response, status, cookies);
                }
                response
            }
        };
        response.headers_mut().insert(respond::X_REQUEST_ID, line.trail.request_id.header());
        line.end(&response);
        response
    }

    async fn journey<'g>(
        self: &'g Arc<Self>,
        peer: &Peer,
        mut parts: Parts,
        body: Incoming,
        trail: &mut Trail<'g>,
    ) -> Result<Response<Body>, Stop> {
        let admitted = self.hygiene.admit(&mut parts, peer.address, peer.tls).map_err(Failure::from)?;
        (trail.client, trail.scheme) = (admitted.client.address(), Some(admitted.scheme));
        // A preflight asks about the request that would follow it.
        let asked_for = preflight_method(&parts);
        let method = asked_for.as_ref().unwrap_or(&parts.method);
        let route = match self.table.find(method, admitted.host.as_str(), parts.uri.path()) {
            Found::Route(route) => route,
            Found::Own(endpoint) if asked_for.is_none() => {
                let mut response = self.own(endpoint, admitted, parts, body, trail).await?;
                self.responder.guard(response.headers_mut(), trail.scheme);
                return Ok(response);
            }
            Found::None if !self.table.is_own(parts.uri.path()) => {
                return Err(Failure::from(ProblemKind::NotFound).into());
            }
            refused => {
                let failure = match refused {
                    Found::WrongMethod(allow) if asked_for.is_none() => {
                        Problem::new(ProblemKind::WrongMethod).allowing(allow)
                    }
                    Found::None => ProblemKind::NotFound.into(),
                    _ => ProblemKind::OriginNotAllowed.into(),
                };
                let visit = self.sessions.visit(&parts.headers, &admitted.client).await;
                return Err(Stop::at(failure, &visit));
            }
        };
        trail.route = Some(route.name.clone());
        let upstream = &self.upstreams[route.settings.upstream];
        trail.upstream = Some(self.upstream_names[route.settings.upstream].clone());
        let target = route.upstream_path(parts.uri.path_and_query().unwrap_or(&ROOT));
        if self.own_calls.meets(route.settings.upstream, &parts.method, target.path()) {
            return Err(Failure::from(ProblemKind::NotFound).into());
        }
        trail.cors = route.settings.cors.as_ref();
        trail.origin = trail.cors.and_then(|_| parts.headers.get(header::ORIGIN).cloned());
        let purpose = purpose(&parts, body.is_end_stream());
        let mut passage = Passage { gateway: self, peer, admitted, route, upstream, target, purpose, parts, trail };

        if route.settings.access == Access::Public {
            return passage.forward_public(body).await;
        }
        let mut visit = self.sessions.visit(&passage.parts.headers, &passage.admitted.client).await;
        if asked_for.is_some() {
            return passage.answer_preflight(&visit);
        }
        if visit.came_with_session()
            && hygiene::must_be_same_site(&passage.parts)
            && passage.same_site() == SameSite::Foreign
        {
            return Err(Stop::at(ProblemKind::CrossOrigin, &visit));
        }
        visit.ensure().await;
        passage.decide(&visit)?;
        let response = passage.forward(body, &mut visit).await;
        let (status, cookies) = visit.head();
        passage.trail.status = Some(status);
        match response {
            Ok(mut response) => {
                write_head(&mut response, status, cookies);
                Ok(response)
            }
            Err(failure) => Err(Stop { failure, head: Some((status, cookies)) }),
        }
    }

    async fn own(
        self: &Arc<Self>,
        endpoint: OwnEndpoint,
        admitted: Admitted,
        parts: Parts,
        body: Incoming,
        trail: &mut Trail<'_>,
    ) -> Result<Response<Body>, Stop> {
        if endpoint == OwnEndpoint::Jwks {
            return Ok(self.public_keys(trail));
        }
        let is_callback = matches!(endpoint, OwnEndpoint::Callback(_));
        trail.wants = Wants::of_endpoint(&parts);
        if is_callback {
            // Whoever comes back from a provider is a person.
            trail.wants.form = Form::Page;
        }
        let visit = self.sessions.visit(&parts.headers, &admitted.client).await;
        if !is_callback
            && hygiene::must_be_same_site(&parts)
            && hygiene::same_site(&parts.headers, &admitted.host, admitted.scheme, &[]) == SameSite::Foreign
        {
            return Err(Stop::at(ProblemKind::CrossOrigin, &visit));
        }
        let body = match collect(body).await {
            Ok(body) => body,
            Err(failure) => return Err(Stop::at(failure, &visit)),
        };
        let call = Call {
            query: parts.uri.query().map(str::to_owned),
            method: parts.method,
            headers: parts.headers,
            body,
            client: admitted.client,
            visit,
            wants_page: trail.wants.form == Form::Page,
        };
        let gateway = self.clone();
        // What an endpoint of ours begins (a code spent, a refresh token rotated) is ended though the visitor hangs up.
        let answer = self.background.spawn(async move { gateway.guarded(endpoint, call).await });
        let answer = answer.await.map_err(|_| Stop::from(Failure::from(ProblemKind::Internal)))??;
        trail.status = Some(answer.auth_status);
        let mut response = self.responder.content(answer.status, answer.content).map(Body::from);
        write_head(&mut response, answer.auth_status, answer.cookies);
        Ok(response)
    }

    /// The same for everyone, so that anything on the way may keep it: no session is looked at.
    fn public_keys(&self, trail: &mut Trail<'_>) -> Response<Body> {
        let status = AuthStatus::Anonymous;
        trail.status = Some(status);
        let mut response = Response::new(Body::from(self.jwks.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        write_head(&mut response, status, CookieChanges::default());
        response
    }

    async fn endpoint(&self, endpoint: OwnEndpoint, mut call: Call) -> Result<Answer, Stop> {
        let answer = match endpoint {
            OwnEndpoint::LoginPage => self.logins.page(call).await,
            OwnEndpoint::Start(provider) => self.logins.start(call, self.table.provider_name(provider)).await,
            OwnEndpoint::Callback(provider) => self.logins.callback(call, self.table.provider_name(provider)).await,
            OwnEndpoint::IdToken(provider) => self.logins.id_token(call, self.table.provider_name(provider)).await,
            OwnEndpoint::Nonce(provider) => self.logins.nonce(&call, self.table.provider_name(provider)),
            OwnEndpoint::Credentials => self.logins.credentials(call).await,
            OwnEndpoint::Logout => self.logins.logout(call).await,
            OwnEndpoint::Script => self.logins.asset(&call, Asset::Script),
            OwnEndpoint::Logo => self.logins.asset(&call, Asset::Logo),
            OwnEndpoint::SendCode(channel) => return Ok(self.otps.send(call, channel).await?),
            OwnEndpoint::ResendCode(channel) => return Ok(self.otps.resend(call, channel).await?),
            OwnEndpoint::VerifyCode(channel) => return Ok(self.otps.verify(call, channel).await?),
            OwnEndpoint::CodePage(channel) => return Ok(self.otps.page(call, channel).await?),
            OwnEndpoint::Jwks => return Err(Stop::at(ProblemKind::NotFound, &call.visit)),
            OwnEndpoint::Session => {
                call.visit.ensure().await;
                return self.describe(&call.visit, Asked::Session);
            }
            OwnEndpoint::Refresh => {
                call.visit.refresh_now().await;
                return self.describe(&call.visit, Asked::Refresh);
            }
        };
        answer.map_err(Stop::from)
    }

    fn describe(&self, visit: &Visit, asked: Asked) -> Result<Answer, Stop> {
        if let Some(why) = visit.undecided() {
            return Err(Stop::at(why, visit));
        }
        let object = match (visit.access(), asked) {
            (Some(access), _) => self.sessions.describe(access),
            (None, Asked::Session) => serde_json::json!({ "authenticated": false }),
            (None, Asked::Refresh) => return Err(Stop::at(ProblemKind::LoginRequired, visit)),
        };
        let (auth_status, cookies) = visit.head();
        Ok(Answer::json(StatusCode::OK, object, cookies, auth_status))
    }
}

enum Asked {
    Session,
    Refresh,
}

/// One request on its way through a route.
struct Passage<'g, 't> {
    gateway: &'g Arc<Gateway>,
    peer: &'g Peer,
    admitted: Admitted,
    route: &'g Route,
    upstream: &'g Arc<Upstream>,
    target: PathAndQuery,
    purpose: Purpose,
    /// Its headers are taken when it is forwarded.
    parts: Parts,
    trail: &'g mut Trail<'t>,
}

impl Passage<'_, '_> {
    async fn forward_public(&mut self, body: Incoming) -> Result<Response<Body>, Stop> {
        let settings = &self.route.settings;
        let body =
            if body.is_end_stream() { RequestBody::empty() } else { RequestBody::stream(body, settings.body_limit) };
        let mut request = self.take_head(Authorization::Keep, None);
        if self.purpose == Purpose::Upgrade {
            // Boxed, as below: seldom run and large, it would be part of what every idle connection keeps room for.
            return Box::pin(self.upgrade(request, std::future::pending())).await.map_err(Stop::from);
        }
        *request.body_mut() = body;
        Ok(self.finish(self.send(request).await?))
    }

    /// Step 7.
    fn decide(&self, visit: &Visit) -> Result<(), Stop> {
        let who = visit.access().map_or(Who::Nobody, |access| Who::Person { roles: &access.roles });
        let failure = match (self.route.settings.access.decide(who), visit.undecided()) {
            (Decision::LogIn | Decision::Forbidden, Some(why)) => why.into(),
            (Decision::LogIn, None) => Failure::LogIn { return_to: self.return_to() },
            (Decision::Forbidden, None) => ProblemKind::Forbidden.into(),
            (Decision::AlreadyIn, _) if hygiene::is_navigation(&self.parts) => Failure::AlreadyLoggedIn,
            (Decision::Allow | Decision::AlreadyIn, _) => return Ok(()),
        };
        Err(Stop::at(failure, visit))
    }

    /// Steps 8 and 9.
    async fn forward(&mut self, body: Incoming, visit: &mut Visit) -> Result<Response<Body>, Failure> {
        let gateway = self.gateway;
        let settings = &self.route.settings;
        let bearer = self.upstream.settings().bearer;
        let authorization = authorization(bearer, visit);
        let carries_token = matches!(authorization, Authorization::Replace(_));
        let access = visit.access().cloned();
        let mut request = self.take_head(authorization, access.as_ref().map(|a| &a.claims));
        if self.purpose == Purpose::Upgrade {
            return Box::pin(self.forward_upgrade(request, visit, bearer, carries_token)).await;
        }

        let again = (carries_token && visit.may_be_renewed()).then(|| clone_head(&request));
        let may_retry = again.is_some() && self.may_retry();
        let mut kept = None;
        *request.body_mut() = if body.is_end_stream() {
            RequestBody::empty()
        } else if may_retry {
            let (body, replay) = replay::record(body, settings.body_limit, gateway.replay_body, &gateway.replay_budget);
            kept = Some(replay);
            body
        } else {
            RequestBody::stream(body, settings.body_limit)
        };
        let has_body = !request.body().is_end_stream();

        let mut answer = self.send(request).await?;
        if let Some(mut again) = again
            && is_token_trouble(&answer)
        {
            let replayed = match visit.after_401().await {
                After401::Pass => None,
                After401::Over => {
                    self.second_401(visit).await;
                    None
                }
                After401::Retry if !may_retry => None,
                After401::Retry => match kept {
                    Some(replay) => replay.again(),
                    None if has_body => None,
                    None => Some(RequestBody::empty()),
                },
            };
            if let Some(body) = replayed {
                gateway.metrics.retries.inc();
                if let (_, Body::Upstream(rejected)) = answer.into_parts() {
                    // Its connection may serve the second try.
                    rejected.discard();
                }
                replace_bearer(&mut again, bearer, visit);
                *again.body_mut() = body;
                answer = self.send(again).await?;
                if is_token_trouble(&answer) {
                    self.second_401(visit).await;
                }
            }
        }
        if is_stream(answer.headers())
            && visit.access().is_some()
            && let Body::Upstream(body) = answer.body_mut()
        {
            body.cut_when(Box::pin(visit.stream_end()));
        }
        let mut response = self.finish(answer);
        if carries_token {
            keep_private(response.headers_mut());
        }
        Ok(response)
    }

    async fn forward_upgrade(
        &mut self,
        request: Request<RequestBody>,
        visit: &mut Visit,
        bearer: Bearer,
        carries_token: bool,
    ) -> Result<Response<Body>, Failure> {
        let mut again = (carries_token && visit.may_be_renewed()).then(|| clone_head(&request));
        let mut response = self.upgrade(request, visit.stream_end()).await?;
        if let Some(again) = again.take()
            && is_token_trouble(&response)
        {
            match visit.after_401().await {
                After401::Retry if self.may_retry() => {
                    let mut again = again;
                    replace_bearer(&mut again, bearer, visit);
                    response = self.upgrade(again, visit.stream_end()).await?;
                    if is_token_trouble(&response) {
                        self.second_401(visit).await;
                    }
                }
                After401::Retry | After401::Pass => {}
                After401::Over => self.second_401(visit).await,
            }
        }
        Ok(response)
    }

    /// Asks the upstream for the upgrade; where it agrees, the tunnel runs on its own until `end`, or until the process drains.
    async fn upgrade(
        &mut self,
        request: Request<RequestBody>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Response<Body>, Failure> {
        let answer = self.upstream.upgrade(request, self.deadlines(), &self.gateway.clock).await?;
        let (head, switched) = match answer {
            UpgradeAnswer::Ordinary(answer) => return Ok(self.finish(answer.map(Body::from))),
            UpgradeAnswer::Switched(head, switched) => (head, switched),
        };
        let visitor = self.parts.extensions.remove::<hyper::upgrade::OnUpgrade>().ok_or(ProblemKind::CannotUpgrade)?;
        let (draining, idle) = (self.gateway.draining.clone(), self.route.settings.idle_timeout);
        let streams = self.gateway.streams.token();
        tokio::spawn(async move {
            let _running = streams;
            let end = async move {
                tokio::select! {
                    () = end => upstream::TunnelEnd::SessionOver,
                    () = draining.cancelled() => upstream::TunnelEnd::GoingAway,
                }
            };
            match visitor.await {
                Ok(visitor) => {
                    let outcome = upstream::tunnel(visitor, switched, end, idle).await;
                    tracing::debug!(?outcome, "a tunnel ended");
                }
                Err(error) => tracing::debug!(%error, "the visitor left before the upgrade"),
            }
        });
        Ok(self.finish(head.map(|()| Body::Empty)))
    }

    async fn send(&self, request: Request<RequestBody>) -> Result<Response<Body>, Failure> {
        let answer = self.upstream.forward(request, self.deadlines(), &self.gateway.clock).await?;
        Ok(answer.map(Body::from))
    }

    /// The request as the upstream gets it, without its body. What is left in `parts` is the rest.
    fn take_head(&mut self, authorization: Authorization, claims: Option<&Claims>) -> Request<RequestBody> {
        let mut headers = std::mem::take(&mut self.parts.headers);
        self.gateway.sessions.strip_request(&mut headers, &self.upstream.settings().cookies);
        headers.insert(respond::X_REQUEST_ID, self.trail.request_id.header());
        let believed;
        let is_peer = self.admitted.client.address() == self.peer.address
            && (self.admitted.scheme == Scheme::Https) == self.peer.tls;
        let client = if is_peer {
            &self.peer.client
        } else {
            believed = ClientHeaders::new(self.admitted.client.address(), self.admitted.scheme);
            &believed
        };
        let forwarded =
            Forwarded { client, host: self.admitted.host.header(), chain: self.admitted.forwarded_for.as_ref() };
        let claim = |name: &str| claims?.get(name).and_then(claim_text);
        headers::prepare_request(
            &mut headers,
            &forwarded,
            authorization,
            &self.route.settings.headers,
            self.purpose,
            claim,
        );
        let mut request = Request::new(RequestBody::empty());
        request.method_mut().clone_from(&self.parts.method);
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = headers;
        request
    }

    fn finish(&self, mut response: Response<Body>) -> Response<Body> {
        let purpose =
            if response.status() == StatusCode::SWITCHING_PROTOCOLS { Purpose::Upgrade } else { Purpose::Exchange };
        let headers = response.headers_mut();
        headers::prepare_answer(headers, &self.route.settings.headers, purpose);
        headers.remove(respond::X_AUTH_STATUS);
        self.gateway.sessions.strip_answer(headers);
        if let Some(cors) = self.trail.cors {
            respond::allow_origin(headers, self.trail.origin.as_ref(), cors);
        }
        response
    }

    fn answer_preflight(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let answer = respond::preflight(&self.parts.headers, self.trail.cors);
        let mut response = answer.ok_or_else(|| Stop::at(ProblemKind::OriginNotAllowed, visit))?.map(Body::from);
        self.gateway.responder.guard(response.headers_mut(), self.trail.scheme);
        let (status, cookies) = visit.head();
        write_head(&mut response, status, cookies);
        Ok(response)
    }

    fn same_site(&self) -> SameSite {
        let origins = self.route.settings.cors.as_ref().map_or(&[][..], Cors::cookie_origins);
        hygiene::same_site(&self.parts.headers, &self.admitted.host, self.admitted.scheme, origins)
    }

    fn return_to(&self) -> String {
        self.parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned()
    }

    fn deadlines(&self) -> Deadlines {
        let settings = &self.route.settings;
        Deadlines {
            first_byte: settings.timeout.unwrap_or(self.upstream.settings().timeout),
            idle: settings.idle_timeout,
            body_rate: settings.body_rate,
        }
    }

    fn may_retry(&self) -> bool {
        match self.route.settings.retry_on_401 {
            RetryOn401::All => true,
            RetryOn401::Safe => matches!(self.parts.method, Method::GET | Method::HEAD | Method::OPTIONS),
            RetryOn401::Off => false,
        }
    }

    async fn second_401(&self, visit: &mut Visit) {
        let own = self.gateway.authority_upstream == Some(self.route.settings.upstream);
        let default = if own { OnSecond401::Clear } else { OnSecond401::Pass };
        match self.route.settings.on_second_401.unwrap_or(default) {
            OnSecond401::Clear => visit.give_up().await,
            OnSecond401::Pass => {}
        }
    }
}

impl<E: Into<Failure>> From<Failed<E>> for Stop {
    fn from(failed: Failed<E>) -> Self {
        Self { failure: failed.error.into(), head: Some((failed.auth_status, failed.cookies)) }
    }
}

/// Why a request goes no further, and what its head says of the session where that was looked at.
struct Stop {
    failure: Failure,
    head: Option<(AuthStatus, CookieChanges)>,
}

impl Stop {
    fn at(failure: impl Into<Failure>, visit: &Visit) -> Self {
        Self { failure: failure.into(), head: Some(visit.head()) }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure, head: None }
    }
}

/// A WebSocket's handshake (RFC 6455 section 4.1) is the one switch of protocols there is: any other would be a tunnel past every rule. Extended CONNECT is off.
/// With a body it is an ordinary request, whose body the upstream gets: a tunnel could begin in the middle of it.
fn purpose(parts: &Parts, is_empty: bool) -> Purpose {
    let is_websocket = is_empty
        && parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && parts.headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && parts.headers.get_all(header::CONNECTION).iter().any(|value| {
            value.as_bytes().split(|b| *b == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        });
    if is_websocket { Purpose::Upgrade } else { Purpose::Exchange }
}

/// A claim as a header says it: lists are joined by commas; objects have no such form.
fn claim_text(claim: &Value) -> Option<Cow<'_, str>> {
    match claim {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(claim.to_string())),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(claim_text).collect();
            Some(Cow::Owned(items?.join(",")))
        }
        Value::Object(_) | Value::Null => None,
    }
}

fn authorization(bearer: Bearer, visit: &mut Visit) -> Authorization {
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

fn replace_bearer(request: &mut Request<RequestBody>, bearer: Bearer, visit: &mut Visit) {
    match authorization(bearer, visit) {
        Authorization::Replace(value) => drop(request.headers_mut().insert(header::AUTHORIZATION, value)),
        Authorization::Remove | Authorization::Keep => drop(request.headers_mut().remove(header::AUTHORIZATION)),
    }
}

fn clone_head(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// A 401 that a fresh token may cure: not one for want of scope (RFC 6750 section 3.1).
fn is_token_trouble<B>(answer: &Response<B>) -> bool {
    answer.status() == StatusCode::UNAUTHORIZED
        && !answer
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .any(|challenge| memchr::memmem::find(challenge.as_bytes(), b"insufficient_scope").is_some())
}

/// Answers that live as long as their session does.
fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"text/event-stream") || kind.starts_with(b"application/grpc")
    })
}

/// Writes what a request's session came to onto its answer.
fn write_head(response: &mut Response<Body>, status: AuthStatus, cookies: CookieChanges) {
    let headers = response.headers_mut();
    headers.insert(respond::X_AUTH_STATUS, HeaderValue::from_static(status.as_str()));
    if !cookies.is_empty() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        cookies.write(headers);
    }
}

/// An answer to somebody's token is theirs alone, unless the backend says that it is for all.
fn keep_private(headers: &mut HeaderMap) {
    let said: Vec<_> = headers.get_all(header::CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    if said.is_empty() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        return;
    }
    let said = said.join(&b", "[..]);
    let lower = said.to_ascii_lowercase();
    if [&b"public"[..], b"s-maxage", b"private"].into_iter().any(|word| memchr::memmem::find(&lower, word).is_some()) {
        return;
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from([&said[..], b", private"].concat())) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}

/// The method of the request that a preflight asks about.
fn preflight_method(parts: &Parts) -> Option<Method> {
    if !hygiene::is_preflight(parts) {
        return None;
    }
    let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

async fn collect(body: Incoming) -> Result<Bytes, ProblemKind> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // Said beforehand: not one byte of it is read.
    if body.size_hint().lower() > OWN_BODY as u64 {
        return Err(ProblemKind::BodyTooLarge);
    }
    let limited = http_body_util::Limited::new(body, OWN_BODY);
    match tokio::time::timeout(OWN_BODY_DEADLINE, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(ProblemKind::BodyTooLarge),
        Ok(Err(_)) => Err(ProblemKind::BodyBroken),
        Err(_) => Err(ProblemKind::BodyTooSlow),
    }
}

#[cfg(test)]
mod tests;
