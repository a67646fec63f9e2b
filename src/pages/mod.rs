//! The HTML that people see, and its translations. Pages work without scripts, need no second request, and show nothing of a request unescaped.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value, context, escape_formatter};
use url::Url;

mod language;
mod texts;

pub use language::Language;
pub use texts::Text;

const STYLE: &str = include_str!("style.css");
const LOGIN: &str = "login.html";
const NOTICE: &str = "notice.html";
const CODE: &str = "code.html";

/// The pages, compiled once.
#[derive(Debug)]
pub struct Pages {
    templates: Environment<'static>,
    login_page: String,
    content_security_policy: HeaderValue,
}

/// A page on its way out.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document.
    pub html: String,
    /// Its headers: nothing is stored, framed, sniffed or told to the next site.
    pub headers: HeaderMap,
}

/// What the login page shows.
#[derive(Debug)]
pub struct LoginPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// Why the last attempt did not work.
    pub message: Option<Text>,
    /// A button each.
    pub methods: Vec<Method<'a>>,
    /// The form for e-mail and password, where credentials are configured.
    pub form: Option<Form<'a>>,
}

/// A login method that begins with a link.
#[derive(Debug)]
pub struct Method<'a> {
    /// Where the login begins.
    pub href: String,
    /// What the button is painted like.
    pub brand: Brand,
    /// What the configuration calls it; `None`: the brand's own name, or `name`.
    pub label: Option<&'a str>,
    /// The provider's name in the configuration.
    pub name: &'a str,
}

/// Whose colours a button has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brand {
    /// Google's.
    Google,
    /// Kakao's.
    Kakao,
    /// Naver's.
    Naver,
    /// None in particular.
    Other,
}

/// The form for e-mail and password.
#[derive(Debug)]
pub struct Form<'a> {
    /// Where it is posted.
    pub action: String,
    /// Where to go after it.
    pub return_to: &'a str,
}

/// What the page for one-time codes shows: the form for the address, or the one for the code that went there.
#[derive(Debug)]
pub struct CodePage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// The address is a mobile number, not an e-mail address.
    pub is_phone: bool,
    /// What `/send`, `/resend` and `/verify` are appended to.
    pub action: String,
    /// Where the form for the address is shown whatever was sent.
    pub start: String,
    /// The code that is on its way, if one is.
    pub sent: Option<CodeSent<'a>>,
    /// Why the last step did not work.
    pub message: Option<String>,
    /// Where to go after it.
    pub return_to: &'a str,
}

/// A code that was sent.
#[derive(Clone, Copy, Debug)]
pub struct CodeSent<'a> {
    /// Where it went, masked.
    pub address: &'a str,
    /// How long it is good still.
    pub expires_in: Duration,
    /// How long until a new one may be asked for; this one may be sent again at any time.
    pub new_code_in: Duration,
}

/// A page that says why something did not work.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// The answer's status.
    pub status: u16,
    /// What happened, in the visitor's language.
    pub message: &'a str,
    /// The `code` that a script gets for the same.
    pub code: &'a str,
}

impl Pages {
    /// Compiles the pages of the site at `public_url`. `login_page` is where a login begins; the form there may end at one of `form_targets` (origins) besides the site
    /// itself.
    ///
    /// # Panics
    /// Never: the templates are part of the program, and a test renders each.
    pub fn new(public_url: &Url, login_page: &str, form_targets: &[String]) -> Self {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_formatter(escape);
        templates.add_global("style", STYLE);
        templates.add_global("site", public_url.host_str().unwrap_or_default());
        for (name, source) in [
            ("frame.html", include_str!("frame.html")),
            (LOGIN, include_str!("login.html")),
            (NOTICE, include_str!("notice.html")),
            (CODE, include_str!("code.html")),
        ] {
            templates.add_template(name, source).expect("the embedded templates compile");
        }
        Self {
            templates,
            login_page: login_page.to_owned(),
            content_security_policy: content_security_policy(form_targets),
        }
    }

    /// The page with every login method.
    pub fn login(&self, page: &LoginPage<'_>) -> Page {
        let say = |text: Text| text.say(page.language);
        let methods: Vec<_> = page
            .methods
            .iter()
            .map(|method| {
                let name = method.label.unwrap_or_else(|| method.brand.name().map_or(method.name, say));
                context! {
                    href => &method.href,
                    brand => method.brand.class(),
                    label => say(Text::ContinueWith).replace("{name}", name),
                }
            })
            .collect();
        let values = context! {
            lang => page.language.tag(),
            title => say(Text::LogIn),
            message => page.message.map(say),
            methods,
            form => page.form.as_ref().map(|form| context! { action => &form.action, return_to => form.return_to }),
            or => say(Text::Or),
            email => say(Text::Email),
            password => say(Text::Password),
            no_method => say(Text::NoMethod),
        };
        self.render(LOGIN, values, page.language)
    }

    /// The page for one-time codes.
    pub fn code(&self, page: &CodePage<'_>) -> Page {
        let say = |text: Text| text.say(page.language);
        let values = context! {
            lang => page.language.tag(),
            title => say(Text::CodeTitle),
            message => &page.message,
            is_phone => page.is_phone,
            action => &page.action,
            start => &page.start,
            return_to => page.return_to,
            sent => page.sent.map(|sent| context! {
                text => say(Text::SentTo).replace("{address}", sent.address),
                expires_in => sent.expires_in.as_secs(),
                new_code_in => sent.new_code_in.as_secs(),
            }),
            label => say(if page.is_phone { Text::Phone } else { Text::Email }),
            code => say(Text::Code),
            send => say(Text::SendCode),
            again => say(Text::SendAgain),
            verify => say(Text::Verify),
            other => say(Text::OtherAddress),
        };
        self.render(CODE, values, page.language)
    }

    /// A page that says why something did not work, and what can be done.
    pub fn error(&self, page: &ErrorPage<'_>) -> Page {
        let (advice, action) = remedy(page.code, page.status);
        let link = action.map(|label| (label, self.login_page.as_str()));
        self.notice(page.language, page.message, advice, link)
    }

    /// The page that stops logins which follow each other; `start` is where the next one would begin.
    pub fn login_loop(&self, language: Language, start: &str) -> Page {
        let title = Text::LoginLoop.say(language);
        self.notice(language, title, Some(Text::LoginLoopAdvice), Some((Text::TryAgain, start)))
    }

    fn notice(&self, language: Language, title: &str, advice: Option<Text>, link: Option<(Text, &str)>) -> Page {
        let say = |text: Text| text.say(language);
        let values = context! {
            lang => language.tag(),
            title,
            advice => advice.map(say),
            link => link.map(|(label, href)| context! { label => say(label), href }),
        };
        self.render(NOTICE, values, language)
    }

    fn render(&self, name: &str, values: Value, language: Language) -> Page {
        let rendered = self.templates.get_template(name).and_then(|template| template.render(values));
        let html = rendered.expect("the embedded templates render with the values that are given here");
        Page { html, headers: self.headers(language) }
    }

    fn headers(&self, language: Language) -> HeaderMap {
        let fixed: [(HeaderName, &'static str); 6] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_LANGUAGE, language.tag()),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        let mut headers: HeaderMap =
            fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        headers
    }
}

/// What can be done about a failure, and what a link to the login says where that is it.
fn remedy(code: &str, status: u16) -> (Option<Text>, Option<Text>) {
    match code {
        "attempt_expired" => (Some(Text::AttemptExpiredAdvice), Some(Text::StartAgain)),
        "not_allowed" => (Some(Text::NotAllowedAdvice), Some(Text::StartAgain)),
        "login_required" => (None, Some(Text::LogIn)),
        // Their messages already say to try again.
        "provider_unavailable" | "store_unavailable" => (None, Some(Text::TryAgain)),
        "unavailable" => (None, None),
        "forbidden" => (Some(Text::ForbiddenAdvice), None),
        "unusable_tokens" => (Some(Text::OperatorAdvice), None),
        _ if status == 404 || status == 421 => (Some(Text::AddressAdvice), None),
        _ if status >= 500 => (Some(Text::LaterAdvice), None),
        _ => (None, None),
    }
}

impl Brand {
    const fn class(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Kakao => "kakao",
            Self::Naver => "naver",
            Self::Other => "other",
        }
    }

    const fn name(self) -> Option<Text> {
        match self {
            Self::Google => Some(Text::Google),
            Self::Kakao => Some(Text::Kakao),
            Self::Naver => Some(Text::Naver),
            Self::Other => None,
        }
    }
}

/// Escapes for text and for attributes in double quotes, where each value stands; unlike the engine's own it leaves the slashes of addresses readable.
fn escape(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe() && *state.auto_escape() == AutoEscape::Html) else {
        return escape_formatter(out, state, value);
    };
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    Ok(out.write_str(rest)?)
}

/// Nothing but our one style sheet, told by its hash, and forms to ourselves. Browsers hold `form-action` against the redirect that answers a form too, so the origins
/// that a login may end at are listed.
fn content_security_policy(form_targets: &[String]) -> HeaderValue {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let origins = form_targets.iter().filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin());
    let origins = origins.filter(url::Origin::is_tuple).map(|origin| format!(" {}", origin.ascii_serialization()));
    let origins: String = origins.collect();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{origins}; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and serialised origins are visible ASCII")
}

#[cfg(test)]
mod tests;
