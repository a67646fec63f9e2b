//! Errors → responses: the only status-code decisions for failures, and the one place that logs each of them, once.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::{
    endpoint::Content,
    hygiene::{self, Refusal},
    login::LoginError,
    otp::OtpError,
    pages::{ErrorPage, Language, Page, Pages, Text},
    route::Cors,
    scheme::Scheme,
    session::{BeginError, Undecided},
    telemetry::{Metrics, RequestId, UpstreamFailure},
    upstream::ForwardError,
};

/// How the session fared, on every answer to a route that is not public.
pub const X_AUTH_STATUS: HeaderName = HeaderName::from_static("x-auth-status");
/// The number of the request, for the upstream, the visitor and the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The address of a file changes with its content.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// `Allow` of the gateway as a whole: what it passes on.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const NOTHING_ELSE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
/// For what is no page: nothing of it is ever run, shown in a frame, or sent somewhere.
const NO_PAGE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
/// A year. Other names of the domain (`includeSubDomains`) are not ours to decide about.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// Everything that keeps a request from its ordinary answer; one variant for each different reaction.
#[derive(Debug)]
pub enum Failure {
    /// Hygiene refused it.
    Refused(Refusal),
    /// No route names it.
    NoRoute,
    /// An endpoint of ours has other methods.
    WrongMethod {
        /// What it has.
        allow: &'static str,
    },
    /// A foreign page's request rests on our cookie.
    CrossOrigin,
    /// A preflight for an origin that the route does not let in.
    PreflightRefused,
    /// Nobody is logged in: a navigation goes to the login page.
    LogIn {
        /// Path and query to come back to.
        return_to: String,
    },
    /// Nobody is logged in, and no login page helps.
    NotLoggedIn,
    /// Somebody is logged in whom the rule does not let in.
    Forbidden,
    /// Somebody is logged in where only strangers belong.
    AlreadyIn,
    /// The authority does not answer, and without it nobody can tell.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many forged access tokens came from this client for another to be checked.
    Unchecked {
        /// When to try again.
        retry_after: Duration,
    },
    /// The upstream did not answer.
    Forward(ForwardError),
    /// A login failed.
    Login(LoginError),
    /// A one-time code was not sent or not taken.
    Otp(OtpError),
    /// The body is larger than an endpoint of ours reads.
    BodyTooLarge,
    /// The body is not what its head promised.
    BodyBroken,
    /// The body came too slowly.
    BodyStalled,
    /// The connection cannot be upgraded though its request asked for it (HTTP/2).
    CannotUpgrade,
    /// A part of the gateway failed in a way that nobody foresaw.
    Panicked,
}

impl From<Undecided> for Failure {
    fn from(why: Undecided) -> Self {
        match why {
            Undecided::Unanswered(retry_after) => Self::Unavailable { retry_after },
            Undecided::Unchecked(retry_after) => Self::Unchecked { retry_after },
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl From<OtpError> for Failure {
    fn from(error: OtpError) -> Self {
        Self::Otp(error)
    }
}

/// What kind of answer the visitor reads.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// In which form.
    pub form: Form,
    /// In this language.
    pub language: Language,
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A person waits for a page.
    Page,
    /// A program reads it.
    Problem,
}

impl Wants {
    /// For a request through a route: pages are for navigations alone.
    pub fn through_route(parts: &Parts) -> Self {
        let form = if hygiene::is_navigation(parts) { Form::Page } else { Form::Problem };
        Self { form, language: Language::of(&parts.headers) }
    }

    /// For a request to an endpoint of ours, where a page may also post a form.
    pub fn of_endpoint(parts: &Parts) -> Self {
        let mode = parts.headers.get("sec-fetch-mode");
        let accepts_pages = parts
            .headers
            .get(header::ACCEPT)
            .is_some_and(|a| memchr::memmem::find(a.as_bytes(), b"text/html").is_some());
        let form = if mode.map_or(accepts_pages, |mode| mode == "navigate") { Form::Page } else { Form::Problem };
        Self { form, language: Language::of(&parts.headers) }
    }
}

/// Turns failures into answers.
pub struct Responder {
    pages: Arc<Pages>,
    metrics: Arc<Metrics>,
    /// Where a navigation without a session goes: the built-in page, or the app's own.
    login_page: String,
    after_login: HeaderValue,
    /// The site is https, and not on this machine, where other ports are other people's.
    is_strict: bool,
}

struct Verdict {
    status: StatusCode,
    code: &'static str,
    english: Cow<'static, str>,
    korean: Cow<'static, str>,
    /// The connection's state is not known any more.
    close: bool,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    /// Members of a problem's JSON besides those that all have (RFC 9457 section 3.2).
    more: Vec<(&'static str, Value)>,
}

impl Responder {
    /// Builds it; `login_page` is a path.
    pub fn new(
        pages: Arc<Pages>,
        metrics: Arc<Metrics>,
        public_url: &Url,
        login_page: String,
        after_login: &str,
    ) -> Self {
        let after_login = HeaderValue::from_str(after_login).unwrap_or(HeaderValue::from_static("/"));
        let is_strict = public_url.scheme() == "https" && !hygiene::is_loopback(public_url);
        Self { pages, metrics, login_page, after_login, is_strict }
    }

    /// What every answer of the gateway's own says to browsers, where it does not say something else of its own; `scheme` is the visitor's, once that is known.
    pub fn guard(&self, headers: &mut HeaderMap, scheme: Option<Scheme>) {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, NO_PAGE),
            (header::REFERRER_POLICY, NO_REFERRER),
            (header::CACHE_CONTROL, NO_STORE),
        ] {
            headers.entry(name).or_insert(value);
        }
        // Over plain HTTP it must not be sent (RFC 6797 section 7.2).
        if self.is_strict && scheme == Some(Scheme::Https) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        }
    }

    /// The answer to a failure.
    pub fn answer(&self, failure: &Failure, wants: Wants, request_id: &RequestId) -> Response<Bytes> {
        match failure {
            Failure::LogIn { return_to } if wants.form == Form::Page => return self.to_login(return_to),
            Failure::AlreadyIn => return redirect(StatusCode::FOUND, self.after_login.clone()),
            Failure::Refused(Refusal::ToPublicUrl(location)) => {
                return redirect(StatusCode::PERMANENT_REDIRECT, location.clone());
            }
            Failure::Refused(Refusal::OptionsStar | Refusal::LastHop) => return about_the_gateway(),
            _ => {}
        }
        let verdict = verdict(failure);
        self.log(failure, &verdict, request_id);
        let mut response = if wants.form == Form::Page {
            self.page(&verdict, wants.language)
        } else {
            problem(&verdict, wants.language)
        };
        let headers = response.headers_mut();
        if let Some(retry_after) = verdict.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
        }
        if let Some(allow) = verdict.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if verdict.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// An answer of an endpoint of ours.
    pub fn content(&self, status: StatusCode, content: Content) -> Response<Bytes> {
        let mut response = match content {
            Content::Page(page) => page_response(page),
            Content::Json(value) => {
                let mut response = Response::new(Bytes::from(value.to_string()));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Content::Redirect(location) => match HeaderValue::from_str(&location) {
                Ok(location) => redirect(StatusCode::SEE_OTHER, location),
                Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Content::File { media_type, bytes } => {
                let mut response = Response::new(bytes);
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                headers.insert(header::CACHE_CONTROL, FOR_GOOD);
                // A picture may hold scripts (SVG), and may be opened as a page.
                headers.insert(header::CONTENT_SECURITY_POLICY, NOTHING_ELSE);
                return response;
            }
            Content::Empty => Response::new(Bytes::new()),
        };
        if response.status() == StatusCode::OK {
            *response.status_mut() = status;
        }
        // What an endpoint of ours answers is about one visitor at one moment.
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        response
    }

    fn to_login(&self, return_to: &str) -> Response<Bytes> {
        let location = format!("{}?return_to={}", self.login_page, utf8_percent_encode(return_to, QUERY_VALUE));
        match HeaderValue::from_str(&location) {
            Ok(location) => redirect(StatusCode::FOUND, location),
            Err(_) => empty(StatusCode::UNAUTHORIZED),
        }
    }

    fn page(&self, verdict: &Verdict, language: Language) -> Response<Bytes> {
        let page = self.pages.error(&ErrorPage {
            language,
            status: verdict.status.as_u16(),
            message: language.choose(&verdict.english, &verdict.korean),
            code: verdict.code,
        });
        let mut response = page_response(page);
        *response.status_mut() = verdict.status;
        response
    }

    fn log(&self, failure: &Failure, verdict: &Verdict, request_id: &RequestId) {
        match failure {
            Failure::Forward(error) => {
                if let Some(kind) = upstream_failure(error) {
                    self.metrics.upstream_failure(kind);
                }
                tracing::warn!(request_id = request_id.as_str(), status = verdict.status.as_u16(), error = %chain(error), "not forwarded");
            }
            Failure::Login(error) if verdict.status.is_server_error() => {
                if matches!(error, LoginError::Store(_)) {
                    self.metrics.store_errors.inc();
                }
                tracing::warn!(request_id = request_id.as_str(), status = verdict.status.as_u16(), error = %chain(error), "login failed");
            }
            Failure::Otp(error) if verdict.status.is_server_error() => {
                if matches!(error, OtpError::Store(_) | OtpError::NotStored(_)) {
                    self.metrics.store_errors.inc();
                }
                tracing::warn!(request_id = request_id.as_str(), status = verdict.status.as_u16(), error = %chain(error), "one-time code failed");
            }
            Failure::Panicked => tracing::error!(request_id = request_id.as_str(), "a part of the gateway panicked"),
            _ => {
                tracing::debug!(
                    request_id = request_id.as_str(),
                    status = verdict.status.as_u16(),
                    code = verdict.code,
                    "refused"
                );
            }
        }
    }
}

/// Everything that a query's value may not hold as it is.
const QUERY_VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

fn verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::Refused(refusal) => match refusal {
            Refusal::Misdirected => v(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "This host is not served here",
                "이 호스트는 여기에서 제공되지 않습니다",
            ),
            // What follows a CONNECT is meant for a tunnel, and is no request.
            Refusal::Method => Verdict {
                allow: Some(METHODS),
                close: true,
                ..v(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "This method is not allowed",
                    "허용되지 않는 메서드입니다",
                )
            },
            Refusal::TooManyHeaders => Verdict {
                close: true,
                ..v(
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "headers_too_large",
                    "The request's headers are too large",
                    "요청 헤더가 너무 큽니다",
                )
            },
            Refusal::TargetTooLong => Verdict {
                close: true,
                ..v(StatusCode::URI_TOO_LONG, "target_too_long", "The address is too long", "주소가 너무 깁니다")
            },
            Refusal::Loop => v(
                StatusCode::LOOP_DETECTED,
                "loop_detected",
                "The request goes in a circle",
                "요청이 순환하고 있습니다",
            ),
            // Its body is neither asked for nor read.
            Refusal::Expectation => Verdict {
                close: true,
                ..v(
                    StatusCode::EXPECTATION_FAILED,
                    "expectation_failed",
                    "The request expects what is not offered here",
                    "지원하지 않는 Expect 요청입니다",
                )
            },
            Refusal::Ambiguous(_) | Refusal::ToPublicUrl(_) | Refusal::OptionsStar | Refusal::LastHop => Verdict {
                close: true,
                ..v(StatusCode::BAD_REQUEST, "bad_request", "The request is not well-formed", "잘못된 요청입니다")
            },
        },
        Failure::NoRoute => v(StatusCode::NOT_FOUND, "not_found", "There is nothing here", "페이지를 찾을 수 없습니다"),
        Failure::WrongMethod { allow } => Verdict {
            allow: Some(allow),
            ..v(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This method is not allowed",
                "허용되지 않는 메서드입니다",
            )
        },
        Failure::CrossOrigin => v(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "Requests from other sites are refused",
            "다른 사이트에서 온 요청은 허용되지 않습니다",
        ),
        Failure::PreflightRefused => {
            v(StatusCode::FORBIDDEN, "origin_not_allowed", "This origin is not allowed", "허용되지 않은 출처입니다")
        }
        Failure::LogIn { .. } | Failure::NotLoggedIn => {
            v(StatusCode::UNAUTHORIZED, "login_required", "Please log in", "로그인이 필요합니다")
        }
        Failure::Forbidden => v(StatusCode::FORBIDDEN, "forbidden", "You may not do this", "접근 권한이 없습니다"),
        Failure::AlreadyIn => {
            v(StatusCode::FOUND, "already_logged_in", "You are logged in", "이미 로그인되어 있습니다")
        }
        Failure::Unchecked { retry_after } => too_many(*retry_after),
        Failure::Unavailable { retry_after } => Verdict {
            retry_after: Some(*retry_after),
            ..v(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The login service does not answer; please try again",
                "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해주세요",
            )
        },
        Failure::Forward(error) => of_forward(error),
        Failure::Login(error) => of_login(error),
        Failure::Otp(error) => of_otp(error),
        Failure::BodyTooLarge => Verdict {
            close: true,
            ..v(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The request is too large", "요청이 너무 큽니다")
        },
        Failure::BodyBroken => Verdict {
            close: true,
            ..v(StatusCode::BAD_REQUEST, "bad_request", "The request is not well-formed", "잘못된 요청입니다")
        },
        Failure::BodyStalled => Verdict {
            close: true,
            ..v(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", "요청 시간이 초과되었습니다")
        },
        Failure::CannotUpgrade => v(
            StatusCode::NOT_IMPLEMENTED,
            "cannot_upgrade",
            "This connection cannot be upgraded",
            "이 연결은 업그레이드할 수 없습니다",
        ),
        Failure::Panicked => {
            v(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong", "서버 오류가 발생했습니다")
        }
    }
}

const fn v(status: StatusCode, code: &'static str, english: &'static str, korean: &'static str) -> Verdict {
    Verdict {
        status,
        code,
        english: Cow::Borrowed(english),
        korean: Cow::Borrowed(korean),
        close: false,
        retry_after: None,
        allow: None,
        more: Vec::new(),
    }
}

fn of_forward(error: &ForwardError) -> Verdict {
    match error {
        ForwardError::Unreachable(_) | ForwardError::Broken(_) | ForwardError::BadAnswer(_) => v(
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "A network error occurred",
            "네트워크 오류가 발생했습니다",
        ),
        ForwardError::Timeout(_) => v(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The service took too long to answer",
            "서비스의 응답 시간이 초과되었습니다",
        ),
        ForwardError::RequestTooLarge => Verdict {
            close: true,
            ..v(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The request is too large", "요청이 너무 큽니다")
        },
        ForwardError::RequestBroken(_) => Verdict {
            close: true,
            ..v(StatusCode::BAD_REQUEST, "bad_request", "The request is not well-formed", "잘못된 요청입니다")
        },
        ForwardError::RequestStalled => Verdict {
            close: true,
            ..v(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", "요청 시간이 초과되었습니다")
        },
    }
}

fn of_login(error: &LoginError) -> Verdict {
    let again = Some(Duration::from_secs(1));
    match error {
        LoginError::AttemptExpired => v(
            StatusCode::BAD_REQUEST,
            "attempt_expired",
            "This login attempt has expired",
            "로그인 시도가 만료되었습니다",
        ),
        LoginError::ProviderUnavailable(_) => Verdict {
            retry_after: again,
            ..v(
                StatusCode::SERVICE_UNAVAILABLE,
                "provider_unavailable",
                "The login provider does not answer; please try again",
                "로그인 제공자가 응답하지 않습니다. 잠시 후 다시 시도해주세요",
            )
        },
        LoginError::AuthorityUnavailable(_) => Verdict {
            retry_after: again,
            ..v(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The login service does not answer; please try again",
                "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해주세요",
            )
        },
        LoginError::BadCredentials => {
            v(StatusCode::UNAUTHORIZED, "bad_credentials", "Wrong e-mail address or password", "잘못된 자격 증명입니다")
        }
        LoginError::NotAllowed(_) => not_allowed(),
        LoginError::InvalidIdToken(_) => {
            v(StatusCode::UNAUTHORIZED, "invalid_id_token", "The ID token is not valid", "ID 토큰이 올바르지 않습니다")
        }
        LoginError::UsedIdToken => {
            v(StatusCode::UNAUTHORIZED, "used_id_token", "The ID token has been used", "이미 사용된 ID 토큰입니다")
        }
        LoginError::TooMany(wait) => too_many(*wait),
        LoginError::NotConfigured => {
            v(StatusCode::NOT_FOUND, "not_found", "There is nothing here", "페이지를 찾을 수 없습니다")
        }
        LoginError::BadRequest(code) => {
            v(StatusCode::BAD_REQUEST, code, "The request is not well-formed", "잘못된 요청입니다")
        }
        LoginError::Session(error) => of_session(error),
        LoginError::Store(_) => Verdict {
            retry_after: again,
            ..v(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "Please try again", "잠시 후 다시 시도해주세요")
        },
    }
}

/// Tokens that make no session.
fn of_session(error: &BeginError) -> Verdict {
    match error {
        BeginError::TooLarge => v(
            StatusCode::BAD_GATEWAY,
            "session_too_large",
            "The session is too large for cookies: it needs the server store (session.store = \"server\")",
            "세션이 너무 커서 쿠키에 담을 수 없습니다. 서버 저장소(session.store = \"server\")가 필요합니다",
        ),
        BeginError::Unusable(_) => v(
            StatusCode::BAD_GATEWAY,
            "unusable_tokens",
            "The login service gave tokens that cannot be used",
            "로그인 서비스가 준 토큰을 사용할 수 없습니다",
        ),
    }
}

fn not_allowed() -> Verdict {
    v(StatusCode::FORBIDDEN, "not_allowed", "This account may not log in here", "이 계정으로는 로그인할 수 없습니다")
}

fn of_otp(error: &OtpError) -> Verdict {
    let status = match error {
        OtpError::NotConfigured => return verdict(&Failure::NoRoute),
        OtpError::NotLoggedIn => return verdict(&Failure::NotLoggedIn),
        OtpError::SessionUnknown { retry_after } => {
            return verdict(&Failure::Unavailable { retry_after: *retry_after });
        }
        OtpError::NotAllowed(_) => return not_allowed(),
        OtpError::Session(error) => return of_session(error),
        OtpError::Unreadable(_)
        | OtpError::Missing(_)
        | OtpError::CodeForm
        | OtpError::Address(_)
        | OtpError::Wrong => StatusCode::BAD_REQUEST,
        OtpError::TooSoon(_) | OtpError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        OtpError::NoLiveCode => StatusCode::NOT_FOUND,
        OtpError::Undelivered(_)
        | OtpError::NotStored(_)
        | OtpError::Store(_)
        | OtpError::NotNotified(_)
        | OtpError::AuthorityUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let said = |language| error.text().map(|text| text.say(language));
    let english = said(Language::English).unwrap_or("The request is not well-formed");
    let korean = said(Language::Korean).unwrap_or("잘못된 요청입니다");
    let mut verdict = v(status, error.code(), english, korean);
    if let Some(wait) = error.retry_after() {
        verdict = waiting(verdict, wait);
    }
    match error {
        OtpError::Undelivered(retry) => {
            verdict.more.push(("canResend", true.into()));
            verdict.more.push(("retryEndpoint", retry.endpoint.clone().into()));
            verdict.more.extend(retry.challenge.clone().map(|challenge| ("challenge", challenge.into())));
        }
        OtpError::NotStored(_) | OtpError::Store(_) | OtpError::NotNotified(_) | OtpError::AuthorityUnavailable(_) => {
            verdict.retry_after = Some(Duration::from_secs(1));
        }
        _ => {}
    }
    verdict
}

fn too_many(wait: Duration) -> Verdict {
    let text = |language| Text::TryAgainIn.say(language);
    let limited = v(StatusCode::TOO_MANY_REQUESTS, "too_many", text(Language::English), text(Language::Korean));
    waiting(limited, wait)
}

/// Says how long to wait: in the text, in the head, and for scripts.
fn waiting(mut verdict: Verdict, wait: Duration) -> Verdict {
    let seconds = whole_seconds(wait);
    verdict.retry_after = Some(wait);
    verdict.english = verdict.english.replace("{seconds}", &seconds.to_string()).into();
    verdict.korean = verdict.korean.replace("{seconds}", &seconds.to_string()).into();
    verdict.more.push(("retryAfter", seconds.into()));
    verdict
}

fn upstream_failure(error: &ForwardError) -> Option<UpstreamFailure> {
    match error {
        ForwardError::Unreachable(_) => Some(UpstreamFailure::Connect),
        ForwardError::Timeout(_) => Some(UpstreamFailure::Timeout),
        ForwardError::Broken(_) => Some(UpstreamFailure::Broken),
        ForwardError::BadAnswer(_) => Some(UpstreamFailure::Protocol),
        // The visitor's doing.
        ForwardError::RequestTooLarge | ForwardError::RequestBroken(_) | ForwardError::RequestStalled => None,
    }
}

/// `application/problem+json` (RFC 9457) with a stable `code` and a localised `error`.
fn problem(verdict: &Verdict, language: Language) -> Response<Bytes> {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": verdict.status.canonical_reason().unwrap_or_default(),
        "status": verdict.status.as_u16(),
        "code": verdict.code,
        "error": language.choose(&verdict.english, &verdict.korean),
    });
    for (name, value) in &verdict.more {
        body[*name] = value.clone();
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = verdict.status;
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
    response
}

/// The answer to a preflight (Fetch standard, section 4.8), where the route lets its origin in.
pub fn preflight(request: &HeaderMap, cors: Option<&Cors>) -> Option<Response<Bytes>> {
    let origin = request.get(header::ORIGIN)?;
    let cors = cors.filter(|cors| cors.origins.iter().any(|o| o.as_bytes() == origin.as_bytes()))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    allow_origin(headers, Some(origin), cors);
    for (asked, allowed) in [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(asked) = request.get(asked) {
            headers.insert(allowed, asked.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    Some(response)
}

/// Lets a listed origin read the answer, and no other; whatever the upstream says of it is replaced.
pub fn allow_origin(headers: &mut HeaderMap, origin: Option<&HeaderValue>, cors: &Cors) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let Some(origin) = origin.filter(|origin| cors.origins.iter().any(|o| o.as_bytes() == origin.as_bytes())) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-auth-status"));
}

fn about_the_gateway() -> Response<Bytes> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

fn page_response(page: Page) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(page.html));
    *response.headers_mut() = page.headers;
    response
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<Bytes> {
    let mut response = empty(status);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// `Retry-After` counts in seconds (RFC 9110 section 10.2.3); it must not say 0.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authority::IssueError,
        channel::Channel,
        endpoint::Unreadable,
        otp::{NotifyError, Retry},
        pages::Site,
        store::StoreError,
    };

    fn answered(error: OtpError, language: Language) -> (u16, Option<String>, Value) {
        let public_url = "https://app.example.kr".parse().unwrap();
        let site = Site { public_url: &public_url, base_path: "/auth", login_page: "/auth/login", form_targets: &[] };
        let pages = Pages::new(&crate::pages::Settings::default(), &site).unwrap();
        let responder =
            Responder::new(Arc::new(pages), Arc::new(Metrics::new()), &public_url, "/auth/login".to_owned(), "/");
        let ids = crate::telemetry::RequestIds::new(&crate::secret::Random::system());
        let wants = Wants { form: Form::Problem, language };
        let response = responder.answer(&Failure::Otp(error), wants, &ids.next());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let retry_after = response.headers().get(header::RETRY_AFTER).map(|v| v.to_str().unwrap().to_owned());
        (response.status().as_u16(), retry_after, serde_json::from_slice(response.body()).unwrap())
    }

    fn undelivered(channel: Channel, again: bool) -> OtpError {
        let endpoint = format!("/auth/{}/resend", channel.as_str());
        OtpError::Undelivered(Retry { channel, again, endpoint, challenge: None })
    }

    #[test]
    fn every_failure_of_a_code_has_its_status_its_code_and_its_words() {
        let store = || StoreError::Full;
        for (error, status, code, korean) in [
            (OtpError::NotConfigured, 404, "not_found", "페이지를 찾을 수 없습니다"),
            (OtpError::NotLoggedIn, 401, "login_required", "로그인이 필요합니다"),
            (OtpError::Unreadable(Unreadable::NotJson), 400, "json_expected", "잘못된 요청입니다"),
            (OtpError::Unreadable(Unreadable::Malformed), 400, "malformed_json", "잘못된 요청입니다"),
            (OtpError::Missing(Channel::Sms), 400, "field_missing", "전화번호와 인증번호를 입력해주세요"),
            (OtpError::Missing(Channel::Email), 400, "field_missing", "이메일과 인증번호를 입력해주세요"),
            (OtpError::CodeForm, 400, "code_form", "인증번호는 6자리 숫자여야 합니다"),
            (OtpError::Address(Channel::Sms), 400, "bad_phone", "올바른 전화번호 형식이 아닙니다"),
            (OtpError::Address(Channel::Email), 400, "bad_email", "올바른 이메일 형식이 아닙니다"),
            (OtpError::Wrong, 400, "code_wrong", "인증번호가 올바르지 않거나 만료되었습니다"),
            (OtpError::TooSoon(Duration::from_millis(36_001)), 429, "too_soon", "37초 후에 다시 시도해주세요"),
            (OtpError::TooMany(Duration::from_secs(1200)), 429, "too_many", "1200초 후에 다시 시도해주세요"),
            (OtpError::NoLiveCode, 404, "no_live_code", "유효한 인증번호가 없습니다. 처음부터 다시 시도해주세요."),
            (undelivered(Channel::Sms, false), 503, "delivery_failed", "SMS 발송에 실패했습니다"),
            (undelivered(Channel::Sms, true), 503, "delivery_failed", "SMS 재발송에 실패했습니다"),
            (undelivered(Channel::Email, false), 503, "delivery_failed", "메일 전송에 실패했습니다"),
            (undelivered(Channel::Email, true), 503, "delivery_failed", "메일 전송에 실패했습니다"),
            (OtpError::NotStored(store()), 503, "store_failed", "인증번호 저장에 실패했습니다"),
            (OtpError::Store(store()), 503, "store_unavailable", "잠시 후 다시 시도해주세요."),
            (OtpError::NotNotified(NotifyError::Errors), 503, "notify_failed", "네트워크 오류가 발생했습니다"),
            (OtpError::NotAllowed(IssueError::NotAllowed), 403, "not_allowed", "이 계정으로는 로그인할 수 없습니다"),
            (
                OtpError::Session(BeginError::TooLarge),
                502,
                "session_too_large",
                "세션이 너무 커서 쿠키에 담을 수 없습니다. 서버 저장소(session.store = \"server\")가 필요합니다",
            ),
        ] {
            let (answered, _, body) = answered(error, Language::Korean);
            assert_eq!((answered, body["code"].as_str(), body["error"].as_str()), (status, Some(code), Some(korean)));
            assert_eq!(body["status"], status);
        }
    }

    #[test]
    fn whoever_must_wait_is_told_how_long() {
        let (_, retry_after, body) = answered(OtpError::TooSoon(Duration::from_millis(36_001)), Language::English);
        assert_eq!((retry_after.as_deref(), body["retryAfter"].as_u64()), (Some("37"), Some(37)));
        assert_eq!(body["error"], "Try again in 37 seconds");
        let (_, retry_after, body) = answered(OtpError::TooMany(Duration::ZERO), Language::English);
        assert_eq!((retry_after.as_deref(), body["retryAfter"].as_u64()), (Some("1"), Some(1)));
        let unknown = OtpError::SessionUnknown { retry_after: Duration::from_secs(2) };
        let (status, retry_after, body) = answered(unknown, Language::English);
        assert_eq!((status, retry_after.as_deref(), body["code"].as_str()), (503, Some("2"), Some("unavailable")));
    }

    #[test]
    fn a_message_that_was_not_delivered_can_be_asked_for_again() {
        let (_, _, body) = answered(undelivered(Channel::Sms, false), Language::Korean);
        assert_eq!(
            (body["canResend"].as_bool(), body["retryEndpoint"].as_str()),
            (Some(true), Some("/auth/sms/resend"))
        );
        assert!(body.get("challenge").is_none());
        let retry = Retry {
            channel: Channel::Email,
            again: false,
            endpoint: "/auth/email/resend".to_owned(),
            challenge: Some("sealed".to_owned()),
        };
        assert_eq!(answered(OtpError::Undelivered(retry), Language::Korean).2["challenge"], "sealed");
    }
}
