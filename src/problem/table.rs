//! The table of problems: one row for each thing that can go wrong for a visitor. A row that leaves a cell out does not
//! compile. docs/problems.md is made from it.

use http::StatusCode;

use super::row::{
    Connection::{Close, Keep},
    FailureCounter::{Store, Upstream},
    FormPage,
    GuessCounting::{Uncounted, Wrong},
    Link, ProblemRow,
    RetryAdvice::{Later, Never, Wait},
    SessionCookies::{ClearedIfEnded, Kept},
    Wording::{self, Fixed},
    problems,
};
use crate::{channel::Channel, telemetry::UpstreamFailure, text::Text};

/// The code pages of both channels.
const CODE: FormPage = FormPage::Code(&[Channel::Sms, Channel::Email]);
const SMS_CODE: FormPage = FormPage::Code(&[Channel::Sms]);
const EMAIL_CODE: FormPage = FormPage::Code(&[Channel::Email]);

const WAIT: Wording = Wording::Wait { known: Text::TryAgainIn, unknown: Text::LaterAdvice };

problems! {
    // What hygiene refuses before anything else looks at the request.
    /// The host is neither that of `public_url`, nor in `server.hosts`, nor named by a route.
    UnknownHost {
        status: StatusCode::MISDIRECTED_REQUEST, code: "unknown_host", text: Fixed(Text::UnknownHost),
        advice: Some(Text::AddressAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "check the host name",
    }
    /// CONNECT and TRACE are never served.
    MethodNeverServed {
        status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", text: Fixed(Text::MethodNotAllowed),
        advice: Some(Text::NotAPageAdvice), link: None, form: FormPage::None,
        // What follows a CONNECT is meant for a tunnel, and is no request.
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "use another method",
    }
    /// The header block is over `limits.header_bytes` or `limits.header_lines`.
    HeadersTooLarge {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, code: "headers_too_large",
        text: Fixed(Text::HeadersTooLarge),
        advice: Some(Text::CookiesAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send fewer or shorter headers; clear old cookies",
    }
    /// The request target is longer than 28 KiB, or its path than 16 KiB.
    TargetTooLong {
        status: StatusCode::URI_TOO_LONG, code: "target_too_long", text: Fixed(Text::TargetTooLong),
        advice: Some(Text::AddressAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send a shorter address",
    }
    /// The request has already passed this gateway: an upstream points back to it.
    LoopDetected {
        status: StatusCode::LOOP_DETECTED, code: "loop_detected", text: Fixed(Text::LoopDetected),
        advice: Some(Text::OperatorAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "tell the operator",
    }
    /// `Expect` has a value other than `100-continue`.
    ExpectationFailed {
        status: StatusCode::EXPECTATION_FAILED, code: "expectation_failed", text: Fixed(Text::ExpectationFailed),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        // Its body is neither asked for nor read.
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "leave `Expect` out",
    }
    /// Two parsers could read the request differently.
    AmbiguousRequest {
        status: StatusCode::BAD_REQUEST, code: "bad_request", text: Fixed(Text::BadRequest),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "correct the request",
    }

    // The body of a request.
    /// The body ended early, or does not match its head.
    BodyBroken {
        status: StatusCode::BAD_REQUEST, code: "bad_request", text: Fixed(Text::BadRequest),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send the whole body again",
    }
    /// The body is over the limit: 64 KiB for an endpoint of the gateway, `body_limit` for a route.
    BodyTooLarge {
        status: StatusCode::PAYLOAD_TOO_LARGE, code: "body_too_large", text: Fixed(Text::BodyTooLarge),
        advice: Some(Text::SendLessAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send less",
    }
    /// The body arrived too slowly.
    BodyTooSlow {
        status: StatusCode::REQUEST_TIMEOUT, code: "timeout", text: Fixed(Text::RequestTimeout),
        advice: Some(Text::SlowAdvice), link: None, form: FormPage::None,
        connection: Close, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send it again on a better connection",
    }

    // Routes and their rules.
    /// No route and no configured endpoint has this path.
    NotFound {
        status: StatusCode::NOT_FOUND, code: "not_found", text: Fixed(Text::NotFound),
        advice: Some(Text::AddressAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "check the path",
    }
    /// An endpoint of the gateway has other methods; `Allow` names them.
    WrongMethod {
        status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", text: Fixed(Text::MethodNotAllowed),
        advice: Some(Text::NotAPageAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "use another method",
    }
    /// A page of another site sent the request with the session cookie.
    CrossOrigin {
        status: StatusCode::FORBIDDEN, code: "cross_origin", text: Fixed(Text::CrossOrigin),
        advice: Some(Text::OwnPageAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send it from a page of the same origin",
    }
    /// A CORS preflight of an origin that is not in the `cors` of the route.
    OriginNotAllowed {
        status: StatusCode::FORBIDDEN, code: "origin_not_allowed", text: Fixed(Text::OriginNotAllowed),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "ask the operator to list the origin",
    }
    /// There is no session, or it has ended.
    LoginRequired {
        status: StatusCode::UNAUTHORIZED, code: "login_required", text: Fixed(Text::LoginRequired),
        advice: Some(Text::LogInFirstAdvice), link: Some(Link::LogIn), form: FormPage::None,
        connection: Keep, session: ClearedIfEnded, retry: Never, guess: Uncounted, counter: None,
        client: "go to the login",
    }
    /// The rule of the route does not admit this person.
    Forbidden {
        status: StatusCode::FORBIDDEN, code: "forbidden", text: Fixed(Text::Forbidden),
        advice: Some(Text::ForbiddenAdvice), link: Some(Link::OtherPerson), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "ask for access; another login does not help",
    }
    /// This client sent too many forged access tokens, so no further token of it is checked for a while.
    TooManyForgedTokens {
        status: StatusCode::TOO_MANY_REQUESTS, code: "too_many", text: WAIT,
        advice: Some(Text::WaitAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Wait, guess: Uncounted, counter: None,
        client: "wait for `retryAfter` seconds",
    }
    /// `POST /refresh` asked the token authority for this session more than 10 times within a minute, and the access
    /// token has expired. The session may be valid.
    TooManyRefreshes {
        status: StatusCode::TOO_MANY_REQUESTS, code: "too_many", text: WAIT,
        advice: Some(Text::WaitAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Wait, guess: Uncounted, counter: None,
        client: "wait for `retryAfter` seconds",
    }
    /// The token authority does not answer, or its answer neither accepts nor refuses. The session of the request may
    /// be valid; a right code is not used up.
    AuthorityUnavailable {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", text: Fixed(Text::LoginUnavailable),
        advice: Some(Text::FaultAdvice), link: Some(Link::StartAgain), form: CODE,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: None,
        client: "try again after `Retry-After` seconds; this is no logout",
    }
    /// The token authority issued an access token that does not pass `[authority.verify]`; a right code is not used up.
    /// The log says why.
    AuthorityMisconfigured {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "authority_misconfigured", text: Fixed(Text::LoginMisconfigured),
        advice: Some(Text::MisconfiguredAdvice), link: Some(Link::OtherWay), form: CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "tell the operator; another try does not help",
    }
    /// An error in the gateway itself.
    Internal {
        status: StatusCode::INTERNAL_SERVER_ERROR, code: "internal", text: Fixed(Text::Internal),
        advice: Some(Text::FaultAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "try again later; tell the operator",
    }

    // Upstreams.
    /// No target of the upstream accepted the request.
    UpstreamUnreachable {
        status: StatusCode::BAD_GATEWAY, code: "upstream_unreachable", text: Fixed(Text::NetworkError),
        advice: Some(Text::FaultAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted,
        counter: Some(Upstream(UpstreamFailure::Connect)),
        client: "try again later",
    }
    /// The upstream closed the connection before its answer; it may have acted.
    UpstreamBroke {
        status: StatusCode::BAD_GATEWAY, code: "upstream_unreachable", text: Fixed(Text::NetworkError),
        advice: Some(Text::FaultAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted,
        counter: Some(Upstream(UpstreamFailure::Broken)),
        client: "try again later, if the request may be done twice",
    }
    /// The answer of the upstream is not valid HTTP.
    UpstreamAnswerInvalid {
        status: StatusCode::BAD_GATEWAY, code: "upstream_unreachable", text: Fixed(Text::AnswerInvalid),
        advice: Some(Text::FaultAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted,
        counter: Some(Upstream(UpstreamFailure::Protocol)),
        client: "tell the operator",
    }
    /// The upstream did not answer in time; it may have acted.
    UpstreamTimeout {
        status: StatusCode::GATEWAY_TIMEOUT, code: "upstream_timeout", text: Fixed(Text::UpstreamTimeout),
        advice: Some(Text::FaultAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted,
        counter: Some(Upstream(UpstreamFailure::Timeout)),
        client: "try again later, if the request may be done twice",
    }
    /// The connection cannot change to WebSocket, as in HTTP/2.
    CannotUpgrade {
        status: StatusCode::NOT_IMPLEMENTED, code: "cannot_upgrade", text: Fixed(Text::CannotUpgrade),
        advice: Some(Text::OperatorAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "open the WebSocket over HTTP/1.1",
    }

    // Logins.
    /// A page that needs a login, or a login, was to be loaded ahead of time (`Sec-Purpose`): no login begins.
    NotAheadOfTime {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "prefetch", text: Fixed(Text::NotAheadOfTime),
        advice: Some(Text::OpenItAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "load it when the person opens it",
    }
    /// A login was to begin with an image, a script or another part of a page, or in a frame of another site: it begins
    /// only with a navigation.
    LoginNotOpened {
        status: StatusCode::UNAUTHORIZED, code: "navigation_needed", text: Fixed(Text::LoginNotOpened),
        advice: Some(Text::OpenItAdvice), link: Some(Link::LogIn), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "open the address as a page: `location.assign(…)`, or a link",
    }
    /// The login attempt is unknown to this browser, older than 10 minutes, or was used; the same callback within 60 s
    /// gets the same answer instead.
    AttemptExpired {
        status: StatusCode::BAD_REQUEST, code: "attempt_expired", text: Fixed(Text::AttemptExpired),
        advice: Some(Text::AttemptExpiredAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "start the login again",
    }
    /// The login provider does not answer, or answers with a failure of its own.
    ProviderUnavailable {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "provider_unavailable", text: Fixed(Text::ProviderUnavailable),
        advice: Some(Text::FaultAdvice), link: Some(Link::TryAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: None,
        client: "try again after `Retry-After` seconds",
    }
    /// The login provider and the gateway do not fit together: another issuer, a certificate that is not accepted,
    /// metadata without PKCE, a token answer without a Bearer token. The log says which.
    ProviderMisconfigured {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "provider_misconfigured", text: Fixed(Text::LoginMisconfigured),
        advice: Some(Text::MisconfiguredAdvice), link: Some(Link::OtherWay), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "tell the operator; another try does not help",
    }
    /// The backend does not accept the e-mail address and password, or the other fields of the login: it answered 400,
    /// 401, 403 or 422, or 404 with a JSON object.
    BadCredentials {
        status: StatusCode::UNAUTHORIZED, code: "bad_credentials", text: Fixed(Text::BadCredentials),
        advice: None, link: None, form: FormPage::Login,
        connection: Keep, session: Kept, retry: Never, guess: Wrong, counter: None,
        client: "let the person try again",
    }
    /// The backend refuses the account whatever the password is: it answered 409 or 423, or 410 with a JSON object.
    AccountRefused {
        status: StatusCode::UNAUTHORIZED, code: "bad_credentials", text: Fixed(Text::BadCredentials),
        advice: None, link: None, form: FormPage::Login,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "let the person try again",
    }
    /// `POST {base_path}/login` without e-mail address or password, or without another field of
    /// `authority.credentials.fields`.
    CredentialsMissing {
        status: StatusCode::BAD_REQUEST, code: "credentials_missing", text: Fixed(Text::CredentialsMissing),
        advice: None, link: None, form: FormPage::Login,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the empty field",
    }
    /// The client, or all clients together at this account, guessed wrong too often (`limits.failures_per_client`,
    /// `limits.failures_per_account`), or the backend answered a login with 429.
    TooManyGuesses {
        status: StatusCode::TOO_MANY_REQUESTS, code: "too_many",
        text: Wording::Wait { known: Text::TryAgainIn, unknown: Text::TooManyTries },
        advice: Some(Text::WaitAdvice), link: None, form: FormPage::Login,
        connection: Keep, session: Kept, retry: Wait, guess: Uncounted, counter: None,
        client: "wait for `retryAfter` seconds",
    }
    /// The token authority or `allow` does not admit this account; a code is used up.
    NotAllowed {
        status: StatusCode::FORBIDDEN, code: "not_allowed", text: Fixed(Text::NotAllowed),
        advice: Some(Text::NotAllowedAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "log in with another account or address",
    }
    /// The ID token of an app is not valid, or older than 10 minutes.
    InvalidIdToken {
        status: StatusCode::UNAUTHORIZED, code: "invalid_id_token", text: Fixed(Text::InvalidIdToken),
        advice: Some(Text::AttemptExpiredAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Wrong, counter: None,
        client: "get a new ID token from the provider",
    }
    /// The ID token that a page sent has no nonce, or not one of `POST {base_path}/{provider}/nonce` of the last 10
    /// minutes.
    NonceExpected {
        status: StatusCode::UNAUTHORIZED, code: "nonce_expected", text: Fixed(Text::NonceExpected),
        advice: Some(Text::AttemptExpiredAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Wrong, counter: None,
        client: "get a nonce from `POST {base_path}/{provider}/nonce`, and an ID token with it from the provider",
    }
    /// The ID token of an app, or its nonce, was used before.
    UsedIdToken {
        status: StatusCode::UNAUTHORIZED, code: "used_id_token", text: Fixed(Text::UsedIdToken),
        advice: Some(Text::AttemptExpiredAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Wrong, counter: None,
        client: "get a new ID token from the provider",
    }
    /// A parameter of an endpoint, or a member of its JSON object, occurs twice (RFC 6749 section 3.1), or there are
    /// more than 64 parameters.
    RepeatedParameter {
        status: StatusCode::BAD_REQUEST, code: "repeated_parameter", text: Fixed(Text::BadRequest),
        advice: Some(Text::OddRequestAdvice), link: Some(Link::StartAgain), form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "start the login again; send each parameter once",
    }
    /// A field that the endpoint needs is absent, null or of another type.
    FieldMissing {
        status: StatusCode::BAD_REQUEST, code: "field_missing", text: Fixed(Text::FieldMissing),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "send the field",
    }
    /// The body is neither `application/json` nor, where a page posts it, a form.
    JsonExpected {
        status: StatusCode::BAD_REQUEST, code: "json_expected", text: Fixed(Text::BadRequest),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "set `Content-Type: application/json`",
    }
    /// The body is not JSON.
    MalformedJson {
        status: StatusCode::BAD_REQUEST, code: "malformed_json", text: Fixed(Text::BadRequest),
        advice: Some(Text::OddRequestAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "correct the request",
    }
    /// The tokens take more than 16 KiB of cookies; a code is used up.
    SessionTooLarge {
        status: StatusCode::BAD_GATEWAY, code: "session_too_large", text: Fixed(Text::SessionTooLarge),
        advice: Some(Text::OperatorAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "tell the operator",
    }
    /// The tokens cannot be sent in a header or cookie; a code is used up.
    UnusableTokens {
        status: StatusCode::BAD_GATEWAY, code: "unusable_tokens", text: Fixed(Text::UnusableTokens),
        advice: Some(Text::OperatorAdvice), link: None, form: FormPage::None,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "tell the operator",
    }
    /// The store does not answer, so nothing can be checked or counted; a right code is not used up.
    StoreUnavailable {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "store_unavailable", text: Fixed(Text::LaterAdvice),
        advice: Some(Text::FaultAdvice), link: Some(Link::StartAgain), form: CODE,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: Some(Store),
        client: "try again after `Retry-After` seconds",
    }

    // One-time codes.
    /// Not a mobile number of one of `otp.countries`.
    BadPhone {
        status: StatusCode::BAD_REQUEST, code: "bad_phone", text: Fixed(Text::BadPhone),
        advice: None, link: None, form: SMS_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the field",
    }
    /// Not one plain e-mail address.
    BadEmail {
        status: StatusCode::BAD_REQUEST, code: "bad_email", text: Fixed(Text::BadEmail),
        advice: None, link: None, form: EMAIL_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the field",
    }
    /// `verify` without the phone number or the code.
    PhoneOrCodeMissing {
        status: StatusCode::BAD_REQUEST, code: "field_missing", text: Fixed(Text::PhoneOrCodeMissing),
        advice: None, link: None, form: SMS_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the empty field",
    }
    /// `verify` without the e-mail address or the code.
    EmailOrCodeMissing {
        status: StatusCode::BAD_REQUEST, code: "field_missing", text: Fixed(Text::EmailOrCodeMissing),
        advice: None, link: None, form: EMAIL_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the empty field",
    }
    /// The code is not six ASCII digits.
    CodeForm {
        status: StatusCode::BAD_REQUEST, code: "code_form", text: Fixed(Text::CodeForm),
        advice: None, link: None, form: CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "mark the field",
    }
    /// Wrong, used, expired, or without the challenge it belongs to: the answer does not say which.
    CodeWrong {
        status: StatusCode::BAD_REQUEST, code: "code_wrong", text: Fixed(Text::CodeWrong),
        advice: None, link: None, form: CODE,
        connection: Keep, session: Kept, retry: Never, guess: Wrong, counter: None,
        client: "let the person try again; after 5 wrong tries, or when the time is over, send a new code",
    }
    /// Within `otp.cooldown` of the last code for this address, or three other browsers have a live one.
    TooSoon {
        status: StatusCode::TOO_MANY_REQUESTS, code: "too_soon", text: WAIT,
        advice: None, link: None, form: CODE,
        connection: Keep, session: Kept, retry: Wait, guess: Uncounted, counter: None,
        client: "wait for `retryAfter` seconds; a code that was sent is still good",
    }
    /// A limit on messages, on sending one code again, or on wrong codes for an address is reached.
    TooMany {
        status: StatusCode::TOO_MANY_REQUESTS, code: "too_many", text: WAIT,
        advice: Some(Text::WaitAdvice), link: None, form: CODE,
        connection: Keep, session: Kept, retry: Wait, guess: Uncounted, counter: None,
        client: "wait for `retryAfter` seconds",
    }
    /// There is no valid code that could be sent again.
    NoLiveCode {
        status: StatusCode::NOT_FOUND, code: "no_live_code", text: Fixed(Text::NoLiveCode),
        advice: Some(Text::AddressAdvice), link: None, form: CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "ask for the address again, and send a new code",
    }
    /// `send`: no provider accepted the SMS; the code is good.
    SmsUndelivered {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "delivery_failed", text: Fixed(Text::SmsUndelivered),
        advice: Some(Text::LaterAdvice), link: None, form: SMS_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "offer to send it again: `retryEndpoint` (`canResend` is true)",
    }
    /// `resend`: no provider accepted the SMS; the code is good.
    SmsUndeliveredAgain {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "delivery_failed", text: Fixed(Text::SmsUndeliveredAgain),
        advice: Some(Text::LaterAdvice), link: None, form: SMS_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "offer to send it again: `retryEndpoint` (`canResend` is true)",
    }
    /// No mail server accepted the message; the code is good.
    MailUndelivered {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "delivery_failed", text: Fixed(Text::MailUndelivered),
        advice: Some(Text::LaterAdvice), link: None, form: EMAIL_CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "offer to send it again: `retryEndpoint` (`canResend` is true)",
    }
    /// `send`: the code could not be stored; nothing was sent.
    CodeNotStored {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "store_failed", text: Fixed(Text::CodeNotStored),
        advice: Some(Text::LaterAdvice), link: None, form: CODE,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: Some(Store),
        client: "try again after `Retry-After` seconds",
    }
    /// `verify`: the backend that is to be told of the verified address did not answer; the code can be used again.
    BackendNotNotified {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "notify_failed", text: Fixed(Text::NetworkError),
        advice: Some(Text::LaterAdvice), link: None, form: CODE,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: None,
        client: "try again after `Retry-After` seconds",
    }
    /// `verify`: the backend answered that it has a failure of its own, with 408, 425, 429, 5xx or a page; the code can
    /// be used again.
    BackendFailed {
        status: StatusCode::SERVICE_UNAVAILABLE, code: "notify_failed", text: Fixed(Text::ServiceFailed),
        advice: None, link: None, form: CODE,
        connection: Keep, session: Kept, retry: Later, guess: Uncounted, counter: None,
        client: "try again after `Retry-After` seconds",
    }
    /// `verify`: the backend answered, and did not take the verified address: with another status that is not 2xx, with
    /// `errors`, or with `data` in which nothing was changed (GraphQL). The code can be used again.
    BackendRefused {
        status: StatusCode::BAD_GATEWAY, code: "notify_refused", text: Fixed(Text::AddressNotTaken),
        advice: Some(Text::OperatorAdvice), link: None, form: CODE,
        connection: Keep, session: Kept, retry: Never, guess: Uncounted, counter: None,
        client: "say that the address was not saved, e.g. because another account has it; tell the operator",
    }
}
