//! Twilio: a form with HTTP Basic authentication.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use serde_json::Value;
use url::Url;

use super::provider::{HttpProvider, NotAccepted, ProviderAnswer, ProviderInfo, RequestDeps};
use crate::{otp::deliver::message::Sms, secret::Secret};

/// `[otp.sms.twilio]`, validated.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// The URL of its API without `/2010-04-01/…`.
    pub url: Url,
    /// The account SID, a part of the path.
    pub account_sid: String,
    /// The user of HTTP Basic authentication: an API key SID or the account SID.
    pub user: String,
    /// The key's secret, or the account's auth token.
    pub secret: Secret,
    /// The sender of the messages.
    pub sender: TwilioSender,
    /// Deadline for the whole call.
    pub timeout: Duration,
}

/// The sender of a message.
#[derive(Clone, Debug)]
pub enum TwilioSender {
    /// A number in E.164, or a name.
    From(String),
    /// A messaging service, which chooses the number.
    MessagingService(String),
}

impl ProviderInfo for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl HttpProvider for Twilio {
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted> {
        let sender = match &self.sender {
            TwilioSender::From(number) => ("From", number),
            TwilioSender::MessagingService(sid) => ("MessagingServiceSid", sid),
        };
        let form = [("To", &sms.to_e164), sender, ("Body", &sms.text)];
        let request =
            deps.http.request(Method::POST, self.address()).basic_auth(&self.user, Some(self.secret.expose()));
        Ok(request.form(&form))
    }

    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        let json = answer.json()?;
        let accepted =
            json.get("sid").is_some_and(Value::is_string) && json.get("error_code").is_none_or(Value::is_null);
        if answer.0.status == StatusCode::CREATED && accepted {
            return Ok(());
        }
        Err(answer.refused(&json, &["/code", "/message", "/error_code", "/error_message"]))
    }
}

impl Twilio {
    /// The URL ends in `.json`: without it the answer would be XML.
    fn address(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["2010-04-01", "Accounts", &self.account_sid, "Messages.json"]);
        }
        url
    }
}
