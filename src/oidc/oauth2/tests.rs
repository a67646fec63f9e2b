//! Logins, refreshes and revocations at servers that answer like GitHub, Naver (OAuth 2.0) and Kakao, and at servers
//! whose answers are no proof.

use serde_json::json;

use super::*;
use crate::{
    oidc::{ProviderKind, ProviderLogout, Reachability, Settings, TokenAuth, fake::Fake, presets, presets::Preset},
    scripted::{Reply, Seen},
    secret::Secret,
};

const REDIRECT: &str = "https://app.example.kr/auth/callback/it";

/// The preset `name`, with the URLs of the fake.
fn settings(fake: &Fake, name: &str) -> Settings {
    let defaults = presets::oauth2_by_name(name).unwrap();
    let (preset, text) = (defaults.profile, |text: &str| Some(text.to_owned()));
    let profile = Profile {
        url: fake.server.url("/me"),
        headers: vec![],
        success: preset
            .success
            .map(|(pointer, equals)| ProfileSuccess { pointer: pointer.into(), equals: equals.into() }),
        subject: preset.subject.to_owned(),
        email: text(preset.email),
        email_verified: preset.email_verified.iter().map(|&at| at.to_owned()).collect(),
        name: text(preset.name),
        picture: text(preset.picture),
        emails_url: preset.emails_url.map(|_| fake.server.url("/emails")),
    };
    let oauth2 = OAuth2 {
        authorize_url: fake.server.url("/authorize?tenant=1"),
        token_url: fake.server.url("/token"),
        revoke_url: None,
        issuer_is_given: false,
        token_auth: TokenAuth::Post,
        pkce: true,
        profile,
    };
    let scopes = defaults.scopes.iter().map(|&scope| scope.to_owned()).collect();
    let kind = ProviderKind::OAuth2(Box::new(oauth2));
    Settings { name: name.to_owned(), preset: defaults.preset, kind, scopes, ..fake.settings() }
}

fn changed(fake: &Fake, name: &str, change: impl FnOnce(&mut OAuth2)) -> Settings {
    let mut settings = settings(fake, name);
    if let ProviderKind::OAuth2(oauth2) = &mut settings.kind {
        change(oauth2);
    }
    settings
}

fn provider(fake: &Fake, name: &str, change: impl FnOnce(&mut OAuth2)) -> Provider {
    fake.provider_with(changed(fake, name, change))
}

async fn login_with_iss(provider: &Provider, iss: Option<&str>) -> Result<Identity, OidcError> {
    let attempt = provider.authorization(REDIRECT, &[]).await.unwrap().attempt;
    let iss = iss.map(str::to_owned);
    let callback = CallbackParams { code: Secret::new("code+1"), state: attempt.state.clone(), iss };
    provider.redeem(callback, &attempt, REDIRECT).await
}

async fn login(provider: &Provider) -> Result<Identity, OidcError> {
    login_with_iss(provider, None).await
}

fn form(body: &str) -> Reply {
    Reply::text(200, "application/x-www-form-urlencoded; charset=utf-8", body)
}

fn asked(fake: &Fake, target: &str) -> Seen {
    fake.server.seen().into_iter().rfind(|seen| seen.target == target).unwrap()
}

fn github_profile() -> Value {
    json!({"login": "mina", "id": 583_231, "name": "Mina", "email": null, "avatar_url": "https://a.example/7", "plan": {"name": "free"}})
}

fn github_answers(fake: &Fake) {
    fake.answer("/token", form("access_token=gho_16C7&scope=user%3Aemail&token_type=bearer"));
    fake.answer("/me", Reply::json(200, &github_profile()));
    let emails = json!([
        {"email": "old@b.kr", "primary": false, "verified": true, "visibility": null},
        {"email": "mina@b.kr", "primary": true, "verified": true, "visibility": "private"}
    ]);
    fake.answer("/emails", Reply::json(200, &emails));
}

#[tokio::test]
async fn github_is_asked_with_pkce_for_a_profile_and_the_verified_address() {
    let fake = Fake::start().await;
    github_answers(&fake);
    let provider = provider(&fake, "github", |_| {});
    let url = provider.authorization(REDIRECT, &[]).await.unwrap().url;
    let mut names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    let expected = "client_id code_challenge code_challenge_method redirect_uri response_type scope state tenant";
    assert_eq!(names.join(" "), expected, "no nonce, because there is no ID token");

    let identity = login(&provider).await.unwrap();
    let claims = json!({
        "iss": fake.issuer(), "sub": "583231", "name": "Mina", "picture": "https://a.example/7",
        "email": "mina@b.kr", "email_verified": true
    });
    assert_eq!(
        (Value::Object(identity.profile), identity.profile_as_given.map(Value::Object)),
        (claims, Some(github_profile()))
    );
    let tokens = identity.tokens.unwrap();
    assert_eq!((tokens.access_token.expose(), tokens.expires_in), ("gho_16C7", None));
    assert!(identity.id_token.is_none() && tokens.refresh_token.is_none());

    let exchange = asked(&fake, "/token");
    assert_eq!(exchange.header("accept"), Some("application/json"));
    assert_eq!((exchange.field("client_secret").as_deref(), exchange.header("authorization")), (Some("s&cret"), None));
    assert_eq!((exchange.field("code_verifier").map(|v| v.len()), exchange.field("state")), (Some(43), None));
    for target in ["/me", "/emails"] {
        let profile = asked(&fake, target);
        assert_eq!((profile.method.as_str(), profile.header("authorization")), ("GET", Some("Bearer gho_16C7")));
        assert_eq!(profile.header("user-agent"), Some("vestibule"), "GitHub refuses requests without User-Agent");
    }
    assert_eq!(provider.reachable(), Reachability::Reachable);
    assert_eq!(provider.end_session_url(None, "https://app/", None).await, ProviderLogout::None);
    assert!(!provider.revoke(None, Some(&tokens.access_token)).await.unwrap(), "the provider has no revocation");
}

#[tokio::test]
async fn github_may_answer_in_json_and_refuse_the_list_of_addresses() {
    let fake = Fake::start().await;
    github_answers(&fake);
    let tokens = json!({"access_token": "ghu_1", "token_type": "bearer", "expires_in": 28800, "refresh_token": "ghr_1", "scope": ""});
    fake.answer("/token", Reply::json(200, &tokens));
    fake.answer("/emails", Reply::json(404, &json!({"message": "Not Found"})));
    let mut profile = github_profile();
    profile["email"] = json!("public@b.kr");
    fake.answer("/me", Reply::json(200, &profile));
    let identity = login(&provider(&fake, "github", |_| {})).await.unwrap();
    assert_eq!((&identity.profile["email"], identity.profile.get("email_verified")), (&json!("public@b.kr"), None));
    let tokens = identity.tokens.unwrap();
    assert_eq!((tokens.refresh_token.unwrap().expose(), tokens.expires_in.unwrap()), ("ghr_1", json!(28800)));
    for down in [Reply::json(503, &json!({})), Reply::text(200, "text/html", "<html>"), Reply::Reset] {
        fake.answer("/emails", down.clone());
        let result = login(&provider(&fake, "github", |_| {})).await;
        assert!(matches!(result, Err(OidcError::Unavailable(_))), "{down:?}: no login with an incomplete identity");
    }
}

fn naver_answers(fake: &Fake) {
    let tokens = json!({"access_token": "AAA", "refresh_token": "c8c", "token_type": "bearer", "expires_in": "3600"});
    fake.answer("/token", Reply::json(200, &tokens));
    let profile = json!({"id": "32742776", "email": "mina@naver.com", "name": "미나", "nickname": "m"});
    fake.answer("/me", Reply::json(200, &json!({"resultcode": "00", "message": "success", "response": profile})));
}

#[tokio::test]
async fn naver_receives_the_state_again_and_revokes_by_grant_type_delete() {
    let fake = Fake::start().await;
    naver_answers(&fake);
    let provider = provider(&fake, "naver", |_| {});
    let authorization = provider.authorization(REDIRECT, &[("prompt", "login")]).await.unwrap();
    let query: Vec<_> = authorization.url.query_pairs().into_owned().collect();
    assert!(!query.iter().any(|(name, _)| name == "scope"), "the scopes are set in Naver's console");
    assert!(query.contains(&("auth_type".to_owned(), "reauthenticate".to_owned())));

    let identity = login(&provider).await.unwrap();
    let claims = json!({"iss": fake.issuer(), "sub": "32742776", "name": "미나", "email": "mina@naver.com"});
    assert_eq!(Value::Object(identity.profile), claims, "Naver has no field for a verified address");
    assert_eq!(identity.profile_as_given.unwrap()["response"]["nickname"], "m");
    assert_eq!(identity.tokens.unwrap().expires_in, Some(json!("3600")));
    assert!(asked(&fake, "/token").field("state").is_some());

    fake.answer("/token", Reply::json(200, &json!({"access_token": "AAA", "result": "success"})));
    assert!(provider.revoke(Some(&RefreshToken::new("c8c")), Some(&AccessToken::new("AAA"))).await.unwrap());
    let deletion = asked(&fake, "/token");
    for (name, value) in [
        ("grant_type", "delete"),
        ("access_token", "AAA"),
        ("service_provider", "NAVER"),
        ("client_id", "client:1"),
        ("client_secret", "s&cret"),
    ] {
        assert_eq!(deletion.field(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn an_address_at_kakao_is_verified_only_if_it_is_valid_too() {
    let fake = Fake::start().await;
    let tokens = json!({
        "access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 21599,
        "refresh_token_expires_in": 5_183_999, "id_token": "never.looked.at"
    });
    fake.answer("/token", Reply::json(200, &tokens));
    let provider = provider(&fake, "kakao", |_| {});
    for (valid, expected) in [(true, json!(true)), (false, json!(false))] {
        let account = json!({
            "profile": {"nickname": "미나"}, "email": "mina@kakao.com", "is_email_valid": valid, "is_email_verified": true
        });
        fake.answer("/me", Reply::json(200, &json!({"id": 123_456_789_i64, "kakao_account": account})));
        let identity = login(&provider).await.unwrap();
        assert_eq!((&identity.profile["sub"], &identity.profile["email_verified"]), (&json!("123456789"), &expected));
        assert_eq!(identity.profile["name"], "미나");
        assert!(
            identity.id_token.is_none() && identity.tokens.unwrap().id_token.is_none(),
            "an unverified ID token is dropped"
        );
    }
    let account = json!({"email": "mina@kakao.com", "is_email_valid": true, "is_email_verified": "true"});
    fake.answer("/me", Reply::json(200, &json!({"id": 123_456_789_i64, "kakao_account": account})));
    let identity = login(&provider).await.unwrap();
    assert_eq!(identity.profile["email_verified"], false);
    assert_eq!(identity.email_verified_as_given, Some(json!("true")), "the log says why it is not verified");
    fake.answer("/me", Reply::json(200, &json!({"id": 123_456_789_i64})));
    assert_eq!(login(&provider).await.unwrap().profile.get("email"), None, "a missing address is normal");
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error_in_either_form() {
    let fake = Fake::start().await;
    github_answers(&fake);
    let provider = provider(&fake, "github", |_| {});
    for reply in [
        form("error=bad_verification_code&error_description=The+code+passed+is+incorrect+or+expired."),
        Reply::json(200, &json!({"error": "bad_verification_code"})),
        Reply::json(400, &json!({"error": "bad_verification_code"})),
    ] {
        fake.answer("/token", reply);
        let refused = login(&provider).await;
        assert!(matches!(refused, Err(OidcError::Refused(refusal)) if refusal.error == "bad_verification_code"));
    }
    assert_eq!(fake.server.count("/me"), 0);
}

#[tokio::test]
async fn a_profile_that_is_no_proof_ends_the_login() {
    let fake = Fake::start().await;
    naver_answers(&fake);
    let provider = provider(&fake, "naver", |_| {});
    let good = json!({"id": "7"});
    for (reply, flaw) in [
        (Reply::json(200, &json!({"resultcode": "00", "response": {"email": "a@b.kr"}})), Flaw::Subject),
        (Reply::json(200, &json!({"resultcode": "00", "response": {"id": ""}})), Flaw::Subject),
        (Reply::json(200, &json!({"resultcode": "00", "response": {"id": {"a": 1}}})), Flaw::Subject),
        (Reply::json(200, &json!({"resultcode": "00", "response": [good]})), Flaw::Subject),
        (Reply::json(200, &json!({"resultcode": "024", "response": good})), Flaw::Profile),
        (Reply::json(200, &json!({"response": good})), Flaw::Profile),
        (Reply::json(401, &json!({"resultcode": "00", "response": good})), Flaw::Profile),
        (Reply::json(403, &json!({})), Flaw::Profile),
        (Reply::text(401, "text/html", "{}"), Flaw::Profile),
        (Reply::text(404, "text/html", ""), Flaw::Profile),
    ] {
        fake.answer("/me", reply.clone());
        let result = login(&provider).await;
        assert!(matches!(&result, Err(OidcError::Untrusted(found)) if *found == flaw), "{reply:?}: {result:?}");
    }
    for reply in [
        Reply::text(200, "text/html", "<html>maintenance</html>"),
        Reply::text(404, "text/plain", "\u{feff} <html>"),
        Reply::text(200, "application/json", "[]"),
        Reply::text(200, "application/json", "\"text\""),
        Reply::text(200, "application/json", "{\"resultcode\":"),
        Reply::text(200, "application/json", vec![b' '; 1 << 20]),
        Reply::json(302, &json!({})).with("location", "/elsewhere"),
        Reply::json(429, &json!({})),
        Reply::json(500, &json!({"resultcode": "00", "response": good})),
        Reply::Reset,
        Reply::Cut,
    ] {
        fake.answer("/me", reply.clone());
        let result = login(&provider).await;
        assert!(matches!(result, Err(OidcError::Unavailable(_))), "{reply:?}: {result:?}");
    }
    assert_eq!(fake.server.count("/elsewhere"), 0);
}

#[tokio::test]
async fn an_issuer_in_the_callback_must_be_the_configured_one_if_there_is_one() {
    let fake = Fake::start().await;
    github_answers(&fake);
    let unknown = provider(&fake, "github", |_| {});
    assert!(login_with_iss(&unknown, Some("https://github.com/login/oauth")).await.is_ok(), "nothing to compare with");
    let named = provider(&fake, "github", |oauth2| oauth2.issuer_is_given = true);
    let before = fake.server.count("/token");
    let mixed_up = login_with_iss(&named, Some("https://evil.example")).await;
    assert!(matches!(mixed_up, Err(OidcError::Attempt)));
    assert_eq!(fake.server.count("/token"), before, "the code is not sent");
    assert!(login_with_iss(&named, Some(&fake.issuer())).await.is_ok());
    assert!(login(&named).await.is_ok(), "iss is not announced, so it may be absent");
}

#[tokio::test]
async fn a_callback_of_another_attempt_is_refused_before_any_request() {
    let fake = Fake::start().await;
    let provider = provider(&fake, "github", |_| {});
    let attempt = provider.authorization(REDIRECT, &[]).await.unwrap().attempt;
    let other = CallbackParams { code: Secret::new("c"), state: Secret::new("another"), iss: None };
    assert!(matches!(provider.redeem(other, &attempt, REDIRECT).await, Err(OidcError::Attempt)));
    assert_eq!(fake.server.seen().len(), 0);
}

#[tokio::test]
async fn configured_parameters_headers_and_authentication_are_sent() {
    let fake = Fake::start().await;
    github_answers(&fake);
    fake.answer("/revoke", Reply::json(200, &json!({})));
    let settings = changed(&fake, "naver", |oauth2| {
        oauth2.pkce = false;
        oauth2.token_auth = TokenAuth::Basic;
        oauth2.revoke_url = Some(fake.server.url("/revoke"));
        oauth2.profile = Profile {
            headers: vec![(header::ACCEPT, "application/vnd.api+json".parse().unwrap())],
            success: None,
            subject: "/id".to_owned(),
            ..oauth2.profile.clone()
        };
    });
    let param = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (token_params, refresh_params) = (param("audience", "api"), param("scope", "api"));
    let provider = fake.provider_with(Settings { token_params, refresh_params, ..settings });
    let url = provider.authorization(REDIRECT, &[]).await.unwrap().url;
    assert!(!url.query().unwrap().contains("code_challenge"));
    login(&provider).await.unwrap();
    let exchange = asked(&fake, "/token");
    assert_eq!(exchange.header("authorization"), Some("Basic Y2xpZW50JTNBMTpzJTI2Y3JldA=="));
    assert_eq!((exchange.field("client_secret"), exchange.field("code_verifier")), (None, None));
    assert_eq!((exchange.field("audience").as_deref(), exchange.field("scope")), (Some("api"), None));
    provider.refresh(&RefreshToken::new("r"), None).await.unwrap();
    let refresh = asked(&fake, "/token");
    assert_eq!((refresh.field("audience"), refresh.field("scope").as_deref()), (None, Some("api")));
    assert_eq!(asked(&fake, "/me").header("accept"), Some("application/vnd.api+json"));
    assert!(provider.revoke(Some(&RefreshToken::new("r")), None).await.unwrap());
    assert_eq!(
        asked(&fake, "/revoke").field("token").as_deref(),
        Some("r"),
        "a configured revoke_url replaces the preset's revocation"
    );
}

#[tokio::test]
async fn a_refresh_fetches_the_profile_again_and_one_of_another_person_is_no_refusal() {
    let fake = Fake::start().await;
    naver_answers(&fake);
    let provider = provider(&fake, "naver", |_| {});
    let previous = json!({"iss": fake.issuer(), "sub": "32742776", "name": "Before"});
    let refresh = async || provider.refresh(&RefreshToken::new("c8c"), previous.as_object()).await;

    fake.answer("/token", Reply::json(200, &json!({"access_token": "BBB", "expires_in": "3600", "id_token": "a.b.c"})));
    let fresh = refresh().await.unwrap();
    assert_eq!((fresh.tokens.access_token.expose(), fresh.tokens.refresh_token), ("BBB", None), "the old one is kept");
    assert_eq!((fresh.profile.unwrap()["name"].clone(), fresh.tokens.id_token), (json!("미나"), None));
    assert_eq!(asked(&fake, "/me").header("authorization"), Some("Bearer BBB"));

    for unusable in [
        Reply::json(503, &json!({})),
        Reply::json(401, &json!({})),
        Reply::text(200, "text/html", "<html>"),
        Reply::json(200, &json!({"resultcode": "00", "response": {}})),
        Reply::Reset,
    ] {
        fake.answer("/me", unusable.clone());
        let refreshed = refresh().await.unwrap();
        assert_eq!((refreshed.tokens.access_token.expose(), refreshed.profile), ("BBB", None), "{unusable:?}");
    }
    fake.answer("/me", Reply::json(200, &json!({"resultcode": "00", "response": {"id": "1"}})));
    let failed = Some(RefreshError::Failed { retry_after: None });
    assert_eq!(refresh().await.err(), failed, "a profile of another person");
}

#[tokio::test]
async fn the_error_bad_refresh_token_is_a_refusal_at_github_under_any_name() {
    let fake = Fake::start().await;
    fake.answer("/token", form("error=bad_refresh_token"));
    for (name, preset, expected) in [
        ("github", Preset::GitHub, RefreshError::Refused),
        ("github", Preset::Generic, RefreshError::Refused),
        ("naver", Preset::Naver, RefreshError::Failed { retry_after: None }),
    ] {
        let provider = fake.provider_with(Settings { preset, ..settings(&fake, name) });
        let result = provider.refresh(&RefreshToken::new("r"), None).await;
        assert_eq!(result.err(), Some(expected), "{preset:?}");
    }
    fake.answer("/token", Reply::json(503, &json!({})).with("retry-after", "7"));
    let outage = provider(&fake, "github", |_| {}).refresh(&RefreshToken::new("r"), None).await;
    assert_eq!(outage.err(), Some(RefreshError::Failed { retry_after: Some(Duration::from_secs(7)) }));
}

#[tokio::test]
async fn an_oauth2_provider_is_not_discovered_and_its_id_tokens_are_refused() {
    let fake = Fake::start().await;
    let provider = provider(&fake, "github", |_| {});
    assert!(provider.probe(REDIRECT).await.is_err(), "404");
    assert_eq!(provider.reachable(), Reachability::Reachable);
    let token = fake.id_token(json!({}));
    assert!(provider.verify_id_token(&token, &["client:1".to_owned()], None, None).await.is_err());
    let seen: Vec<_> = fake.server.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    assert_eq!(seen, ["POST /token"]);
}
