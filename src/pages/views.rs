//! What each page shows: the values that its template is given.

use std::borrow::Cow;

use super::brand::Brand;
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
    /// Whether the message is about what was typed into the form for e-mail and password.
    pub invalid: bool,
    /// Whether the message comes from the form for e-mail and password, which is then the first way to log in.
    pub password_first: bool,
    /// The providers; each is a button.
    pub methods: Vec<ProviderLink<'a>>,
    /// Channels whose codes log in; each is a form.
    pub codes: Vec<CodeForm<'a>>,
    /// The form for e-mail and password, where credentials are configured.
    pub form: Option<PasswordForm<'a>>,
}

/// The link to the login at a provider.
#[derive(Debug)]
pub struct ProviderLink<'a> {
    /// The address where the login begins.
    pub href: String,
    /// Decides the colours of the button.
    pub brand: Brand,
    /// `label` in the configuration, in the visitor's language; `None`: the brand's name, or `name`.
    pub label: Option<&'a str>,
    /// The provider's name in the configuration.
    pub name: &'a str,
}

/// The form for e-mail address and password, or for the fields that the configuration names.
#[derive(Debug)]
pub struct PasswordForm<'a> {
    /// The path that the form is posted to.
    pub action: String,
    /// The address after the login.
    pub return_to: &'a str,
    /// Its fields, in their order.
    pub fields: Vec<FormField<'a>>,
}

/// A field of a [`PasswordForm`].
#[derive(Debug)]
pub struct FormField<'a> {
    /// Its name in the form's body.
    pub name: &'a str,
    /// Its label.
    pub label: &'a str,
    /// What is typed into it.
    pub input: InputType,
    /// HTML's `autocomplete`; `None`: browsers are not told.
    pub autocomplete: Option<&'static str>,
}

/// What is typed into a field: it decides the keyboard of a phone, and whether the value is hidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputType {
    /// An e-mail address.
    Email,
    /// A hidden value.
    Password,
    /// A phone number.
    Phone,
    /// Digits.
    Digits,
    /// Any other text.
    Text,
}

impl InputType {
    /// HTML's `type` of the field.
    pub(super) const fn html(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Password => "password",
            Self::Phone => "tel",
            Self::Digits | Self::Text => "text",
        }
    }

    /// Most characters of the field.
    pub(super) const fn longest(self) -> u32 {
        match self {
            Self::Email => 254,
            Self::Phone | Self::Digits => 32,
            Self::Password | Self::Text => 1024,
        }
    }
}

/// The form that asks for an address and sends a code there.
#[derive(Debug)]
pub struct CodeForm<'a> {
    /// The channel of the code.
    pub channel: Channel,
    /// The name of the field for the address.
    pub name: &'a str,
    /// The address after the login.
    pub return_to: &'a str,
}

/// What the code page shows: the form for the code, or for the address where no code was sent.
#[derive(Debug)]
pub struct CodePage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// The channel of the code.
    pub channel: Channel,
    /// The name of the field for the address.
    pub address_field: &'a str,
    /// The name of the field for the code.
    pub code_field: &'a str,
    /// The code that was sent, if this browser has a valid challenge.
    pub sent: Option<CodeSent<'a>>,
    /// Why the last step did not work.
    pub message: Option<Cow<'static, str>>,
    /// Whether the message is about what was typed.
    pub invalid: bool,
    /// Seconds after which the message is hidden.
    pub retry: Option<u64>,
    /// A success, above the form.
    pub notice: Option<Text>,
    /// The code page's address with the form for another phone number or e-mail address.
    pub start: String,
    /// The login page's address.
    pub login_page: String,
    /// The address after the login.
    pub return_to: &'a str,
}

/// A code that was sent.
#[derive(Clone, Copy, Debug)]
pub struct CodeSent<'a> {
    /// The phone number or e-mail address that it was sent to, masked.
    pub address: &'a str,
    /// Remaining validity, in seconds.
    pub left: u64,
}

/// What a page with a notice shows: a problem, or that something was done.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// The visitor's language.
    pub language: Language,
    /// What happened, in that language.
    pub title: &'a str,
    /// What the visitor, or another person, can do.
    pub advice: Option<Cow<'a, str>>,
    /// What the page offers; the first is the main button.
    pub actions: Vec<Action>,
    /// Whether something went wrong.
    pub is_error: bool,
    /// The request's number in the logs, for the person who is asked for help.
    pub request_id: Option<&'a str>,
}

/// What a page with a notice offers.
#[derive(Debug)]
pub enum Action {
    /// A link with this text to this address.
    Link(Text, String),
    /// The same page once more.
    Reload,
    /// A logout that leads to a login for `return_to`.
    LogInAsAnother {
        /// The address after that login.
        return_to: Option<String>,
    },
}

/// The page that asks whether to log out.
#[derive(Clone, Copy, Debug)]
pub struct LogOutPage<'a> {
    /// Its language.
    pub language: Language,
    /// Where its form goes.
    pub action: &'a str,
    /// The hidden fields of the form: names and values.
    pub fields: &'a [(&'a str, &'a str)],
}
