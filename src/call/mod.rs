//! The templated HTTP call to a backend that `authority`, `otp` and `login` share: a method, a path, headers and a body with `{placeholders}`, filled with values that are data and never syntax.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::Value;

mod assertion;
mod caller;
mod fill;
mod parse;
mod placeholders;

pub use assertion::Vouching;
pub use caller::{Answer, Backend, CallError, Caller};
pub(crate) use caller::{chain, is_html};
pub use fill::{BadValue, Values};
pub use parse::TemplateError;

/// A call template, validated: every placeholder is one that exists where the call is made.
#[derive(Clone, Debug)]
pub struct Template {
    /// Index of the upstream in the list of upstreams.
    pub upstream: usize,
    /// Default POST.
    pub method: Method,
    /// The path (and query, where the template has one).
    pub path: Text,
    /// Extra headers.
    pub headers: Vec<(HeaderName, Text)>,
    /// Cookies sent to the backend.
    pub cookies: Vec<(String, Text)>,
    /// The body.
    pub body: Body,
    /// For the whole call.
    pub timeout: Duration,
    /// What the call is for, where it rests on the gateway's word: it carries `vestibule-assertion` then, which says so.
    pub assertion: Option<&'static str>,
}

/// The body of a [`Template`].
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// `json = …`
    Json(Json),
    /// `form = { … }`
    Form(Vec<(String, Text)>),
}

/// A JSON value with placeholders in its strings.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// A number, boolean, null, or text without placeholders.
    Plain(Value),
    /// A string that is only a placeholder: takes the value's type.
    Value(Placeholder),
    /// Text with placeholders in it.
    Text(Text),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order written.
    Object(Vec<(String, Json)>),
}

/// Text with placeholders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text(pub Vec<Piece>);

/// A piece of a [`Text`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// As it is.
    Literal(String),
    /// Filled in at the call.
    Placeholder(Placeholder),
}

/// What a template may ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Placeholder {
    /// `{provider}`
    Provider,
    /// `{id_token}`
    IdToken,
    /// `{access_token}`
    AccessToken,
    /// `{refresh_token}`
    RefreshToken,
    /// `{profile}`: the provider's claims or userinfo, an object.
    Profile,
    /// `{email}`
    Email,
    /// `{password}`
    Password,
    /// `{channel}`: `sms` or `email`.
    Channel,
    /// `{address}`: Korean numbers as domestic digits, others in E.164; an e-mail address as it is.
    Address,
    /// `{address_e164}`: the number in E.164; an e-mail address as it is.
    AddressE164,
    /// `{device_id}`
    DeviceId,
    /// `{device_name}`
    DeviceName,
    /// `{text}`: what a message says.
    Text,
    /// `{sender}`
    Sender,
    /// `{timestamp}`
    Timestamp,
    /// `{date}`
    Date,
    /// `{nonce}`
    Nonce,
    /// `{signature}`
    Signature,
    /// `{claims.NAME}`
    Claim(String),
}

#[cfg(test)]
mod tests;
