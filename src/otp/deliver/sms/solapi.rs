//! Solapi: JSON, with a signature over the date and a salt.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};
use url::Url;

use super::{
    Sms,
    exchange::{Answer, Failure, Wire, exchange, integer},
    hmac::{self, HmacAlgorithm, HmacEncoding},
    sms::{KOREA, Way},
};
use crate::secret::Secret;

/// `[otp.sms.solapi]`, validated.
#[derive(Clone, Debug)]
pub struct Solapi {
    /// Where it is asked.
    pub url: Url,
    /// The API key; visible ASCII.
    pub key: String,
    /// The API secret.
    pub secret: Secret,
    /// The registered caller number, digits only.
    pub sender: String,
    /// For the whole call.
    pub timeout: Duration,
}

impl Way for Solapi {
    fn name(&self) -> &'static str {
        "solapi"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut message = json!({ "to": sms.national(), "from": self.sender, "text": sms.text });
            if sms.country != KOREA {
                message["country"] = Value::String(sms.country.to_string());
            }
            // A signature works once, so each call has a salt of its own.
            let (date, salt) = (wire.clock.now().rfc3339(), wire.random.token::<16>());
            let signature =
                hmac::sign(HmacAlgorithm::Sha256, &self.secret, &format!("{date}{salt}"), HmacEncoding::Hex);
            let authorization =
                format!("HMAC-SHA256 apiKey={}, date={date}, salt={salt}, signature={signature}", self.key);
            let mut authorization =
                HeaderValue::from_str(&authorization).map_err(|_| crate::call::BadValue::Syntax("key".to_owned()))?;
            authorization.set_sensitive(true);
            let request = wire.http.request(Method::POST, self.url.clone()).header(header::AUTHORIZATION, authorization);
            let request = request.json(&json!({ "message": message }));
            taken(&exchange(&wire.http, request, self.timeout).await?)
        })
    }
}

fn taken(answer: &Answer) -> Result<(), Failure> {
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
