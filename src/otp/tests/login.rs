//! Purpose `login`: a right code opens a session.

use super::*;

/// A backend that issues tokens for a code; its JWT is not verified here.
async fn backend(
    allow: Option<Allow>,
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (OtpFixture, Server) {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| script(asked.fetch_add(1, Ordering::Relaxed))).await;
    let body = json!({
        "channel": "{channel}", "address": "{address}", "e164": "{address_e164}", "deviceId": "{device_id}", "device": "{device_name}"
    });
    let otp = Template {
        upstream: 0,
        method: Method::POST,
        path: Template_(vec![Piece::Literal("/auth/otp".to_owned())]),
        headers: vec![],
        cookies: vec![],
        body: Body::Json(Json::from_value(&body, authority::OTP).unwrap()),
        timeout: Duration::from_secs(5),
        assertion: None,
    };
    let at = |pointer: &str| authority::Pointer::Json(pointer.to_owned());
    let kind = authority::AuthorityKind::Backend(Box::new(authority::BackendSettings {
        upstream: 0,
        exchange: None,
        credentials: None,
        fields: vec![],
        otp: Some(otp),
        refresh: None,
        refused: vec![401],
        refused_when: authority::RefusedWhen::default(),
        signout: None,
        answer: authority::AnswerFields {
            access_token: at("/accessToken"),
            refresh_token: at("/refreshToken"),
            expires_in: at("/expiresIn"),
            claims: vec![],
        },
    }));
    let target = Target::Http { host: server.address.ip().to_string(), port: server.address.port() };
    let setup = Setup { authority: kind, backend: Some(target), allow, ..Setup::of(CodePurpose::Login) };
    (setup.build(), server)
}

fn tokens() -> Reply {
    let token = format!("e30.{}.x", b64(br#"{"sub":"kim","role":"user"}"#));
    Reply::json(200, &json!({ "accessToken": token, "refreshToken": "rt", "expiresIn": 300 }))
}

#[tokio::test]
async fn a_right_code_begins_a_session_and_a_script_gets_its_description() {
    let (fixture, server) = backend(None, |_| tokens()).await;
    let mut visitor = browser();
    let sent =
        json!({ "phone": PHONE, "deviceId": "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11", "deviceName": "Kim's phone" });
    fixture.post(&mut visitor, Step::Send, Channel::Sms, sent).await;
    assert!(server.seen().is_empty(), "whether there is an account is not asked");
    let code = fixture.recorder.code();
    let entered = fixture.verify(&mut visitor, PHONE, &code).await;
    let body = entered.json();
    assert_eq!((body["success"].as_bool(), body["authenticated"].as_bool()), (Some(true), Some(true)));
    assert_eq!(body["user"]["sub"], "kim");
    assert_eq!(body["deviceId"], "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11");
    let claims = fixture.claims(body["proof"].as_str().unwrap());
    assert_eq!((claims["sub"].as_str(), claims["purpose"].as_str()), (Some("kim"), Some("login")));
    assert_eq!(entered.answer.as_ref().unwrap().auth_status, AuthStatus::Refreshed);
    assert_eq!(visitor.cookies.keys().collect::<Vec<_>>(), ["sb_at", "sb_did", "sb_rt"]);
    assert_eq!(
        server.seen()[0].json(),
        json!({
            "channel": "sms", "address": "01012345678", "e164": "+821012345678",
            "deviceId": "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11", "device": "Kim's phone"
        })
    );
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn after_a_right_code_a_form_is_redirected_to_return_to() {
    let (fixture, _server) = backend(None, |_| tokens()).await;
    let mut visitor = browser();
    fixture.form(&mut visitor, Step::Send, Channel::Sms, "phone=010-1234-5678&return_to=%2Fdeep%3Fa%3Db").await;
    let code = fixture.recorder.code();
    let mut other = visitor.clone();
    let entered = fixture.form(&mut visitor, Step::Verify, Channel::Sms, &format!("code={code}")).await;
    assert_eq!((entered.location(), visitor.cookies.contains_key("sb_otp_sms")), ("/deep?a=b", false));
    assert!(visitor.cookies.contains_key("sb_at"));
    let late = fixture.form(&mut other, Step::Verify, Channel::Sms, &format!("code={code}")).await;
    assert_eq!(late.location(), "/auth/login/sms?error=code_wrong&return_to=%2Fdeep%3Fa%3Db");
}

#[tokio::test]
async fn a_code_is_not_spent_while_the_authority_does_not_answer() {
    let (fixture, _server) =
        backend(None, |asked| if asked < 6 { Reply::json(500, &json!({})) } else { tokens() }).await;
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    for _ in 0..5 {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "unavailable");
    }
    let form = fixture.form(&mut visitor, Step::Verify, Channel::Sms, &format!("code={code}")).await;
    assert_eq!(form.location(), "/auth/login/sms?error=unavailable");
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["authenticated"], true);
    assert!(fixture.metrics.text().contains("vestibule_logins_total{method=\"sms\",result=\"failed\"} 6"));
}

#[tokio::test]
async fn a_login_that_is_not_allowed_spends_the_code() {
    let listed = Allow::Listed { email_domains: vec![], emails: vec!["lee@example.kr".to_owned()], claims: vec![] };
    for (allow, status, calls) in [(None, 403, 1), (None, 401, 1), (Some(listed), 200, 0)] {
        let answer = move |_| if status == 200 { tokens() } else { Reply::json(status, &json!({})) };
        let (fixture, server) = backend(allow, answer).await;
        let mut visitor = browser();
        fixture.post(&mut visitor, Step::Send, Channel::Email, json!({ "email": MAIL })).await;
        let body = json!({ "email": MAIL, "code": fixture.recorder.code() });
        let refused = fixture.post(&mut visitor, Step::Verify, Channel::Email, body.clone()).await;
        assert_eq!((refused.code(), server.seen().len()), ("not_allowed", calls));
        assert!(visitor.cookies.is_empty());
        assert_eq!(fixture.post(&mut visitor, Step::Verify, Channel::Email, body).await.code(), "code_wrong");
    }
    let listed = Allow::Listed { email_domains: vec![], emails: vec!["kim@example.kr".to_owned()], claims: vec![] };
    let (fixture, _server) = backend(Some(listed), |_| tokens()).await;
    let mut visitor = browser();
    fixture.post(&mut visitor, Step::Send, Channel::Email, json!({ "email": MAIL })).await;
    let body = json!({ "email": MAIL, "code": fixture.recorder.code() });
    let entered = fixture.post(&mut visitor, Step::Verify, Channel::Email, body).await;
    assert_eq!(entered.json()["authenticated"], true, "in whatever case it is typed");
}

#[tokio::test]
async fn parallel_right_codes_open_one_session() {
    let (fixture, server) = backend(None, |_| tokens()).await;
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let answers = join_all((0..20).map(|_| {
        let (mut visitor, fixture, code) = (visitor.clone(), &fixture, &code);
        async move { fixture.verify(&mut visitor, PHONE, code).await.answer.is_ok() }
    }))
    .await;
    assert_eq!((answers.iter().filter(|right| **right).count(), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn another_login_replaces_the_session() {
    let (fixture, _server) = backend(None, |_| tokens()).await;
    let mut visitor = fixture.logged_in("lee").await;
    let before = visitor.clone();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["user"]["sub"], "kim");
    let mut old = fixture.call(&before, "application/json", "").await.visit;
    old.ensure().await;
    assert_eq!(old.head().0, AuthStatus::Invalid);
}

#[tokio::test]
async fn the_authority_gets_the_canonical_e_mail_address_and_the_message_goes_to_the_typed_one() {
    let (fixture, server) = backend(None, |_| tokens()).await;
    for typed in ["Kim@example.kr", "kim@example.kr", "KIM@example.kr"] {
        let mut visitor = browser();
        fixture.post(&mut visitor, Step::Send, Channel::Email, json!({ "email": typed })).await;
        assert_eq!(fixture.recorder.last().0, typed);
        fixture.post(&mut visitor, Step::Resend, Channel::Email, json!({ "email": typed })).await;
        assert_eq!((fixture.recorder.last().0, fixture.recorder.count() % 2), (typed.to_owned(), 0));
        let body = json!({ "email": typed, "code": fixture.recorder.code() });
        let entered = fixture.post(&mut visitor, Step::Verify, Channel::Email, body).await;
        assert_eq!(fixture.claims(entered.json()["proof"].as_str().unwrap())["address"], "kim@example.kr");
        let told = server.seen().last().unwrap().json();
        assert_eq!((&told["address"], &told["e164"]), (&json!("kim@example.kr"), &json!("kim@example.kr")));
        fixture.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_browser_that_has_logged_in_is_a_known_device_after_its_logout() {
    let (mut fixture, _server) = backend(None, |_| tokens()).await;
    fixture.otps.settings.limits.total = Rate { most: 4, window: Duration::from_secs(3600) };
    let mut kim = browser();
    let code = fixture.send_code(&mut kim, PHONE).await;
    assert_eq!(fixture.verify(&mut kim, PHONE, &code).await.json()["success"], true);
    kim.cookies.retain(|name, _| name == "sb_did");
    assert_eq!(kim.cookies.len(), 1);
    fixture.send_code(&mut browser(), "010-2000-0001").await;
    assert_eq!(fixture.send(&mut browser(), "010-2000-0002").await.code(), "too_many", "strangers have their half");
    fixture.clock.advance(Duration::from_mins(1));
    fixture.send_code(&mut kim, "010-2000-0003").await;
    fixture.send_code(&mut kim, "010-2000-0004").await;
    assert_eq!(fixture.send(&mut kim, "010-2000-0005").await.code(), "too_many", "all in all");
}
