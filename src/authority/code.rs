//! A one-time code that was right: whoever entered it has the address.

use serde_json::{Value, json};

use crate::{
    call::{Placeholder, Values},
    channel::Channel,
    oidc::{Allow, Claims},
};

/// An address that a visitor proved with a one-time code.
#[derive(Clone, Debug)]
pub struct Code {
    /// The channel that the code came by.
    pub channel: Channel,
    /// The address as templates have it: Korean numbers as domestic digits, others in E.164; an e-mail address as it is.
    pub address: String,
    /// The number in E.164; for e-mail the address itself.
    pub address_e164: String,
    /// `allow` of the channel: who may come in.
    pub allow: Option<Allow>,
}

impl Code {
    /// What a provider would say of who has this address.
    pub(super) fn claims(&self) -> Claims {
        let said = match self.channel {
            Channel::Email => json!({ "email": self.address_e164, "email_verified": true }),
            Channel::Sms => json!({ "phone_number": self.address_e164, "phone_number_verified": true }),
        };
        if let Value::Object(claims) = said { claims } else { Claims::new() }
    }

    /// `values` with what a call may say of the address.
    pub(super) fn values(&self, values: Values) -> Values {
        values
            .with(Placeholder::Channel, self.channel.as_str())
            .with(Placeholder::Address, self.address.clone())
            .with(Placeholder::AddressE164, self.address_e164.clone())
    }

    /// `allow` counts wherever it is given.
    pub(super) fn is_permitted(&self) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.permits(&self.claims()))
    }
}
