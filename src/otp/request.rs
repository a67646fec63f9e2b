//! The request to an endpoint of codes: its body (JSON from scripts and apps, a form from a page), and the session that
//! it needs.

use serde_json::Value;
use uuid::Uuid;

use super::{
    endpoints::{ChannelSetup, Otps},
    error::OtpError,
    settings::{CodePurpose, FieldNames},
};
use crate::{
    endpoint::{self, BodyFormat, Call, Fields, Parameters, Repeated, Unreadable},
    session::Undecided,
    store::Sid,
};

/// The fields of the body for one channel. A blank field counts as absent, but for the address, which is then no
/// address.
pub(super) struct Request {
    pub(super) address: Option<String>,
    pub(super) code: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) device_id: Option<Uuid>,
    pub(super) device_name: Option<String>,
    pub(super) return_to: Option<String>,
    /// Whether a page posted it. A page has only the masked address, so the address in the challenge is used then.
    pub(super) is_from_page: bool,
}

impl From<Repeated> for OtpError {
    fn from(_: Repeated) -> Self {
        Self::Unreadable(Unreadable::Repeated)
    }
}

impl Request {
    pub(super) fn read(call: &Call, names: &FieldNames) -> Result<Self, OtpError> {
        let filled = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        if call.body_format() == BodyFormat::Form {
            let form = Parameters::of(&call.body);
            return Ok(Self {
                address: Some(form.once(&names.address)?.unwrap_or_default().to_owned()),
                code: filled(form.once(&names.code)?),
                challenge: None,
                device_id: None,
                device_name: None,
                return_to: filled(form.once("return_to")?),
                is_from_page: true,
            });
        }
        let fields = Fields::of(call)?;
        Ok(Self {
            address: fields.text(&names.address).map(str::to_owned),
            code: fields.value(&names.code).and_then(code).and_then(|code| filled(Some(&code))),
            challenge: filled(fields.text("challenge")),
            device_id: endpoint::app_device_id(fields.text("deviceId")),
            device_name: filled(fields.text("deviceName")),
            return_to: filled(fields.text("return_to")),
            is_from_page: call.body_format() == BodyFormat::Empty && call.is_form(),
        })
    }

    /// The address, unless it is blank.
    pub(super) fn filled_address(&self) -> Option<&str> {
        self.address.as_deref().filter(|address| !address.trim().is_empty())
    }
}

/// A code as text. JSON has no numbers with zeros in front, so a number is padded with them to six digits; one that is
/// no code keeps its form and is refused by it. `None` for other types.
fn code(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_u64().map_or_else(|| number.to_string(), |n| format!("{n:06}"))),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Otps {
    /// The session that purpose `verify` requires; `None` for the other purposes.
    pub(super) async fn required_session(
        &self,
        call: &mut Call,
        setup: &ChannelSetup,
    ) -> Result<Option<Sid>, OtpError> {
        if setup.purpose != CodePurpose::Verify {
            return Ok(None);
        }
        call.visit.ensure().await;
        if let Some(why) = call.visit.undecided() {
            return Err(match why {
                Undecided::Unanswered(retry_after) => OtpError::SessionUnknown { retry_after },
                Undecided::Unchecked(wait) | Undecided::AskedTooOften(wait) => OtpError::TooMany(wait),
            });
        }
        let sid = call.visit.access().and(call.visit.sid());
        sid.map(Some).ok_or(OtpError::NotLoggedIn)
    }

    /// Whether the code page posted this; then the answer is a redirect.
    pub(super) fn is_page(call: &Call, setup: &ChannelSetup) -> bool {
        setup.purpose == CodePurpose::Login && call.is_form()
    }
}
