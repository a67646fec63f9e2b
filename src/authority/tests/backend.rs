//! A backend as the authority: the results of a login, a refresh and a sign-out for each of its answers.

use serde_json::{Value, json};

use super::*;
use crate::{
    call::{Body, Text},
    scripted::{self, Reply},
    secret::RefreshToken,
};

#[tokio::test]
async fn an_identity_is_exchanged_for_tokens_of_the_backend() {
    let api = ScriptedBackend::start().await;
    let proof = Proof::Provider(Box::new(identity(&json!({"sub": "u1", "email": "a@b.kr"}))));
    let issued = api.authority().issue(proof, &client_device()).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("at1", "rt1"));
    assert_eq!((issued.expires_in, issued.access_claims), (Some(Duration::from_secs(900)), None));
    assert_eq!((issued.identity.unwrap()["sub"].as_str(), issued.id_token.unwrap().expose()), (Some("u1"), "idt"));
    let asked = api.asked();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/auth/corp"));
    assert_eq!(
        asked.json(),
        json!({
            "id_token": "idt", "deviceId": "00000000-0000-0000-0000-000000000007", "deviceName": "내 \"폰\"",
            "who": {"sub": "u1", "email": "a@b.kr"}, "pt": "pat"
        })
    );
    assert_eq!((asked.header("x-forwarded-for"), asked.header("user-agent")), (Some("192.0.2.7"), Some("Phone/1.0")));
}

#[tokio::test]
async fn each_answer_of_the_backend_to_a_login_is_tokens_a_refusal_or_an_outage() {
    let api = ScriptedBackend::start().await;
    let authority = api.authority();
    for (reply, of_credentials, of_exchange) in [
        (good(), "issued", "issued"),
        (Reply::json(400, &json!({})), "bad credentials", "refused"),
        (Reply::json(401, &json!({})), "bad credentials", "refused"),
        (Reply::json(403, &json!({})), "bad credentials", "refused"),
        (Reply::text(401, "text/html", "{\"message\":\"no\"}"), "bad credentials", "refused"),
        (Reply::text(401, "text/html", ""), "bad credentials", "refused"),
        (Reply::json(422, &json!({})), "bad credentials", "unavailable"),
        (Reply::json(404, &json!({})), "bad credentials", "unavailable"),
        (Reply::text(404, "text/plain", "\u{feff}{}"), "bad credentials", "unavailable"),
        (Reply::text(404, "application/json", "[]"), "unavailable", "unavailable"),
        (Reply::text(404, "text/plain", "Cannot POST /auth/login"), "unavailable", "unavailable"),
        (Reply::json(409, &json!({})), "bad credentials, no guess", "unavailable"),
        (Reply::text(423, "text/plain", "locked"), "bad credentials, no guess", "unavailable"),
        (Reply::json(410, &json!({})), "bad credentials, no guess", "unavailable"),
        (Reply::text(410, "text/plain", ""), "unavailable", "unavailable"),
        (Reply::json(429, &json!({})), "too many", "unavailable"),
        (Reply::json(408, &json!({})), "unavailable", "unavailable"),
        (Reply::json(500, &json!({})), "unavailable", "unavailable"),
        (Reply::text(200, "application/json", "\u{feff}{\"accessToken\":\"at1\"}"), "issued", "issued"),
        (Reply::json(302, &json!({})).with("location", "/"), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"token": "x"})), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"accessToken": ""})), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"accessToken": "a\r\nx: y"})), "unavailable", "unavailable"),
        (Reply::text(200, "text/html", "<html>"), "unavailable", "unavailable"),
        (Reply::Reset, "unavailable", "unavailable"),
        (Reply::Cut, "unavailable", "unavailable"),
    ] {
        api.answers(reply.clone());
        assert_eq!(outcome_of(&authority.issue(credentials(), &client_device()).await), of_credentials, "{reply:?}");
        assert_eq!(api.asked().json(), json!({"email": "a@b.kr", "password": "\"pw\""}));
        let proof = Proof::Provider(Box::new(identity(&json!({"sub": "u1"}))));
        assert_eq!(outcome_of(&authority.issue(proof, &client_device()).await), of_exchange, "{reply:?}");
    }
    for status in [400, 401, 403, 404, 409, 410, 422, 423, 429] {
        api.answers(Reply::text(status, "application/json", "\u{feff} <html>"));
        let outcome = authority.issue(credentials(), &client_device()).await;
        assert_eq!(outcome_of(&outcome), "unavailable", "a page with status {status}");
    }
    for seconds in [17, 200_000] {
        api.answers(Reply::json(429, &json!({})).with("retry-after", seconds.to_string()));
        let wait = authority.issue(credentials(), &client_device()).await.err();
        let expected = Duration::from_secs(seconds);
        assert!(matches!(wait, Some(IssueError::TooMany(Some(wait))) if wait == expected), "{wait:?}");
    }
    let without = api.authority_with(with_backend(|backend| backend.credentials = None), vec![]);
    assert_eq!(outcome_of(&without.issue(credentials(), &client_device()).await), "unsupported");
    assert!(authority.takes_credentials() && !without.takes_credentials());
}

#[tokio::test]
async fn an_address_that_is_verified_in_another_form_than_a_boolean_is_refused_with_that_form() {
    let (api, fake) = (ScriptedBackend::start().await, oidc::fake::Fake::start().await);
    let allow = Allow::Listed { email_domains: vec!["b.kr".to_owned()], emails: vec![], claims: vec![] };
    let provider = fake.provider_with(oidc::Settings { allow: Some(allow), ..fake.settings() });
    let authority = api.authority_with(settings(), vec![Arc::new(provider)]);
    let mut person = identity(&json!({"sub": "u1", "email": "a@b.kr", "email_verified": false}));
    person.email_verified_as_given = Some(json!("true"));
    let refused = authority.issue(Proof::Provider(Box::new(person)), &client_device()).await.unwrap_err().to_string();
    assert!(refused.contains(r#"`email_verified` is `"true"`, and only `true` counts"#), "{refused}");
}

#[tokio::test]
async fn an_answer_without_an_access_token_is_told_with_the_place_where_it_should_be() {
    let api = ScriptedBackend::start().await;
    let in_cookie = with_backend(|backend| backend.answer.access_token = Pointer::Cookie("at".to_owned()));
    for (settings, reply, told) in [
        (settings(), Reply::json(200, &json!({"token": "x"})), "`/accessToken` is absent"),
        (settings(), Reply::json(200, &json!({"accessToken": 7})), "`/accessToken` is no text"),
        (
            settings(),
            Reply::json(200, &json!({"accessToken": "a b"})),
            "`/accessToken` has characters that no token has",
        ),
        (settings(), Reply::text(200, "text/plain", "ok"), "it is no JSON, and `/accessToken` is a place in JSON"),
        (in_cookie, Reply::json(200, &json!({"accessToken": "a"})), "`cookie:at` is absent"),
    ] {
        api.answers(reply);
        let issued = api.authority_with(settings, vec![]).issue(credentials(), &client_device()).await;
        let Err(error @ IssueError::Unavailable(_)) = issued else { panic!("{told}: {issued:?}") };
        let told = format!("the authority is not available: there is no access token in its answer: {told}");
        assert_eq!(crate::outbound::chain(&error), told);
        assert!(!error.is_misconfigured(), "an error of GraphQL comes with status 200 too");
    }
}

#[tokio::test]
async fn an_odd_value_in_an_answer_does_not_spoil_its_tokens() {
    let api = ScriptedBackend::start().await;
    let nested = format!("{}{}", "[".repeat(300), "]".repeat(300));
    for odd in [r#""expiresIn":1e400"#.to_owned(), r#""name":"\ud83d""#.to_owned(), format!("\"x\":{nested}")] {
        api.answers(Reply::text(
            200,
            "application/json",
            format!(r#"{{{odd},"accessToken":"at1","refreshToken":"rt1"}}"#),
        ));
        let issued = api.authority().issue(credentials(), &client_device()).await.unwrap();
        assert_eq!((issued.refresh_token.unwrap().expose(), issued.expires_in), ("rt1", None), "{odd}");
    }
}

#[tokio::test]
async fn a_proved_address_is_exchanged_for_tokens_of_the_backend() {
    let api = ScriptedBackend::start().await;
    let authority =
        api.authority_with(with_backend(|backend| backend.otp.as_mut().unwrap().assertion = Some("otp.login")), vec![]);
    let sms = || proved(Channel::Sms, "01012345678", "+821012345678");
    let issued = authority.issue(Proof::Code(sms()), &client_device()).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("at1", "rt1"));
    assert_eq!(
        Value::Object(issued.identity.unwrap()),
        json!({"phone_number": "+821012345678", "phone_number_verified": true})
    );
    let asked = api.asked();
    assert_eq!(
        (asked.target.as_str(), asked.json()),
        ("/auth/otp", json!({"to": "sms:01012345678", "e164": "+821012345678"}))
    );
    assert!(asked.header("vestibule-assertion").is_some());
    for (status, expected) in
        [(400, "refused"), (401, "refused"), (403, "refused"), (404, "unavailable"), (503, "unavailable")]
    {
        api.answers(Reply::json(status, &json!({})));
        assert_eq!(outcome_of(&authority.issue(Proof::Code(sms()), &client_device()).await), expected, "{status}");
    }
    let not_permitted =
        ProvedAddress { allow: Some(Allow::Listed { email_domains: vec![], emails: vec![], claims: vec![] }), ..sms() };
    assert_eq!(outcome_of(&authority.issue(Proof::Code(not_permitted), &client_device()).await), "not allowed");
    let without = api.authority_with(with_backend(|backend| backend.otp = None), vec![]);
    assert_eq!(outcome_of(&without.issue(Proof::Code(sms()), &client_device()).await), "unsupported");
    assert!(authority.takes_codes(Channel::Sms) && !without.takes_codes(Channel::Sms));
    let provider = api.authority_with(at_provider(), vec![]);
    assert_eq!(outcome_of(&provider.issue(Proof::Code(sms()), &client_device()).await), "unsupported");
}

#[tokio::test]
async fn only_a_configured_status_without_a_page_refuses_a_refresh() {
    let api = ScriptedBackend::start().await;
    let authority = api.authority();
    let failed = |seconds: Option<u64>| RefreshError::Failed { retry_after: seconds.map(Duration::from_secs) };
    for (reply, expected) in [
        (Reply::json(401, &json!({"error": "expired"})), RefreshError::Refused),
        (Reply::text(401, "text/plain", ""), RefreshError::Refused),
        (Reply::text(401, "text/html", "no"), RefreshError::Refused),
        (Reply::text(401, "text/html", ""), RefreshError::Refused),
        (Reply::text(401, "text/html; charset=utf-8", "{\"message\":\"expired\"}"), RefreshError::Refused),
        (Reply::text(401, "text/plain", "<!doctype html>"), failed(None)),
        (Reply::text(401, "application/json", "\u{feff}\r\n <h1>"), failed(None)),
        (Reply::json(400, &json!({"error": "invalid_grant"})), failed(None)),
        (Reply::json(403, &json!({})), failed(None)),
        (Reply::text(403, "text/html", "<html>"), failed(None)),
        (Reply::json(404, &json!({})), failed(None)),
        (
            Reply::json(429, &json!({})).with("retry-after", "5"),
            RefreshError::TooMany { retry_after: Some(Duration::from_secs(5)) },
        ),
        (Reply::json(500, &json!({})), failed(None)),
        (Reply::json(502, &json!({})), failed(None)),
        (Reply::json(302, &json!({})).with("location", "/login"), failed(None)),
        (Reply::text(200, "application/json", "{\"accessToken\":"), failed(None)),
        (Reply::json(200, &json!({"error": "x"})), failed(None)),
        (Reply::text(200, "application/json", vec![b'x'; 1 << 20]), failed(None)),
        (Reply::Reset, RefreshError::Unanswered),
        (Reply::Cut, RefreshError::Unanswered),
    ] {
        api.answers(reply.clone());
        assert_eq!(refreshed(&authority).await.err(), Some(expected), "{reply:?}");
        assert_eq!(api.asked().json()["refreshToken"], "rt0");
    }
    api.answers(Reply::json(400, &json!({})));
    let wider = api.authority_with(with_backend(|backend| backend.refused = vec![400, 401]), vec![]);
    assert_eq!(refreshed(&wider).await.err(), Some(RefreshError::Refused));

    api.answers(Reply::Hang);
    let with_short_timeout =
        with_backend(|backend| backend.refresh.as_mut().unwrap().timeout = Duration::from_millis(50));
    assert_eq!(refreshed(&api.authority_with(with_short_timeout, vec![])).await.err(), Some(RefreshError::Unanswered));
    let unreachable = unreachable_authority(&api.clock).await;
    assert_eq!(refreshed(&unreachable).await.err(), Some(RefreshError::Unsent));
}

#[tokio::test]
async fn a_configured_value_in_the_answer_refuses_a_refresh_whatever_the_status() {
    let api = ScriptedBackend::start().await;
    let condition =
        |pointer: &str, values: &[&str]| (pointer.to_owned(), values.iter().map(|&v| v.to_owned()).collect());
    let conditions = vec![
        condition("/errors/0/extensions/code", &["invalid-jwt", "UNAUTHENTICATED"]),
        condition("/code", &["401"]),
        condition("/success", &["false"]),
        condition("/number", &["1001"]),
        condition("", &["expired"]),
    ];
    let with = with_backend(|backend| {
        backend.refused = vec![];
        backend.refused_when = RefusedWhen::new(conditions);
    });
    let authority = api.authority_with(with, vec![]);
    let code = |code: &str| json!({"errors": [{"extensions": {"code": code}}], "data": null});
    for (status, body, refused) in [
        (200, code("invalid-jwt"), true),
        (400, code("UNAUTHENTICATED"), true),
        (500, code("invalid-jwt"), true),
        (429, json!({"code": "401"}), true),
        (200, json!({"code": 401}), true),
        (200, json!({"success": false}), true),
        (200, json!({"code": "401", "accessToken": "at2"}), true),
        (200, json!({"number": 1001.0}), true),
        (200, json!("expired"), true),
        (200, code("internal-error"), false),
        (200, json!({"number": 1001.5}), false),
        (200, json!("fine"), false),
        (200, json!({"code": 402}), false),
        (200, json!({"code": [401]}), false),
        (200, json!({"success": true}), false),
        (401, json!({}), false),
    ] {
        api.answers(Reply::json(status, &body));
        let is_refused = refreshed(&authority).await.err() == Some(RefreshError::Refused);
        assert_eq!(is_refused, refused, "{status} {body}");
    }
    api.answers(Reply::text(200, "text/html", "\u{feff}{\"code\":401}"));
    assert_eq!(refreshed(&authority).await.err(), Some(RefreshError::Refused));
    api.answers(Reply::text(200, "application/json", r#"{"code":401,"trace":1e999}"#));
    assert_eq!(refreshed(&authority).await.err(), Some(RefreshError::Refused));
    api.answers(Reply::text(401, "text/html", "<p>{\"code\":401}"));
    assert_eq!(refreshed(&authority).await.err(), Some(RefreshError::Failed { retry_after: None }));
}

async fn unreachable_authority(clock: &Clock) -> Authority {
    authority(scripted::dead_address().await, settings(), vec![], clock)
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let api = ScriptedBackend::start().await;
    for (answer, expected) in [
        (json!({"accessToken": "at2"}), None),
        (json!({"accessToken": "at2", "refreshToken": null}), None),
        (json!({"accessToken": "at2", "refreshToken": ""}), None),
        (json!({"accessToken": "at2", "refreshToken": "rt2"}), Some("rt2")),
    ] {
        api.answers(Reply::json(200, &answer));
        let issued = refreshed(&api.authority()).await.unwrap();
        assert_eq!(issued.refresh_token.as_ref().map(RefreshToken::expose), expected, "{answer}");
        assert_eq!((issued.identity, issued.id_token), (None, None));
    }
}

#[tokio::test]
async fn a_refresh_token_can_be_received_and_sent_as_a_cookie() {
    let api = ScriptedBackend::start().await;
    let in_cookie = with_backend(|backend| {
        backend.answer.refresh_token = Pointer::Cookie("refreshToken".to_owned());
        let refresh = backend.refresh.as_mut().unwrap();
        refresh.body = Body::Empty;
        refresh.cookies = vec![("refreshToken".to_owned(), Text::parse("{refresh_token}", REFRESH).unwrap())];
    });
    let authority = api.authority_with(in_cookie, vec![]);
    let answer = Reply::json(200, &json!({"accessToken": "at2"}));
    for (cookies, expected) in [
        (vec!["other=1; Path=/", "refreshToken=r%3D2.x; HttpOnly; Path=/auth"], Some("r%3D2.x")),
        (vec!["refreshToken=old; Max-Age=0", "refreshToken=new"], Some("new")),
        (vec!["refreshToken=; Max-Age=0"], None),
        (vec!["RefreshToken=r"], None),
        (vec![], None),
    ] {
        api.answers(cookies.iter().fold(answer.clone(), |reply, cookie| reply.with("set-cookie", *cookie)));
        let issued = refreshed(&authority).await.unwrap();
        assert_eq!(issued.refresh_token.as_ref().map(RefreshToken::expose), expected, "{cookies:?}");
        assert_eq!(api.asked().header("cookie"), Some("refreshToken=rt0"));
    }
}

#[tokio::test]
async fn a_sign_out_is_confirmed_only_by_a_2xx() {
    let api = ScriptedBackend::start().await;
    let token = refresh_token();
    let request = SignOutRequest { refresh_token: Some(&token), access_token: None, provider: "" };
    for (reply, expected) in [
        (Reply::text(204, "text/plain", ""), SignedOut::Confirmed),
        (Reply::text(200, "text/html", "<html>log in"), SignedOut::NotConfirmed),
        (Reply::json(401, &json!({})), SignedOut::NotConfirmed),
        (Reply::json(500, &json!({})), SignedOut::NotConfirmed),
        (Reply::Reset, SignedOut::NotConfirmed),
    ] {
        api.answers(reply);
        assert_eq!(api.authority().sign_out(request, &client_device()).await, expected);
        assert_eq!(api.asked().json(), json!({"refreshToken": "rt0"}));
    }
    let without = api.authority_with(with_backend(|backend| backend.signout = None), vec![]);
    assert_eq!(without.sign_out(request, &client_device()).await, SignedOut::NothingToDo);
}

#[tokio::test]
async fn claims_are_read_from_every_answer_that_brings_tokens_as_they_stand_there() {
    let api = ScriptedBackend::start().await;
    let claims =
        [("sub", "/user/id"), ("role", "/user/role"), ("tags", "/tags"), ("none", "/user/none"), ("x", "/x/y")];
    let claims: Vec<_> = claims.map(|(name, place)| (name.to_owned(), place.to_owned())).into();
    let authority = api.authority_with(with_backend(|backend| backend.answer.claims = claims), vec![]);
    let tokens = json!({
        "accessToken": "at1", "user": {"id": 7, "role": "admin", "none": null}, "tags": ["a", {"b": 1}], "x": [],
    });
    api.answers(Reply::json(200, &tokens));
    let answered = json!({"sub": 7, "role": "admin", "tags": ["a", {"b": 1}], "none": null});
    let code = Proof::Code(proved(Channel::Sms, "01012345678", "+821012345678"));
    for proof in [Proof::Provider(Box::new(identity(&json!({"sub": "u1"})))), credentials(), code] {
        let issued = authority.issue(proof.clone(), &client_device()).await.unwrap();
        assert_eq!(Value::Object(issued.answered), answered, "{proof:?}");
    }
    assert_eq!(Value::Object(refreshed(&authority).await.unwrap().answered), answered);
    api.answers(Reply::json(200, &json!({"accessToken": "at2", "user": "odd"})));
    assert!(refreshed(&authority).await.unwrap().answered.is_empty());
}

#[tokio::test]
async fn a_login_may_have_other_fields_than_email_and_password() {
    let api = ScriptedBackend::start().await;
    let fields = ["login_id", "pw", "branch"].map(str::to_owned).to_vec();
    let known = of_credentials(&fields);
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let call = json!({"id": "{field.login_id}", "pw": "{field.pw}", "at": "{field.branch}", "by": "{method}"});
    assert!(Text::parse("{email}", &known).is_err(), "it is no field");
    let call = template("/auth/login", &call, &known);
    let settings = with_backend(|backend| (backend.credentials, backend.fields) = (Some(call), fields));
    let authority = api.authority_with(settings, vec![]);
    assert_eq!(authority.credential_fields().unwrap().len(), 3);
    let typed = [("login_id", "mina"), ("pw", "{field.branch}"), ("branch", "\"},{")];
    let typed = typed.map(|(name, value)| (name.to_owned(), Secret::new(value))).into();
    authority.issue(Proof::Credentials(typed), &client_device()).await.unwrap();
    assert_eq!(
        api.asked().json(),
        json!({"id": "mina", "pw": "{field.branch}", "at": "\"},{", "by": "credentials"}),
        "values are data"
    );
}

#[tokio::test]
async fn a_refresh_call_has_the_sessions_sub_and_that_of_the_provider() {
    let api = ScriptedBackend::start().await;
    let call = json!({"sub": "{sub}", "claim": "{claims.sub}", "of": "{provider_sub}", "by": "{method}"});
    let call = template("/auth/refresh", &call, REFRESH);
    let authority = api.authority_with(with_backend(|backend| backend.refresh = Some(call)), vec![]);
    let (claims, identity) = (json!({"sub": "b-7"}), json!({"sub": "104"}));
    let request = RefreshRequest {
        refresh_token: &refresh_token(),
        access_token: None,
        provider: "corp",
        identity: identity.as_object(),
        claims: claims.as_object().unwrap(),
    };
    authority.refresh(request, &client_device()).await.unwrap();
    assert_eq!(api.asked().json(), json!({"sub": "b-7", "claim": "b-7", "of": "104", "by": "corp"}));
}
