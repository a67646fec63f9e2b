//! Whom the gateway issues tokens to: what was proved at the login. The store keeps it, sealed, for the refreshes.

use serde::{Deserialize, Serialize};

use super::super::{Code, who};
use crate::{
    channel::Channel,
    oidc::{Claims, Identity},
};

/// A person as proved at the login.
#[derive(Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) from: From,
    /// `sub` of the access token: `google|1234`, `sms|+821012345678`, `email|a@b.kr`.
    pub(super) subject: String,
    /// What the provider said; or of an address that was proved, what a provider would have said.
    pub(super) claims: Claims,
}

/// Where the proof came from.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum From {
    /// An identity provider, by its name in the configuration.
    Provider(String),
    /// A one-time code.
    Code { channel: Channel, address: String, address_e164: String },
}

impl From {
    /// A provider's name or a channel.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Provider(name) => name,
            Self::Code { channel, .. } => channel.as_str(),
        }
    }
}

impl Person {
    /// `None` where the provider names no subject.
    pub(super) fn of_identity(identity: &Identity) -> Option<Self> {
        let subject = who::subject(identity)?;
        Some(Self {
            // A provider's name has no `|` in it, and cannot be that of a channel.
            subject: format!("{}|{subject}", identity.provider),
            from: From::Provider(identity.provider.clone()),
            claims: identity.profile.clone(),
        })
    }

    pub(super) fn of_code(code: &Code) -> Self {
        Self {
            subject: format!("{}|{}", code.channel, code.address_e164),
            claims: code.claims(),
            from: From::Code {
                channel: code.channel,
                address: code.address.clone(),
                address_e164: code.address_e164.clone(),
            },
        }
    }
}
