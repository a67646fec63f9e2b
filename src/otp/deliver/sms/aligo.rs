//! Aligo: a form that has the key; a refusal has status 200 too.

use std::time::Duration;

use http::Method;
use reqwest::RequestBuilder;
use serde_json::Value;
use url::Url;

use super::{
    euc_kr,
    provider::{HttpProvider, NotAccepted, ProviderAnswer, ProviderInfo, RequestDeps, integer},
};
use crate::{
    otp::deliver::message::{KOREA, Sms},
    secret::Secret,
};

/// `[otp.sms.aligo]`, validated.
#[derive(Clone, Debug)]
pub struct Aligo {
    /// The URL of its API.
    pub url: Url,
    /// The API key.
    pub key: Secret,
    /// The account that the key belongs to.
    pub user_id: String,
    /// The registered caller number, digits only.
    pub sender: String,
    /// Whether Aligo accepts messages without delivering them.
    pub test_mode: bool,
    /// Deadline for the whole call.
    pub timeout: Duration,
}

/// Longest title of an LMS, in bytes of EUC-KR.
const LONGEST_TITLE: usize = 44;

impl ProviderInfo for Aligo {
    fn name(&self) -> &'static str {
        "aligo"
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn serves(&self, sms: &Sms) -> bool {
        sms.country == KOREA
    }
}

impl HttpProvider for Aligo {
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted> {
        // Aligo would replace these characters too, but then their length here would be wrong.
        let text = euc_kr::expressible(&sms.text);
        let length = euc_kr::length(&text);
        if length > euc_kr::LMS {
            return Err(NotAccepted::TooLong(length));
        }
        // Without `msg_type`, Aligo makes a long text an LMS.
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
            form.push(("title", euc_kr::cut(text.lines().next().unwrap_or_default(), LONGEST_TITLE)));
        }
        if self.test_mode {
            form.push(("testmode_yn", "Y"));
        }
        Ok(deps.http.request(Method::POST, self.url.clone()).form(&form))
    }

    /// The codes are numbers in Aligo's documentation and texts in its answers.
    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted> {
        let json = answer.json()?;
        let code = json.get("result_code").and_then(integer);
        let no_errors = json.get("error_cnt").is_none_or(|count| integer(count) == Some(0));
        if answer.0.status.is_success() && code == Some(1) && no_errors {
            return Ok(());
        }
        let message = json.get("message").and_then(Value::as_str).unwrap_or_default();
        let unknown_caller = matches!(code, Some(-101 | -102)) || message.contains("인증오류");
        let mut failure = answer.refused(&json, &["/result_code", "/message"]);
        if let NotAccepted::Refused { reason, .. } = &mut failure
            && unknown_caller
        {
            reason.push_str(" (are `key` and `user_id` right, and is the address that Aligo sees, behind NAT the egress IP, registered there?)");
        }
        Err(failure)
    }
}
