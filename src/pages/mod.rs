//! The HTML that people see, and its translations. Pages work without scripts, and show nothing of a request unescaped.

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use minijinja::{Value, context};
use url::Url;

mod look;
mod templates;

pub use look::{Color, Logo, Settings};
pub use templates::{TemplateFault, replaceable};

use crate::channel::Channel;
use templates::{CODE, LOGIN, NOTICE, Templates};

use crate::text::{Language, Text};

const SCRIPT: &str = include_str!("script.js");

/// Where the pages stand.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The address visitors use.
    pub public_url: &'a Url,
    /// Where our own endpoints live.
    pub base_path: &'a str,
    /// Where a login begins.
    pub login_page: &'a str,
    /// Origins besides the site itself at which a form of ours may end.
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

/// A file that the pages need beside themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asset {
    /// What they do more where scripts run.
    Script,
    /// The operator's logo.
    Logo,
}

impl Asset {
    /// Its name below `{base_path}/assets/`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Script => "page.js",
            Self::Logo => "logo",
        }
    }
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
    pub message: Option<Cow<'static, str>>,
    /// A button each.
    pub methods: Vec<Method<'a>>,
    /// A form each, that sends a one-time code.
    pub codes: Vec<CodeForm<'a>>,
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

impl Channel {
    const fn send(self) -> Text {
        match self {
            Self::Sms => Text::SendCodeBySms,
            Self::Email => Text::SendCodeByMail,
        }
    }

    const fn label(self) -> Text {
        match self {
            Self::Sms => Text::Phone,
            Self::Email => Text::Email,
        }
    }
}

/// The form that asks for an address and sends a code there.
#[derive(Debug)]
pub struct CodeForm<'a> {
    /// Where the code goes.
    pub channel: Channel,
    /// Where to go after the login.
    pub return_to: &'a str,
}

/// The page where a code is typed in; where none was sent, the one that asks for the address.
#[derive(Debug)]
pub struct CodePage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// Where the code goes.
    pub channel: Channel,
    /// The code that is on its way, if one is.
    pub sent: Option<CodeSent<'a>>,
    /// Why the last step did not work.
    pub message: Option<Cow<'static, str>>,
    /// Seconds after which that message is over.
    pub retry: Option<u64>,
    /// What went well.
    pub notice: Option<Text>,
    /// Where the form for the address is shown whatever was sent.
    pub start: String,
    /// Where to go after the login.
    pub return_to: &'a str,
}

/// A code that was sent.
#[derive(Clone, Copy, Debug)]
pub struct CodeSent<'a> {
    /// Where it went, masked.
    pub address: &'a str,
    /// Seconds that it still lives.
    pub left: u64,
}

/// A page that says why something did not work.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// What happened, in the visitor's language.
    pub title: &'a str,
    /// What can be done about it.
    pub advice: Option<Text>,
    /// What a link to the login page says.
    pub link: Option<Text>,
}

impl Pages {
    /// Compiles the pages of a site.
    ///
    /// # Errors
    /// Where a template of the operator's own does not compile.
    pub fn new(settings: &Settings, site: &Site<'_>) -> Result<Self, TemplateFault> {
        let name = settings.name.clone().unwrap_or_else(|| site.public_url.host_str().unwrap_or_default().to_owned());
        // The address changes with the content, so that it can be remembered for long.
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

    /// What is wrong with the operator's own templates: each is rendered with values of every kind.
    pub fn fault(settings: &Settings, site: &Site<'_>) -> Option<TemplateFault> {
        let pages = match Self::new(settings, site) {
            Ok(pages) => pages,
            Err(fault) => return Some(fault),
        };
        let samples = Language::ALL.iter().flat_map(|language| pages.samples(*language));
        samples.into_iter().find_map(|(name, values)| pages.templates.try_render(name, values).err())
    }

    fn samples(&self, language: Language) -> Vec<(&'static str, Value)> {
        let method = |name| Method { href: "/a".to_owned(), brand: Brand::Other, label: None, name };
        let full = LoginPage {
            language,
            message: Some("?".into()),
            methods: vec![method("a"), method("b")],
            codes: Channel::ALL.map(|channel| CodeForm { channel, return_to: "/" }).into(),
            form: Some(Form { action: "/a".to_owned(), return_to: "/" }),
        };
        let empty = LoginPage { language, message: None, methods: vec![], codes: vec![], form: None };
        let code = |channel, sent| CodePage {
            language,
            channel,
            sent,
            message: Some("?".into()),
            retry: Some(1),
            notice: Some(Text::CodeSentAgain),
            start: "/".to_owned(),
            return_to: "/",
        };
        vec![
            (LOGIN, self.login_values(&full)),
            (LOGIN, self.login_values(&empty)),
            (CODE, self.code_values(&code(Channel::Sms, Some(CodeSent { address: "a", left: 1 })))),
            (CODE, self.code_values(&code(Channel::Email, None))),
            (NOTICE, notice_values(language, "?", None, None)),
            (NOTICE, notice_values(language, "?", Some(Text::LaterAdvice), Some((Text::TryAgain, "/")))),
        ]
    }

    /// What the site is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file that the pages need, with its media type.
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

    /// The page where a code is typed in.
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
                    label => Text::ContinueWith.with(page.language, "name", name),
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
                    label => say(form.channel.label()),
                    placeholder => say(Text::PhoneExample),
                    send => say(form.channel.send()),
                }
            })
            .collect();
        context! {
            lang => page.language.tag(),
            title => say(Text::LogIn),
            message => page.message.as_deref(),
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
        context! {
            lang => page.language.tag(),
            title => say(if sent.is_some() { Text::EnterCode } else { Text::LogIn }),
            message => page.message.as_deref(),
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
            to_label => say(page.channel.label()),
            placeholder => say(Text::PhoneExample),
            send_code => say(page.channel.send()),
            other_way => say(Text::OtherWay),
            login_page => self.login_page.as_str(),
        }
    }

    /// A page that says why something did not work, and what can be done.
    pub fn error(&self, page: &ErrorPage<'_>) -> Page {
        let link = page.link.map(|label| (label, self.login_page.as_str()));
        self.notice(page.language, page.title, page.advice, link)
    }

    /// The page that stops logins which follow each other; `start` is where the next one would begin.
    pub fn login_loop(&self, language: Language, start: &str) -> Page {
        let title = Text::LoginLoop.say(language);
        self.notice(language, title, Some(Text::LoginLoopAdvice), Some((Text::TryAgain, start)))
    }

    fn notice(&self, language: Language, title: &str, advice: Option<Text>, link: Option<(Text, &str)>) -> Page {
        self.render(NOTICE, &notice_values(language, title, advice, link), language)
    }

    fn render(&self, name: &str, values: &Value, language: Language) -> Page {
        // Where a page has a form, browsers say `Origin: null` under `no-referrer`: the form would look like another site's.
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

fn notice_values(language: Language, title: &str, advice: Option<Text>, link: Option<(Text, &str)>) -> Value {
    let say = |text: Text| text.say(language);
    context! {
        lang => language.tag(),
        title,
        advice => advice.map(say),
        link => link.map(|(label, href)| context! { label => say(label), href }),
    }
}

/// Nothing but our one style sheet, told by its hash, scripts and pictures of our own, and forms to ourselves. Browsers hold `form-action` against the redirect that answers a
/// form too, so the origins that a login may end at are listed.
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
