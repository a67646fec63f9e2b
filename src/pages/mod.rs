//! The gateway's own pages: templates, assets and headers. They work without scripts, and every value is escaped.

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use minijinja::{Value, context};
use url::Url;

mod invitation;
mod look;
mod templates;
mod views;

pub use look::{Color, Logo, Settings};
pub use templates::{TemplateFault, replaceable};
pub use views::{Brand, CodeForm, CodePage, CodeSent, ErrorPage, LoginPage, PasswordForm, ProviderLink};

use templates::{CODE, LOGIN, NOTICE, Templates};

use crate::{
    channel::Channel,
    text::{Language, Text},
};

const SCRIPT: &str = include_str!("script.js");

/// The site that the pages belong to.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The URL that visitors use.
    pub public_url: &'a Url,
    /// The path prefix of the gateway's own endpoints.
    pub base_path: &'a str,
    /// The login page's address.
    pub login_page: &'a str,
    /// Origins besides `public_url`'s that the answer to a form may redirect to.
    pub form_targets: &'a [String],
}

/// The pages, compiled once.
#[derive(Debug)]
pub struct Pages {
    templates: Templates,
    name: String,
    base_path: String,
    login_page: String,
    logo: Option<Logo>,
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
            login_page: site.login_page.to_owned(),
            logo: settings.logo.clone(),
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
        let method = |name| ProviderLink { href: "/a".to_owned(), brand: Brand::Other, label: None, name };
        let full = LoginPage {
            language,
            message: Some("?".into()),
            invalid: true,
            methods: vec![method("a"), method("b")],
            codes: Channel::ALL.map(|channel| CodeForm { channel, return_to: "/" }).into(),
            form: Some(PasswordForm { action: "/a".to_owned(), return_to: "/" }),
        };
        let empty = LoginPage { language, message: None, invalid: false, methods: vec![], codes: vec![], form: None };
        let code = |channel, sent| CodePage {
            language,
            channel,
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
            (NOTICE, notice_values(language, "?", None, None)),
            (NOTICE, notice_values(language, "?", Some(Text::LaterAdvice.say(language)), Some((Text::TryAgain, "/")))),
        ]
    }

    /// The site's name.
    pub fn name(&self) -> &str {
        &self.name
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
        self.render(LOGIN, &self.login_values(page), page.language)
    }

    /// The code page: asks for an address, or for the code that was sent to it.
    pub fn code(&self, page: &CodePage<'_>) -> Page {
        self.render(CODE, &self.code_values(page), page.language)
    }

    fn login_values(&self, page: &LoginPage<'_>) -> Value {
        let say = |text: Text| text.say(page.language);
        let methods: Vec<_> = page
            .methods
            .iter()
            .map(|method| {
                let name = method.label.unwrap_or_else(|| method.brand.name().map_or(method.name, say));
                context! {
                    href => &method.href,
                    brand => method.brand.class(),
                    label => continue_with(page.language, name),
                }
            })
            .collect();
        let codes: Vec<_> = page
            .codes
            .iter()
            .map(|form| {
                context! {
                    action => format!("{}/{}/send", self.base_path, form.channel.as_str()),
                    return_to => form.return_to,
                    field => form.channel.field(),
                    label => say(address_label(form.channel)),
                    placeholder => say(Text::PhoneExample),
                    send => say(send_label(form.channel)),
                }
            })
            .collect();
        context! {
            lang => page.language.tag(),
            title => say(Text::LogIn),
            page_title => page_title(page.language, say(Text::LogIn), page.message.is_some()),
            message => page.message.as_deref(),
            invalid => page.invalid,
            methods,
            codes,
            form => page.form.as_ref().map(|form| context! { action => &form.action, return_to => form.return_to }),
            or => say(Text::Or),
            email => say(Text::Email),
            password => say(Text::Password),
            no_method => say(Text::NoMethod),
        }
    }

    fn code_values(&self, page: &CodePage<'_>) -> Value {
        let say = |text: Text| text.say(page.language);
        let at = |step: &str| format!("{}/{}/{step}", self.base_path, page.channel.as_str());
        let sent = page.sent.map(|sent| {
            context! {
                text => Text::SentTo.with(page.language, "address", sent.address),
                left => sent.left,
                left_text => format!("{}:{:02}", sent.left / 60, sent.left % 60),
            }
        });
        let title = say(if sent.is_some() { Text::EnterCode } else { Text::LogIn });
        context! {
            lang => page.language.tag(),
            title,
            page_title => page_title(page.language, title, page.message.is_some()),
            message => page.message.as_deref(),
            invalid => page.invalid,
            retry => page.retry,
            notice => page.notice.map(say),
            sent,
            field => page.channel.field(),
            send => at("send"),
            verify => at("verify"),
            resend => at("resend"),
            return_to => page.return_to,
            expires_in => say(Text::ExpiresIn),
            is_over => say(Text::CodeExpired),
            code_label => say(Text::Code),
            code_form => say(Text::CodeForm),
            confirm => say(Text::Confirm),
            send_again => say(Text::SendAgain),
            other_address => say(Text::OtherAddress),
            start => page.start.as_str(),
            to_label => say(address_label(page.channel)),
            placeholder => say(Text::PhoneExample),
            send_code => say(send_label(page.channel)),
            other_way => say(Text::OtherWay),
            login_page => page.login_page.as_str(),
        }
    }

    /// The page that shows a problem and its advice.
    pub fn error(&self, page: &ErrorPage<'_>) -> Page {
        let link = page.link.as_ref().map(|(label, href)| (*label, href.as_str()));
        self.notice(page.language, page.title, page.advice, link)
    }

    /// The page that stops a login loop; its link leads to `start`, where the next login begins.
    pub fn login_loop(&self, language: Language, start: &str) -> Page {
        let title = Text::LoginLoop.say(language);
        self.notice(language, title, Some(Text::LoginLoopAdvice), Some((Text::TryAgain, start)))
    }

    /// The page after a logout, with a link to the login. `provider` is the name of one without a logout of its own.
    pub fn logged_out(&self, language: Language, provider: Option<&str>) -> Page {
        let advice = provider.map(|name| Text::StillLoggedInAt.with(language, "name", invitation::name_in(name)));
        let title = Text::LoggedOut.say(language);
        let values = notice_values(language, title, advice.as_deref(), Some((Text::LogIn, self.login_page.as_str())));
        self.render(NOTICE, &values, language)
    }

    fn notice(&self, language: Language, title: &str, advice: Option<Text>, link: Option<(Text, &str)>) -> Page {
        let advice = advice.map(|advice| advice.say(language));
        self.render(NOTICE, &notice_values(language, title, advice, link), language)
    }

    fn render(&self, name: &str, values: &Value, language: Language) -> Page {
        // With `no-referrer` browsers post a form with `Origin: null`, which is refused as cross-site.
        let referrer = if name == NOTICE { "no-referrer" } else { "same-origin" };
        Page { html: self.templates.render(name, values), headers: self.headers(language, referrer) }
    }

    fn headers(&self, language: Language, referrer: &'static str) -> HeaderMap {
        let fixed: [(HeaderName, &'static str); 6] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_LANGUAGE, language.tag()),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, referrer),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        let mut headers: HeaderMap =
            fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.content_security_policy.clone());
        headers
    }
}

/// The title in the browser's tab. It says first that something went wrong: a screen reader reads it before the page.
fn page_title(language: Language, title: &str, has_failed: bool) -> String {
    if has_failed { Text::ErrorTitle.with(language, "title", title) } else { title.to_owned() }
}

/// Label of a provider's button. Words of the label that the name has itself are not said twice.
fn continue_with(language: Language, name: &str) -> String {
    let name = name.trim();
    if invitation::is_invitation(name) {
        return name.to_owned();
    }
    let (before, after) = Text::ContinueWith.say(language).split_once("{name}").unwrap_or_default();
    if !before.is_empty() && name.starts_with(before) {
        return name.to_owned();
    }
    let after = after.trim_start();
    let ends_of_words = after.match_indices(' ').map(|(end, _)| end).chain([after.len()]).filter(|end| *end > 0);
    if let Some(end) = ends_of_words.rev().find(|end| name.ends_with(&after[..*end])) {
        return format!("{name}{}", &after[end..]);
    }
    let text = if name.ends_with(Text::Account.say(language)) { Text::ContinueWithAccount } else { Text::ContinueWith };
    text.with(language, "name", name)
}

/// Label of the button that sends a code.
const fn send_label(channel: Channel) -> Text {
    match channel {
        Channel::Sms => Text::SendCodeBySms,
        Channel::Email => Text::SendCodeByMail,
    }
}

/// Label of the field for an address.
const fn address_label(channel: Channel) -> Text {
    match channel {
        Channel::Sms => Text::Phone,
        Channel::Email => Text::Email,
    }
}

fn notice_values(language: Language, title: &str, advice: Option<&str>, link: Option<(Text, &str)>) -> Value {
    let say = |text: Text| text.say(language);
    context! {
        lang => language.tag(),
        title,
        page_title => title,
        advice,
        link => link.map(|(label, href)| context! { label => say(label), href }),
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
