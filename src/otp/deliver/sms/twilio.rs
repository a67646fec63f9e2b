//! Twilio: a form, with HTTP Basic authentication.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::{
    Sms,
    exchange::{Answer, Failure, Wire, exchange},
    sms::Way,
};
use crate::secret::Secret;

/// `[otp.sms.twilio]`, validated.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// What stands before `/2010-04-01/…`.
    pub url: Url,
    /// The account, which stands in the path.
    pub account_sid: String,
    /// Who authenticates: an API key, or the account.
    pub user: String,
    /// The key's secret, or the account's auth token.
    pub secret: Secret,
    /// From whom messages come.
    pub sender: TwilioSender,
    /// For the whole call.
    pub timeout: Duration,
}

/// From whom a message of Twilio's comes.
#[derive(Clone, Debug)]
pub enum TwilioSender {
    /// A number in E.164, or a name.
    From(String),
    /// A service that chooses the number.
    MessagingService(String),
}

impl Way for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let sender = match &self.sender {
                TwilioSender::From(number) => ("From", number),
                TwilioSender::MessagingService(sid) => ("MessagingServiceSid", sid),
            };
            let form = [("To", &sms.to_e164), sender, ("Body", &sms.text)];
            let request = wire.http.request(Method::POST, self.address()).basic_auth(&self.user, Some(self.secret.expose()));
            taken(&exchange(&wire.http, request.form(&form), self.timeout).await?)
        })
    }
}

impl Twilio {
    /// Without `.json` the answer would be XML.
    fn address(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["2010-04-01", "Accounts", &self.account_sid, "Messages.json"]);
        }
        url
    }
}

fn taken(answer: &Answer) -> Result<(), Failure> {
    let json = answer.json()?;
    let accepted = json.get("sid").is_some_and(Value::is_string) && json.get("error_code").is_none_or(Value::is_null);
    if answer.0.status == StatusCode::CREATED && accepted {
        return Ok(());
    }
    Err(answer.refused(&json, &["/code", "/message", "/error_code", "/error_message"]))
}
