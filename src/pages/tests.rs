//! Tests of the gateway's own pages.

use super::*;
use crate::channel::Channel;

const EVIL: &str = r#""><script>alert(1)</script><img src=x onerror='alert(1)'>"#;

fn pages() -> Pages {
    with(&Settings::default()).unwrap()
}

fn with(settings: &Settings) -> Result<Pages, TemplateFault> {
    Pages::new(
        settings,
        &Site {
            public_url: &Url::parse("https://app.example.kr").unwrap(),
            base_path: "/auth",
            form_targets: &["https://partner.example.kr".to_owned()],
        },
    )
}

fn fields() -> Vec<FormField<'static>> {
    vec![
        FormField { name: "email", label: "E-mail", input: InputType::Email, autocomplete: Some("username") },
        FormField {
            name: "password",
            label: "Password",
            input: InputType::Password,
            autocomplete: Some("current-password"),
        },
    ]
}

fn method(brand: Brand, label: Option<&'static str>, name: &'static str) -> ProviderLink<'static> {
    ProviderLink { href: format!("/auth/login/{name}?return_to=%2Fa"), brand, label, name }
}

#[test]
fn the_login_page_has_a_button_for_each_provider_and_the_form() {
    let page = pages().login(&LoginPage {
        language: Language::Korean,
        message: None,
        invalid: false,
        password_first: false,
        methods: vec![
            method(Brand::Google, None, "google"),
            method(Brand::Kakao, None, "kakao"),
            method(Brand::Other, Some("사내 계정 시스템"), "corp"),
            method(Brand::Other, None, "github"),
            method(Brand::GitHub, None, "github"),
            method(Brand::Other, Some("사내 계정"), "staff"),
            method(Brand::Other, Some("회사 계정으로"), "company"),
            method(Brand::Other, Some(" 학교 계정으로 계속하기 "), "school"),
        ],
        codes: vec![CodeForm { channel: Channel::Sms, name: "phone", return_to: "/" }],
        form: Some(PasswordForm { action: "/auth/login".to_owned(), return_to: "/a?b=c&d", fields: fields() }),
    });
    for expected in [
        "<html lang=\"ko\">",
        "Google 계정으로 계속하기",
        "카카오 로그인",
        "사내 계정 시스템 계정으로 계속하기",
        "github 계정으로 계속하기",
        "GitHub 계정으로 계속하기",
        ">사내 계정으로 계속하기<",
        ">회사 계정으로 계속하기<",
        ">학교 계정으로 계속하기<",
        "class=\"button kakao\"",
        "method=\"post\" action=\"/auth/login\"",
        "name=\"return_to\" value=\"/a?b=c&amp;d\"",
        "또는",
        "app.example.kr",
    ] {
        assert!(page.html.contains(expected), "{expected}\n{}", page.html);
    }
    assert!(!page.html.contains("role=\"alert\""));
}

#[test]
fn the_login_page_without_providers_has_only_the_form_and_without_methods_a_notice() {
    let view = |form| LoginPage {
        language: Language::English,
        message: Some(Text::BadCredentials.say(Language::English).into()),
        invalid: true,
        password_first: false,
        methods: vec![],
        codes: vec![],
        form,
    };
    let alone = pages()
        .login(&view(Some(PasswordForm { action: "/auth/login".to_owned(), return_to: "/", fields: fields() })))
        .html;
    assert!(alone.contains("<form") && !alone.contains("class=\"or\"") && !alone.contains("class=\"methods\""));
    assert!(alone.contains("role=\"alert\">The e-mail address or the password is wrong."));
    let none = pages().login(&view(None)).html;
    assert!(none.contains("No way to log in") && !none.contains("<form"));
}

#[test]
fn english_buttons_have_the_english_names_of_known_providers() {
    let page = pages().login(&LoginPage {
        language: Language::English,
        message: None,
        invalid: false,
        password_first: false,
        methods: vec![
            method(Brand::Kakao, None, "kakao"),
            method(Brand::Naver, None, "naver"),
            method(Brand::Apple, None, "apple"),
            method(Brand::Other, Some("Staff account"), "corp"),
            method(Brand::Other, Some("Sign in with Acme"), "acme"),
            method(Brand::Other, Some("Beta로 로그인"), "beta"),
        ],
        codes: vec![],
        form: None,
    });
    for expected in [
        "Login with Kakao",
        "Log in with NAVER",
        "Continue with Staff account",
        "Continue with Apple",
        "Sign in with Acme",
        "Beta로 로그인",
    ] {
        assert!(page.html.contains(expected), "{expected}\n{}", page.html);
    }
    assert!(!page.html.contains("Continue with Sign in") && !page.html.contains("Continue with Beta"));
    let logged_out = pages().logged_out(Language::English, Some("Sign in with Acme"), "/auth/login".to_owned()).html;
    assert!(logged_out.contains("Acme has no logout of its own") && !logged_out.contains("Sign in with"));
}

/// Where `text` begins in `html`.
#[track_caller]
fn place(html: &str, text: &str) -> usize {
    html.find(text).unwrap_or_else(|| panic!("no {text} in {html}"))
}

fn every_way(password_first: bool) -> String {
    let page = pages().login(&LoginPage {
        language: Language::English,
        message: None,
        invalid: false,
        password_first,
        methods: vec![method(Brand::Google, None, "google"), method(Brand::Other, None, "corp")],
        codes: Channel::ALL.map(|channel| CodeForm { channel, name: channel.field(), return_to: "/" }).into(),
        form: Some(PasswordForm { action: "/auth/login".to_owned(), return_to: "/", fields: fields() }),
    });
    page.html
}

#[test]
fn the_first_provider_is_the_main_way_and_forms_are_folded_under_headings_of_their_own() {
    let html = every_way(false);
    let order = [
        "data-way=\"provider google\"",
        "class=\"or\"",
        "data-way=\"provider corp\"",
        "<h2>Log in with an SMS code</h2>",
        "<h2>Log in with an e-mail code</h2>",
        "<h2>Log in with your password</h2>",
    ];
    assert!(order.map(|text| place(&html, text)).is_sorted(), "{html}");
    assert_eq!((html.matches("<details>").count(), html.matches("<details open").count()), (3, 0));
    assert!(html.contains(">E-mail address for the code<") && html.contains(">E-mail<"), "two labels: {html}");
    assert!(html.len() + SCRIPT.len() < 16 << 10, "{} octets are much for a phone", html.len() + SCRIPT.len());
}

#[test]
fn after_a_wrong_password_its_form_is_first_and_open() {
    let html = every_way(true);
    assert!(place(&html, "data-way=\"password\"") < place(&html, "class=\"or\""), "{html}");
    assert!(place(&html, "id=\"login-password\"") < place(&html, "data-way=\"provider google\""), "{html}");
    assert_eq!(html.matches("<details>").count(), 2);
}

#[test]
fn a_mark_is_on_the_button_of_each_brand_whose_owner_lets_others_draw_it() {
    for (brand, marks) in [
        (Brand::Google, 1),
        (Brand::Kakao, 1),
        (Brand::Naver, 1),
        (Brand::GitHub, 1),
        (Brand::Apple, 0),
        (Brand::Other, 0),
    ] {
        let page = pages().login(&LoginPage {
            language: Language::Korean,
            message: None,
            invalid: false,
            password_first: false,
            methods: vec![method(brand, None, "one")],
            codes: vec![],
            form: None,
        });
        let html = page.html;
        assert_eq!(html.matches("<svg class=\"mark\"").count(), marks, "{html}");
        assert_eq!(html.matches("aria-hidden=\"true\"").count(), marks, "{html}");
    }
}

/// The mark of a field that the message on the page is about.
const MARK: &str = "aria-invalid=\"true\" aria-describedby=\"message";

#[test]
fn a_page_with_a_message_says_so_in_its_title_and_marks_the_field_that_it_is_about() {
    let login = |invalid| {
        let form = Some(PasswordForm { action: "/auth/login".to_owned(), return_to: "/", fields: fields() });
        let message = Some("wrong".into());
        pages()
            .login(&LoginPage {
                language: Language::English,
                message,
                invalid,
                password_first: true,
                methods: vec![],
                codes: vec![],
                form,
            })
            .html
    };
    let code = |channel, sent, message: Option<&'static str>, invalid| {
        pages()
            .code(&CodePage {
                language: Language::Korean,
                channel,
                address_field: "phone",
                code_field: "code",
                sent,
                message: message.map(Into::into),
                invalid,
                retry: None,
                notice: None,
                start: "/".to_owned(),
                login_page: "/auth/login".to_owned(),
                return_to: "/",
            })
            .html
    };
    let sent = Some(CodeSent { address: "a", left: 1 });
    for (html, fields) in [
        (login(true), 2),
        (login(false), 0),
        (code(Channel::Sms, sent, Some("wrong"), true), 1),
        (code(Channel::Sms, sent, Some("later"), false), 0),
        (code(Channel::Sms, None, Some("wrong"), true), 1),
        (code(Channel::Email, None, Some("wrong"), true), 1),
    ] {
        assert_eq!(html.matches(MARK).count(), fields, "{html}");
        assert_eq!(html.matches("id=\"message\" role=\"alert\"").count(), 1);
        assert!(html.contains("<title>Error: Log in ·") || html.contains("<title>오류: "), "{html}");
        assert!(html.contains("<h1>Log in</h1>") || !html.contains("<h1>오류"), "the heading is the page's own");
    }
    let plain = code(Channel::Sms, sent, None, false);
    assert!(plain.contains("<title>인증번호 입력 ·") && !plain.contains(MARK), "{plain}");
}

#[test]
fn every_value_from_a_request_or_the_configuration_is_escaped() {
    let page = pages().login(&LoginPage {
        language: Language::English,
        message: None,
        invalid: false,
        password_first: false,
        methods: vec![ProviderLink { href: EVIL.to_owned(), brand: Brand::Other, label: Some(EVIL), name: EVIL }],
        codes: vec![CodeForm { channel: Channel::Email, name: "email", return_to: EVIL }],
        form: Some(PasswordForm { action: EVIL.to_owned(), return_to: EVIL, fields: fields() }),
    });
    let error = ErrorPage {
        language: Language::English,
        title: EVIL,
        advice: Some(EVIL.into()),
        actions: vec![
            Action::LogInAsAnother { return_to: Some(EVIL.to_owned()) },
            Action::Link(Text::Home, EVIL.to_owned()),
        ],
        is_error: true,
        request_id: Some(EVIL),
    };
    let again = pages().login_loop(Language::English, EVIL, Some(EVIL));
    for (html, times) in [(page.html, 6), (pages().error(&error).html, 6), (again.html, 2)] {
        let html = html.replace("<script src=\"/auth/assets/page.js?", "");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains(EVIL), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), times, "{html}");
    }
}

#[test]
fn a_problem_page_has_its_actions_in_their_order_and_the_number_of_the_request() {
    let page = pages().error(&ErrorPage {
        language: Language::English,
        title: "You may not do this",
        advice: Some("Ask.".into()),
        actions: vec![
            Action::LogInAsAnother { return_to: Some("/admin?a=b".to_owned()) },
            Action::Reload,
            Action::Link(Text::Home, "/app".to_owned()),
        ],
        is_error: true,
        request_id: Some("0123abcd"),
    });
    let html = page.html;
    let order = [
        "<form method=\"post\" action=\"/auth/logout\">",
        "name=\"login_to\" value=\"/admin?a=b\"",
        "<a class=\"button other\" href=\"\" rel=\"nofollow\">Try again</a>",
        "<a class=\"button other\" href=\"/app\"",
        "data-back hidden>Go back<",
        "<code>0123abcd</code>",
    ];
    assert!(order.map(|text| place(&html, text)).is_sorted(), "{html}");
    // A form that is posted from a page with `no-referrer` would be refused as cross-site.
    assert_eq!(page.headers[header::REFERRER_POLICY], "same-origin");
    let done = pages().logged_out(Language::English, None, "/auth/login?return_to=%2Fa".to_owned());
    assert_eq!(done.headers[header::REFERRER_POLICY], "no-referrer");
    assert!(
        done.html.contains("href=\"/auth/login?return_to=%2Fa\"") && !done.html.contains("<code>"),
        "{}",
        done.html
    );
}

#[test]
fn the_page_that_stops_a_loop_leads_to_where_the_next_login_begins() {
    for language in [Language::Korean, Language::English] {
        let html = pages().login_loop(language, "/auth/login/google?return_to=%2Fa", None).html;
        assert!(html.contains(Text::LoginLoop.say(language)) && html.contains(Text::LoginLoopAdvice.say(language)));
        assert!(html.contains("href=\"/auth/login/google?return_to=%2Fa\""));
    }
}

#[test]
fn the_style_that_the_policy_allows_is_the_one_on_the_page() {
    let page = pages().login_loop(Language::English, "/", None);
    let style = page.html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    // A browser hashes what its parser made of the text, which turns CR LF into LF.
    assert!(!style.contains('\r'));
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let headers = page.headers;
    assert_eq!(
        headers[header::CONTENT_SECURITY_POLICY],
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; img-src 'self'; form-action 'self' https://partner.example.kr; frame-ancestors 'none'; base-uri 'none'"
        )
    );
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(!page.html.contains(" style="), "inline styles are not allowed by the policy");
}

#[test]
fn the_code_page_asks_for_six_digits_and_shows_the_address_masked() {
    let page = |sent| CodePage {
        language: Language::Korean,
        channel: Channel::Sms,
        address_field: "phone",
        code_field: "code",
        sent,
        message: None,
        invalid: false,
        retry: None,
        notice: None,
        start: "/auth/login/sms?other=1".to_owned(),
        login_page: "/auth/login?return_to=%2Fa".to_owned(),
        return_to: "/a",
    };
    let at = |left| Some(CodeSent { address: "010-****-5678", left });
    let html = pages().code(&page(at(170))).html;
    for expected in [
        "autocomplete=\"one-time-code\"",
        "inputmode=\"numeric\"",
        "action=\"/auth/sms/verify\"",
        "action=\"/auth/sms/resend\"",
        "010-****-5678 ",
        "data-left=\"170\"",
        "<time>2:50</time>",
        "id=\"over\" hidden",
        "href=\"/auth/login/sms?other=1\"",
    ] {
        assert!(html.contains(expected), "{expected}\n{html}");
    }
    let over = pages().code(&page(at(0))).html;
    assert!(over.contains("id=\"over\">") && !over.contains("<time>"));
    let ask = pages().code(&page(None)).html;
    assert!(ask.contains("action=\"/auth/sms/send\"") && !ask.contains("name=\"code\""));
}

#[test]
fn the_operators_name_logo_and_colours_are_on_every_page() {
    let settings = Settings {
        name: Some("식방 <b>".to_owned()),
        logo: Some(Logo { media_type: "image/png", bytes: Bytes::from_static(b"png") }),
        color: Color::parse("#fee500"),
        background: Color::parse("#123"),
        languages: Languages::default(),
        templates: Vec::new(),
    };
    let pages = with(&settings).unwrap();
    let html = pages.login_loop(Language::Korean, "/", None).html;
    assert!(html.contains("<img class=\"logo\" src=\"/auth/assets/logo?") && html.contains("식방 &lt;b&gt;"));
    assert!(html.contains("--own: #fee500; --on-own: #000000;") && html.contains("background: #112233"));
    assert_eq!(pages.asset(Asset::Logo).unwrap(), ("image/png", Bytes::from_static(b"png")));
    assert!(self::pages().asset(Asset::Logo).is_none());
}

#[test]
fn a_template_of_the_operator_replaces_the_built_in_one_and_its_faults_are_found_at_start() {
    let own = |name, source: &str| Settings { templates: vec![(name, source.to_owned())], ..Settings::default() };
    let site =
        Site { public_url: &Url::parse("https://app.example.kr").unwrap(), base_path: "/auth", form_targets: &[] };
    let good = own("notice.html", "<!doctype html><title>{{ title }}</title>");
    assert_eq!(Pages::fault(&good, &site), None);
    assert_eq!(
        with(&good).unwrap().login_loop(Language::English, "/", None).html,
        "<!doctype html><title>The login keeps repeating</title>"
    );
    let broken = Pages::fault(&own("login.html", "a\n{% if %}"), &site).unwrap();
    assert!(broken.name == "login.html" && broken.message.contains("line 2"), "{broken}");
    let unknown = Pages::fault(&own("code.html", "{{ colour }}"), &site).unwrap();
    assert!(unknown.to_string().contains("code.html"), "{unknown}");
    assert_eq!(Pages::fault(&Settings::default(), &site), None);
    assert!(with(&own("style.css", "</style>")).is_err());
}

/// The names of one template in the table of docs/pages.md; those in parentheses are members of the name before them.
fn documented(file: &str) -> Vec<String> {
    let docs = include_str!("../../docs/pages.md");
    let row = docs.lines().find(|line| line.starts_with(&format!("| `{file}`"))).expect("a row for each template");
    let cell = row.split(" | ").nth(2).expect("three columns");
    let outside: String = cell.split('(').map(|part| part.split_once(')').map_or(part, |(_, after)| after)).collect();
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_documented_variable_exists_in_every_page_of_its_template() {
    let site =
        Site { public_url: &Url::parse("https://app.example.kr").unwrap(), base_path: "/auth", form_targets: &[] };
    let everywhere = documented("frame.html");
    for file in ["login.html", "code.html", "notice.html"] {
        let names = documented(file);
        assert!(names.len() > 2, "{file}: {names:?}");
        let names: Vec<&str> = names.iter().chain(&everywhere).map(String::as_str).collect();
        let source = format!("{{{{ {} }}}}", names.join(" }}{{ "));
        let own = Settings { templates: vec![(file, source)], ..Settings::default() };
        assert_eq!(Pages::fault(&own, &site), None, "{file}");
    }
}

#[test]
fn no_variable_of_the_first_templates_has_gone() {
    for (file, names) in [
        ("frame.html", "lang title page_title site logo style script"),
        ("login.html", "message invalid methods codes form or email password no_method"),
        (
            "code.html",
            "message invalid retry notice sent expires_in is_over field send verify resend return_to code_label code_form \
             confirm send_again other_address start to_label placeholder send_code other_way login_page",
        ),
        ("notice.html", "advice link"),
    ] {
        let documented = documented(file);
        for name in names.split_whitespace() {
            assert!(documented.iter().any(|known| known == name), "{name} of {file}");
        }
    }
}
