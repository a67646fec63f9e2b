//! Refresh and logout: which answers count as tokens, refusals or outages.

use super::*;

#[tokio::test]
async fn a_refresh_needs_no_id_token_and_one_of_another_person_or_client_is_an_error() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let previous = fake.claims(json!({"auth_time": 1000, "role": "admin"}));
    let previous = previous.as_object().unwrap();
    let refresh = async |reply: Reply| {
        fake.answer("/token", reply);
        provider.refresh(&RefreshToken::new("rt0"), Some(previous)).await
    };
    let plain = refresh(Reply::json(200, &json!({"access_token": "at2", "expires_in": 60}))).await.unwrap();
    assert_eq!((plain.tokens.access_token.expose(), plain.tokens.refresh_token, plain.profile), ("at2", None, None));
    let asked = fake.server.seen().pop().unwrap();
    assert_eq!(
        (asked.field("grant_type"), asked.field("refresh_token")),
        (Some("refresh_token".to_owned()), Some("rt0".to_owned()))
    );

    let fresh =
        refresh(tokens(&fake.id_token(json!({"auth_time": 1000, "role": "user", "aud": [CLIENT]})))).await.unwrap();
    assert_eq!(fresh.profile.unwrap()["role"], "user", "its claims are read again");
    for changes in [
        json!({"sub": "u2"}),
        json!({"aud": "other"}),
        json!({"iss": "x"}),
        json!({"aud": [CLIENT, "b"], "azp": CLIENT}),
        json!({"auth_time": 999}),
    ] {
        let result = refresh(tokens(&fake.id_token(changes.clone()))).await;
        assert_eq!(result.err(), Some(RefreshError::Failed { retry_after: None }), "{changes}");
    }
}

#[tokio::test]
async fn a_refresh_keeps_the_old_profile_while_the_userinfo_endpoint_is_down() {
    let fake = Fake::start().await;
    fake.answer(METADATA, fake.metadata_with(json!({"userinfo_endpoint": fake.server.url("/me")})));
    let provider = fake.provider();
    let previous = fake.claims(json!({"role": "admin"}));
    fake.answer("/token", tokens(&fake.id_token(json!({"name": "new"}))));
    for reply in [
        Reply::json(408, &json!({})),
        Reply::json(429, &json!({})),
        Reply::json(302, &json!({})).with("location", "/login"),
        Reply::text(200, "text/html", "<html>maintenance"),
        Reply::text(403, "text/html", "<html>"),
        Reply::text(200, "application/json", ""),
        Reply::text(200, "application/json", "[]"),
        Reply::json(500, &json!({})),
        Reply::Reset,
    ] {
        fake.answer("/me", reply.clone());
        let refreshed = provider.refresh(&RefreshToken::new("rt0"), previous.as_object()).await.unwrap();
        assert_eq!(refreshed.profile, None, "{reply:?}");
    }
    fake.answer("/me", Reply::json(403, &json!({})));
    let refused = provider.refresh(&RefreshToken::new("rt0"), previous.as_object()).await.unwrap().profile.unwrap();
    assert_eq!((refused.get("role"), &refused["name"]), (None, &json!("new")), "the ID token's claims alone");
    fake.answer("/me", Reply::text(200, "text/html", "\u{feff}{\"sub\":\"u1\",\"role\":\"user\"}"));
    let profile = provider.refresh(&RefreshToken::new("rt0"), previous.as_object()).await.unwrap().profile.unwrap();
    assert_eq!((&profile["role"], &profile["name"]), (&json!("user"), &json!("new")));
}

#[tokio::test]
async fn refreshed_tokens_are_returned_when_no_key_can_be_fetched_to_verify_the_id_token() {
    let fake = Fake::start().await;
    fake.answer("/jwks", Reply::json(503, &json!({})));
    fake.answer("/token", tokens(&fake.id_token(json!({}))));
    let refreshed = fake.provider().refresh(&RefreshToken::new("rt0"), None).await.unwrap();
    assert_eq!(
        (refreshed.tokens.access_token.expose(), refreshed.tokens.id_token, refreshed.profile),
        ("at1", None, None)
    );
}

#[tokio::test]
async fn only_an_error_that_is_final_refuses_a_refresh_token() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let failed = |seconds: Option<u64>| RefreshError::Failed { retry_after: seconds.map(Duration::from_secs) };
    for (reply, expected) in [
        (Reply::json(400, &json!({"error": "invalid_grant"})), RefreshError::Refused),
        (Reply::json(401, &json!({"error": "invalid_grant", "error_code": "KOE322"})), RefreshError::Refused),
        (Reply::json(400, &json!({"error": "interaction_required"})), RefreshError::Refused),
        (Reply::json(400, &json!({"error": "login_required"})), RefreshError::Refused),
        (Reply::json(403, &json!({"error": "consent_required"})), RefreshError::Refused),
        (Reply::json(200, &json!({"error": "account_selection_required"})), RefreshError::Refused),
        (Reply::text(400, "text/html", "\u{feff}{\"error\":\"invalid_grant\"}"), RefreshError::Refused),
        (Reply::text(400, "text/html", "error=invalid_grant"), RefreshError::Refused),
        (Reply::text(400, "application/json", "<p>{\"error\":\"invalid_grant\"}"), failed(None)),
        (Reply::json(400, &json!({"error": ["invalid_grant"]})), failed(None)),
        (Reply::json(408, &json!({"error": "invalid_grant"})), failed(None)),
        (Reply::json(400, &json!({"error": "invalid_request"})), failed(None)),
        (Reply::json(401, &json!({"error": "invalid_client"})), failed(None)),
        (Reply::json(401, &json!({})), failed(None)),
        (Reply::text(403, "text/html", "<html>invalid_grant"), failed(None)),
        (
            Reply::json(429, &json!({"error": "invalid_grant"})).with("retry-after", "7"),
            RefreshError::TooMany { retry_after: Some(Duration::from_secs(7)) },
        ),
        (Reply::json(500, &json!({"error": "invalid_grant"})), failed(None)),
        (Reply::json(503, &json!({})).with("retry-after", "99999"), failed(Some(99_999))),
        (Reply::json(302, &json!({})).with("location", "/login"), failed(None)),
        (Reply::json(200, &json!({"error": "server_error"})), failed(None)),
        (Reply::text(200, "application/json", "{\"access_token\":"), failed(None)),
        (Reply::text(200, "application/json", vec![b'x'; 1 << 20]), failed(None)),
        (Reply::Reset, RefreshError::Unanswered),
        (Reply::Cut, RefreshError::Unanswered),
    ] {
        fake.answer("/token", reply.clone());
        let result = provider.refresh(&RefreshToken::new("rt0"), None).await;
        assert_eq!(result.err(), Some(expected), "{reply:?}");
    }
    fake.answer(METADATA, Reply::json(503, &json!({})));
    let unknown = fake.provider();
    assert_eq!(unknown.refresh(&RefreshToken::new("rt0"), None).await.err(), Some(RefreshError::Unsent));
}

#[tokio::test]
async fn logout_revokes_the_tokens_and_returns_the_url_of_the_providers_logout() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    fake.answer("/revoke", Reply::json(200, &json!({})));
    let (access, refresh) = (AccessToken::new("a"), RefreshToken::new("r"));
    assert!(provider.revoke(Some(&refresh), Some(&access)).await.unwrap());
    let asked = fake.server.seen().pop().unwrap();
    assert_eq!(
        (asked.field("token"), asked.field("token_type_hint")),
        (Some("r".to_owned()), Some("refresh_token".to_owned()))
    );
    fake.answer("/revoke", Reply::json(503, &json!({})));
    assert!(provider.revoke(Some(&refresh), None).await.is_err());

    let address = |logout: ProviderLogout| match logout {
        ProviderLogout::At(url) => url,
        other => panic!("{other:?}"),
    };
    let url = address(provider.end_session_url(Some(&IdToken::new("i")), "https://app/", Some("s")).await);
    let query = "client_id=client%3A1&post_logout_redirect_uri=https%3A%2F%2Fapp%2F&state=s&id_token_hint=i";
    assert_eq!((url.path(), url.query()), ("/end", Some(query)));
    let kakao = fake.provider_with(Settings { preset: Preset::Kakao, ..fake.settings() });
    let url = address(kakao.end_session_url(None, "https://app/", None).await);
    assert_eq!(
        (url.path(), url.query()),
        ("/oauth/logout", Some("client_id=client%3A1&logout_redirect_uri=https%3A%2F%2Fapp%2F"))
    );

    fake.answer(METADATA, fake.metadata_with(json!({"revocation_endpoint": null, "end_session_endpoint": null})));
    let without = fake.provider();
    assert!(!without.revoke(Some(&refresh), None).await.unwrap());
    assert_eq!(without.end_session_url(None, "https://app/", None).await, ProviderLogout::None);
    fake.answer(METADATA, Reply::json(503, &json!({})));
    assert_eq!(fake.provider().end_session_url(None, "https://app/", None).await, ProviderLogout::Unknown);
}

#[tokio::test]
async fn an_address_of_a_logout_has_no_token_that_would_make_it_longer_than_2000_bytes() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let logout = async |claims: Value| match provider
        .end_session_url(Some(&fake.id_token(claims)), "https://app.example.kr/auth/logged-out", None)
        .await
    {
        ProviderLogout::At(url) => url,
        other => panic!("{other:?}"),
    };
    let groups: Vec<_> = (0..180).map(|n| format!("department-{n}-of-the-whole-company")).collect();
    let value =
        |url: &url::Url, name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    let short = logout(json!({})).await;
    assert!(value(&short, "id_token_hint").is_some() && value(&short, "logout_hint").is_none());
    for (claims, hint) in [
        (json!({ "groups": groups, "email": "a@b.kr" }), Some("a@b.kr")),
        (json!({ "groups": groups, "email": "a@b.kr", "preferred_username": "mina" }), Some("mina")),
        (json!({ "groups": groups, "preferred_username": "mina", "login_hint": "O.abc" }), Some("O.abc")),
        (json!({ "groups": groups }), None),
        (json!({ "groups": groups, "email": "a".repeat(3000) }), None),
    ] {
        let url = logout(claims).await;
        assert!(url.as_str().len() <= 2000, "{}", url.as_str().len());
        assert_eq!(value(&url, "id_token_hint"), None);
        assert_eq!(value(&url, "logout_hint").as_deref(), hint);
        assert_eq!(value(&url, "client_id").as_deref(), Some("client:1"));
        assert!(value(&url, "post_logout_redirect_uri").is_some());
    }
}
