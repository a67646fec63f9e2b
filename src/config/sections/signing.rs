//! `[signing]`: the private keys of the gateway's own JWTs.

use crate::config::{Config, form, secrets::Surroundings, section::Section};
use crate::signing::{BadSigningKey, SigningKey};

/// Reads `[signing] keys`; none where they are derived.
pub(crate) fn signing(section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for (text, place) in section.list("keys", form::text) {
        let Some(pem) = around.resolve_secret(&text, &place) else { continue };
        match SigningKey::from_pem(&pem) {
            Ok(key) if keys.iter().any(|other| other.id() == key.id()) => {
                around.problems.complain(&place, "this key is listed twice", "leave one of the two out");
            }
            Ok(key) => keys.push(key),
            Err(error) => {
                let help = match error {
                    BadSigningKey::Form => {
                        "it begins with `-----BEGIN PRIVATE KEY-----`; `vestibule keygen --signing` prints a good one"
                    }
                    BadSigningKey::Kind | BadSigningKey::Broken => "`vestibule keygen --signing` prints a good one",
                };
                around.problems.complain(&place, error.to_string(), help);
            }
        }
    }
    if section.is_empty_list("keys") {
        let help = "leave it out for keys that are derived from `session.keys`";
        around.problems.complain(section.place("keys"), "without a key nothing can be signed", help);
    }
    keys
}

impl Config {
    /// The keys of the gateway's own signature, never none: those that are listed, else one for each session key.
    pub fn signing_keys(&self) -> Vec<SigningKey> {
        if self.signing.is_empty() {
            return self.session.keys.iter().map(SigningKey::derived).collect();
        }
        self.signing.clone()
    }
}
