//! What each page shows: the values that its template is given.

use std::borrow::Cow;

use crate::{
    channel::Channel,
    text::{Language, Text},
};

/// What the login page shows.
#[derive(Debug)]
pub struct LoginPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// Why the last attempt did not work.
    pub message: Option<Cow<'static, str>>,
    /// Methods that begin with a link; each is a button.
    pub methods: Vec<Method<'a>>,
    /// Channels whose codes log people in; each is a form.
    pub codes: Vec<CodeForm<'a>>,
    /// The form for e-mail and password, where credentials are configured.
    pub form: Option<PasswordForm<'a>>,
}

/// A login method that begins with a link.
#[derive(Debug)]
pub struct Method<'a> {
    /// The address where the login begins.
    pub href: String,
    /// The brand whose colours the button has.
    pub brand: Brand,
    /// The label in the configuration; `None`: the brand's own name, or `name`.
    pub label: Option<&'a str>,
    /// The provider's name in the configuration.
    pub name: &'a str,
}

/// The brand of a button.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brand {
    /// Google.
    Google,
    /// Kakao.
    Kakao,
    /// Naver.
    Naver,
    /// Any other.
    Other,
}

impl Brand {
    /// Its class in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Kakao => "kakao",
            Self::Naver => "naver",
            Self::Other => "other",
        }
    }

    /// The brand's own name.
    pub(super) const fn name(self) -> Option<Text> {
        match self {
            Self::Google => Some(Text::Google),
            Self::Kakao => Some(Text::Kakao),
            Self::Naver => Some(Text::Naver),
            Self::Other => None,
        }
    }
}

/// The form for e-mail address and password.
#[derive(Debug)]
pub struct PasswordForm<'a> {
    /// The address it is posted to.
    pub action: String,
    /// Where the login leads.
    pub return_to: &'a str,
}

/// The form that asks for an address and sends a code there.
#[derive(Debug)]
pub struct CodeForm<'a> {
    /// The channel of the code.
    pub channel: Channel,
    /// Where the login leads.
    pub return_to: &'a str,
}

/// What the code page shows: the form for the code, or for the address where no code was sent.
#[derive(Debug)]
pub struct CodePage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// The channel of the code.
    pub channel: Channel,
    /// The code that was sent, if it is still valid for this browser.
    pub sent: Option<CodeSent<'a>>,
    /// Why the last step did not work.
    pub message: Option<Cow<'static, str>>,
    /// Seconds after which the message is hidden.
    pub retry: Option<u64>,
    /// A success, above the form.
    pub notice: Option<Text>,
    /// The address of the page with the form for another address.
    pub start: String,
    /// Where the login leads.
    pub return_to: &'a str,
}

/// A code that was sent.
#[derive(Clone, Copy, Debug)]
pub struct CodeSent<'a> {
    /// The address it went to, masked.
    pub address: &'a str,
    /// Seconds that it is still valid.
    pub left: u64,
}

/// What an error page shows.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// What happened, in that language.
    pub title: &'a str,
    /// What can be done about it.
    pub advice: Option<Text>,
    /// The text of a link to the login page.
    pub link: Option<Text>,
}
