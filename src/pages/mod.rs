//! The gateway's own pages: templates, assets and headers. They work without scripts, and every value is escaped.

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use minijinja::Value;
use url::Url;

mod brand;
mod invitation;
mod look;
mod templates;
mod values;
mod views;

pub use brand::Brand;
pub use look::{Color, Logo, Settings};
pub use templates::{TemplateFault, replaceable};
pub use views::{
    Action, CodeForm, CodePage, CodeSent, ErrorPage, FormField, InputType, LogOutPage, LoginPage, PasswordForm,
    ProviderLink,
};

use templates::{CODE, CONFIRM, LOGIN, NOTICE, Templates};
use values::log_out_values;

use crate::{
    channel::Channel,
    text::{Language, Languages, Text},
};

const SCRIPT: &str = include_str!("script.js");

/// The site that the pages belong to.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The URL that visitors use.
    pub public_url: &'a Url,
    /// The path prefix of the gateway's own endpoints.
    pub base_path: &'a str,
    /// Origins besides `public_url`'s that the answer to a form may redirect to.
    pub form_targets: &'a [String],
}

/// The pages, compiled once.
#[derive(Debug)]
pub struct Pages {
    templates: Templates,
    name: String,
    base_path: String,
    logo: Option<Logo>,
    languages: Languages,
    content_security_policy: HeaderValue,
}

/// A file that the pages load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asset {
    /// The script: extracts pasted codes, submits forms once, and counts down.
    Script,
    /// The operator's logo.
    Logo,
}

impl Asset {
    /// The file's name below `{base_path}/assets/`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Script => "page.js",
            Self::Logo => "logo",
        }
    }
}

/// A rendered page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document.
    pub html: String,
    /// Its headers: against storing, framing and content sniffing; `Referrer-Policy` is `same-origin` on pages with
    /// forms, `no-referrer` on others.
    pub headers: HeaderMap,
}

/// Which requests from a page say its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Referrer {
    /// None.
    None,
    /// Those to the site itself. With `no-referrer` browsers post a form with `Origin: null`, which is refused as
    /// cross-site.
    ToOwnSite,
}

impl Referrer {
    const fn policy(self) -> &'static str {
        match self {
            Self::None => "no-referrer",
            Self::ToOwnSite => "same-origin",
        }
    }
}

impl Pages {
    /// Compiles the pages of a site.
    ///
    /// # Errors
    /// If a template of the operator does not compile.
    pub fn new(settings: &Settings, site: &Site<'_>) -> Result<Self, TemplateFault> {
        let name = settings.name.clone().unwrap_or_else(|| site.public_url.host_str().unwrap_or_default().to_owned());
        // The URL changes with the content, so that caches may store the file for a year.
        let address = |asset: Asset, bytes: &[u8]| {
            let digest = URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, bytes).as_ref()[..6]);
            format!("{}/assets/{}?{digest}", site.base_path, asset.file())
        };
        let logo = settings.logo.as_ref().map(|logo| address(Asset::Logo, &logo.bytes));
        let globals = [
            ("site", Value::from(name.as_str())),
            ("script", Value::from(address(Asset::Script, SCRIPT.as_bytes()))),
            ("logo", logo.map_or(Value::from(false), Value::from)),
        ];
        let templates = Templates::compile(&settings.templates, &settings.style(), &globals)?;
        Ok(Self {
            content_security_policy: content_security_policy(templates.style(), site.form_targets),
            templates,
            name,
            base_path: site.base_path.to_owned(),
            logo: settings.logo.clone(),
            languages: settings.languages,
        })
    }

    /// The first fault of the operator's templates. Each is rendered with sample values for every branch.
    pub fn fault(settings: &Settings, site: &Site<'_>) -> Option<TemplateFault> {
        let pages = match Self::new(settings, site) {
            Ok(pages) => pages,
            Err(fault) => return Some(fault),
        };
        let samples = Language::ALL.iter().flat_map(|language| pages.samples(*language));
        samples.into_iter().find_map(|(name, values)| pages.templates.try_render(name, values).err())
    }

    fn samples(&self, language: Language) -> Vec<(&'static str, Value)> {
        let method = |name| ProviderLink { href: "/a".to_owned(), brand: Brand::GitHub, label: None, name };
        let field = |input, autocomplete| FormField { name: "a", label: "a", input, autocomplete };
        let fields = vec![field(InputType::Email, Some("username")), field(InputType::Digits, None)];
        let full = LoginPage {
            language,
            message: Some("?".into()),
            invalid: true,
            password_first: false,
            methods: vec![method("a"), method("b")],
            codes: Channel::ALL.map(|channel| CodeForm { channel, name: channel.field(), return_to: "/" }).into(),
            form: Some(PasswordForm { action: "/a".to_owned(), return_to: "/", fields }),
        };
        let empty = LoginPage {
            language,
            message: None,
            invalid: false,
            password_first: false,
            methods: vec![],
            codes: vec![],
            form: None,
        };
        let bare = ErrorPage { language, title: "?", advice: None, actions: vec![], is_error: false, request_id: None };
        let notice = ErrorPage {
            advice: Some("?".into()),
            actions: vec![
                Action::LogInAsAnother { return_to: Some("/".to_owned()) },
                Action::LogInAsAnother { return_to: None },
                Action::Reload,
                Action::Link(Text::Home, "/".to_owned()),
            ],
            is_error: true,
            request_id: Some("?"),
            ..bare
        };
        let code = |channel, sent| CodePage {
            language,
            channel,
            address_field: "a",
            code_field: "b",
            sent,
            message: Some("?".into()),
            invalid: true,
            retry: Some(1),
            notice: Some(Text::CodeSentAgain),
            start: "/".to_owned(),
            login_page: "/".to_owned(),
            return_to: "/",
        };
        vec![
            (LOGIN, self.login_values(&full)),
            (LOGIN, self.login_values(&empty)),
            (CODE, self.code_values(&code(Channel::Sms, Some(CodeSent { address: "a", left: 1 })))),
            (CODE, self.code_values(&code(Channel::Email, None))),
            (CONFIRM, log_out_values(&LogOutPage { language, action: "/a", fields: &[("a", "b")] })),
            (NOTICE, self.notice_values(&bare)),
            (NOTICE, self.notice_values(&notice)),
        ]
    }

    /// The site's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The languages of pages, messages and errors.
    pub fn languages(&self) -> Languages {
        self.languages
    }

    /// The media type and content of a file that the pages load; `None` if no logo is configured.
    pub fn asset(&self, asset: Asset) -> Option<(&'static str, Bytes)> {
        match asset {
            Asset::Script => Some(("text/javascript; charset=utf-8", Bytes::from_static(SCRIPT.as_bytes()))),
            Asset::Logo => self.logo.as_ref().map(|logo| (logo.media_type, logo.bytes.clone())),
        }
    }

    /// The page with every login method.
    pub fn login(&self, page: &LoginPage<'_>) -> Page {
        self.render(LOGIN, &self.login_values(page), page.language, Referrer::ToOwnSite)
    }

    /// The code page: asks for an address, or for the code that was sent to it.
    pub fn code(&self, page: &CodePage<'_>) -> Page {
        self.render(CODE, &self.code_values(page), page.language, Referrer::ToOwnSite)
    }

    /// The page that shows a problem and what can be done about it.
    pub fn error(&self, page: &ErrorPage<'_>) -> Page {
        let has_form = page.actions.iter().any(|action| matches!(action, Action::LogInAsAnother { .. }));
        let referrer = if has_form { Referrer::ToOwnSite } else { Referrer::None };
        self.render(NOTICE, &self.notice_values(page), page.language, referrer)
    }

    /// The page that stops a login loop; its link leads to `start`, where the next login begins.
    pub fn login_loop(&self, language: Language, start: &str, request_id: Option<&str>) -> Page {
        self.error(&ErrorPage {
            language,
            title: Text::LoginLoop.say(language),
            advice: Some(Text::LoginLoopAdvice.say(language).into()),
            actions: vec![Action::Link(Text::TryAgain, start.to_owned())],
            is_error: true,
            request_id,
        })
    }

    /// The page after a logout, with a link to `login_page`. `provider` is the name of one without a logout of its own.
    pub fn logged_out(&self, language: Language, provider: Option<&str>, login_page: String) -> Page {
        self.error(&ErrorPage {
            language,
            title: Text::LoggedOut.say(language),
            advice: Some(match provider {
                Some(name) => Text::StillLoggedInAt.with(language, "name", invitation::name_in(name)).into(),
                None => Text::LoggedOutAdvice.say(language).into(),
            }),
            actions: vec![Action::Link(Text::LogIn, login_page)],
            is_error: false,
            request_id: None,
        })
    }

    /// The page that asks whether to log out.
    pub fn log_out(&self, page: &LogOutPage<'_>) -> Page {
        self.render(CONFIRM, &log_out_values(page), page.language, Referrer::ToOwnSite)
    }

    fn render(&self, name: &str, values: &Value, language: Language, referrer: Referrer) -> Page {
        Page { html: self.templates.render(name, values), headers: self.headers(language, referrer) }
    }

    fn headers(&self, language: Language, referrer: Referrer) -> HeaderMap {
        let fixed: [(HeaderName, &'static str); 6] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_LANGUAGE, language.tag()),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, referrer.policy()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        let mut headers: HeaderMap =
            fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        headers
    }
}

/// The policy allows the style sheet by its hash, scripts and images of the site, and forms to the site. Browsers apply
/// `form-action` also to the redirect after a form, so the origins in `form_targets` are listed.
fn content_security_policy(style: &str, form_targets: &[String]) -> HeaderValue {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let origins = form_targets.iter().filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin());
    let origins = origins.filter(url::Origin::is_tuple).map(|origin| format!(" {}", origin.ascii_serialization()));
    let origins: String = origins.collect();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'self'; img-src 'self'; form-action 'self'{origins}; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and serialised origins are visible ASCII")
}

#[cfg(test)]
mod tests;
