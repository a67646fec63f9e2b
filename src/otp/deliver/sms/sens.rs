//! NAVER Cloud SENS: JSON, and a signature of the path in the encoding in which it is sent.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use url::{Position, Url};

use super::{
    euc_kr,
    hmac::{self, HmacAlgorithm, HmacEncoding},
    provider::{HttpProvider, NotAccepted, ProviderAnswer, ProviderInfo, RequestDeps},
};
use crate::{call::BadValue, otp::deliver::message::Sms, secret::Secret};

/// `[otp.sms.sens]`, validated.
#[derive(Clone, Debug)]
pub struct Sens {
    /// The URL of its API without `/sms/v2/…`.
    pub url: Url,
    /// The service id, with its colons.
    pub service_id: String,
    /// The access key id; visible ASCII.
    pub key: String,
    /// The secret key.
    pub secret: Secret,
    /// The registered caller number, digits only.
    pub sender: String,
    /// Deadline for the whole call.
    pub timeout: Duration,
}

/// Longest subject of an LMS, in bytes of EUC-KR.
const LONGEST_SUBJECT: usize = 40;

impl ProviderInfo for Sens {
    fn name(&self) -> &'static str {
        "sens"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl HttpProvider for Sens {
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted> {
        let length = euc_kr::length(&sms.text);
        if length > euc_kr::LMS {
            return Err(NotAccepted::TooLong(length));
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
            let subject = euc_kr::cut(sms.text.lines().next().unwrap_or_default(), LONGEST_SUBJECT);
            body["subject"] = Value::String(subject.to_owned());
        }
        let url = self.address();
        let timestamp = deps.clock.now().as_millis().to_string();
        let signed = format!("POST {}\n{timestamp}\n{}", &url[Position::BeforePath..Position::AfterQuery], self.key);
        let signature = hmac::sign(HmacAlgorithm::Sha256, &self.secret, &signed, HmacEncoding::Base64);
        let key = HeaderValue::from_str(&self.key).map_err(|_| BadValue::Syntax("key".to_owned()))?;
        let request = deps
            .http
            .request(Method::POST, url)
            .header("x-ncp-apigw-timestamp", timestamp)
            .header("x-ncp-iam-access-key", key)
            .header("x-ncp-apigw-signature-v2", signature);
        Ok(request.json(&body))
    }

    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        let json = answer.json()?;
        if answer.0.status == StatusCode::ACCEPTED && json.get("requestId").is_some_and(Value::is_string) {
            return Ok(());
        }
        let reasons =
            ["/error/errorCode", "/error/message", "/error/details", "/statusCode", "/statusName", "/errorMessage"];
        Err(answer.refused(&json, &reasons))
    }
}

impl Sens {
    /// The URL that is signed and requested. Colons are allowed in a path (RFC 3986 section 3.3) and are not encoded;
    /// other characters are percent-encoded where the RFC requires it.
    fn address(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["sms", "v2", "services", &self.service_id, "messages"]);
        }
        url
    }
}
