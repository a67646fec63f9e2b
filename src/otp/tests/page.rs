//! The code page, and the forms that it posts.

use super::*;
use crate::problem::FormPage;

impl OtpFixture {
    async fn page(&self, visitor: &mut Visitor, query: &str) -> CallResult {
        let mut call = self.call(visitor, "text/plain", "").await;
        (call.method, call.query, call.wants_page) = (Method::GET, Some(query.to_owned()), true);
        visitor.take(self.otps.page(call, Channel::Sms).await)
    }
}

impl CallResult {
    fn html(&self) -> &str {
        match self.answer.as_ref().map(|answer| (&answer.content, answer.status)) {
            Ok((Content::Page(page), StatusCode::OK)) => &page.html,
            other => panic!("no page: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_long_return_to_is_in_the_page_and_its_path_in_the_challenge() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    let long = format!("/deep?q={}", "x".repeat(3_000));
    let fields: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("phone", "010-1234-5678"), ("return_to", long.as_str())])
        .finish();
    let sent = fixture.form(&mut visitor, Step::Send, Channel::Sms, &fields).await;
    assert!(visitor.cookies["sb_otp_sms"].len() < 3_900);
    let query = sent.location().split_once('?').unwrap().1.to_owned();
    assert!(fixture.page(&mut visitor, &query).await.html().contains(&format!("value=\"{long}\"")));
    assert!(fixture.page(&mut visitor, "").await.html().contains("value=\"/deep\""));
}

#[tokio::test]
async fn a_repeated_parameter_of_the_page_is_refused() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    for query in ["return_to=/a&return_to=/b", "error=x&error=y", "retry=1&retry=2", "other=1&other=1"] {
        assert_eq!(fixture.page(&mut browser(), query).await.code(), "repeated_parameter", "{query}");
    }
}

#[tokio::test]
async fn the_page_asks_for_the_number_and_then_for_the_code_that_went_there() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    let first = fixture.page(&mut visitor, "return_to=%2Fdeep%3Fa%3Db").await;
    for expected in [
        "action=\"/auth/sms/send\"",
        "name=\"phone\"",
        "name=\"return_to\" value=\"/deep?a=b\"",
        "autocomplete=\"tel\"",
        "href=\"/auth/login?return_to=%2Fdeep%3Fa%3Db\"",
    ] {
        assert!(first.html().contains(expected), "{expected}\n{}", first.html());
    }
    let sent =
        fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=010-1234-5678&return_to=%2Fdeep%3Fa%3Db").await;
    assert_eq!(sent.answer.as_ref().unwrap().status, StatusCode::SEE_OTHER);
    assert_eq!(sent.location(), "/auth/login/sms?return_to=%2Fdeep%3Fa%3Db");
    let second = fixture.page(&mut visitor, "").await;
    for expected in [
        "010-****-5678",
        "action=\"/auth/sms/verify\"",
        "action=\"/auth/sms/resend\"",
        "value=\"/deep?a=b\"",
        "name=\"code\"",
    ] {
        assert!(second.html().contains(expected), "{expected}\n{}", second.html());
    }
    assert!(!second.html().contains("1012345678") && !second.html().contains("1234-5678\""));
    let again = fixture.form(&mut visitor, Step::Resend, Channel::Sms, "").await;
    assert_eq!(again.location(), "/auth/login/sms?sent=1");
    assert_eq!(fixture.recorder.count(), 2);
    let anew = fixture.page(&mut visitor, "other=1").await;
    assert!(anew.html().contains("action=\"/auth/sms/send\""));
}

#[tokio::test]
async fn a_problem_with_a_form_redirects_back_to_the_code_page() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    for (step, body, location) in [
        (Step::Send, "phone=", "/auth/login/sms?error=bad_phone"),
        (Step::Send, "phone=02-123-4567&return_to=%2Fa", "/auth/login/sms?error=bad_phone&return_to=%2Fa"),
        (Step::Send, "phone=1&return_to=%2F%2Fevil.example", "/auth/login/sms?error=bad_phone"),
        (Step::Resend, "", "/auth/login/sms?error=no_live_code"),
        (Step::Verify, "", "/auth/login/sms?error=field_missing"),
        (Step::Verify, "code=12345", "/auth/login/sms?error=code_form"),
        (Step::Verify, "code=123456", "/auth/login/sms?error=code_wrong"),
    ] {
        let got = fixture.form(&mut visitor, step, Channel::Sms, body).await;
        assert_eq!(got.location(), location, "{step:?} {body}");
    }
    assert!(fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=010-1234-5678").await.answer.is_ok());
    let soon = fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=010-1234-5678").await;
    assert_eq!(soon.location(), "/auth/login/sms?error=too_soon&retry=60");
    let wrong = format!("code={}", fixture.recorder.other_than_code());
    assert_eq!(
        fixture.form(&mut visitor, Step::Verify, Channel::Sms, &wrong).await.location(),
        "/auth/login/sms?error=code_wrong"
    );
}

#[tokio::test]
async fn the_code_page_shows_problems_of_the_table_and_nothing_else() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let page = async |query: &str| fixture.page(&mut browser(), query).await.html().to_owned();
    assert!(page("error=too_soon&retry=37").await.contains(">37초 후에 다시 시도해주세요<"));
    assert!(page("error=too_many&retry=x").await.contains(">잠시 후 다시 시도해주세요.<"));
    assert!(page("error=too_many&retry=99999999").await.contains(">잠시 후 다시 시도해주세요.<"));
    assert!(page("error=code_wrong").await.contains(">인증번호가 올바르지 않거나 만료되었습니다<"));
    for (query, marked) in [("error=code_wrong", true), ("error=bad_phone", true), ("error=too_soon&retry=37", false)] {
        assert_eq!(page(query).await.contains("aria-invalid=\"true\""), marked, "{query}");
    }
    for query in ["", "error=", "error=<script>", "error=your+account+was+stolen", "retry=37"] {
        assert!(!page(query).await.contains("role=\"alert\""), "{query}");
    }
    let all: &[OtpError] = &[
        OtpError::Missing(Channel::Sms),
        OtpError::CodeForm,
        OtpError::Address(Channel::Sms),
        OtpError::Wrong,
        OtpError::TooSoon(Duration::from_secs(1)),
        OtpError::TooMany(Duration::from_secs(1)),
        OtpError::NoLiveCode,
        OtpError::Undelivered(Retry { channel: Channel::Sms, again: false, endpoint: String::new(), challenge: None }),
        OtpError::NotStored(StoreError::Full),
        OtpError::Store(StoreError::Full),
        OtpError::NotNotified(NotifyError::Errors),
        OtpError::AuthorityUnavailable(IssueError::Unsupported),
    ];
    for error in all {
        let kind = error.kind();
        assert_ne!(kind.row().form, FormPage::None, "{error:?}");
        assert!(page(&format!("error={}", kind.code())).await.contains("role=\"alert\""), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_address_is_marked_in_the_form_for_the_address_though_an_earlier_code_is_live() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    assert!(fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=010-1234-5678").await.answer.is_ok());
    let wrong = fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=1").await;
    let query = wrong.location().split_once('?').unwrap().1.to_owned();
    let page = fixture.page(&mut visitor, &query).await;
    let marked = page.html().split('<').find(|tag| tag.contains("aria-invalid=\"true\"")).unwrap();
    assert!(marked.contains("name=\"phone\""), "{marked}");
    assert!(fixture.page(&mut visitor, "").await.html().contains("name=\"code\""), "the code is still asked for");
}

#[tokio::test]
async fn a_visitor_with_a_session_is_redirected_from_the_code_page() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut kim = fixture.logged_in("kim").await;
    assert_eq!(fixture.page(&mut kim, "return_to=%2Fdeep").await.location(), "/deep");
    assert_eq!(fixture.page(&mut kim, "return_to=https%3A%2F%2Fevil.example").await.location(), "/home");
}

#[tokio::test]
async fn a_script_gets_json_and_no_redirect() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    assert_eq!(fixture.send(&mut browser(), "1").await.code(), "bad_phone");
    assert_eq!(fixture.send(&mut browser(), PHONE).await.json()["success"], true);
    let prove = OtpFixture::of(CodePurpose::Prove);
    let got = prove.form(&mut browser(), Step::Send, Channel::Sms, "phone=010-1234-5678").await;
    assert_eq!(got.json()["success"], true, "a channel without a page answers forms with JSON, too");
}

#[tokio::test]
async fn no_cookie_of_a_challenge_is_longer_than_check_says() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    let longest = format!("/{}", "a".repeat(crate::endpoint::LONGEST_IN_COOKIE - 1));
    let email = format!("{}@{}.example", "a".repeat(64), ["b"; 3].map(|label| label.repeat(59)).join("."));
    let body =
        json!({ "email": email, "return_to": longest, "deviceId": uuid::Uuid::nil(), "deviceName": "😀".repeat(100) });
    fixture.post(&mut visitor, Step::Send, Channel::Email, body).await.json();
    let real = "; ".len() + "sb_otp_email=".len() + visitor.cookies["sb_otp_email"].len();
    let settings = session::test_settings("https://app.example.kr");
    let counted = settings.longest_cookie_header(0, 1) - settings.longest_cookie_header(0, 0);
    assert!(real <= counted && counted - real < 300, "{real} of {counted}");
}
