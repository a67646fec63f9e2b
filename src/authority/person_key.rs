//! The store's key of a person: a digest of issuer and subject, or of the proved address.

use aws_lc_rs::digest;
use serde_json::Value;

use super::proof::ProvedAddress;
use crate::{oidc::Identity, store::Digest};

/// The provider's own id of the person (`sub`); `None` if it gives none.
pub(super) fn subject(identity: &Identity) -> Option<String> {
    let subject = identity.claims.get("sub").or_else(|| identity.profile.get("sub"))?;
    match subject {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The key of a person who logged in at a provider. It is made from the issuer, because the provider's name in the
/// configuration may change.
pub(super) fn of_identity(identity: &Identity) -> Option<Digest> {
    let issuer = identity.claims.get("iss").and_then(Value::as_str).unwrap_or(&identity.provider);
    Some(key(&["identity", issuer, &subject(identity)?]))
}

/// The key of a person who proved an address.
pub(super) fn of_address(address: &ProvedAddress) -> Digest {
    key(&["address", address.channel.as_str(), &address.address_e164])
}

/// SHA-256 over length-prefixed parts, so that different lists of parts never give the same input.
fn key(parts: &[&str]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule person");
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}
