//! What a visitor asks for: the body, written as JSON by scripts and apps or as a form by a page, and whether they may ask at all.

use serde::Deserialize;
use uuid::Uuid;

use super::{Line, OtpError, Otps, Purpose};
use crate::{
    channel::Channel,
    endpoint::{self, Call, Parameters, Repeated, Unreadable, Written},
    session::Undecided,
    store::Sid,
};

/// The body of `send`, `resend` and `verify`.
#[derive(Default, Deserialize)]
struct Body {
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

/// The same, for one channel. What is empty is not there.
pub(super) struct Request {
    pub(super) address: Option<String>,
    pub(super) code: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) device_id: Option<Uuid>,
    pub(super) device_name: Option<String>,
    pub(super) return_to: Option<String>,
    /// A page posted it. The page knows the address masked only: it may leave it to the challenge.
    pub(super) is_from_page: bool,
}

impl From<Repeated> for OtpError {
    fn from(_: Repeated) -> Self {
        Self::Unreadable(Unreadable::Malformed)
    }
}

impl Request {
    pub(super) fn read(call: &Call, channel: Channel) -> Result<Self, OtpError> {
        let body = match call.written() {
            Written::Json => call.json()?,
            Written::Form => Body::of_form(&Parameters::of(&call.body), channel)?,
            Written::Empty => Body::default(),
            Written::Otherwise => return Err(Unreadable::NotJson.into()),
        };
        let address = match channel {
            Channel::Sms => body.phone,
            Channel::Email => body.email,
        };
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self {
            address: said(address),
            code: said(body.code),
            challenge: said(body.challenge),
            device_id: endpoint::said(body.device_id.as_deref()),
            device_name: said(body.device_name),
            return_to: said(body.return_to),
            is_from_page: match call.written() {
                Written::Form => true,
                Written::Empty => call.is_form(),
                Written::Json | Written::Otherwise => false,
            },
        })
    }
}

impl Body {
    fn of_form(form: &Parameters<'_>, channel: Channel) -> Result<Self, Repeated> {
        let field = |name| Ok(form.once(name)?.map(str::to_owned));
        let address = field(channel.field())?;
        let (phone, email) = if channel == Channel::Sms { (address, None) } else { (None, address) };
        Ok(Self { phone, email, code: field("code")?, return_to: field("return_to")?, ..Self::default() })
    }
}

impl Otps {
    /// The session that the purpose needs; `None` where it needs none.
    pub(super) async fn admit(&self, call: &mut Call, line: &Line) -> Result<Option<Sid>, OtpError> {
        if line.purpose != Purpose::Verify {
            return Ok(None);
        }
        call.visit.ensure().await;
        if let Some(why) = call.visit.undecided() {
            return Err(match why {
                Undecided::Unanswered(retry_after) => OtpError::SessionUnknown { retry_after },
                Undecided::Unchecked(wait) => OtpError::TooMany(wait),
            });
        }
        let sid = call.visit.access().and(call.visit.sid());
        sid.map(Some).ok_or(OtpError::NotLoggedIn)
    }

    /// A page of ours posted this: a browser shows what comes of it.
    pub(super) fn is_page(call: &Call, line: &Line) -> bool {
        line.purpose == Purpose::Login && call.is_form()
    }
}
