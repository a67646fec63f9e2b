//! Who somebody is, whatever else is said of them: (issuer, subject), or the address that they proved.

use aws_lc_rs::digest;
use serde_json::Value;

use super::Code;
use crate::{oidc::Identity, store::Digest};

/// The provider's own name for the person; `None` where it has none.
pub(super) fn subject(identity: &Identity) -> Option<String> {
    let subject = identity.claims.get("sub").or_else(|| identity.profile.get("sub"))?;
    match subject {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a person who comes from a provider is remembered by. The issuer, not the name in the file: that may change, and who people are does not.
pub(super) fn key_of_identity(identity: &Identity) -> Option<Digest> {
    let issuer = identity.claims.get("iss").and_then(Value::as_str).unwrap_or(&identity.provider);
    Some(key(&["identity", issuer, &subject(identity)?]))
}

/// What a person who proved an address is remembered by.
pub(super) fn key_of_code(code: &Code) -> Digest {
    key(&["address", code.channel.as_str(), &code.address_e164])
}

/// SHA-256 over length-prefixed parts, so that no two lists of parts meet.
fn key(parts: &[&str]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule person");
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}
