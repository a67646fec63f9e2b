//! Own endpoints: applies the row of one (cross-site rule, form of the answer), reads the body, limits guesses, and
//! calls the function that serves it in a background task.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::poll_immediate;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::{
    answer_head::{PendingAnswer, SessionHead, Stop},
    authorize::is_foreign,
    body::Body,
    request_handler::RequestHandler,
    request_log::RequestFacts,
};
use crate::{
    endpoint::{Call, CountError, EndpointAnswer, VisitorOrigin},
    head_memory::HeadGuard,
    hygiene::{self, Admitted},
    login::AfterLogout,
    own_headers::X_AUTH_RETURN_REDIRECT,
    pages::Asset,
    problem::ProblemKind,
    respond::WantedForm,
    route::{AnswerForm, AuthJsEndpoint, CrossSite, GuessCheck, OwnEndpoint, OwnMatch, OwnService, ProviderIndex},
    session::{AuthStatus, CookieChanges, Visit},
};

/// Bytes of a body that an own endpoint reads at most.
const LONGEST_BODY: usize = 64 * 1024;
/// Headers that an own endpoint may read, with those that begin with `sec-` and our cookies.
const NEEDED: [&str; 10] = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "origin",
    "purpose",
    "referer",
    "user-agent",
    "x-moz",
    "x-requested-with",
];
/// How long an own endpoint waits for the whole body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

impl RequestHandler {
    /// Answers a request to an own endpoint, by its row.
    pub(super) async fn own(
        self: &Arc<Self>,
        own: OwnMatch,
        admitted: Admitted,
        parts: &mut Parts,
        body: Incoming,
        mut head: HeadGuard,
        facts: &mut RequestFacts<'_>,
    ) -> Result<PendingAnswer, Stop> {
        let (endpoint, checks) = match own.service {
            OwnService::PublicKeys => return Ok(self.public_keys()),
            OwnService::Call { endpoint, checks } => (endpoint, checks),
        };
        facts.wants.form = match own.row.answers {
            // A submitted form gets a page too.
            AnswerForm::AsAsked if hygiene::shows_a_page(&parts.headers) => WantedForm::Page,
            AnswerForm::Page => WantedForm::Page,
            AnswerForm::AsAsked | AnswerForm::Json => WantedForm::Problem,
        };
        facts.wants.can_reload = false;
        // Most bodies have arrived with their request. Of the others that are too many are refused before anything else
        // is done for them, because they can be sent again.
        let mut body = Box::pin(collect(body));
        let collected = poll_immediate(&mut body).await;
        let awaited = if collected.is_none() { head.await_body() } else { None };
        if collected.is_none() && awaited.is_none() {
            facts.is_refused = true;
            return Err(ProblemKind::TooMany.into());
        }
        // Boxed: unboxed a request would keep room for it while its body is awaited.
        let visit = Box::pin(self.sessions.visit(&parts.headers, &admitted.client)).await;
        if own.row.cross_site == CrossSite::Refused && is_foreign(parts, &parts.method, &admitted, &[]) {
            return Err(Stop::with(ProblemKind::CrossOrigin, &visit));
        }
        if has_to_be_asked_for(endpoint) && hygiene::is_prefetch(&parts.headers) {
            return Err(Stop::with(ProblemKind::NotAheadOfTime, &visit));
        }
        let is_navigation = hygiene::is_navigation(parts);
        let may_begin_login = hygiene::may_begin_login(&parts.headers);
        let mut headers = self.needed(&std::mem::take(&mut parts.headers));
        if admitted.returns_redirect {
            headers.insert(X_AUTH_RETURN_REDIRECT, HeaderValue::from_static("1"));
        }
        let collected = match collected {
            Some(collected) => collected,
            None => body.await,
        };
        drop(awaited);
        head.forget_body();
        let body = collected.map_err(|problem| Stop::with(problem, &visit))?;
        let call = Call {
            query: parts.uri.query().map(str::to_owned),
            method: parts.method.clone(),
            is_navigation,
            may_begin_login,
            headers,
            body,
            client: admitted.client.traced(facts.trace()),
            origin: self.logins.origin_of(admitted.host.as_str()),
            visit,
            wants_page: facts.wants.form == WantedForm::Page,
            language: facts.wants.language,
        };
        if call.repeats_a_parameter() {
            return Err(Stop::with(ProblemKind::RepeatedParameter, &call.visit));
        }
        let handler = self.clone();
        // In a task, so that what an endpoint begins (a code spent, a refresh token rotated) is completed even if the
        // client disconnects.
        let answer = self.background.spawn(async move { handler.limited(endpoint, checks, call).await });
        let answer = answer.await.map_err(|_| Stop::from(ProblemKind::Internal))??;
        let response = self.responder.content(answer.status, answer.content).map(Body::from);
        Ok(PendingAnswer::of_gateway(response, SessionHead { status: answer.auth_status, cookies: answer.cookies }))
    }

    /// The headers that own endpoints read, and of `Cookie` the lines with cookies of ours. The others are dropped
    /// before the body is awaited, so that a body that never comes keeps little.
    fn needed(&self, all: &HeaderMap) -> HeaderMap {
        let mut needed = HeaderMap::with_capacity(NEEDED.len());
        let has_cookie = all.contains_key(header::COOKIE);
        for line in self.sessions.own_cookie_lines(all) {
            needed.append(header::COOKIE, line.clone());
        }
        if has_cookie && needed.is_empty() {
            // Only browsers send cookies, also those of others.
            needed.insert(header::COOKIE, HeaderValue::from_static(""));
        }
        for (name, value) in all {
            if NEEDED.contains(&name.as_str()) || name.as_str().starts_with("sec-") {
                needed.append(name, value.clone());
            }
        }
        needed
    }

    /// The JWKS: the same for every client, so shared caches may store it and no session is read.
    fn public_keys(&self) -> PendingAnswer {
        let mut response = Response::new(Body::from(self.jwks.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        let session = SessionHead { status: AuthStatus::Anonymous, cookies: CookieChanges::default() };
        PendingAnswer::of_gateway(response, session)
    }

    /// Serves a call if its client may still guess. A guess is counted before the check, so that parallel guesses find
    /// it counted, and given back unless it was wrong.
    async fn limited(
        &self,
        endpoint: OwnEndpoint,
        checks: Option<GuessCheck>,
        call: Call,
    ) -> Result<EndpointAnswer, Stop> {
        let Some(checks) = checks else { return self.serve(endpoint, call).await };
        let guess = match self.guesses.of_client(call.client.key()).await {
            Ok(guess) => guess,
            Err(error) => return self.refuse_guess(checks, &call, error),
        };
        let answer = self.serve(endpoint, call).await;
        if !was_wrong(&answer) {
            self.guesses.give_back(guess).await;
        }
        answer
    }

    fn refuse_guess(&self, checks: GuessCheck, call: &Call, error: CountError) -> Result<EndpointAnswer, Stop> {
        match checks {
            GuessCheck::Password => Ok(self.logins.credentials_not_tried(call, error.into())?),
            GuessCheck::AuthJsPassword => match &self.auth_js {
                Some(auth_js) => Ok(auth_js.credentials_not_tried(call, error.into())?),
                None => Err(Stop::with(ProblemKind::NotFound, &call.visit)),
            },
            GuessCheck::Code(channel) => Ok(self.otps.not_tried(call, channel, error.into())?),
            GuessCheck::ProviderProof(provider) => {
                let provider = self.routing.table.provider_name(provider);
                Err(self.logins.not_tried(call, provider, error.into()).into())
            }
        }
    }

    /// Calls the function of `endpoint`.
    async fn serve(&self, endpoint: OwnEndpoint, mut call: Call) -> Result<EndpointAnswer, Stop> {
        let name = |provider| self.routing.table.provider_name(provider);
        let answer = match endpoint {
            OwnEndpoint::LoginPage => self.logins.page(call).await,
            OwnEndpoint::Start(provider) => self.logins.start(call, name(provider)).await,
            OwnEndpoint::Callback(provider) => self.logins.callback(call, name(provider)).await,
            OwnEndpoint::IdToken(provider) => self.logins.id_token(call, name(provider)).await,
            OwnEndpoint::Nonce(provider) => self.logins.nonce(&call, name(provider)),
            OwnEndpoint::Credentials => self.logins.credentials(call).await,
            OwnEndpoint::Logout => {
                let after_logout = self.after_logout(&call.origin);
                self.logins.logout(call, after_logout).await
            }
            OwnEndpoint::LoggedOut => self.logins.logged_out(call).await,
            OwnEndpoint::Script => self.logins.asset(&call, Asset::Script),
            OwnEndpoint::Logo => self.logins.asset(&call, Asset::Logo),
            OwnEndpoint::SendCode(channel) => return Ok(self.otps.send(call, channel).await?),
            OwnEndpoint::ResendCode(channel) => return Ok(self.otps.resend(call, channel).await?),
            OwnEndpoint::VerifyCode(channel) => return Ok(self.otps.verify(call, channel).await?),
            OwnEndpoint::CodePage(channel) => return Ok(self.otps.page(call, channel).await?),
            OwnEndpoint::Session => {
                call.visit.ensure().await;
                if let Some(auth_js) = &self.auth_js {
                    return Ok(auth_js.session(&call)?);
                }
                return self.describe(&call.visit, WithoutSession::IsDescribed);
            }
            OwnEndpoint::AuthJs(endpoint) => return self.auth_js(endpoint, call).await,
            OwnEndpoint::Refresh => {
                call.visit.refresh_now().await;
                return self.describe(&call.visit, WithoutSession::IsRefused);
            }
        };
        answer.map_err(Stop::from)
    }

    /// Calls the function of an endpoint of Auth.js.
    async fn auth_js(&self, endpoint: AuthJsEndpoint, call: Call) -> Result<EndpointAnswer, Stop> {
        let Some(auth_js) = &self.auth_js else { return Err(Stop::with(ProblemKind::NotFound, &call.visit)) };
        let name = |provider: Option<ProviderIndex>| provider.map(|index| self.routing.table.provider_name(index));
        Ok(match endpoint {
            AuthJsEndpoint::Csrf => auth_js.csrf(&call),
            AuthJsEndpoint::Providers => auth_js.providers(&call),
            AuthJsEndpoint::Update => auth_js.update(call).await?,
            AuthJsEndpoint::SignInPage(provider) => auth_js.sign_in_page(&call, name(provider)),
            AuthJsEndpoint::SignIn(provider) => auth_js.sign_in(&call, name(provider))?,
            AuthJsEndpoint::Credentials => auth_js.credentials(call).await?,
            AuthJsEndpoint::SignOutPage => auth_js.sign_out_page(&call),
            AuthJsEndpoint::SignOut => {
                let origin = call.origin.clone();
                let after_logout = self.after_logout(&origin);
                let is_open = |address: &str| !self.begins_login(self.logins.place_of(address, &origin));
                auth_js.sign_out(call, after_logout, is_open).await?
            }
            AuthJsEndpoint::Error => auth_js.error(&call),
            AuthJsEndpoint::Log => auth_js.log(&call),
        })
    }

    /// Whether `session.after_logout` needs a login where a visitor of `origin` is led to.
    fn after_logout(&self, origin: &VisitorOrigin) -> AfterLogout {
        let place = self.logins.place_after_logout(origin);
        if self.begins_login(place) { AfterLogout::NeedsLogin } else { AfterLogout::Open }
    }

    /// Whether a browser without a session is sent to a login at this host and path; `None` is a host of others.
    fn begins_login(&self, place: Option<(String, String)>) -> bool {
        let goes_on = self.logins.login_page_goes_on();
        place.is_some_and(|(host, path)| self.routing.table.begins_login(&host, &path, goes_on))
    }

    /// The object of `GET /session` and `POST /refresh`.
    fn describe(&self, visit: &Visit, without: WithoutSession) -> Result<EndpointAnswer, Stop> {
        if let Some(why) = visit.undecided() {
            return Err(Stop::with(why, visit));
        }
        let object = match (visit.access(), without) {
            (Some(access), _) => self.sessions.describe(access),
            (None, WithoutSession::IsDescribed) => serde_json::json!({ "authenticated": false }),
            (None, WithoutSession::IsRefused) => return Err(Stop::with(ProblemKind::LoginRequired, visit)),
        };
        let (auth_status, cookies) = visit.head();
        Ok(EndpointAnswer::json(StatusCode::OK, object, cookies, auth_status))
    }
}

/// Whether a GET of this endpoint does what a person has to ask for: it may begin a login, and so push out another one
/// of the browser, or use up the one-time address that leads to a provider's logout.
const fn has_to_be_asked_for(endpoint: OwnEndpoint) -> bool {
    matches!(
        endpoint,
        OwnEndpoint::LoginPage | OwnEndpoint::Start(_) | OwnEndpoint::CodePage(_) | OwnEndpoint::LoggedOut
    )
}

/// What a call without a session gets.
enum WithoutSession {
    /// `{"authenticated": false}`.
    IsDescribed,
    /// 401.
    IsRefused,
}

fn was_wrong(answer: &Result<EndpointAnswer, Stop>) -> bool {
    match answer {
        Ok(answer) => answer.wrong_guess,
        Err(stop) => stop.failure.is_wrong_guess(),
    }
}

/// The whole body. If its `Content-Length` is over the limit, it is refused unread.
async fn collect(body: Incoming) -> Result<Bytes, ProblemKind> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > LONGEST_BODY as u64 {
        return Err(ProblemKind::BodyTooLarge);
    }
    let limited = http_body_util::Limited::new(body, LONGEST_BODY);
    match tokio::time::timeout(BODY_DEADLINE, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(ProblemKind::BodyTooLarge),
        Ok(Err(_)) => Err(ProblemKind::BodyBroken),
        Err(_) => Err(ProblemKind::BodyTooSlow),
    }
}
