//! `[signing]`: the private keys of the gateway's own JWTs.

use crate::{
    config::schema::{
        context::Context,
        form,
        key::{List, table},
        section::Section,
    },
    signing::{BadSigningKey, SigningKey},
};

table! {
    /// `[signing]`
    pub(crate) struct SigningTable {
        /// Private keys in PKCS#8 PEM (P-256 for `ES256`, or Ed25519 for `EdDSA`), e.g.
        /// `["file:/run/secrets/signing.pem"]`; `vestibule keygen --signing` prints one. The first signs, all are
        /// published. Absent: one key for each of `session.keys`, derived from it.
        KEYS: List<form::Secret> = optional("keys");
    }
}

/// Reads `[signing]`; empty if the keys are derived.
pub(crate) fn signing(section: &Section<'_, SigningTable>, cx: &mut Context<'_>) -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for (source, place) in section.list(&SigningTable::KEYS) {
        let Some(pem) = cx.resolve_secret(&source.0, &place) else { continue };
        match SigningKey::from_pem(&pem) {
            Ok(key) if keys.iter().any(|other| other.id() == key.id()) => {
                cx.complain(&place, "this key is listed twice", "leave one of the two out");
            }
            Ok(key) => keys.push(key),
            Err(error) => {
                let help = match error {
                    BadSigningKey::Form => {
                        "it begins with `-----BEGIN PRIVATE KEY-----`; `vestibule keygen --signing` prints a good one"
                    }
                    BadSigningKey::Kind | BadSigningKey::Broken => "`vestibule keygen --signing` prints a good one",
                };
                cx.complain(&place, error.to_string(), help);
            }
        }
    }
    if section.is_empty_list(&SigningTable::KEYS) {
        let help = "leave it out for keys that are derived from `session.keys`";
        cx.complain(section.place(&SigningTable::KEYS), "without a key nothing can be signed", help);
    }
    keys
}
