//! Requests for codes: bodies, addresses, challenges, resending.

use super::*;

#[tokio::test]
async fn a_code_is_sent_and_verified_once_and_the_answer_has_a_proof() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let sent = fixture.send(&mut visitor, PHONE).await;
    let expires = fixture.clock.now().plus(Duration::from_secs(180)).rfc3339();
    assert_eq!(sent.json(), &json!({ "success": true, "message": "인증번호가 발송되었습니다", "expiresAt": expires }));
    assert_eq!(sent.set_cookie.len(), 1);
    assert!(sent.set_cookie[0].starts_with("sb_otp_sms="));
    assert!(sent.set_cookie[0].ends_with("; Max-Age=180; Path=/; HttpOnly; Secure; SameSite=Lax"));
    let (to, text) = fixture.recorder.last();
    let code = fixture.recorder.code();
    assert_eq!(to, "+821012345678");
    assert_eq!(text, format!("[app.example.kr] 인증번호는 [{code}]입니다. 3분 이내에 입력해주세요."));

    let verified = fixture.verify(&mut visitor, "+82 10 1234 5678", &code).await;
    assert_eq!(verified.json()["success"], true);
    assert_eq!(verified.json()["message"], "인증이 완료되었습니다");
    assert_eq!(verified.answer.as_ref().unwrap().auth_status, AuthStatus::Anonymous);
    let claims = fixture.claims(verified.json()["proof"].as_str().unwrap());
    let now = fixture.clock.now().as_secs();
    assert_eq!(claims["iss"], "https://app.example.kr");
    assert_eq!((claims["purpose"].as_str(), claims["channel"].as_str()), (Some("prove"), Some("sms")));
    assert_eq!(claims["address"], "+821012345678");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert!((now - 5..=now).contains(&claims["verified_at"].as_i64().unwrap()));
    assert!(claims["jti"].as_str().unwrap().len() >= 22 && claims.get("sub").is_none());
    assert!(visitor.cookies.is_empty(), "the challenge goes with its code");

    let mut replay = visitor.clone();
    replay
        .cookies
        .insert("sb_otp_sms".into(), sent.set_cookie[0]["sb_otp_sms=".len()..].split(';').next().unwrap().into());
    assert_eq!(fixture.verify(&mut replay, PHONE, &code).await.code(), "code_wrong");
}

#[tokio::test]
async fn an_e_mail_address_is_compared_without_regard_to_case() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    fixture.post(&mut visitor, Step::Send, Channel::Email, json!({ "email": MAIL })).await;
    assert_eq!(fixture.recorder.last().0, "Kim@example.kr", "sent as typed");
    let body = json!({ "email": "kim@EXAMPLE.kr", "code": fixture.recorder.code() });
    let verified = fixture.post(&mut visitor, Step::Verify, Channel::Email, body).await;
    let claims = fixture.claims(verified.json()["proof"].as_str().unwrap());
    assert_eq!((claims["channel"].as_str(), claims["address"].as_str()), (Some("email"), Some("kim@example.kr")));
}

#[tokio::test]
async fn a_code_may_be_a_number_whose_zeros_in_front_are_missing() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    // Until a code begins with a zero: one in ten does.
    let code = loop {
        let code = fixture.send_code(&mut visitor, PHONE).await;
        if code.starts_with('0') {
            break code;
        }
        fixture.clock.advance(Duration::from_secs(86_400));
    };
    let number: u32 = code.parse().unwrap();
    let body = json!({ "phone": PHONE, "code": number });
    let verified = fixture.post(&mut visitor, Step::Verify, Channel::Sms, body).await;
    assert_eq!(verified.json()["success"], true, "{code}");
}

#[tokio::test]
async fn an_app_gets_the_challenge_and_sends_it_back() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = app();
    let sent = fixture.send(&mut visitor, PHONE).await;
    assert_eq!(sent.json()["message"], "The code has been sent");
    let challenge = sent.json()["challenge"].as_str().unwrap().to_owned();
    let code = fixture.recorder.code();
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong", "not without it");
    let again = json!({ "phone": PHONE, "challenge": challenge });
    let again = fixture.post(&mut visitor, Step::Resend, Channel::Sms, again).await;
    assert_eq!(again.json()["message"], "The code has been sent again");
    let body = json!({ "phone": PHONE, "code": code, "challenge": challenge });
    let bent = json!({ "phone": PHONE, "code": code, "challenge": format!("{challenge}x") });
    assert_eq!(fixture.post(&mut visitor, Step::Verify, Channel::Sms, bent).await.code(), "code_wrong");
    let verified = fixture.post(&mut visitor, Step::Verify, Channel::Sms, body).await;
    assert_eq!(verified.json()["success"], true);
}

#[tokio::test]
async fn the_challenge_of_the_body_counts_before_that_of_the_cookie() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let (mut first, mut second) = (app(), browser());
    let challenge = fixture.send(&mut first, PHONE).await.json()["challenge"].as_str().unwrap().to_owned();
    let of_first = fixture.recorder.code();
    fixture.clock.advance(Duration::from_secs(60));
    let of_second = fixture.send_code(&mut second, PHONE).await;
    let with_body = |code: &str| json!({ "phone": PHONE, "code": code, "challenge": challenge });
    if of_first != of_second {
        let got = fixture.post(&mut second, Step::Verify, Channel::Sms, with_body(&of_second)).await;
        assert_eq!(got.code(), "code_wrong");
    }
    let got = fixture.post(&mut second, Step::Verify, Channel::Sms, with_body(&of_first)).await;
    assert_eq!(got.json()["success"], true);
}

#[tokio::test]
async fn every_body_that_cannot_be_read_is_400_before_anything_is_sent() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let visitor = browser();
    for (step, media_type, body, code) in [
        (Step::Send, "text/plain", r#"{"phone":"010-1234-5678"}"#, "json_expected"),
        (Step::Send, "application/json-patch+json", r#"{"phone":"010-1234-5678"}"#, "json_expected"),
        (Step::Send, "multipart/form-data; boundary=x", "--x--", "json_expected"),
        (Step::Send, "application/json", r#"{"phone":"010-1234-5678""#, "malformed_json"),
        (Step::Send, "application/json", "nonsense", "malformed_json"),
        (Step::Send, "application/json", "\u{feff}{}", "field_missing"),
        (Step::Send, "application/json", "\"010-1234-5678\"", "field_missing"),
        (Step::Send, "application/json", "null", "field_missing"),
        (Step::Send, "application/json", r#"{"phone":1012345678}"#, "field_missing"),
        (Step::Send, "application/json", r#"{"phone":["010-1234-5678"]}"#, "field_missing"),
        (Step::Send, "application/json", r#"{"phone":{"$ne":null}}"#, "field_missing"),
        (Step::Send, "application/json", r#"{"phone":"010-1234-5678","phone":"010-8765-4321"}"#, "repeated_parameter"),
        (Step::Send, "application/json", "{}", "field_missing"),
        (Step::Send, "application/json", "[]", "field_missing"),
        (Step::Send, "application/json", "", "field_missing"),
        (Step::Send, "text/plain", "", "field_missing"),
        (Step::Send, "application/json", r#"{"phone":null}"#, "field_missing"),
        (Step::Send, "application/json", r#"{"phone":"  "}"#, "bad_phone"),
        (Step::Send, "application/json", r#"{"phone":"02-123-4567"}"#, "bad_phone"),
        (Step::Send, "application/json", r#"{"email":"a@b.kr"}"#, "field_missing"),
        (Step::Send, "application/json", r#"{"phone":"010-1234-5678\r\nBcc: x"}"#, "bad_phone"),
        (Step::Send, "application/x-www-form-urlencoded", "phone=a&phone=b", "repeated_parameter"),
        (Step::Resend, "application/json", "{}", "field_missing"),
        (Step::Resend, "application/json", r#"{"phone":"010-1234-5678"}"#, "no_live_code"),
        (Step::Verify, "application/json", "", "field_missing"),
        (Step::Verify, "application/json", "{}", "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678"}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"code":"123456"}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"","code":"123456"}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":true}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":["123456"]}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":null}"#, "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":1234567}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":-1}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":123456.0}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":1e5}"#, "code_form"),
        (Step::Verify, "application/json", "[]", "field_missing"),
        (Step::Verify, "application/json", r#"{"phone":"x","code":"12345"}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"x","code":"１２３４５６"}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"x","code":"123456 "}"#, "code_form"),
        (Step::Verify, "application/json", r#"{"phone":"x","code":"123456"}"#, "bad_phone"),
        (Step::Verify, "application/json", r#"{"phone":"010-1234-5678","code":"123456"}"#, "code_wrong"),
    ] {
        let call = fixture.call(&visitor, media_type, body).await;
        let got = visitor.clone().take(fixture.step(step, Channel::Sms, call).await);
        assert_eq!(got.code(), code, "{step:?} {media_type} {body}");
    }
    assert_eq!(fixture.recorder.count(), 0);
    let mail = fixture.call(&visitor, "application/json", r#"{"email":"a@b.kr,c@d.kr"}"#).await;
    assert_eq!(fixture.otps.send(mail, Channel::Email).await.unwrap_err().error.kind().code(), "bad_email");
}

#[tokio::test]
async fn a_challenge_is_valid_only_for_its_address_channel_and_time() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    assert_eq!(fixture.verify(&mut visitor, "010-8765-4321", &code).await.code(), "code_wrong");
    assert_eq!(fixture.resend(&mut visitor, "010-8765-4321").await.code(), "no_live_code");
    let of_sms = visitor.cookies["sb_otp_sms"].clone();
    let mut crossed = browser();
    crossed.cookies.insert("sb_otp_email".into(), of_sms.clone());
    let body = json!({ "email": MAIL, "code": code });
    assert_eq!(fixture.post(&mut crossed, Step::Verify, Channel::Email, body).await.code(), "code_wrong");
    assert_eq!(fixture.verify(&mut browser(), PHONE, &code).await.code(), "code_wrong", "another browser");
    fixture.clock.advance(Duration::from_secs(179));
    assert_eq!(
        fixture.verify(&mut visitor.clone(), PHONE, &fixture.recorder.other_than_code()).await.code(),
        "code_wrong"
    );
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong", "expired");
    assert_eq!(fixture.resend(&mut visitor, PHONE).await.code(), "no_live_code");
}

#[tokio::test]
async fn a_challenge_of_another_purpose_is_not_accepted() {
    let setup = Setup::of(CodePurpose::Prove);
    let (store, clock) = (setup.store.clone(), setup.clock.clone());
    let prove = setup.build();
    let login = Setup { store, clock, ..Setup::of(CodePurpose::Login) }.build();
    let mut visitor = browser();
    let code = prove.send_code(&mut visitor, PHONE).await;
    assert_eq!(login.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    assert_eq!(login.resend(&mut visitor, PHONE).await.code(), "no_live_code");
    assert_eq!(prove.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
}

#[tokio::test]
async fn two_valid_challenge_cookies_of_different_browsers_are_both_ignored() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let (mut visitor, mut attacker) = (browser(), browser());
    let code = fixture.send_code(&mut visitor, PHONE).await;
    fixture.send_code(&mut attacker, "010-8765-4321").await;
    let both = format!("{}; sb_otp_sms={}", visitor.cookies["sb_otp_sms"], attacker.cookies["sb_otp_sms"]);
    let own = visitor.cookies.insert("sb_otp_sms".into(), both).unwrap();
    assert_eq!(fixture.verify(&mut visitor.clone(), PHONE, &code).await.code(), "code_wrong");
    visitor.cookies.insert("sb_otp_sms".into(), format!("{own}; sb_otp_sms=rubbish; sb_otp_sms={own}"));
    assert_eq!(
        fixture.verify(&mut visitor, PHONE, &code).await.json()["success"],
        true,
        "rubbish beside it harms nothing"
    );
}

#[tokio::test]
async fn a_challenge_cookie_that_cannot_be_unsealed_is_cleared() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let own = visitor.cookies["sb_otp_sms"].clone();
    visitor.cookies.insert("sb_otp_sms".into(), own[..own.len() - 1].to_owned());
    let got = fixture.verify(&mut visitor, PHONE, &code).await;
    assert_eq!((got.code(), visitor.cookies.len()), ("code_wrong", 0), "{:?}", got.set_cookie);
    visitor.cookies.insert("sb_otp_sms".into(), own.replacen(&own[..8], "00000000", 1));
    assert!(fixture.verify(&mut visitor, PHONE, &code).await.set_cookie.is_empty(), "another key's is left alone");
}

#[tokio::test]
async fn the_same_code_is_sent_again_up_to_three_times_without_waiting() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let sent = fixture.send(&mut visitor, PHONE).await;
    let code = fixture.recorder.code();
    fixture.clock.advance(Duration::from_secs(70));
    for _ in 0..3 {
        let again = fixture.resend(&mut visitor, PHONE).await;
        assert_eq!(again.json()["message"], "인증번호가 재발송되었습니다");
        assert_eq!(again.json()["expiresAt"], sent.json()["expiresAt"]);
        assert_eq!(fixture.recorder.code(), code);
    }
    assert!(fixture.recorder.last().1.contains("1분 이내"), "no more than is left of its life");
    let refused = fixture.resend(&mut visitor, PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooMany(wait) if wait.as_secs() == 110 || wait.as_secs() == 109));
    assert_eq!(fixture.recorder.count(), 4);
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
    assert_eq!(fixture.resend(&mut visitor, PHONE).await.code(), "no_live_code");
}

#[tokio::test]
async fn a_code_is_valid_after_a_rotation_of_its_session_key() {
    let setup = Setup::of(CodePurpose::Prove);
    let (store, clock) = (setup.store.clone(), setup.clock.clone());
    let old = setup.build();
    let rotated =
        Setup { store: store.clone(), clock: clock.clone(), keys: vec![8, 7], ..Setup::of(CodePurpose::Prove) }.build();
    let gone = Setup { store, clock, keys: vec![8], ..Setup::of(CodePurpose::Prove) }.build();
    let mut visitor = browser();
    let code = old.send_code(&mut visitor, PHONE).await;
    assert_eq!(rotated.resend(&mut visitor, PHONE).await.json()["success"], true);
    assert_eq!(rotated.recorder.code(), code);
    assert_eq!(gone.verify(&mut visitor.clone(), PHONE, &code).await.code(), "code_wrong");
    assert_eq!(rotated.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
}

#[tokio::test]
async fn a_message_that_was_not_delivered_leaves_a_code_that_can_be_sent_again() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    fixture.recorder.is_down.store(true, Ordering::Relaxed);
    let failed = fixture.send(&mut visitor, PHONE).await;
    let expected =
        Retry { channel: Channel::Sms, again: false, endpoint: "/auth/sms/resend".to_owned(), challenge: None };
    assert!(matches!(failed.error(), OtpError::Undelivered(retry) if *retry == expected), "{:?}", failed.answer);
    assert!(visitor.cookies.contains_key("sb_otp_sms"));
    let failed = fixture.resend(&mut visitor, PHONE).await;
    assert!(matches!(failed.error(), OtpError::Undelivered(retry) if retry.again));
    fixture.recorder.is_down.store(false, Ordering::Relaxed);
    assert_eq!(fixture.resend(&mut visitor, PHONE).await.json()["success"], true);
    let code = fixture.recorder.code();
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);

    fixture.recorder.is_down.store(true, Ordering::Relaxed);
    let failed = fixture.send(&mut app(), "010-8765-4321").await;
    assert!(matches!(failed.error(), OtpError::Undelivered(retry) if retry.challenge.is_some()), "for an app");
}

#[tokio::test]
async fn no_code_is_sent_while_the_store_does_not_answer() {
    let whole = MemoryStore::shared();
    let without = |codes: bool, counters: bool| {
        let mut store = whole.clone();
        if codes {
            store.codes = Arc::new(Down);
        }
        if counters {
            store.counters = Arc::new(Down);
        }
        Setup { store, ..Setup::of(CodePurpose::Prove) }.build()
    };
    for fixture in [without(true, false), without(false, true), without(true, true)] {
        let mut visitor = browser();
        let failed = fixture.send(&mut visitor, PHONE).await;
        assert_eq!((failed.code(), fixture.recorder.count(), visitor.cookies.len()), ("store_failed", 0, 0));
    }
    let (up, codes, counters) = (without(false, false), without(true, false), without(false, true));
    let mut visitor = browser();
    let code = up.send_code(&mut visitor, PHONE).await;
    for fixture in [codes, counters] {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "store_unavailable");
        assert_eq!(fixture.resend(&mut visitor, PHONE).await.code(), "store_unavailable");
        assert_eq!(fixture.recorder.count(), 0);
    }
}

#[tokio::test]
async fn a_channel_that_is_not_configured_is_404() {
    let mut fixture = OtpFixture::of(CodePurpose::Prove);
    fixture.otps.setups.retain(|setup| setup.channel == Channel::Sms);
    let call = fixture.call(&browser(), "application/json", r#"{"email":"a@b.kr"}"#).await;
    assert_eq!(fixture.otps.send(call, Channel::Email).await.unwrap_err().error.kind().code(), "not_found");
    let call = fixture.call(&browser(), "application/json", "").await;
    assert_eq!(
        fixture.otps.page(call, Channel::Sms).await.unwrap_err().error.kind().code(),
        "not_found",
        "no page without login"
    );
}
