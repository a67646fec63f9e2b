//! Whole logins at a scripted provider, by a browser with cookies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use url::Url;

use super::*;
use crate::{
    authority::{self, Authority},
    call::Caller,
    client::Client,
    clock::Clock,
    endpoint::{Call, EndpointAnswer, GuessLimits, Guesses, Rate},
    oidc::{self, fake::Fake},
    pages::Pages,
    respond::Content,
    scripted::Reply,
    seal::{KeyRing, SealKey},
    secret::Random,
    session::{self, AuthStatus, Sessions},
    store::{MemoryStore, Store},
    telemetry::Metrics,
};

mod again;
mod places;

struct LoginFixture {
    fake: Arc<Fake>,
    logins: Logins,
    sessions: Sessions,
}

/// A browser: its cookies, by name.
#[derive(Clone, Default)]
struct Browser(BTreeMap<String, String>);

/// The result of a call.
struct CallResult {
    answer: Result<EndpointAnswer, Failed>,
    set_cookie: Vec<String>,
}

impl LoginFixture {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut oidc::Settings)) -> Self {
        let fake = Arc::new(Fake::start().await);
        let clock = fake.clock.clone();
        Self::at(fake, &MemoryStore::shared(), clock, change)
    }

    /// Another instance with the same provider, store and keys.
    fn instance(fake: Arc<Fake>, store: &Store) -> Self {
        let clock = fake.clock.clone();
        Self::at(fake, store, clock, |_| {})
    }

    fn at(fake: Arc<Fake>, store: &Store, clock: Clock, change: impl FnOnce(&mut oidc::Settings)) -> Self {
        let mut provider = fake.settings();
        provider.id_token_audiences = Some(vec![provider.client_id.clone()]);
        change(&mut provider);
        let providers = vec![Arc::new(fake.provider_with(provider))];
        let (random, metrics) = (Random::system(), Arc::new(Metrics::new()));
        let authority = Authority::new(
            authority::Settings { kind: authority::AuthorityKind::Provider, verify: None, notify: None },
            authority::test_deps(Caller::new(vec![], 64 << 10).unwrap(), providers.clone(), &clock),
        );
        let authority = Arc::new(authority.unwrap());
        let sessions = Sessions::new(
            session::test_settings("https://app.example.kr"),
            authority.clone(),
            store.clone(),
            clock.clone(),
            random.clone(),
            metrics.clone(),
            Handle::current(),
        );
        let settings = settings();
        let pages = Pages::new(&crate::pages::Settings::default(), &settings.site()).unwrap();
        let pages = Arc::new(pages);
        let often = Rate { most: 1000, window: Duration::from_secs(3600) };
        let key = KeyRing::new(&[SealKey([7; 32].into())], random.clone()).mac_key();
        let limits = GuessLimits { per_client: often, per_account: often };
        let guesses = Arc::new(Guesses::new(limits, store, key, clock.clone()));
        let logins =
            Logins::new(settings, providers, authority, sessions.clone(), pages, clock, random, metrics, guesses);
        Self { fake, logins, sessions }
    }

    async fn call(&self, browser: &Browser, method: Method, query: &str, body: Bytes) -> Call {
        self.call_on("app.example.kr", browser, method, query, body).await
    }

    async fn call_on(&self, host: &str, browser: &Browser, method: Method, query: &str, body: Bytes) -> Call {
        let mut headers = HeaderMap::new();
        if !browser.0.is_empty() {
            let pairs: Vec<_> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        }
        if body.first() == Some(&b'{') {
            headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        }
        let client = Client::at("192.0.2.7".parse().unwrap());
        let visit = self.sessions.visit(&headers, &client).await;
        Call {
            method,
            headers,
            query: Some(query.to_owned()),
            body,
            client,
            origin: self.logins.origin_of(host),
            is_navigation: true,
            may_begin_login: true,
            visit,
            wants_page: true,
            language: crate::text::Language::English,
        }
    }

    async fn page(&self, browser: &mut Browser, query: &str) -> CallResult {
        let call = self.call(browser, Method::GET, query, Bytes::new()).await;
        browser.take(self.logins.page(call).await)
    }

    async fn start_login(&self, browser: &mut Browser, query: &str) -> Url {
        let call = self.call(browser, Method::GET, query, Bytes::new()).await;
        browser.take(self.logins.start(call, "corp").await).location().parse().unwrap()
    }

    async fn callback(&self, browser: &mut Browser, query: &str) -> CallResult {
        let call = self.call(browser, Method::GET, query, Bytes::new()).await;
        browser.take(self.logins.callback(call, "corp").await)
    }

    /// Lets the provider accept the code of this authorization request.
    fn provider_agrees(&self, authorization: &Url) {
        let nonce = parameter(authorization, "nonce");
        let tokens = json!({
            "access_token": "at", "refresh_token": "rt", "expires_in": 300, "token_type": "Bearer",
            "id_token": self.fake.id_token(json!({ "nonce": nonce, "email": "a@b.kr" })).expose(),
        });
        self.fake.answer("/token", Reply::json(200, &tokens));
    }

    async fn log_in(&self, browser: &mut Browser, query: &str) -> CallResult {
        let authorization = self.start_login(browser, query).await;
        self.provider_agrees(&authorization);
        let got = self.callback(browser, &format!("code=c&state={}", parameter(&authorization, "state"))).await;
        assert!(got.answer.is_ok(), "{:?}", got.answer);
        got
    }

    async fn is_logged_in(&self, browser: &Browser) -> bool {
        let mut visit = self.call(browser, Method::GET, "", Bytes::new()).await.visit;
        visit.ensure().await;
        visit.access().is_some()
    }
}

impl Browser {
    fn take(&mut self, answer: Result<EndpointAnswer, Failed>) -> CallResult {
        let mut headers = HeaderMap::new();
        match &answer {
            Ok(answer) => answer.cookies.clone().write(&mut headers),
            Err(failed) => failed.cookies.clone().write(&mut headers),
        }
        let set_cookie: Vec<_> =
            headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        for cookie in &set_cookie {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        CallResult { answer, set_cookie }
    }

    fn attempts(&self) -> usize {
        self.0.keys().filter(|name| name.starts_with("sb_tx")).count()
    }
}

impl CallResult {
    fn location(&self) -> &str {
        match self.answer.as_ref().map(|answer| &answer.content) {
            Ok(Content::Redirect(location)) => location,
            other => panic!("no redirect: {other:?}"),
        }
    }

    fn html(&self) -> &str {
        match self.answer.as_ref().map(|answer| &answer.content) {
            Ok(Content::Page(page)) => &page.html,
            other => panic!("no page: {other:?}"),
        }
    }

    fn json(&self) -> &Value {
        match self.answer.as_ref().map(|answer| &answer.content) {
            Ok(Content::Json(value)) => value,
            other => panic!("no JSON: {other:?}"),
        }
    }

    fn error(&self) -> &LoginError {
        match &self.answer {
            Err(failed) => &failed.error,
            Ok(answer) => panic!("no error: {answer:?}"),
        }
    }
}

fn settings() -> Settings {
    Settings {
        public_url: "https://app.example.kr".parse().unwrap(),
        hosts: vec!["admin.example.kr".to_owned(), "intranet".to_owned()],
        base_path: "/auth".to_owned(),
        login_page: None,
        after_login: "/home".to_owned(),
        after_logout: "/bye".to_owned(),
        codes: Vec::new(),
        return_to_origins: vec![],
    }
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn a_login_redirects_to_return_to_with_a_session_and_without_its_attempt() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, "return_to=%2Fdeep%3Fa%3Db").await;
    assert_eq!(authorization.path(), "/authorize");
    assert_eq!(parameter(&authorization, "redirect_uri"), "https://app.example.kr/auth/callback/corp");
    assert_eq!(parameter(&authorization, "code_challenge_method"), "S256");
    assert_eq!(browser.attempts(), 1);
    fixture.provider_agrees(&authorization);
    let got = fixture.callback(&mut browser, &format!("code=c&state={}", parameter(&authorization, "state"))).await;
    assert_eq!(got.location(), "/deep?a=b");
    let answer = got.answer.as_ref().unwrap();
    assert_eq!((answer.status, answer.auth_status), (StatusCode::SEE_OTHER, AuthStatus::Refreshed));
    assert_eq!(browser.attempts(), 0);
    assert!(browser.0.contains_key("sb_did") && fixture.is_logged_in(&browser).await);
}

#[tokio::test]
async fn the_login_page_redirects_to_the_only_provider_except_after_an_error() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    assert!(fixture.page(&mut browser, "return_to=/a").await.location().contains("/authorize?"));
    let page = fixture.page(&mut browser, "error=access_denied&return_to=%2Fa").await;
    assert!(page.html().contains("role=\"alert\""));
    assert!(page.html().contains("href=\"/auth/login/corp?return_to=%2Fa\""), "{}", page.html());
    let made_up = fixture.page(&mut browser, "error=%3Cb%3Ecall+1234&return_to=//evil.example").await;
    assert!(!made_up.html().contains("1234") && !made_up.html().contains("evil"));
}

#[tokio::test]
async fn a_visitor_with_a_session_is_redirected_from_the_login_page() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    fixture.log_in(&mut browser, "").await;
    assert_eq!(fixture.page(&mut browser, "return_to=/a").await.location(), "/a");
    assert_eq!(fixture.page(&mut browser, "return_to=//evil.example").await.location(), "/home");
}

#[tokio::test]
async fn a_state_is_valid_once_and_only_for_its_browser() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, "").await;
    fixture.provider_agrees(&authorization);
    let query = format!("code=c&state={}", parameter(&authorization, "state"));
    let before = browser.clone();

    let stranger = fixture.callback(&mut Browser::default(), &query).await;
    assert!(matches!(stranger.error(), LoginError::AttemptExpired));
    assert!(fixture.callback(&mut browser, &query).await.answer.is_ok());
    fixture.fake.clock.advance(Duration::from_secs(61));
    let replayed = fixture.callback(&mut before.clone(), &query).await;
    assert!(matches!(replayed.error(), LoginError::AttemptExpired));
    assert_eq!(
        fixture.callback(&mut browser, &query).await.location(),
        "/home",
        "the back button of whoever is logged in"
    );
}

#[tokio::test]
async fn a_callback_that_does_not_fit_its_attempt_is_refused_without_asking_the_provider() {
    let fixture = LoginFixture::start().await;
    for bend in [
        |state: String| format!("code=c&state={}x", &state[..state.len() - 1]),
        |state: String| format!("code=c&state={state}&state={state}"),
        |_| "code=c".to_owned(),
        |_| "code=c&state=".to_owned(),
        |_| String::new(),
    ] {
        let mut browser = Browser::default();
        let authorization = fixture.start_login(&mut browser, "").await;
        fixture.provider_agrees(&authorization);
        let mut state = parameter(&authorization, "state");
        if state.ends_with('x') {
            state.replace_range(state.len() - 1.., "y");
        }
        let got = fixture.callback(&mut browser, &bend(state)).await;
        assert!(matches!(got.error(), LoginError::AttemptExpired | LoginError::RepeatedParameter));
    }
    assert!(fixture.fake.server.seen().iter().all(|seen| seen.target != "/token"));
}

#[tokio::test]
async fn an_attempt_older_than_ten_minutes_has_expired() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, "").await;
    fixture.provider_agrees(&authorization);
    fixture.fake.clock.advance(Duration::from_secs(601));
    let got = fixture.callback(&mut browser, &format!("code=c&state={}", parameter(&authorization, "state"))).await;
    assert!(matches!(got.error(), LoginError::AttemptExpired));
}

#[tokio::test]
async fn a_refusal_of_the_provider_redirects_to_the_login_page_with_a_code_of_ours() {
    let fixture = LoginFixture::start().await;
    for (error, code) in
        [("access_denied", "access_denied"), ("login_required", "interaction_required"), ("%3Cimg%3E", "login_failed")]
    {
        let mut browser = Browser::default();
        let authorization = fixture.start_login(&mut browser, "return_to=/a").await;
        let state = parameter(&authorization, "state");
        let got =
            fixture.callback(&mut browser, &format!("error={error}&error_description=%3Cimg%3E&state={state}")).await;
        assert_eq!(got.location(), format!("/auth/login?error={code}&return_to=%2Fa"));
        assert_eq!(browser.attempts(), 0);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_provider_unavailable() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, "").await;
    fixture.fake.answer("/token", Reply::json(503, &json!({})));
    let got = fixture.callback(&mut browser, &format!("code=c&state={}", parameter(&authorization, "state"))).await;
    assert!(matches!(got.error(), LoginError::ProviderUnavailable(_)));
}

#[tokio::test]
async fn a_person_who_is_not_on_the_allow_list_is_not_allowed() {
    let listed = oidc::Allow::Listed { email_domains: vec!["other.kr".to_owned()], emails: vec![], claims: vec![] };
    let fixture = LoginFixture::with(|settings| settings.allow = Some(listed)).await;
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, "").await;
    fixture.provider_agrees(&authorization);
    let got = fixture.callback(&mut browser, &format!("code=c&state={}", parameter(&authorization, "state"))).await;
    assert!(matches!(got.error(), LoginError::NotAllowed(_)));
    assert!(!fixture.is_logged_in(&browser).await);
}

#[tokio::test]
async fn of_many_tabs_the_newest_five_attempts_can_be_finished() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let mut tabs = Vec::new();
    for i in 0..20 {
        fixture.fake.clock.advance(Duration::from_millis(10));
        tabs.push(fixture.start_login(&mut browser, &format!("return_to=/{i}")).await);
    }
    assert_eq!(browser.attempts(), 5);
    for (i, authorization) in tabs.iter().enumerate().rev() {
        fixture.provider_agrees(authorization);
        let got = fixture.callback(&mut browser, &format!("code=c&state={}", parameter(authorization, "state"))).await;
        assert_eq!(got.location(), if i >= 15 { format!("/{i}") } else { "/home".to_owned() });
    }
}

#[tokio::test]
async fn the_fourth_login_for_one_path_in_a_row_gets_the_login_loop_page() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    for _ in 0..3 {
        fixture.log_in(&mut browser, "return_to=/a").await;
    }
    let call = fixture.call(&browser, Method::GET, "return_to=/a", Bytes::new()).await;
    let got = browser.take(fixture.logins.start(call, "corp").await);
    assert!(got.html().contains("href=\"/auth/login/corp?return_to=%2Fa\""));
    fixture.log_in(&mut browser, "return_to=/a").await;
}

#[tokio::test]
async fn a_provider_that_posts_its_answer_gets_a_cross_site_cookie_that_has_the_device() {
    let fixture = LoginFixture::with(|settings| settings.response_mode = oidc::ResponseMode::FormPost).await;
    let mut browser = Browser::default();
    browser.0.insert("sb_did".to_owned(), "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11".to_owned());
    let call = fixture.call(&browser, Method::GET, "", Bytes::new()).await;
    let started = browser.take(fixture.logins.start(call, "corp").await);
    assert!(started.set_cookie[0].contains("SameSite=None") && started.set_cookie[0].contains("Secure"));
    let authorization: Url = started.location().parse().unwrap();
    fixture.provider_agrees(&authorization);
    // A cross-site POST has no SameSite=Lax cookies.
    browser.0.remove("sb_did");
    let form = Bytes::from(format!("code=c&state={}", parameter(&authorization, "state")));
    let call = fixture.call(&browser, Method::POST, "", form).await;
    assert_eq!(browser.take(fixture.logins.callback(call, "corp").await).location(), "/home");
    assert_eq!(browser.0["sb_did"], "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11");
}

#[tokio::test]
async fn a_form_logs_out_at_the_provider_too_and_a_script_gets_success() {
    let fixture = LoginFixture::start().await;
    fixture.fake.answer("/revoke", Reply::json(200, &json!({})));
    let mut browser = Browser::default();
    fixture.log_in(&mut browser, "").await;
    let stale = browser.clone();
    let call = fixture.call(&browser, Method::POST, "", Bytes::new()).await;
    let got = browser.take(fixture.logins.logout(call, AfterLogout::Open).await);
    let end: Url = got.location().parse().unwrap();
    assert_eq!(end.path(), "/end");
    assert_eq!(parameter(&end, "post_logout_redirect_uri"), "https://app.example.kr/bye");
    assert!(!parameter(&end, "id_token_hint").is_empty());
    assert_eq!(browser.0.keys().collect::<Vec<_>>(), ["sb_did"]);
    assert!(!fixture.is_logged_in(&stale).await, "cookies that were kept are worth nothing");

    fixture.log_in(&mut browser, "").await;
    let mut call = fixture.call(&browser, Method::POST, "", Bytes::new()).await;
    call.headers.insert("sec-fetch-mode", "cors".parse().unwrap());
    let got = browser.take(fixture.logins.logout(call, AfterLogout::Open).await);
    assert_eq!(got.json()["success"], true);
    let call = fixture.call(&browser, Method::POST, "", Bytes::new()).await;
    assert_eq!(
        browser.take(fixture.logins.logout(call, AfterLogout::Open).await).location(),
        "/bye",
        "nobody was logged in"
    );
}

#[tokio::test]
async fn an_id_token_of_an_app_is_accepted_once() {
    let fixture = LoginFixture::start().await;
    let token = fixture.fake.id_token(json!({ "email": "a@b.kr" }));
    let body = Bytes::from(json!({ "id_token": token.expose() }).to_string());
    // This authority issues no access token for an ID token alone: the login is refused after the token was used up.
    let post = async |browser: &Browser| {
        let call = fixture.call(browser, Method::POST, "", body.clone()).await;
        Browser::default().take(fixture.logins.id_token(call, "corp").await)
    };
    assert!(matches!(post(&Browser::default()).await.error(), LoginError::NotConfigured));
    assert!(matches!(post(&Browser::default()).await.error(), LoginError::UsedIdToken));
}

#[tokio::test]
async fn a_browser_must_show_a_nonce_of_ours() {
    let fixture = LoginFixture::start().await;
    let browser = Browser(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    let call = fixture.call(&browser, Method::POST, "", Bytes::new()).await;
    let nonce = Browser::default().take(fixture.logins.nonce(&call, "corp")).json()["nonce"].clone();
    let post = async |claims: Value| {
        let body = json!({ "id_token": fixture.fake.id_token(claims).expose() }).to_string();
        let call = fixture.call(&browser, Method::POST, "", Bytes::from(body)).await;
        Browser::default().take(fixture.logins.id_token(call, "corp").await)
    };
    assert!(matches!(post(json!({})).await.error(), LoginError::NonceExpected));
    assert!(matches!(post(json!({ "nonce": "made up" })).await.error(), LoginError::NonceExpected));
    assert!(matches!(post(json!({ "nonce": nonce })).await.error(), LoginError::NotConfigured));
    assert!(matches!(post(json!({ "nonce": nonce, "email": "c@d.kr" })).await.error(), LoginError::UsedIdToken));
}

#[tokio::test]
async fn a_login_that_is_not_configured_is_not_found() {
    let fixture = LoginFixture::with(|settings| settings.id_token_audiences = None).await;
    let call = async || fixture.call(&Browser::default(), Method::POST, "", Bytes::from("{}")).await;
    let errors = [
        fixture.logins.start(call().await, "nobody").await.unwrap_err().error,
        fixture.logins.callback(call().await, "nobody").await.unwrap_err().error,
        fixture.logins.id_token(call().await, "corp").await.unwrap_err().error,
        fixture.logins.nonce(&call().await, "corp").unwrap_err().error,
        fixture.logins.credentials(call().await).await.unwrap_err().error,
    ];
    assert!(errors.iter().all(|error| matches!(error, LoginError::NotConfigured)), "{errors:?}");
}
