//! The request to an endpoint of codes: its body (JSON from scripts and apps, a form from a page), and the session that
//! it needs.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    endpoints::{ChannelSetup, Otps},
    error::OtpError,
    settings::CodePurpose,
};
use crate::{
    channel::Channel,
    endpoint::{self, BodyFormat, Call, Parameters, Repeated, Unreadable},
    session::Undecided,
    store::Sid,
};

/// The body of `send`, `resend` and `verify`.
#[derive(Default, Deserialize)]
struct RequestBody {
    phone: Option<String>,
    email: Option<String>,
    code: Option<String>,
    challenge: Option<String>,
    #[serde(rename = "deviceId")]
    device_id: Option<String>,
    #[serde(rename = "deviceName")]
    device_name: Option<String>,
    return_to: Option<String>,
}

/// The fields of the body for one channel. A blank field counts as absent.
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
    pub(super) fn read(call: &Call, channel: Channel) -> Result<Self, OtpError> {
        let body = match call.body_format() {
            BodyFormat::Json => call.json()?,
            BodyFormat::Form => RequestBody::of_form(&Parameters::of(&call.body), channel)?,
            BodyFormat::Empty => RequestBody::default(),
            BodyFormat::Other => return Err(Unreadable::NotJson.into()),
        };
        let address = match channel {
            Channel::Sms => body.phone,
            Channel::Email => body.email,
        };
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self {
            address: filled(address),
            code: filled(body.code),
            challenge: filled(body.challenge),
            device_id: endpoint::app_device_id(body.device_id.as_deref()),
            device_name: filled(body.device_name),
            return_to: filled(body.return_to),
            is_from_page: match call.body_format() {
                BodyFormat::Form => true,
                BodyFormat::Empty => call.is_form(),
                BodyFormat::Json | BodyFormat::Other => false,
            },
        })
    }
}

impl RequestBody {
    fn of_form(form: &Parameters<'_>, channel: Channel) -> Result<Self, Repeated> {
        let field = |name| Ok(form.once(name)?.map(str::to_owned));
        let (phone, email) = match channel {
            Channel::Sms => (field("phone")?, None),
            Channel::Email => (None, field("email")?),
        };
        Ok(Self { phone, email, code: field("code")?, return_to: field("return_to")?, ..Self::default() })
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
