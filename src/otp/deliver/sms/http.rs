//! Any HTTP API by template: the message's parts are data in its address, headers and body, never syntax.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;
use url::Url;

use super::{
    Sms,
    exchange::{Answer, Failure, Wire, exchange},
    hmac::{self, HmacAlgorithm, HmacEncoding},
    sms::Way,
};
use crate::{
    call::{BadValue, Body, Placeholder, Text, Values},
    secret::Secret,
};

/// `[otp.sms.http]`, validated. Keys may stand in any of its texts, so it is printed without them.
#[derive(Clone)]
pub struct HttpApi {
    /// Scheme, host and port.
    pub origin: String,
    /// Path and query.
    pub target: Text,
    /// Default POST.
    pub method: Method,
    /// Headers.
    pub headers: Vec<(HeaderName, Text)>,
    /// The body.
    pub body: Body,
    /// What `{sender}` is.
    pub sender: String,
    /// User and password of HTTP Basic authentication (RFC 7617).
    pub basic: Option<(String, Secret)>,
    /// How `{signature}` is made.
    pub hmac: Option<Hmac>,
    /// When a message counts as sent.
    pub success: Success,
    /// For the whole call.
    pub timeout: Duration,
}

/// How `{signature}` is made.
#[derive(Clone)]
pub struct Hmac {
    /// The key.
    pub secret: Secret,
    /// The hash.
    pub algorithm: HmacAlgorithm,
    /// What is signed.
    pub text: Text,
    /// How it is written.
    pub encoding: HmacEncoding,
}

/// What an answer must be for the message to count as sent.
#[derive(Clone, Default, Debug)]
pub struct Success {
    /// Statuses; none: any 2xx.
    pub statuses: Vec<u16>,
    /// A place in the JSON (RFC 6901), and the values of which it must be one, as text. `None`: any body that is no page.
    pub field: Option<(String, Vec<String>)>,
}

impl fmt::Debug for HttpApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpApi").field("origin", &self.origin).field("success", &self.success).finish_non_exhaustive()
    }
}

impl Way for HttpApi {
    fn name(&self) -> &'static str {
        "http"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let values = self.values(sms, wire);
            // Joined as text: to resolve `//host/` as a reference would let a path name another host.
            let url = format!("{}{}", self.origin, self.target.fill_path(&values)?);
            let url = Url::parse(&url).map_err(|_| BadValue::Syntax("url".to_owned()))?;
            let mut headers = HeaderMap::new();
            for (name, text) in &self.headers {
                let mut value = text.fill_header(name.as_str(), &values)?;
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            let request = wire.http.request(self.method.clone(), url);
            let request = match &self.body {
                Body::Empty => request,
                Body::Json(json) => request.json(&json.fill(&values)),
                Body::Form(fields) => {
                    request.form(&fields.iter().map(|(name, text)| (name, text.fill(&values))).collect::<Vec<_>>())
                }
            };
            // After the body, whose media type a header of the file may replace.
            let request = request.headers(headers);
            let request = match &self.basic {
                Some((user, password)) => request.basic_auth(user, Some(password.expose())),
                None => request,
            };
            self.success.taken(&exchange(&wire.http, request, self.timeout).await?)
        })
    }
}

impl HttpApi {
    /// Made anew for each call: no nonce is used twice.
    fn values(&self, sms: &Sms, wire: &Wire) -> Values {
        let now = wire.clock.now();
        let values = Values::new()
            .with(Placeholder::Address, &*sms.to)
            .with(Placeholder::AddressE164, &*sms.to_e164)
            .with(Placeholder::Text, &*sms.text)
            .with(Placeholder::Sender, &*self.sender)
            .with(Placeholder::Timestamp, now.as_millis().to_string())
            .with(Placeholder::Date, now.rfc3339())
            .with(Placeholder::Nonce, wire.random.token::<16>());
        match &self.hmac {
            Some(Hmac { secret, algorithm, text, encoding }) => {
                let signature = hmac::sign(*algorithm, secret, &text.fill(&values), *encoding);
                values.with(Placeholder::Signature, signature)
            }
            None => values,
        }
    }
}

impl Success {
    fn taken(&self, answer: &Answer) -> Result<(), Failure> {
        let status = if self.statuses.is_empty() {
            answer.0.status.is_success()
        } else {
            self.statuses.contains(&answer.0.status.as_u16())
        };
        let Some((pointer, accepted)) = &self.field else {
            if status && !answer.0.is_page() {
                return Ok(());
            }
            return Err(answer.refused(&answer.json().unwrap_or_default(), WORDS));
        };
        let json = answer.json()?;
        let found = json.pointer(pointer).and_then(as_text);
        if status && found.is_some_and(|found| accepted.contains(&found)) {
            return Ok(());
        }
        Err(answer.refused(&json, WORDS))
    }
}

/// Where APIs put their words.
const WORDS: &[&str] =
    &["/code", "/error", "/message", "/error/code", "/error/message", "/errorCode", "/errorMessage", "/result_code"];

/// `1` and `"1"` are the same.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
