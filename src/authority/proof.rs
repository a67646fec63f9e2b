//! The proof of a person's identity at a login.

use serde_json::{Value, json};

use super::issued::IssueError;
use crate::{
    call::{Placeholder, Values},
    channel::Channel,
    oidc::{Allow, Claims, Identity},
    secret::Secret,
};

/// The proof of a person's identity at a login.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A login at an identity provider.
    Provider(Box<Identity>),
    /// The fields of a login form, which the backend checks: the name of each in `fields`, and its value as typed.
    Credentials(Vec<(String, Secret)>),
    /// A correct one-time code.
    Code(ProvedAddress),
}

/// The name of the login with [`Proof::Credentials`] in sessions, calls, audit lines and metrics.
pub const CREDENTIALS_METHOD: &str = "credentials";

/// An address that a person proved with a one-time code.
#[derive(Clone, Debug)]
pub struct ProvedAddress {
    /// The channel by which the code was sent.
    pub channel: Channel,
    /// The address as templates use it: a Korean number in domestic digits, other numbers in E.164, an e-mail address
    /// unchanged.
    pub address: String,
    /// A number in E.164; an e-mail address unchanged.
    pub address_e164: String,
    /// `allow` of the channel: which addresses may log in.
    pub allow: Option<Allow>,
}

impl ProvedAddress {
    /// The address as standard claims (OpenID Connect Core section 5.1).
    pub(super) fn claims(&self) -> Claims {
        let claims = match self.channel {
            Channel::Email => json!({ "email": self.address_e164, "email_verified": true }),
            Channel::Sms => json!({ "phone_number": self.address_e164, "phone_number_verified": true }),
        };
        if let Value::Object(claims) = claims { claims } else { Claims::new() }
    }

    /// Adds the values about the address that are available to a call.
    pub(super) fn values(&self, values: Values) -> Values {
        values
            .with(Placeholder::Channel, self.channel.as_str())
            .with(Placeholder::Address, self.address.clone())
            .with(Placeholder::AddressE164, self.address_e164.clone())
    }

    /// Fails if `allow` of the channel does not permit the address.
    pub(super) fn check_allowed(&self) -> Result<(), IssueError> {
        self.allow.as_ref().map_or(Ok(()), |allow| allow.check(&self.claims())).map_err(IssueError::NotAllowed)
    }
}
