//! The identity provider as the authority.

use serde_json::{Value, json};

use super::*;
use crate::{
    oidc::{self, fake::Fake},
    scripted::{self, Reply},
};

#[tokio::test]
async fn the_tokens_of_a_provider_are_issued_only_to_persons_that_allow_permits() {
    let fake = Fake::start().await;
    let allow = Allow::Listed { email_domains: vec!["b.kr".to_owned()], emails: vec![], claims: vec![] };
    let provider = Arc::new(fake.provider_with(oidc::Settings { allow: Some(allow), ..fake.settings() }));
    let unused = scripted::dead_address().await;
    let authority = authority(unused, at_provider(), vec![provider], &fake.clock);
    let issue =
        async |profile: Value| authority.issue(Proof::Provider(Box::new(identity(&profile))), &client_device()).await;
    let issued = issue(json!({"sub": "u1", "email": "a@b.kr", "email_verified": true})).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("pat", "prt"));
    assert_eq!(outcome_of(&issue(json!({"sub": "u1", "email": "a@b.kr"})).await), "not allowed");
    assert_eq!(outcome_of(&authority.issue(credentials(), &client_device()).await), "unsupported");
    let mut without_tokens = identity(&json!({"email": "a@b.kr", "email_verified": true}));
    without_tokens.tokens = None;
    assert_eq!(
        outcome_of(&authority.issue(Proof::Provider(Box::new(without_tokens)), &client_device()).await),
        "unsupported"
    );

    fake.answer(
        "/token",
        Reply::json(200, &json!({"access_token": "at2", "id_token": fake.id_token(json!({"role": "x"})).expose()})),
    );
    let issued = refreshed(&authority).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token, issued.id_token.is_some()), ("at2", None, true));
    assert_eq!(issued.identity.unwrap()["role"], "x");
    fake.answer("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
    assert_eq!(refreshed(&authority).await.err(), Some(RefreshError::Refused));

    fake.answer("/revoke", Reply::json(200, &json!({})));
    let token = refresh_token();
    let request = SignOutRequest { refresh_token: Some(&token), access_token: None, provider: "corp" };
    assert_eq!(authority.sign_out(request, &client_device()).await, SignedOut::Confirmed);
    fake.answer("/revoke", Reply::json(500, &json!({})));
    assert_eq!(authority.sign_out(request, &client_device()).await, SignedOut::NotConfirmed);
    assert_eq!(
        authority.sign_out(SignOutRequest { provider: "gone", ..request }, &client_device()).await,
        SignedOut::NothingToDo
    );
}
