//! Purpose `verify`: the required session, and the call that reports the address to the backend.

use super::*;

/// `PUT /users/phone {phone, ok, who}` with the visitor's access token.
fn notify() -> Template {
    let known = authority::OTP_NOTIFY;
    let body = json!({ "phone": "{address}", "e164": "{address_e164}", "via": "{channel}", "who": "{claims.sub}", "ok": true });
    let bearer = vec![Piece::Literal("Bearer ".to_owned()), Piece::Placeholder(Placeholder::AccessToken)];
    Template {
        upstream: 0,
        method: Method::PUT,
        path: Template_(vec![Piece::Literal("/users/phone".to_owned())]),
        headers: vec![(header::AUTHORIZATION, Template_(bearer))],
        cookies: vec![],
        body: Body::Json(Json::from_value(&body, known).unwrap()),
        timeout: Duration::from_secs(5),
        assertion: None,
    }
}

fn target(address: std::net::SocketAddr) -> Target {
    Target::Http { host: address.ip().to_string(), port: address.port() }
}

async fn backend(script: impl Fn() -> Reply + Send + Sync + 'static) -> (OtpFixture, Server) {
    let server = Server::start(move |_| script()).await;
    let setup =
        Setup { notify: Some(notify()), backend: Some(target(server.address)), ..Setup::of(CodePurpose::Verify) };
    (setup.build(), server)
}

#[tokio::test]
async fn without_a_session_no_code_is_sent_and_no_body_is_read() {
    let fixture = OtpFixture::of(CodePurpose::Verify);
    for step in [Step::Send, Step::Resend, Step::Verify] {
        for body in [json!({ "phone": PHONE, "code": "123456" }), json!([])] {
            let got = fixture.post(&mut browser(), step, Channel::Sms, body).await;
            assert_eq!(got.code(), "login_required");
            assert_eq!(got.answer.unwrap_err().auth_status, AuthStatus::Anonymous);
        }
    }
    assert_eq!(fixture.recorder.count(), 0);
}

#[tokio::test]
async fn the_backend_gets_the_address_with_the_visitors_token_and_the_proof_has_the_subject() {
    let (fixture, server) = backend(|| Reply::json(200, &json!({}))).await;
    let mut visitor = fixture.logged_in("kim").await;
    let code = fixture.send_code(&mut visitor, PHONE).await;
    assert!(server.seen().is_empty());
    let verified = fixture.verify(&mut visitor, PHONE, &code).await;
    assert_eq!(verified.answer.as_ref().unwrap().auth_status, AuthStatus::Valid);
    let claims = fixture.claims(verified.json()["proof"].as_str().unwrap());
    assert_eq!((claims["sub"].as_str(), claims["purpose"].as_str()), (Some("kim"), Some("verify")));
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/users/phone"));
    assert_eq!(seen.header("authorization"), Some("Bearer at-kim"));
    assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(
        seen.json(),
        json!({ "phone": "01012345678", "e164": "+821012345678", "via": "sms", "who": "kim", "ok": true })
    );
}

#[tokio::test]
async fn a_code_is_not_spent_while_the_backend_does_not_accept_the_address() {
    let (failed, refused) = ((503, "notify_failed"), (502, "notify_refused"));
    let (network, service) = (crate::text::Text::NetworkError, crate::text::Text::ServiceFailed);
    let cases = [
        (
            Reply::json(200, &json!({ "data": null, "errors": [{ "message": "permission denied" }] })),
            refused,
            crate::text::Text::AddressNotTaken,
        ),
        (
            Reply::json(200, &json!({ "data": { "update_users_by_pk": null } })),
            refused,
            crate::text::Text::AddressNotTaken,
        ),
        (
            Reply::json(200, &json!({ "data": { "update_users_by_pk": null, "insert_log_one": null } })),
            refused,
            crate::text::Text::AddressNotTaken,
        ),
        (Reply::json(200, &json!({ "data": null })), refused, crate::text::Text::AddressNotTaken),
        (Reply::json(409, &json!({})), refused, crate::text::Text::AddressNotTaken),
        (Reply::json(302, &json!({})), refused, crate::text::Text::AddressNotTaken),
        (Reply::text(200, "text/html", "<!doctype html>log in"), failed, service),
        (Reply::json(429, &json!({})), failed, service),
        (Reply::json(500, &json!({})), failed, service),
        (Reply::Reset, failed, network),
    ];
    let replies = Arc::new(Mutex::new(cases.iter().rev().map(|(reply, ..)| reply.clone()).collect::<Vec<_>>()));
    let next = replies.clone();
    let good = || Reply::json(200, &json!({ "data": {}, "errors": [] }));
    let (fixture, server) = backend(move || next.lock().unwrap().pop().unwrap_or_else(good)).await;
    let mut visitor = fixture.logged_in("kim").await;
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let tries = replies.lock().unwrap().len();
    for (reply, (status, code_of_problem), text) in cases {
        let failed = fixture.verify(&mut visitor, PHONE, &code).await;
        let row = failed.error().kind().row();
        assert_eq!((row.status.as_u16(), row.code), (status, code_of_problem), "{reply:?}");
        assert_eq!(row.text, crate::problem::Wording::Fixed(text), "only what had no answer is a network error");
        assert!(visitor.cookies.contains_key("sb_otp_sms"));
    }
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true, "right tries do not count");
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    assert_eq!(server.seen().len(), tries + 1);
}

#[tokio::test]
async fn an_unreachable_backend_spends_no_code() {
    let setup =
        Setup { notify: Some(notify()), backend: Some(target(dead_address().await)), ..Setup::of(CodePurpose::Verify) };
    let fixture = setup.build();
    let mut visitor = fixture.logged_in("kim").await;
    let code = fixture.send_code(&mut visitor, PHONE).await;
    for _ in 0..7 {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "notify_failed");
    }
}

#[tokio::test]
async fn another_persons_session_in_the_same_browser_cannot_use_the_code() {
    let (fixture, server) = backend(|| Reply::json(200, &json!({}))).await;
    let mut kim = fixture.logged_in("kim").await;
    let code = fixture.send_code(&mut kim, PHONE).await;
    let mut lee = fixture.logged_in("lee").await;
    lee.cookies.insert("sb_otp_sms".into(), kim.cookies["sb_otp_sms"].clone());
    assert_eq!(fixture.verify(&mut lee, PHONE, &code).await.code(), "code_wrong");
    assert_eq!(fixture.resend(&mut lee, PHONE).await.code(), "no_live_code");
    assert!(server.seen().is_empty());
    assert_eq!(fixture.verify(&mut kim, PHONE, &code).await.json()["success"], true);
}

#[tokio::test]
async fn parallel_right_codes_are_reported_to_the_backend_once() {
    let (fixture, server) = backend(|| Reply::json(200, &json!({}))).await;
    let mut visitor = fixture.logged_in("kim").await;
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let answers = join_all((0..20).map(|_| {
        let (mut visitor, fixture, code) = (visitor.clone(), &fixture, &code);
        async move { fixture.verify(&mut visitor, PHONE, code).await.answer.is_ok() }
    }))
    .await;
    assert_eq!((answers.iter().filter(|right| **right).count(), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_login_that_the_authority_does_not_support_is_404_and_spends_no_code() {
    let fixture = OtpFixture::of(CodePurpose::Login);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    for _ in 0..6 {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "not_found");
    }
    assert!(visitor.cookies.contains_key("sb_otp_sms"));
}

#[tokio::test]
async fn the_backend_gets_an_e_mail_address_in_lower_case() {
    let (fixture, server) = backend(|| Reply::json(200, &json!({}))).await;
    let mut visitor = fixture.logged_in("kim").await;
    fixture.post(&mut visitor, Step::Send, Channel::Email, json!({ "email": MAIL })).await;
    let body = json!({ "email": MAIL, "code": fixture.recorder.code() });
    assert_eq!(fixture.post(&mut visitor, Step::Verify, Channel::Email, body).await.json()["success"], true);
    let told = server.seen()[0].json();
    assert_eq!((&told["phone"], &told["e164"]), (&json!("kim@example.kr"), &json!("kim@example.kr")));
}

#[tokio::test]
async fn an_answer_with_data_counts_as_a_success() {
    for done in [
        json!({}),
        json!({ "success": true }),
        json!({ "data": {} }),
        json!({ "data": { "update_users_by_pk": { "id": "kim" } } }),
        json!({ "data": { "update_users_by_pk": { "id": "kim" }, "insert_log_one": null } }),
    ] {
        let (fixture, _server) = backend(move || Reply::json(200, &done)).await;
        let mut visitor = fixture.logged_in("kim").await;
        let code = fixture.send_code(&mut visitor, PHONE).await;
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
    }
}
