//! At which logins the backend is called, and how its answer changes the login.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    authority::{
        Authority, AuthorityKind, Deps, LOGIN_NOTIFY, Proof, Settings,
        tests::{ScriptedBackend, client_device, identity, outcome_of, template},
    },
    oidc::fake::{Fake, b64},
    scripted::Reply,
    secret::AccessToken,
};

/// An authority of kind `provider` with `[login.notify]`. Its provider is never asked.
async fn authority(api: &ScriptedBackend) -> Authority {
    authority_with(api.deps(vec![]), Duration::from_secs(10)).await
}

async fn authority_with(deps: Deps, timeout: Duration) -> Authority {
    let fake = Fake::start().await;
    let call = json!({"by": "{provider}", "who": "{profile}", "mail": "{email}", "sub": "{claims.sub}", "ids": ["{sub}", "{provider_sub}", "{method}"], "to": "{address}", "dev": "{device_id}"});
    let notify = Template { timeout, assertion: Some("login.notify"), ..template("/joined", &call, LOGIN_NOTIFY) };
    let settings = Settings { kind: AuthorityKind::Provider, verify: None, notify: Some(notify) };
    Authority::new(settings, Deps { providers: vec![Arc::new(fake.provider())], ..deps }).unwrap()
}

async fn login(authority: &Authority, profile: Value) -> &'static str {
    outcome_of(&authority.issue(Proof::Provider(Box::new(identity(&profile))), &client_device()).await)
}

fn mina() -> Value {
    json!({"iss": "https://id.example", "sub": "u1", "email": "a@b.kr"})
}

#[tokio::test]
async fn a_backend_is_called_once_for_each_person() {
    let api = ScriptedBackend::start().await;
    let authority = authority(&api).await;
    for _ in 0..3 {
        assert_eq!(login(&authority, mina()).await, "issued");
    }
    let asked = api.asked();
    assert_eq!((api.server.seen().len(), asked.target.as_str()), (1, "/joined"));
    assert_eq!(
        asked.json(),
        json!({"by": "corp", "who": mina(), "mail": "a@b.kr", "sub": "u1", "ids": ["u1", "u1", "corp"], "to": null, "dev": "00000000-0000-0000-0000-000000000007"})
    );
    assert!(asked.header("vestibule-assertion").is_some());
    for other in
        [json!({"iss": "https://id.example", "sub": "u2"}), json!({"iss": "https://other.example", "sub": "u1"})]
    {
        assert_eq!(login(&authority, other).await, "issued");
    }
    assert_eq!(api.server.seen().len(), 3, "another subject or issuer is another person");
    api.clock.advance(Duration::from_secs(5 * 365 * 86400));
    assert_eq!(login(&authority, mina()).await, "issued");
    assert_eq!(api.server.seen().len(), 3);
}

#[tokio::test]
async fn the_call_has_the_sub_that_the_session_will_have() {
    let api = ScriptedBackend::start().await;
    let authority = authority(&api).await;
    let mut person = identity(&mina());
    let token = format!("e30.{}.x", b64(br#"{"sub":"of the access token"}"#));
    person.tokens.as_mut().unwrap().access_token = AccessToken::new(token);
    let issued = authority.issue(Proof::Provider(Box::new(person)), &client_device()).await.unwrap();
    let asked = api.asked().json();
    assert_eq!(asked["ids"], json!(["of the access token", "u1", "corp"]));
    assert_eq!((&asked["sub"], issued.sub()), (&asked["ids"][0], Some(&asked["ids"][0])));
}

#[tokio::test]
async fn a_person_is_known_only_after_the_backend_answered_2xx() {
    let api = ScriptedBackend::start().await;
    let authority = authority(&api).await;
    for (reply, expected) in [
        (Reply::json(403, &json!({})), "refused"),
        (Reply::json(401, &json!({})), "refused"),
        (Reply::json(400, &json!({})), "unavailable"),
        (Reply::json(500, &json!({})), "unavailable"),
        (Reply::json(200, &json!({"errors": [{"message": "no"}]})), "unavailable"),
        (Reply::json(302, &json!({})).with("location", "/"), "unavailable"),
        (Reply::Reset, "unavailable"),
        (Reply::text(204, "text/plain", ""), "issued"),
    ] {
        api.answers(reply.clone());
        let before = api.server.seen().len();
        assert_eq!(login(&authority, mina()).await, expected, "{reply:?}");
        assert_eq!(api.server.seen().len(), before + 1, "{reply:?}");
    }
    api.answers(Reply::json(403, &json!({})));
    assert_eq!(login(&authority, mina()).await, "issued", "the backend is not called for a known person");
}

#[tokio::test]
async fn a_second_login_during_the_call_does_not_count_as_that_of_a_known_person() {
    let api = ScriptedBackend::start().await;
    let authority = Arc::new(authority_with(api.deps(vec![]), Duration::from_mins(1)).await);
    api.answers(Reply::Hang);
    let first = tokio::spawn({
        let authority = Arc::clone(&authority);
        async move { login(&authority, mina()).await }
    });
    while api.server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    assert_eq!(login(&authority, mina()).await, "unavailable", "also after the longest wait");
    tokio::time::resume();
    assert_eq!(api.server.seen().len(), 1);
    first.abort();
    assert!(first.await.is_err());
    api.answers(Reply::json(403, &json!({})));
    api.clock.advance(Duration::from_secs(90));
    assert_eq!(
        login(&authority, mina()).await,
        "refused",
        "an aborted login blocks no later one, and the person is not known"
    );
}

#[tokio::test]
async fn a_second_login_of_the_same_person_waits_for_the_first() {
    let api = ScriptedBackend::start().await;
    let deps = api.deps(vec![]);
    let authority = authority_with(deps.clone(), Duration::from_secs(10)).await;
    let person = PersonLogin::of_identity(&identity(&mina()), json!("u-1")).unwrap().person;
    let now = deps.clock.now();
    let one_time = &deps.store.one_time;
    assert!(one_time.take(turn_key(person), now.plus(KNOWN_LIFETIME), now).await.unwrap(), "as another instance does");
    tokio::time::pause();
    let first = async {
        sleep(POLL * 20).await;
        assert!(one_time.take(person, now.plus(KNOWN_LIFETIME), now).await.unwrap());
        one_time.give_back(turn_key(person), now).await.unwrap();
    };
    let (second, ()) = tokio::join!(login(&authority, mina()), first);
    assert_eq!((second, api.server.seen().len()), ("issued", 0));
}
