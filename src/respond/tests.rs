//! Tests of the responses to problems.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::*;
use crate::{
    authority::{IssueError, NotPermitted},
    channel::Channel,
    endpoint::Unreadable,
    otp::{NotifyError, OtpError, Retry},
    pages::Site,
    session::BeginError,
    store::StoreError,
};

fn responder() -> Responder {
    let public_url: Url = "https://app.example.kr".parse().unwrap();
    let site = Site { public_url: &public_url, base_path: "/auth", form_targets: &[] };
    let pages = Pages::new(&crate::pages::Settings::default(), &site).unwrap();
    let settings = Settings {
        login_page: "/auth/login".to_owned(),
        callback_url: false,
        after_login: "/".to_owned(),
        strict_transport: StrictTransport::Required,
    };
    Responder::new(settings, Arc::new(pages), Arc::new(Metrics::new()))
}

fn answer(problem: impl Into<Problem>, wants: Wants) -> Response<Bytes> {
    let ids = crate::telemetry::RequestIds::new(&crate::secret::Random::system());
    responder().answer(&Failure::Problem(problem.into()), wants, &ids.next())
}

/// Status, `Retry-After` and object of the JSON answer.
fn answered(error: OtpError, language: Language) -> (u16, Option<String>, Value) {
    let wants = Wants { form: WantedForm::Problem, language, has_bearer: false, can_reload: false };
    let response = answer(error, wants);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let retry_after = response.headers().get(header::RETRY_AFTER).map(|v| v.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry_after, serde_json::from_slice(response.body()).unwrap())
}

/// The HTML of the page.
fn page(kind: ProblemKind, language: Language) -> String {
    let wants = Wants { form: WantedForm::Page, language, has_bearer: false, can_reload: true };
    let response = answer(kind, wants);
    assert_eq!(response.status(), kind.row().status);
    String::from_utf8(response.body().to_vec()).unwrap()
}

#[test]
fn an_error_page_says_what_happened_and_what_can_be_done() {
    let not_allowed = page(ProblemKind::NotAllowed, Language::Korean);
    assert!(not_allowed.contains("<h1>이 계정으로는 로그인할 수 없습니다</h1>"));
    assert!(not_allowed.contains("다른 계정으로 로그인하거나"));
    let expired = page(ProblemKind::AttemptExpired, Language::English);
    assert!(
        expired.contains("<a class=\"button own\" href=\"/auth/login\" rel=\"nofollow\">Log in again</a>"),
        "{expired}"
    );
    assert!(page(ProblemKind::NotFound, Language::English).contains("Check the address."));
    assert!(page(ProblemKind::UpstreamUnreachable, Language::English).contains("This is not your fault."));
}

/// The labels of what a page offers, in their order.
fn offers(html: &str) -> Vec<&str> {
    let actions = html.split_once("class=\"actions\"").unwrap().1;
    let labels = actions.split("class=\"button ").skip(1).map(|button| button.split_once('>').unwrap().1);
    labels.map(|label| label.split('<').next().unwrap()).collect()
}

#[test]
fn an_error_page_offers_what_can_help_and_the_way_back() {
    for (kind, expected) in [
        (ProblemKind::Forbidden, &["Log in as another person", "Go to the start page", "Go back"][..]),
        (ProblemKind::NotFound, &["Go to the start page", "Go back"]),
        (ProblemKind::UpstreamUnreachable, &["Try again", "Go to the start page", "Go back"]),
        (ProblemKind::TooManyRefreshes, &["Try again", "Go to the start page", "Go back"]),
        (ProblemKind::StoreUnavailable, &["Try again", "Log in again", "Go to the start page", "Go back"]),
        (ProblemKind::ProviderMisconfigured, &["Try again", "Log in another way", "Go to the start page", "Go back"]),
        // Every page of such a host has this problem.
        (ProblemKind::UnknownHost, &["Go back"]),
    ] {
        assert_eq!(offers(&page(kind, Language::English)), expected, "{kind:?}");
    }
    let wants = Wants { form: WantedForm::Page, language: Language::English, has_bearer: false, can_reload: false };
    let at_endpoint = answer(ProblemKind::ProviderUnavailable, wants);
    let html = std::str::from_utf8(at_endpoint.body()).unwrap();
    assert_eq!(offers(html), ["Try again", "Go to the start page", "Go back"]);
    assert!(html.contains("href=\"/auth/login\"") && !html.contains("href=\"\""), "its address is a step of a login");
}

#[test]
fn every_error_page_says_who_can_do_something_and_shows_the_number_of_its_request() {
    let ids = crate::telemetry::RequestIds::new(&crate::secret::Random::system());
    for kind in ProblemKind::ALL.iter().filter(|kind| kind.row().form == crate::problem::FormPage::None) {
        assert!(kind.row().advice.is_some(), "{kind:?}");
        let id = ids.next();
        let wants = Wants { form: WantedForm::Page, language: Language::Korean, has_bearer: false, can_reload: false };
        let response = responder().answer(&Failure::Problem((*kind).into()), wants, &id);
        let html = std::str::from_utf8(response.body()).unwrap();
        assert!(html.contains(&format!("<code>{}</code>", id.as_str())), "{kind:?}: {html}");
    }
}

#[test]
fn the_page_of_an_outage_is_loaded_again_by_itself_and_offers_to_log_in_again() {
    for kind in [ProblemKind::AuthorityUnavailable, ProblemKind::StoreUnavailable] {
        for (wait, refresh) in [(1, "2"), (7, "7"), (3600, "30")] {
            let problem = Problem::new(kind).after(Duration::from_secs(wait));
            let response = answer(
                problem,
                Wants { form: WantedForm::Page, language: Language::English, has_bearer: false, can_reload: true },
            );
            assert_eq!(response.headers()[header::REFRESH], refresh);
            let html = String::from_utf8(response.body().to_vec()).unwrap();
            assert!(html.contains("This page tries again by itself.") && html.contains(">Log in again</a>"), "{html}");
        }
        let of_endpoint =
            Wants { form: WantedForm::Page, language: Language::English, has_bearer: false, can_reload: false };
        let response = answer(kind, of_endpoint);
        assert!(!response.headers().contains_key(header::REFRESH));
        assert!(!String::from_utf8(response.body().to_vec()).unwrap().contains("by itself"));
    }
    let never = answer(
        ProblemKind::NotFound,
        Wants { form: WantedForm::Page, language: Language::English, has_bearer: false, can_reload: true },
    );
    assert!(!never.headers().contains_key(header::REFRESH));
}

fn undelivered(channel: Channel, again: bool) -> OtpError {
    let endpoint = format!("/auth/{}/resend", channel.as_str());
    OtpError::Undelivered(Retry { channel, again, endpoint, challenge: None })
}

#[test]
fn every_failure_of_a_code_has_its_status_its_code_and_its_text() {
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
        (OtpError::NotNotified(NotifyError::Errors), 502, "notify_refused", "인증은 되었지만 저장되지 않았습니다"),
        (
            OtpError::NotNotified(NotifyError::Status(StatusCode::BAD_GATEWAY)),
            503,
            "notify_failed",
            "서비스에 문제가 생겼습니다. 잠시 후 다시 시도해주세요",
        ),
        (
            OtpError::NotAllowed(IssueError::NotAllowed(NotPermitted::Nobody)),
            403,
            "not_allowed",
            "이 계정으로는 로그인할 수 없습니다",
        ),
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
fn a_wait_is_named_in_the_header_the_json_and_the_text() {
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
    assert_eq!((body["canResend"].as_bool(), body["retryEndpoint"].as_str()), (Some(true), Some("/auth/sms/resend")));
    assert!(body.get("challenge").is_none());
    let retry = Retry {
        channel: Channel::Email,
        again: false,
        endpoint: "/auth/email/resend".to_owned(),
        challenge: Some("sealed".to_owned()),
    };
    assert_eq!(answered(OtpError::Undelivered(retry), Language::Korean).2["challenge"], "sealed");
}
