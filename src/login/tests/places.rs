//! Where logins and logouts begin and end.

use super::*;

async fn script_logs_out(fixture: &LoginFixture, browser: &mut Browser, after: AfterLogout) -> String {
    let mut call = fixture.call(browser, Method::POST, "", Bytes::new()).await;
    call.headers.insert("sec-fetch-mode", "cors".parse().unwrap());
    let got = browser.take(fixture.logins.logout(call, after).await);
    assert_eq!(got.json()["success"], true);
    got.json()["url"].as_str().unwrap().to_owned()
}

async fn form_logs_out(fixture: &LoginFixture, browser: &mut Browser, after: AfterLogout) -> String {
    let call = fixture.call(browser, Method::POST, "", Bytes::new()).await;
    browser.take(fixture.logins.logout(call, after).await).location().to_owned()
}

async fn logged_out(fixture: &LoginFixture, address: &str) -> CallResult {
    let query = address.strip_prefix("/auth/logged-out").unwrap().trim_start_matches('?');
    let call = fixture.call(&Browser::default(), Method::GET, query, Bytes::new()).await;
    Browser::default().take(fixture.logins.logged_out(call).await)
}

#[tokio::test]
async fn a_login_begins_and_ends_on_the_visitors_own_host() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    let on = async |host: &str, browser: &mut Browser, query: &str| {
        let call = fixture.call_on(host, browser, Method::GET, query, Bytes::new()).await;
        browser.take(fixture.logins.start(call, "corp").await)
    };
    let started = on("admin.example.kr", &mut browser, "return_to=/a").await;
    let authorization: Url = started.location().parse().unwrap();
    assert_eq!(parameter(&authorization, "redirect_uri"), "https://admin.example.kr/auth/callback/corp");
    fixture.provider_agrees(&authorization);
    let query = format!("code=c&state={}", parameter(&authorization, "state"));
    // The cookie belongs to the host: one that was copied to another host is worth nothing there.
    let elsewhere = fixture.callback(&mut browser.clone(), &query).await;
    assert!(matches!(elsewhere.error(), LoginError::AttemptExpired));
    let call = fixture.call_on("admin.example.kr", &browser, Method::GET, &query, Bytes::new()).await;
    assert_eq!(browser.take(fixture.logins.callback(call, "corp").await).location(), "/a");
    let exchange = fixture.fake.server.seen().into_iter().find(|seen| seen.target == "/token").unwrap();
    assert_eq!(exchange.field("redirect_uri").as_deref(), Some("https://admin.example.kr/auth/callback/corp"));

    let intranet = on("intranet", &mut Browser::default(), "return_to=https://intranet/a").await;
    assert_eq!(intranet.location(), "https://app.example.kr/auth/login/corp?return_to=%2Fa");
    assert!(intranet.set_cookie.is_empty());
}

#[tokio::test]
async fn a_long_address_is_stored_for_its_attempt_and_only_a_navigation_stores_one() {
    let fixture = LoginFixture::start().await;
    let long = format!("/deep?q={}", "x".repeat(7_000));
    for (is_navigation, end) in [(true, long.as_str()), (false, "/deep")] {
        let mut browser = Browser::default();
        let mut call = fixture.call(&browser, Method::GET, &format!("return_to={long}"), Bytes::new()).await;
        call.is_navigation = is_navigation;
        let started = browser.take(fixture.logins.start(call, "corp").await);
        assert!(started.set_cookie[0].len() < 4096, "{}", started.set_cookie[0].len());
        let authorization: Url = started.location().parse().unwrap();
        assert!(started.location().len() < 2000, "the provider's address does not grow");
        fixture.provider_agrees(&authorization);
        let query = format!("code=c&state={}", parameter(&authorization, "state"));
        assert_eq!(fixture.callback(&mut browser, &query).await.location(), end);
    }
}

#[tokio::test]
async fn the_longest_address_in_a_cookie_leaves_it_shorter_than_check_says() {
    let fixture = LoginFixture::start().await;
    let asked = format!("/{}", "a".repeat(1_999));
    let call = fixture.call(&Browser::default(), Method::GET, &format!("return_to={asked}"), Bytes::new()).await;
    let started = Browser::default().take(fixture.logins.start(call, "corp").await);
    let cookie = started.set_cookie[0].split(';').next().unwrap();
    assert!(cookie.len() <= 3_170, "{}", cookie.len());
}

#[tokio::test]
async fn a_script_gets_an_address_that_goes_on_to_the_providers_logout_once() {
    let fixture = LoginFixture::start().await;
    fixture.fake.answer("/revoke", Reply::json(200, &json!({})));
    let mut browser = Browser::default();
    fixture.log_in(&mut browser, "").await;
    let url = script_logs_out(&fixture, &mut browser, AfterLogout::NeedsLogin).await;
    assert!(url.starts_with("/auth/logged-out?go=") && !url.contains("eyJ"), "{url}");
    let gone_on: Url = logged_out(&fixture, &url).await.location().parse().unwrap();
    assert_eq!(gone_on.path(), "/end");
    assert!(!parameter(&gone_on, "id_token_hint").is_empty());
    assert_eq!(parameter(&gone_on, "post_logout_redirect_uri"), "https://app.example.kr/auth/logged-out");
    assert!(logged_out(&fixture, &url).await.html().contains("You are logged out"));
}

#[tokio::test]
async fn a_logout_without_a_providers_ends_on_an_open_page() {
    let fixture = LoginFixture::start().await;
    fixture.fake.answer("/revoke", Reply::json(200, &json!({})));
    fixture.fake.answer(oidc::fake::METADATA, fixture.fake.metadata_with(json!({ "end_session_endpoint": null })));
    let mut browser = Browser::default();
    let page = "/auth/logged-out?provider=corp";
    for (after, end) in [(AfterLogout::NeedsLogin, page), (AfterLogout::Open, "/bye")] {
        fixture.log_in(&mut browser, "return_to=/a").await;
        assert_eq!(form_logs_out(&fixture, &mut browser, after).await, end);
        fixture.log_in(&mut browser, "return_to=/b").await;
        assert_eq!(script_logs_out(&fixture, &mut browser, after).await, page);
        assert_eq!(form_logs_out(&fixture, &mut browser, after).await, end.split('?').next().unwrap(), "nobody");
    }
    let shown = logged_out(&fixture, page).await;
    assert!(shown.html().contains("corp has no logout of its own"), "{}", shown.html());
    assert!(shown.html().contains("href=\"/auth/login\""));
    for other in ["/auth/logged-out", "/auth/logged-out?provider=made+up", "/auth/logged-out?go=x"] {
        let shown = logged_out(&fixture, other).await;
        assert!(!shown.html().contains("no logout of its own") && !shown.html().contains("made up"));
    }
    let repeated = logged_out(&fixture, "/auth/logged-out?provider=corp&provider=x").await;
    assert!(matches!(repeated.error(), LoginError::RepeatedParameter));
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_at_every_endpoint_that_reads_it() {
    let fixture = LoginFixture::start().await;
    let call = async |query: &str| fixture.call(&Browser::default(), Method::GET, query, Bytes::new()).await;
    for query in ["return_to=/a&return_to=/b", "return_to=/a&return_to=/a", "return_to=&return_to=/a"] {
        let page = fixture.logins.page(call(query).await).await.unwrap_err();
        let start = fixture.logins.start(call(query).await, "corp").await.unwrap_err();
        for failed in [page, start] {
            assert!(matches!(failed.error, LoginError::RepeatedParameter), "{query}");
        }
    }
    let page = fixture.logins.page(call("error=a&error=b").await).await.unwrap_err();
    assert!(matches!(page.error, LoginError::RepeatedParameter));
}

#[tokio::test]
async fn no_cookie_of_an_attempt_is_longer_than_check_says() {
    let fixture = LoginFixture::with(|provider| provider.response_mode = oidc::ResponseMode::FormPost).await;
    let mut browser = Browser::default();
    fixture.log_in(&mut browser, "").await;
    let longest = format!("/{}", "a".repeat(crate::endpoint::LONGEST_IN_COOKIE - 1));
    fixture.start_login(&mut browser, &format!("return_to={longest}")).await;
    let (name, value) = browser.0.iter().find(|(name, _)| name.starts_with("sb_tx")).unwrap();
    let settings = session::test_settings("https://app.example.kr");
    let counted = settings.longest_cookie_header(1, 0) - settings.longest_cookie_header(0, 0);
    let real = "; ".len() + name.len() + "=".len() + value.len();
    assert!(real <= counted && counted - real < 200, "{real} of {counted}");
}

#[tokio::test]
async fn a_login_begins_only_with_what_a_person_can_have_opened() {
    let fixture = LoginFixture::start().await;
    for is_page in [true, false] {
        let mut call = fixture.call(&Browser::default(), Method::GET, "return_to=/a", Bytes::new()).await;
        call.may_begin_login = false;
        let mut browser = Browser::default();
        let got = if is_page { fixture.logins.page(call).await } else { fixture.logins.start(call, "corp").await };
        let got = browser.take(got);
        assert!(matches!(got.error(), LoginError::NotOpened) && got.set_cookie.is_empty());
        assert_eq!(got.answer.unwrap_err().return_to.as_deref(), Some("/a"));
    }
}

#[tokio::test]
async fn the_page_for_a_callback_of_no_attempt_leads_to_where_the_newest_login_under_way_does() {
    let fixture = LoginFixture::start().await;
    let mut browser = Browser::default();
    for asked in ["/first", "/newest"] {
        fixture.start_login(&mut browser, &format!("return_to={asked}")).await;
        fixture.fake.clock.advance(Duration::from_secs(1));
    }
    for query in ["code=c&state=unknown", "code=c&state=", "code=c", "error=access_denied"] {
        let got = fixture.callback(&mut browser, query).await;
        assert!(matches!(got.error(), LoginError::AttemptExpired) && got.set_cookie.is_empty(), "{query}");
        assert_eq!(got.answer.unwrap_err().return_to.as_deref(), Some("/newest"), "{query}");
    }
    let stranger = fixture.callback(&mut Browser::default(), "code=c&state=unknown").await;
    assert_eq!(stranger.answer.unwrap_err().return_to, None);
    fixture.fake.clock.advance(Duration::from_secs(600));
    let late = fixture.callback(&mut browser, "code=c&state=unknown").await;
    assert_eq!(late.answer.unwrap_err().return_to, None, "the login is no longer under way");
}
