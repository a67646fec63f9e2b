//! Aligo: a form with the key in it, and an answer whose status is 200 whatever happened.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Method;
use serde_json::Value;
use url::Url;

use super::{
    Sms, euc_kr,
    exchange::{Answer, Failure, Wire, exchange, integer},
    sms::{KOREA, Way},
};
use crate::secret::Secret;

/// `[otp.sms.aligo]`, validated.
#[derive(Clone, Debug)]
pub struct Aligo {
    /// Where it is asked.
    pub url: Url,
    /// The API key.
    pub key: Secret,
    /// Whose it is.
    pub user_id: String,
    /// The registered caller number, digits only.
    pub sender: String,
    /// Whether messages are taken and not delivered.
    pub test_mode: bool,
    /// For the whole call.
    pub timeout: Duration,
}

/// Bytes in EUC-KR that the title of an LMS may have.
const TITLE: usize = 44;

impl Way for Aligo {
    fn name(&self) -> &'static str {
        "aligo"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn takes(&self, sms: &Sms) -> bool {
        sms.country == KOREA
    }

    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // Aligo would put the question marks itself; here they are counted as what they are.
            let text = euc_kr::expressible(&sms.text);
            let length = euc_kr::length(&text);
            if length > euc_kr::LMS {
                return Err(Failure::TooLong(length));
            }
            // Without a type, a long text becomes an LMS unasked.
            let long = length > euc_kr::SMS;
            let mut form = vec![
                ("key", self.key.expose()),
                ("user_id", &self.user_id),
                ("sender", &self.sender),
                ("receiver", &sms.to),
                ("msg", &text),
                ("msg_type", if long { "LMS" } else { "SMS" }),
            ];
            if long {
                form.push(("title", euc_kr::cut(text.lines().next().unwrap_or_default(), TITLE)));
            }
            if self.test_mode {
                form.push(("testmode_yn", "Y"));
            }
            let request = wire.http.request(Method::POST, self.url.clone()).form(&form);
            taken(&exchange(&wire.http, request, self.timeout).await?)
        })
    }
}

/// The codes are numbers in the documentation and text in the field.
fn taken(answer: &Answer) -> Result<(), Failure> {
    let json = answer.json()?;
    let code = json.get("result_code").and_then(integer);
    let no_errors = json.get("error_cnt").is_none_or(|count| integer(count) == Some(0));
    if answer.0.status.is_success() && code == Some(1) && no_errors {
        return Ok(());
    }
    let message = json.get("message").and_then(Value::as_str).unwrap_or_default();
    let unknown_caller = matches!(code, Some(-101 | -102)) || message.contains("인증오류");
    let mut failure = answer.refused(&json, &["/result_code", "/message"]);
    if let Failure::Refused { said, .. } = &mut failure
        && unknown_caller
    {
        said.push_str(" (are `key` and `user_id` right, and is the address that Aligo sees, behind NAT the egress IP, registered there?)");
    }
    Err(failure)
}
