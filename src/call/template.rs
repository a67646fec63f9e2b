//! A call template: the parts of a request, with `{placeholders}` in its texts.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::Value;

/// A call template, validated: it has only placeholders that its call provides.
#[derive(Clone, Debug)]
pub struct Template {
    /// Index of the upstream in the list of upstreams.
    pub upstream: usize,
    /// The method; POST by default.
    pub method: Method,
    /// The path, with the query if there is one.
    pub path: Text,
    /// Headers besides `Accept`, `Content-Type`, `X-Forwarded-For`, `User-Agent`, `X-Request-Id` and `traceparent`,
    /// which they replace.
    pub headers: Vec<(HeaderName, Text)>,
    /// Cookies: name and value.
    pub cookies: Vec<(String, Text)>,
    /// The body.
    pub body: Body,
    /// For the whole call, over all targets.
    pub timeout: Duration,
    /// `purpose` of the signed `vestibule-assertion` header. `None`: the call has no such header, because the backend
    /// can verify the values itself.
    pub assertion: Option<&'static str>,
}

/// The body of a [`Template`].
#[derive(Clone, Debug)]
pub enum Body {
    /// No body.
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
    /// A string that is only a placeholder: replaced by the value with its type.
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
    /// Sent unchanged.
    Literal(String),
    /// Replaced by a value for each call.
    Placeholder(Placeholder),
}

/// A value that is filled into a template for each call.
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
    /// `{profile}`: the provider's claims, or its profile in its own form; an object.
    Profile,
    /// `{email}`
    Email,
    /// `{password}`
    Password,
    /// `{channel}`: `sms` or `email`.
    Channel,
    /// `{address}`: Korean numbers in domestic digits, others in E.164; an e-mail address unchanged.
    Address,
    /// `{address_e164}`: the number in E.164; an e-mail address unchanged.
    AddressE164,
    /// `{sub}`: the same value as `{claims.sub}`.
    Sub,
    /// `{provider_sub}`: the subject that the identity provider gave.
    ProviderSub,
    /// `{method}`: the way of the login; the provider's name, `credentials`, `sms` or `email`.
    Method,
    /// `{device_id}`
    DeviceId,
    /// `{device_name}`
    DeviceName,
    /// `{text}`: the text of a message.
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
    /// `{field.NAME}`: a field of the login's body.
    Field(String),
}
