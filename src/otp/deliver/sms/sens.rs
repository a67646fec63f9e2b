//! NAVER Cloud SENS: JSON, with a signature over the path as it goes on the wire.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use url::{Position, Url};

use super::{
    Sms, euc_kr,
    exchange::{Answer, Failure, Wire, exchange},
    hmac::{self, HmacAlgorithm, HmacEncoding},
    sms::Way,
};
use crate::{call::BadValue, secret::Secret};

/// `[otp.sms.sens]`, validated.
#[derive(Clone, Debug)]
pub struct Sens {
    /// What stands before `/sms/v2/…`.
    pub url: Url,
    /// The service id, with its colons.
    pub service_id: String,
    /// The access key id; visible ASCII.
    pub key: String,
    /// The secret key.
    pub secret: Secret,
    /// The registered caller number, digits only.
    pub sender: String,
    /// For the whole call.
    pub timeout: Duration,
}

/// Bytes in EUC-KR that the subject of an LMS may have.
const SUBJECT: usize = 40;

impl Way for Sens {
    fn name(&self) -> &'static str {
        "sens"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let length = euc_kr::length(&sms.text);
            if length > euc_kr::LMS {
                return Err(Failure::TooLong(length));
            }
            let long = length > euc_kr::SMS;
            let mut body = json!({
                "type": if long { "LMS" } else { "SMS" },
                "contentType": "COMM",
                "countryCode": sms.country.to_string(),
                "from": self.sender,
                "content": sms.text,
                "messages": [{ "to": sms.national() }],
            });
            if long {
                let subject = euc_kr::cut(sms.text.lines().next().unwrap_or_default(), SUBJECT);
                body["subject"] = Value::String(subject.to_owned());
            }
            let url = self.address();
            let timestamp = wire.clock.now().as_millis().to_string();
            let signed =
                format!("POST {}\n{timestamp}\n{}", &url[Position::BeforePath..Position::AfterQuery], self.key);
            let signature = hmac::sign(HmacAlgorithm::Sha256, &self.secret, &signed, HmacEncoding::Base64);
            let key = HeaderValue::from_str(&self.key).map_err(|_| BadValue::Syntax("key".to_owned()))?;
            let request = wire
                .http
                .request(Method::POST, url)
                .header("x-ncp-apigw-timestamp", timestamp)
                .header("x-ncp-iam-access-key", key)
                .header("x-ncp-apigw-signature-v2", signature);
            taken(&exchange(&wire.http, request.json(&body), self.timeout).await?)
        })
    }
}

impl Sens {
    /// Made once and signed as it is: colons stay in a path (RFC 3986 section 3.3), what cannot stand there is percent-encoded.
    fn address(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["sms", "v2", "services", &self.service_id, "messages"]);
        }
        url
    }
}

fn taken(answer: &Answer) -> Result<(), Failure> {
    let json = answer.json()?;
    if answer.0.status == StatusCode::ACCEPTED && json.get("requestId").is_some_and(Value::is_string) {
        return Ok(());
    }
    let words = ["/error/errorCode", "/error/message", "/error/details", "/statusCode", "/statusName", "/errorMessage"];
    Err(answer.refused(&json, &words))
}
