//! The person to whom the gateway issues tokens, as proved at the login. The store has it, sealed, for refreshes.

use serde::{Deserialize, Serialize};

use crate::{
    authority::{person_key, proof::ProvedAddress},
    channel::Channel,
    oidc::{Claims, Identity},
};

/// A person as proved at the login.
#[derive(Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) from: ProofSource,
    /// `sub` of the access token: `google|1234`, `sms|+821012345678`, `email|a@b.kr`.
    pub(super) subject: String,
    /// The provider's claims, or those made from the proved address.
    pub(super) claims: Claims,
}

/// The source of the proof of a person.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProofSource {
    /// An identity provider, by its name in the configuration.
    Provider(String),
    /// A one-time code.
    Code { channel: Channel, address: String, address_e164: String },
}

impl ProofSource {
    /// The provider's name or the channel.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Provider(name) => name,
            Self::Code { channel, .. } => channel.as_str(),
        }
    }
}

impl Person {
    /// `None` if the provider names no subject.
    pub(super) fn of_identity(identity: &Identity) -> Option<Self> {
        let subject = person_key::subject(identity)?;
        Some(Self {
            // A provider's name has no `|` and is not the name of a channel, so no two subjects can be equal.
            subject: format!("{}|{subject}", identity.provider),
            from: ProofSource::Provider(identity.provider.clone()),
            claims: identity.profile.clone(),
        })
    }

    pub(super) fn of_address(address: &ProvedAddress) -> Self {
        Self {
            subject: format!("{}|{}", address.channel, address.address_e164),
            claims: address.claims(),
            from: ProofSource::Code {
                channel: address.channel,
                address: address.address.clone(),
                address_e164: address.address_e164.clone(),
            },
        }
    }
}
