//! Solapi: JSON, and a signature of the date and a salt.

use std::time::Duration;

use http::{HeaderValue, Method, header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use url::Url;

use super::{
    hmac::{self, HmacAlgorithm, HmacEncoding},
    provider::{HttpProvider, NotAccepted, ProviderAnswer, ProviderInfo, RequestDeps, integer},
};
use crate::{
    call::BadValue,
    otp::deliver::message::{KOREA, Sms},
    secret::Secret,
};

/// `[otp.sms.solapi]`, validated.
#[derive(Clone, Debug)]
pub struct Solapi {
    /// The URL of its API.
    pub url: Url,
    /// The API key; visible ASCII.
    pub key: String,
    /// The API secret.
    pub secret: Secret,
    /// The registered caller number, digits only.
    pub sender: String,
    /// Deadline for the whole call.
    pub timeout: Duration,
}

impl ProviderInfo for Solapi {
    fn name(&self) -> &'static str {
        "solapi"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl HttpProvider for Solapi {
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted> {
        let mut message = json!({ "to": sms.national(), "from": self.sender, "text": sms.text });
        if sms.country != KOREA {
            message["country"] = Value::String(sms.country.to_string());
        }
        // Solapi accepts each signature only once, so each call has a new salt.
        let (date, salt) = (deps.clock.now().rfc3339(), deps.random.token::<16>());
        let signature = hmac::sign(HmacAlgorithm::Sha256, &self.secret, &format!("{date}{salt}"), HmacEncoding::Hex);
        let authorization = format!("HMAC-SHA256 apiKey={}, date={date}, salt={salt}, signature={signature}", self.key);
        let mut authorization =
            HeaderValue::from_str(&authorization).map_err(|_| BadValue::Syntax("key".to_owned()))?;
        authorization.set_sensitive(true);
        let request = deps.http.request(Method::POST, self.url.clone()).header(header::AUTHORIZATION, authorization);
        Ok(request.json(&json!({ "message": message })))
    }

    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        let json = answer.json()?;
        let queued = match json.get("statusCode") {
            Some(code) => integer(code) == Some(2000),
            None => json.get("messageId").or_else(|| json.get("groupId")).is_some_and(Value::is_string),
        };
        if answer.0.status.is_success() && queued && json.get("errorCode").is_none_or(Value::is_null) {
            return Ok(());
        }
        Err(answer.refused(&json, &["/errorCode", "/errorMessage", "/statusCode", "/statusMessage"]))
    }
}
