//! Logins at a provider whose addresses the configuration gives: what is given wins over discovery, and where all is
//! given, discovery is not needed.

use super::*;

/// Settings with every address that a login needs.
fn all_given(fake: &Fake) -> Settings {
    let at = |path: &str| Some(fake.server.url(path));
    let addresses =
        Addresses { authorize: at("/given/authorize"), token: at("/token"), jwks: at("/jwks"), ..Addresses::default() };
    Settings { addresses, ..fake.settings() }
}

#[tokio::test]
async fn with_all_addresses_given_logins_and_refreshes_need_no_discovery() {
    for reply in [
        Reply::Reset,
        Reply::json(404, &json!({})),
        Reply::json(503, &json!({})),
        Reply::text(200, "text/html", "<html>"),
        Reply::Hang,
    ] {
        let fake = Fake::start().await;
        fake.answer(METADATA, reply.clone());
        let provider = fake.provider_with(all_given(&fake));
        let identity = login(&fake, &provider, json!({})).await.unwrap_or_else(|error| panic!("{reply:?}: {error}"));
        assert_eq!(identity.claims["sub"], "u1");
        let started = provider.authorization(REDIRECT, &[]).await.unwrap();
        assert!(started.url.as_str().contains("/given/authorize"));
        let refreshed = provider.refresh(&RefreshToken::new("rt1"), Some(&identity.claims)).await;
        assert!(refreshed.is_ok(), "{reply:?}");
        assert_eq!(provider.reachable(), Reachability::Reachable, "{reply:?}");
    }
}

#[tokio::test]
async fn where_an_address_is_missing_discovery_is_needed() {
    let fake = Fake::start().await;
    fake.answer(METADATA, Reply::json(404, &json!({})));
    for leave_out in [
        |given: &mut Addresses| given.authorize = None,
        |given: &mut Addresses| given.token = None,
        |given: &mut Addresses| given.jwks = None,
    ] {
        let mut settings = all_given(&fake);
        leave_out(&mut settings.addresses);
        let started = fake.provider_with(settings).authorization(REDIRECT, &[]).await;
        assert!(matches!(started, Err(OidcError::Unavailable(_))), "{started:?}");
    }
}

#[tokio::test]
async fn a_document_that_does_not_fit_is_not_replaced_by_given_addresses() {
    for (members, expected) in [
        (json!({"issuer": "https://evil.example"}), "`https://evil.example`"),
        (json!({"code_challenge_methods_supported": ["plain"]}), "S256"),
    ] {
        let fake = Fake::start().await;
        fake.answer(METADATA, fake.metadata_with(members));
        let started = fake.provider_with(all_given(&fake)).authorization(REDIRECT, &[]).await;
        let Err(OidcError::Unavailable(error)) = started else { panic!("{expected}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn what_discovery_says_beyond_the_given_addresses_is_used_as_soon_as_it_answers() {
    let fake = Fake::start().await;
    fake.answer(METADATA, Reply::json(503, &json!({})));
    let provider = fake.provider_with(all_given(&fake));
    assert!(provider.authorization(REDIRECT, &[]).await.is_ok());
    let logout = provider.end_session_url(None, REDIRECT, None).await;
    assert_eq!(logout, ProviderLogout::Unknown, "the configuration does not say that there is none");
    fake.answer(METADATA, fake.metadata_with(json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]})));
    fake.clock.advance(Duration::from_secs(1));
    assert!(matches!(provider.end_session_url(None, REDIRECT, None).await, ProviderLogout::At(_)));
    login(&fake, &provider, json!({})).await.unwrap();
    let asked = fake.server.seen().into_iter().rfind(|seen| seen.target == "/token").unwrap();
    assert_eq!(asked.field("client_secret").as_deref(), Some("s&cret"), "the method that the document lists");
}

#[tokio::test]
async fn without_discovery_the_issuer_of_tokens_is_the_one_that_the_file_writes() {
    let fake = Fake::start().await;
    fake.answer(METADATA, Reply::json(404, &json!({})));
    for (written, named, is_taken) in [("", "", true), ("/", "/", true), ("", "/", false), ("/", "", false)] {
        let issuer_as_written = format!("{}{written}", fake.issuer());
        let provider = fake.provider_with(Settings { issuer_as_written, ..all_given(&fake) });
        let claims = json!({ "iss": format!("{}{named}", fake.issuer()) });
        let result = login(&fake, &provider, claims).await;
        match result {
            Ok(_) => assert!(is_taken, "{written} {named}"),
            Err(OidcError::Untrusted(found)) => assert!(!is_taken && found == Flaw::Issuer, "{written} {named}"),
            Err(other) => panic!("{other}"),
        }
    }
}
