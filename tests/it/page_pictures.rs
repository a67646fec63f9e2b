//! The gateway's own pages in a real Chromium: their pictures, what axe-core finds on them, and the order of the
//! keyboard.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::process::Command;
use url::Url;
use vestibule::{
    channel::Channel,
    pages::{
        Asset, Brand, CodeForm, CodePage, CodeSent, Color, FormField, InputType, LoginPage, Page, Pages, PasswordForm,
        ProviderLink, Settings, Site,
    },
    problem::{Failure, Problem, ProblemKind},
    respond::{self, Responder, StrictTransport, WantedForm, Wants},
    secret::Random,
    telemetry::{Metrics, RequestIds},
    text::{Language, Text},
};

use crate::harness::secs;

const LONG_NAME: &str = "Bundesanstalt für Finanzdienstleistungsaufsicht und Wirtschaftsprüfung (Beschäftigte)";

fn pages(settings: &Settings) -> Pages {
    let public_url = Url::parse("https://app.example.kr").unwrap();
    Pages::new(settings, &Site { public_url: &public_url, base_path: "/auth", form_targets: &[] }).unwrap()
}

fn provider(brand: Brand, name: &'static str) -> ProviderLink<'static> {
    ProviderLink { href: format!("/auth/login/{name}?return_to=%2Forders"), brand, label: None, name }
}

fn labelled(label: &'static str, name: &'static str) -> ProviderLink<'static> {
    ProviderLink { label: Some(label), ..provider(Brand::Other, name) }
}

fn password(language: Language) -> PasswordForm<'static> {
    let field = |name, label: Text, input, autocomplete| FormField {
        name,
        label: label.say(language),
        input,
        autocomplete: Some(autocomplete),
    };
    let fields = vec![
        field("email", Text::Email, InputType::Email, "username"),
        field("password", Text::Password, InputType::Password, "current-password"),
    ];
    PasswordForm { action: "/auth/login".to_owned(), return_to: "/orders", fields }
}

fn codes() -> Vec<CodeForm<'static>> {
    Channel::ALL.map(|channel| CodeForm { channel, name: channel.field(), return_to: "/orders" }).into()
}

fn brands() -> Vec<ProviderLink<'static>> {
    vec![
        provider(Brand::Google, "google"),
        provider(Brand::Kakao, "kakao"),
        provider(Brand::Naver, "naver"),
        provider(Brand::GitHub, "github"),
        provider(Brand::Apple, "apple"),
        labelled("Staff account", "corp"),
    ]
}

/// A login page without a message and without a way to log in.
fn bare(language: Language) -> LoginPage<'static> {
    LoginPage {
        language,
        message: None,
        invalid: false,
        password_first: false,
        methods: vec![],
        codes: vec![],
        form: None,
    }
}

fn login_pages(language: Language) -> Vec<(&'static str, Page)> {
    let plain = pages(&Settings::default());
    let full = || LoginPage { methods: brands(), codes: codes(), form: Some(password(language)), ..bare(language) };
    let say = |text: Text| Some(text.say(language).into());
    let twelve = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"];
    let twelve = twelve.map(|name| provider(Brand::Other, name)).into_iter().chain([labelled(LONG_NAME, "long")]);
    let branded = pages(&Settings {
        name: Some("아주 긴 이름을 가진 식자재 주문 서비스 Vestibule Groceries & Household International".to_owned()),
        color: Color::parse("#fee500"),
        background: Color::parse("#123"),
        ..Settings::default()
    });
    let first = |provider| LoginPage { methods: vec![provider], form: Some(password(language)), ..bare(language) };
    vec![
        ("login", plain.login(&full())),
        (
            "login-wrong-password",
            plain.login(&LoginPage {
                message: say(Text::BadCredentials),
                invalid: true,
                password_first: true,
                ..full()
            }),
        ),
        ("login-denied", plain.login(&LoginPage { message: say(Text::AccessDenied), ..full() })),
        ("login-password-alone", plain.login(&LoginPage { form: Some(password(language)), ..bare(language) })),
        ("login-codes-alone", plain.login(&LoginPage { codes: codes(), ..bare(language) })),
        ("login-github-first", plain.login(&first(provider(Brand::GitHub, "github")))),
        ("login-apple-first", plain.login(&first(provider(Brand::Apple, "apple")))),
        ("login-twelve", plain.login(&LoginPage { methods: twelve.collect(), ..bare(language) })),
        ("login-branded", branded.login(&LoginPage { methods: vec![labelled("Staff", "corp")], ..full() })),
        ("login-no-way", plain.login(&bare(language))),
    ]
}

fn code_pages(language: Language) -> Vec<(&'static str, Page)> {
    let plain = pages(&Settings::default());
    let page = |channel, left: Option<u64>, problem: Option<ProblemKind>, notice| {
        let address = match channel {
            Channel::Sms => "010-****-5678",
            Channel::Email => "m***@example.kr",
        };
        plain.code(&CodePage {
            language,
            channel,
            sent: left.map(|left| CodeSent { address, left }),
            message: problem.map(|problem| problem.text(language, Some(37))),
            invalid: problem.is_some_and(|problem| problem != ProblemKind::TooSoon),
            retry: None,
            notice,
            start: "/auth/login/sms?other=1".to_owned(),
            login_page: "/auth/login?return_to=%2Forders".to_owned(),
            return_to: "/orders",
            address_field: channel.field(),
            code_field: "code",
        })
    };
    vec![
        ("code-phone", page(Channel::Sms, None, None, None)),
        ("code-email-wrong", page(Channel::Email, None, Some(ProblemKind::BadEmail), None)),
        ("code-sent", page(Channel::Sms, Some(170), None, None)),
        ("code-wrong", page(Channel::Sms, Some(141), Some(ProblemKind::CodeWrong), None)),
        ("code-too-soon", page(Channel::Email, Some(141), Some(ProblemKind::TooSoon), None)),
        ("code-again", page(Channel::Email, Some(99), None, Some(Text::CodeSentAgain))),
        ("code-over", page(Channel::Sms, Some(0), None, None)),
    ]
}

/// The problems whose pages differ in more than their texts.
const PROBLEMS: [(&str, ProblemKind); 13] = [
    ("problem-forbidden", ProblemKind::Forbidden),
    ("problem-not-found", ProblemKind::NotFound),
    ("problem-upstream", ProblemKind::UpstreamUnreachable),
    ("problem-outage", ProblemKind::AuthorityUnavailable),
    ("problem-attempt-expired", ProblemKind::AttemptExpired),
    ("problem-not-allowed", ProblemKind::NotAllowed),
    ("problem-misconfigured", ProblemKind::ProviderMisconfigured),
    ("problem-unknown-host", ProblemKind::UnknownHost),
    ("problem-wrong-method", ProblemKind::WrongMethod),
    ("problem-too-many", ProblemKind::TooManyRefreshes),
    ("problem-bad-request", ProblemKind::AmbiguousRequest),
    ("problem-login-required", ProblemKind::LoginRequired),
    ("problem-cookies", ProblemKind::HeadersTooLarge),
];

fn problem_pages(language: Language) -> Vec<(&'static str, Response<bytes::Bytes>)> {
    let settings = respond::Settings {
        login_page: "/auth/login".to_owned(),
        after_login: "/".to_owned(),
        callback_url: false,
        strict_transport: StrictTransport::Required,
    };
    let responder = Responder::new(settings, Arc::new(pages(&Settings::default())), Arc::new(Metrics::new()));
    let ids = RequestIds::new(&Random::system());
    let answer = |kind| {
        let mut problem = Problem::new(kind).after(Duration::from_secs(30));
        problem.set_return_to(Some("/admin?tab=1".to_owned()));
        // The pages of logins are at endpoints of the gateway, which a browser cannot load again.
        let can_reload =
            !matches!(kind, ProblemKind::AttemptExpired | ProblemKind::NotAllowed | ProblemKind::ProviderMisconfigured);
        let wants = Wants { form: WantedForm::Page, language, has_bearer: false, can_reload };
        responder.answer(&Failure::Problem(problem), wants, &ids.next())
    };
    PROBLEMS.map(|(name, kind)| (name, answer(kind))).into()
}

/// A page as the browser gets it.
fn written(name: &str, language: Language, headers: &HeaderMap, html: &str) -> Value {
    // The browser would load a page with `Refresh` again while it is looked at.
    let kept = headers.iter().filter(|(name, _)| *name != http::header::REFRESH);
    let headers: serde_json::Map<String, Value> =
        kept.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    json!({ "name": name, "language": language.tag(), "headers": headers, "html": html })
}

fn every_page(language: Language) -> Vec<Value> {
    let plain = pages(&Settings::default());
    let mut all: Vec<Value> = Vec::new();
    let notices = [
        ("login-loop", plain.login_loop(language, "/auth/login/google", Some("5b0c3a9f27e14d68"))),
        ("logged-out", plain.logged_out(language, None, "/auth/login".to_owned())),
        ("logged-out-google", plain.logged_out(language, Some("Google"), "/auth/login".to_owned())),
    ];
    for (name, page) in login_pages(language).into_iter().chain(code_pages(language)).chain(notices) {
        all.push(written(name, language, &page.headers, &page.html));
    }
    for (name, response) in problem_pages(language) {
        all.push(written(name, language, response.headers(), std::str::from_utf8(response.body()).unwrap()));
    }
    all
}

#[tokio::test]
async fn every_page_can_be_read_and_used_in_both_languages_on_a_phone_and_in_the_dark() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    let all: Vec<Value> = Language::ALL.iter().flat_map(|language| every_page(*language)).collect();
    let count = all.len();
    let (_, script) = pages(&Settings::default()).asset(Asset::Script).unwrap();
    let input = json!({ "pages": all, "script": std::str::from_utf8(&script).unwrap() });
    std::fs::write(folder.join("pages.json"), input.to_string()).unwrap();
    let visit = Command::new("node")
        .arg("pages.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
        .env("FOLDER", &folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let visit = tokio::time::timeout(secs(240), visit).await.expect("the visit ends").unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&visit.stdout), String::from_utf8_lossy(&visit.stderr));
    assert!(visit.status.success(), "{said}{complaints}");
    crate::harness::report(&said);
    let seen: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    // On two widths, in light and dark; the order of the last way is a page more in each language.
    assert_eq!(seen["pictures"], (count + Language::ALL.len()) * 4, "{said}");
    assert_eq!(seen["violations"], 0, "{said}");
}
