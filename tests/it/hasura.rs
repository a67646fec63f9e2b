//! docs/hasura.md: its file, in front of a backend that keeps rows and verifies the JWT by the published keys, as
//! Hasura does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::Method;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use toml::Table;

use crate::harness::{Browser, ReceivedRequest, Setup, TestStack, Upstream};

const SECRET: &str = "the-admin-secret";
const CLAIMS: &str = "https://hasura.io/jwt/claims";

/// The rows of `users`, and the keys that verify tokens.
#[derive(Clone, Default)]
struct Hasura {
    rows: Arc<Mutex<BTreeMap<String, Value>>>,
    keys: Arc<Mutex<Option<(JwkSet, String)>>>,
}

impl Hasura {
    async fn start(&self) -> Upstream {
        let hasura = self.clone();
        Upstream::serving(move |request| (200, hasura.answer(request))).await
    }

    /// Hasura answers errors with 200 too.
    fn answer(&self, request: &ReceivedRequest) -> Value {
        assert_eq!(request.line().split('?').next().unwrap(), "POST /v1/graphql HTTP/1.1");
        let refused = |code: &str| json!({ "errors": [{ "message": code, "extensions": { "code": code } }] });
        let asked = request.json();
        let (query, variables) = (asked["query"].as_str().unwrap(), &asked["variables"]);
        let mut rows = self.rows.lock().unwrap();
        if let Some(secret) = request.header("x-hasura-admin-secret") {
            let Some(id) = variables["id"].as_str().filter(|_| secret == SECRET) else {
                return refused("access-denied");
            };
            if query.contains("insert_users_one") {
                let row = json!({ "id": id, "email": variables["email"], "name": variables["name"], "phone_verified": false });
                rows.entry(id.to_owned()).or_insert(row);
                return json!({ "data": { "insert_users_one": { "id": id } } });
            }
            assert!(query.contains("update_users_by_pk"), "{query}");
            if rows.values().any(|row| row["phone"] == variables["phone"] && row["id"] != id) {
                return refused("constraint-violation");
            }
            let Some(row) = rows.get_mut(id) else { return json!({ "data": { "update_users_by_pk": null } }) };
            (row["phone"], row["phone_verified"]) = (variables["phone"].clone(), json!(true));
            return json!({ "data": { "update_users_by_pk": { "id": id } } });
        }
        let Some(user) = request.header("authorization").and_then(|bearer| self.user(bearer)) else {
            return refused("invalid-jwt");
        };
        let own: Vec<_> = rows.get(&user).into_iter().cloned().collect();
        json!({ "data": { "users": own } })
    }

    /// `x-hasura-user-id` of a token that the published keys verify.
    fn user(&self, bearer: &str) -> Option<String> {
        let token = bearer.strip_prefix("Bearer ")?;
        let keys = self.keys.lock().unwrap();
        let (set, issuer) = keys.as_ref().unwrap();
        let header = jsonwebtoken::decode_header(token).ok()?;
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.set_audience(&["hasura"]);
        validation.set_issuer(&[issuer]);
        let key = DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?;
        let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).ok()?.claims;
        let of_hasura = &claims[CLAIMS];
        assert_eq!(of_hasura["x-hasura-allowed-roles"], json!(["user"]));
        assert_eq!(of_hasura["x-hasura-default-role"], "user");
        Some(of_hasura["x-hasura-user-id"].as_str()?.to_owned())
    }
}

/// The file of the document, with the demo's provider and outbox in place of Google and Aligo.
async fn start(api: &Upstream, hasura: &Hasura) -> TestStack {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hasura.md")).unwrap();
    let file = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut file: Table = file.replace("env:HASURA_ADMIN_SECRET", SECRET).parse().unwrap();
    for elsewhere in ["server", "session", "store", "providers"] {
        assert!(file.remove(elsewhere).is_some(), "{elsewhere}");
    }
    assert!(file["otp"]["sms"].as_table_mut().unwrap().remove("aligo").is_some());
    assert!(file["routes"][0].as_table_mut().unwrap().remove("hosts").is_some());
    let targets = vec![toml::Value::String(api.target())];
    file["upstreams"]["hasura"].as_table_mut().unwrap().insert("targets".to_owned(), targets.into());
    let stack = Setup::with_codes().without("authority").without("otp.email").with(&file.to_string()).start().await;
    let set = stack.browser().plain(Method::GET, "/.well-known/jwks.json").await.is(200).json();
    let issuer = stack.gateway.public_url().origin().ascii_serialization();
    *hasura.keys.lock().unwrap() = Some((serde_json::from_value(set).unwrap(), issuer));
    stack
}

/// The rows that the app sees by its own query.
async fn users(browser: &Browser) -> Value {
    let asked = json!({ "query": "query { users { id email phone phone_verified } }" });
    browser.post("/v1/graphql").json(&asked).await.is(200).json()["data"]["users"].clone()
}

async fn verify_number(stack: &TestStack, browser: &Browser, number: &str) -> crate::harness::Answer {
    browser.post("/auth/sms/send").json(&json!({ "phone": number })).await.is(200);
    let code = stack.backend.messages().pop().unwrap().code().unwrap().to_owned();
    browser.post("/auth/sms/verify").json(&json!({ "phone": number, "code": code })).await
}

#[tokio::test]
async fn a_first_login_makes_the_row_a_code_verifies_the_number_and_the_token_finds_the_row_again() {
    let hasura = Hasura::default();
    let api = hasura.start().await;
    let stack = start(&api, &hasura).await;
    let browser = stack.logged_in("mina").await;
    assert_eq!(
        users(&browser).await,
        json!([{ "id": "demo|demo-mina", "email": "mina@example.test", "name": "김미나 Mina", "phone_verified": false }])
    );
    assert_eq!(browser.fetch("/auth/session").await.is(200).json()["user"]["sub"], "demo|demo-mina");

    verify_number(&stack, &browser, "010-1234-5678").await.is(200);
    let row = users(&browser).await[0].clone();
    assert_eq!((&row["phone"], &row["phone_verified"]), (&json!("+821012345678"), &json!(true)));

    stack.expire_tokens();
    assert_eq!(users(&browser).await[0]["id"], "demo|demo-mina", "with the token of a refresh too");
    stack.logged_in("mina").await;
    assert_eq!(hasura.rows.lock().unwrap().len(), 1, "a later login makes no other row");

    let jun = stack.logged_in("jun").await;
    assert_eq!(users(&jun).await[0]["id"], "demo|demo-jun");
    let taken = verify_number(&stack, &jun, "010-1234-5678").await.is(502).problem("notify_refused").json();
    assert!(!taken["error"].as_str().unwrap().contains("network"), "{taken}");
}

#[tokio::test]
async fn a_login_whose_row_cannot_be_made_fails_and_nobody_reaches_the_api_with_a_secret_of_their_own() {
    let hasura = Hasura::default();
    let api = hasura.start().await;
    let stack = start(&api, &hasura).await;
    stack.reload_with("login.notify.headers = { x-hasura-admin-secret = \"another\" }");
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    browser.follow(&callback).await.is(503);
    assert!(!browser.is_logged_in() && hasura.rows.lock().unwrap().is_empty());
    stack.reload_with("");
    let browser = stack.logged_in("mina").await;
    let asked = json!({ "query": "mutation { insert_users_one }", "variables": { "id": "somebody" } });
    let forged = browser.post("/v1/graphql").header("x-hasura-admin-secret", SECRET).json(&asked).await.is(200).json();
    assert_eq!(forged["data"]["users"][0]["id"], "demo|demo-mina", "the header is removed");
    stack.browser().post("/v1/graphql").json(&asked).await.is(401);
}
