//! What a backend says of a person, and the one `sub` of a session: in headers, calls, roles and `GET /session`.

use std::sync::{Arc, Mutex};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Browser, ReceivedRequest, Setup, TestStack, Upstream};

/// A backend that issues opaque tokens, or the one in `token`, and says `user` of the person.
#[derive(Clone, Default)]
struct Api {
    answer: Arc<Mutex<Value>>,
}

impl Api {
    fn says(&self, user: &Value) {
        self.set("user", user.clone());
    }

    fn set(&self, name: &str, value: Value) {
        let mut answer = self.answer.lock().unwrap();
        if !answer.is_object() {
            *answer = json!({});
        }
        answer[name] = value;
    }

    async fn start(&self) -> Upstream {
        let (answer, issued) = (Arc::clone(&self.answer), Arc::new(Mutex::new(0)));
        Upstream::serving(move |request| {
            if !request.line().contains(" /auth/") {
                return (200, json!({}));
            }
            if request.json()["password"] == "wrong" {
                return (401, json!({}));
            }
            let mut issued = issued.lock().unwrap();
            *issued += 1;
            let mut tokens =
                json!({ "accessToken": format!("at-{issued}"), "refreshToken": format!("rt-{issued}"), "expiresIn": 300 });
            if let Some(said) = answer.lock().unwrap().as_object() {
                said.iter().for_each(|(name, value)| tokens[name] = value.clone());
            }
            (200, tokens)
        })
        .await
    }
}

fn setup(api: &Upstream) -> Setup {
    Setup::new().without("authority").with(&format!(
        r#"
        [authority]
        kind = "backend"
        upstream = "own"
        [authority.exchange]
        path = "/auth/{{provider}}"
        json = {{ of = "{{provider_sub}}", by = "{{method}}" }}
        [authority.credentials]
        path = "/auth/login"
        fields = ["login_id", "password"]
        json = {{ id = "{{field.login_id}}", password = "{{field.password}}" }}
        [authority.refresh]
        path = "/auth/refresh"
        json = {{ token = "{{refresh_token}}", sub = "{{sub}}", of = "{{provider_sub}}", role = "{{claims.role}}" }}
        [authority.answer]
        claims = {{ sub = "/user/id", email = "/user/email", role = "/user/role" }}
        [upstreams.own]
        targets = ["{}"]
        [[routes]]
        path = "/app/{{*rest}}"
        upstream = "own"
        headers = {{ set = {{ x-user-id = "{{sub}}", x-also = "{{claims.sub}}", x-provider-id = "{{provider_sub}}", x-email = "{{claims.email}}", x-role = "{{claims.role}}" }} }}
        [[routes]]
        path = "/admin"
        upstream = "own"
        access = {{ roles = ["admin"] }}
        "#,
        api.target()
    ))
}

async fn identity_of(browser: &Browser, api: &Upstream) -> ReceivedRequest {
    browser.fetch("/app/x").await.is(200);
    api.last()
}

#[tokio::test]
async fn what_a_backend_with_opaque_tokens_says_of_a_person_is_in_headers_roles_and_the_session() {
    let own = Api::default();
    own.says(&json!({ "id": "b-7", "email": "mina@backend.test", "role": "user" }));
    let api = own.start().await;
    let stack = setup(&api).start().await;
    let browser = stack.logged_in("mina").await;
    assert_eq!(api.last().json(), json!({ "of": "demo-mina", "by": "demo" }));
    let seen = identity_of(&browser, &api).await;
    assert_eq!(seen.header("authorization"), Some("Bearer at-1"));
    assert_eq!((seen.header("x-user-id"), seen.header("x-also")), (Some("b-7"), Some("b-7")));
    assert_eq!((seen.header("x-provider-id"), seen.header("x-role")), (Some("demo-mina"), Some("user")));
    assert_eq!(seen.header("x-email"), Some("mina@backend.test"), "and not the provider's");
    let session = browser.fetch("/auth/session").await.is(200).json();
    assert_eq!((&session["user"]["sub"], &session["roles"]), (&json!("b-7"), &json!(["user"])));
    browser.fetch("/admin").await.is(403).says("valid");

    own.says(&json!({ "id": "b-7", "role": "admin" }));
    stack.expire_tokens();
    browser.fetch("/admin").await.is(200).says("refreshed");
    let refresh = api.heard().into_iter().find(|heard| heard.line().contains("/auth/refresh")).unwrap().json();
    assert_eq!(
        (&refresh["sub"], &refresh["of"], &refresh["role"]),
        (&json!("b-7"), &json!("demo-mina"), &json!("user"))
    );
    assert_eq!(identity_of(&browser, &api).await.header("x-email"), Some("mina@backend.test"), "what is absent stays");

    own.set("user", json!("nothing of use"));
    stack.expire_tokens();
    browser.fetch("/admin").await.is(200).says("refreshed");
    own.says(&json!({ "role": null }));
    stack.expire_tokens();
    browser.fetch("/admin").await.is(403).says("refreshed");
    let seen = identity_of(&browser, &api).await;
    assert_eq!((seen.header("x-role"), seen.header("x-user-id")), (None, Some("b-7")), "null says that there is none");
}

#[tokio::test]
async fn a_login_with_other_fields_is_made_by_scripts_and_by_the_page_and_its_errors_name_no_email() {
    let own = Api::default();
    own.says(&json!({ "id": 7, "role": "user" }));
    let api = own.start().await;
    let stack = setup(&api).start().await;
    let browser = stack.browser().speaking("en");
    let page = browser.navigate("/auth/login").await.is(200).text();
    assert!(
        page.contains("name=\"login_id\"") && page.contains("autocomplete=\"username\"") && page.contains(">ID<"),
        "{page}"
    );
    assert!(!page.contains("name=\"email\""), "{page}");
    let login = |body: Value| browser.post("/auth/login").json(&body);
    let problem =
        login(json!({ "email": "a@b.kr", "password": "x" })).await.is(400).problem("credentials_missing").json();
    assert_eq!(problem["error"], "Please fill in every field.");
    let wrong =
        login(json!({ "login_id": "mina", "password": "wrong" })).await.is(401).problem("bad_credentials").json();
    assert!(!wrong["error"].as_str().unwrap().contains("mail"), "{wrong}");
    let fields = [("login_id", "mina"), ("password", "wrong")];
    let back = browser.post("/auth/login").form(&fields).header("sec-fetch-mode", "navigate").await.is(303);
    let page = browser.follow(&back).await.is(200).text();
    assert!(page.contains("What you entered is not right") && !page.contains("e-mail"), "{page}");
    let entered = login(json!({ "login_id": " mina ", "password": " secret " })).await.is(200).json();
    assert_eq!(entered["user"]["sub"], 7);
    assert_eq!(api.last().json(), json!({ "id": "mina", "password": " secret " }));
    let seen = identity_of(&browser, &api).await;
    assert_eq!((seen.header("x-user-id"), seen.header("x-provider-id")), (Some("7"), None));
}

/// A JWT of the backend, signed with the secret of [`with_jwts`].
fn jwt(stack: &TestStack, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["exp"] = json!(stack.clock.now().as_secs() + 300);
    claims["iat"] = json!(stack.clock.now().as_secs());
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef"))
        .unwrap()
}

fn with_jwts(setup: Setup) -> Setup {
    setup.with("[authority.verify]\nsecret = \"0123456789abcdef0123456789abcdef\"")
}

#[tokio::test]
async fn the_answer_wins_over_the_access_token_also_where_that_is_a_verified_jwt() {
    let own = Api::default();
    let api = own.start().await;
    let stack = with_jwts(setup(&api)).start().await;
    own.set("accessToken", json!(jwt(&stack, &json!({ "sub": "t-1", "role": "admin", "email": "t@b.kr" }))));
    own.says(&json!({ "id": "b-7", "role": "user" }));
    let browser = stack.logged_in("mina").await;
    browser.fetch("/admin").await.is(403);
    let seen = identity_of(&browser, &api).await;
    assert_eq!((seen.header("x-user-id"), seen.header("x-role")), (Some("b-7"), Some("user")));
    assert_eq!(seen.header("x-email"), Some("t@b.kr"), "what the answer does not say is the token's");

    own.says(&json!({}));
    let other = stack.logged_in("mina").await;
    other.fetch("/admin").await.is(200);
    let seen = identity_of(&other, &api).await;
    assert_eq!((seen.header("x-user-id"), seen.header("x-provider-id")), (Some("t-1"), Some("demo-mina")));
}

#[tokio::test]
async fn beside_an_unsealed_access_token_the_answer_is_sealed_with_the_refresh_token() {
    let own = Api::default();
    let api = own.start().await;
    let stack = with_jwts(setup(&api)).with("session.seal = false").start().await;
    own.set("accessToken", json!(jwt(&stack, &json!({ "sub": "t-1", "role": "admin" }))));
    own.says(&json!({ "id": "b-7", "role": "user" }));
    let browser = stack.logged_in("mina").await;
    for _ in 0..2 {
        let seen = identity_of(&browser, &api).await;
        assert_eq!((seen.header("x-user-id"), seen.header("x-role")), (Some("b-7"), Some("user")));
        assert_eq!(seen.header("x-provider-id"), Some("demo-mina"));
        browser.fetch("/admin").await.is(403);
    }
    let alone = stack.browser();
    alone.set_cookie("sb_at", &browser.cookie("sb_at").unwrap());
    alone.fetch("/admin").await.is(403);
    let seen = identity_of(&alone, &api).await;
    assert_eq!((seen.header("x-user-id"), seen.header("x-role")), (None, None), "never another value than before");
    let seen = identity_of(&browser, &api).await;
    assert_eq!(seen.header("x-user-id"), Some("b-7"));
}

#[tokio::test]
async fn values_that_are_too_large_together_are_left_out_and_the_session_lives() {
    let own = Api::default();
    own.says(&json!({ "id": "b-7", "email": "x".repeat(5000), "role": "user" }));
    let api = own.start().await;
    let stack = setup(&api).start().await;
    let browser = stack.logged_in("mina").await;
    let seen = identity_of(&browser, &api).await;
    assert_eq!((seen.header("x-email"), seen.header("x-user-id")), (None, Some("b-7")));
}

#[tokio::test]
async fn the_backend_is_told_the_sub_that_the_session_has_ever_after() {
    let told = Upstream::serving(|_| (200, json!({}))).await;
    let notify = format!(
        r#"
        [login.notify]
        upstream = "told"
        path = "/joined"
        json = {{ sub = "{{sub}}", claim = "{{claims.sub}}", of = "{{provider_sub}}", by = "{{method}}" }}
        [upstreams.told]
        targets = ["{}"]
        bearer = "none"
        [[routes]]
        path = "/told"
        upstream = "told"
        headers = {{ set = {{ x-user-id = "{{sub}}", x-provider-id = "{{provider_sub}}" }} }}
        "#,
        told.target()
    );
    let gateway = "[authority]\nkind = \"gateway\"\n";
    for setup in [
        Setup::with_provider_as_authority().with(&notify),
        Setup::new().without("authority").with(gateway).with(&notify),
    ] {
        let stack = setup.start().await;
        let browser = stack.logged_in("mina").await;
        let joined = told.last().json();
        for _ in 0..2 {
            browser.fetch("/told").await.is(200);
            let seen = told.last();
            let session = browser.fetch("/auth/session").await.is(200).json();
            assert_eq!((seen.header("x-user-id"), &session["user"]["sub"]), (joined["sub"].as_str(), &joined["sub"]));
            assert_eq!(seen.header("x-provider-id"), joined["of"].as_str());
            stack.expire_tokens();
        }
        assert_eq!(
            (&joined["claim"], &joined["of"], &joined["by"]),
            (&joined["sub"], &json!("demo-mina"), &json!("demo"))
        );
    }
}

#[tokio::test]
async fn codes_are_sent_and_verified_under_the_field_names_of_an_existing_form() {
    let fields = "otp.email.fields = { code = \"number\" }\notp.sms.fields = { address = \"number\" }";
    let stack = Setup::with_codes().with(fields).start().await;
    let browser = stack.browser().speaking("ko");
    let send = browser.post("/auth/email/send").json(&json!({ "email": "mina@example.test" }));
    send.await.is(200);
    let code = || stack.backend.messages().pop().unwrap().code().unwrap().to_owned();
    let verify = |body: Value| browser.post("/auth/email/verify").json(&body);
    let problem =
        verify(json!({ "email": "mina@example.test", "code": code() })).await.is(400).problem("field_missing");
    assert_eq!(problem.json()["error"], "이메일과 인증번호를 입력해주세요");
    let page = browser.navigate("/auth/login/email").await.is(200).text();
    assert!(page.contains("name=\"number\"") && !page.contains("name=\"code\""), "{page}");
    verify(json!({ "email": "mina@example.test", "number": code() })).await.is(200).says("refreshed");

    let other = stack.browser();
    let page = other.navigate("/auth/login").await.is(200).text();
    assert!(page.contains("name=\"number\" type=\"tel\""), "{page}");
    let form = other.post("/auth/sms/send").form(&[("number", "010-1234-5678")]).header("sec-fetch-mode", "navigate");
    form.await.is(303);
    other.post("/auth/sms/resend").json(&json!({ "number": "010-1234-5678" })).await.is(200);
    other.post("/auth/sms/verify").json(&json!({ "number": "010-1234-5678", "code": code() })).await.is(200);
}

#[tokio::test]
async fn a_site_chooses_its_languages_and_the_one_for_everybody_else() {
    let text = async |stack: &TestStack, language: &'static str| {
        stack.browser().speaking(language).fetch("/auth/nothing").await.is(404).json()["error"].clone()
    };
    let stack = TestStack::with("pages.language = \"ko\"").await;
    assert_eq!(text(&stack, "fr").await, "페이지를 찾을 수 없습니다");
    assert_eq!(text(&stack, "en").await, "There is nothing here");
    stack.reload_with("pages.languages = [\"ko\"]");
    assert_eq!(text(&stack, "en").await, "페이지를 찾을 수 없습니다");
    let page = stack.browser().speaking("en").navigate("/auth/login?error=login_failed").await.is(200);
    assert_eq!(page.header("content-language"), Some("ko"));
}
