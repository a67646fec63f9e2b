//! Any HTTP API by template. Values are encoded for their place in URL, header or body, so they cannot change its
//! structure.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, Method};
use reqwest::RequestBuilder;
use url::Url;

use super::{
    hmac::{self, HmacAlgorithm, HmacEncoding},
    provider::{HttpProvider, NotAccepted, ProviderAnswer, ProviderInfo, RequestDeps},
};
use crate::{
    call::{BadValue, Body, Placeholder, Text, Values},
    otp::deliver::message::Sms,
    received,
    secret::Secret,
};

/// `[otp.sms.http]`, validated. `Debug` omits the templates, because each may have a key.
#[derive(Clone)]
pub struct HttpApi {
    /// Scheme, host and port.
    pub origin: String,
    /// Path and query.
    pub target: Text,
    /// The method; POST by default.
    pub method: Method,
    /// The headers besides those that the body and `basic` set.
    pub headers: Vec<(HeaderName, Text)>,
    /// The template of the body.
    pub body: Body,
    /// The value of `{sender}`.
    pub sender: String,
    /// User and password of HTTP Basic authentication (RFC 7617).
    pub basic: Option<(String, Secret)>,
    /// How `{signature}` is computed.
    pub hmac: Option<Hmac>,
    /// Which answers confirm a message.
    pub success: SuccessRule,
    /// Deadline for the whole call.
    pub timeout: Duration,
}

/// How `{signature}` is computed.
#[derive(Clone)]
pub struct Hmac {
    /// The key of the HMAC.
    pub secret: Secret,
    /// The hash function.
    pub algorithm: HmacAlgorithm,
    /// The template of the text that is signed.
    pub text: Text,
    /// How the HMAC is written.
    pub encoding: HmacEncoding,
}

/// Which answers confirm that a message was accepted.
#[derive(Clone, Default, Debug)]
pub struct SuccessRule {
    /// Accepted statuses; none: any 2xx.
    pub statuses: Vec<u16>,
    /// A place in the JSON (RFC 6901), and the values accepted there, as text. `None`: any body but a page.
    pub field: Option<(String, Vec<String>)>,
}

impl fmt::Debug for HttpApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpApi").field("origin", &self.origin).field("success", &self.success).finish_non_exhaustive()
    }
}

impl ProviderInfo for HttpApi {
    fn name(&self) -> &'static str {
        "http"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl HttpProvider for HttpApi {
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted> {
        let values = self.values(sms, deps);
        // Joined as text: a path `//host/` that is resolved as a reference would lead to another host.
        let url = format!("{}{}", self.origin, self.target.fill_path(&values)?);
        let url = Url::parse(&url).map_err(|_| BadValue::Syntax("url".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, text) in &self.headers {
            let Some(mut value) = text.fill_header(name.as_str(), &values)? else { continue };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let request = deps.http.request(self.method.clone(), url);
        let request = match &self.body {
            Body::Empty => request,
            Body::Json(json) => request.json(&json.fill(&values)),
            Body::Form(fields) => {
                request.form(&fields.iter().map(|(name, text)| (name, text.fill(&values))).collect::<Vec<_>>())
            }
        };
        // After the body, so that a configured header can replace its media type.
        let request = request.headers(headers);
        Ok(match &self.basic {
            Some((user, password)) => request.basic_auth(user, Some(password.expose())),
            None => request,
        })
    }

    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        self.success.read(answer)
    }
}

impl HttpApi {
    /// The values of the placeholders; computed for each call, so that no nonce is used twice.
    fn values(&self, sms: &Sms, deps: &RequestDeps) -> Values {
        let now = deps.clock.now();
        let values = Values::new()
            .with(Placeholder::Address, &*sms.to)
            .with(Placeholder::AddressE164, &*sms.to_e164)
            .with(Placeholder::Text, &*sms.text)
            .with(Placeholder::Sender, &*self.sender)
            .with(Placeholder::Timestamp, now.as_millis().to_string())
            .with(Placeholder::Date, now.rfc3339())
            .with(Placeholder::Nonce, deps.random.token::<16>());
        match &self.hmac {
            Some(Hmac { secret, algorithm, text, encoding }) => {
                let signature = hmac::sign(*algorithm, secret, &text.fill(&values), *encoding);
                values.with(Placeholder::Signature, signature)
            }
            None => values,
        }
    }
}

impl SuccessRule {
    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        let status = if self.statuses.is_empty() {
            answer.0.status.is_success()
        } else {
            self.statuses.contains(&answer.0.status.as_u16())
        };
        let Some((pointer, accepted)) = &self.field else {
            // An API that answers in XML is accepted too.
            if status && !received::is_html(&answer.0.body) {
                return Ok(());
            }
            return Err(answer.refused(&answer.json().unwrap_or_default(), REASONS));
        };
        let json = answer.json()?;
        let found = json.pointer(pointer).and_then(received::scalar_text);
        if status && found.is_some_and(|found| accepted.contains(&found)) {
            return Ok(());
        }
        Err(answer.refused(&json, REASONS))
    }
}

/// Where the reason of a refusal is in the answers of common APIs.
const REASONS: &[&str] =
    &["/code", "/error", "/message", "/error/code", "/error/message", "/errorCode", "/errorMessage", "/result_code"];
