//! `[authority.verify]`: how access tokens of a provider or backend are verified.

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::{
    authority::{VerifyKeys, VerifySettings},
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, List, table, words},
        section::Section,
    },
    hygiene::is_loopback,
};

table! {
    /// `[authority.verify]`
    pub(crate) struct VerifyTable {
        /// The URL of the JWKS. It is fetched again every hour while it is in use.
        JWKS_URL: form::Url = optional("jwks_url");
        /// The shared secret of HS… tokens, used without decoding base64.
        SECRET: form::Secret = optional("secret");
        /// A public key in PEM, e.g. `"file:keys/es256.pub.pem"`.
        PUBLIC_KEY: form::Indirect = optional("public_key");
        /// Accepted signature algorithms. Empty: all that the key allows; for `secret` HS256.
        ALGORITHMS: List<Choice<Algorithm>> = default("algorithms", "[]");
        /// The required `iss` of the token. Absent: not checked.
        ISSUER: form::Text = optional("issuer");
        /// A required element of the token's `aud`. Absent: not checked.
        AUDIENCE: form::Text = optional("audience");
    }
}

words! {
    Algorithm:
    "HS256" => Self::HS256,
    "HS384" => Self::HS384,
    "HS512" => Self::HS512,
    "ES256" => Self::ES256,
    "ES384" => Self::ES384,
    "RS256" => Self::RS256,
    "RS384" => Self::RS384,
    "RS512" => Self::RS512,
    "PS256" => Self::PS256,
    "PS384" => Self::PS384,
    "PS512" => Self::PS512,
    "EdDSA" => Self::EdDSA,
}

/// Reads `[authority.verify]`.
pub(super) fn verify(section: &Section<'_, VerifyTable>, cx: &mut Context<'_>) -> Option<VerifySettings> {
    let keys: [&dyn AnyKey<Table = VerifyTable>; 3] =
        [&VerifyTable::JWKS_URL, &VerifyTable::SECRET, &VerifyTable::PUBLIC_KEY];
    let given: Vec<_> = keys.into_iter().filter(|key| section.has(*key)).collect();
    let [kind] = given[..] else {
        let help = if given.is_empty() {
            "write e.g. `jwks_url = \"https://api.example.com/.well-known/jwks.json\"`"
        } else {
            "leave all but one out"
        };
        cx.complain(
            given.get(1).map_or(section.own_place(), |second| section.place_of_key(*second)),
            "`[authority.verify]` needs one of `jwks_url`, `secret` and `public_key`",
            help,
        );
        return None;
    };
    let has_secret = section.has(&VerifyTable::SECRET);
    let algorithms = section.list(&VerifyTable::ALGORITHMS);
    for (algorithm, place) in &algorithms {
        let is_symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        // If a public key were used as an HMAC secret, anyone could sign (RFC 8725 section 2.1).
        if is_symmetric != has_secret {
            let help = if is_symmetric {
                "HS… goes with `secret`"
            } else {
                "write `algorithms = [\"HS256\"]`, or give a `public_key` or `jwks_url`"
            };
            cx.complain(place, format!("`{algorithm:?}` does not go with `{}`", kind.name()), help);
        }
    }
    let keys = if has_secret {
        VerifyKeys::Secret(cx.secret(section, &VerifyTable::SECRET)?)
    } else if section.has(&VerifyTable::PUBLIC_KEY) {
        VerifyKeys::PublicKey(public_key(section, cx)?)
    } else {
        let url = section.optional(&VerifyTable::JWKS_URL)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            cx.warn(
                section.place(&VerifyTable::JWKS_URL),
                "keys that are fetched by http can be replaced on the network",
                "write an https address",
            );
        }
        VerifyKeys::Jwks(url)
    };
    Some(VerifySettings {
        keys,
        algorithms: algorithms.into_iter().map(|(algorithm, _)| algorithm).collect(),
        issuer: section.optional(&VerifyTable::ISSUER),
        audience: section.optional(&VerifyTable::AUDIENCE),
    })
}

fn public_key(section: &Section<'_, VerifyTable>, cx: &mut Context<'_>) -> Option<String> {
    let pem = cx.indirect(section, &VerifyTable::PUBLIC_KEY)?;
    let bytes = pem.as_bytes();
    let private = pem.contains("PRIVATE KEY");
    let readable = [DecodingKey::from_ec_pem, DecodingKey::from_rsa_pem, DecodingKey::from_ed_pem]
        .iter()
        .any(|read| read(bytes).is_ok());
    if readable && !private {
        return Some(pem);
    }
    let message = if private { "this is a private key" } else { "this is not a public key in PEM" };
    cx.complain(
        section.place(&VerifyTable::PUBLIC_KEY),
        message,
        "write `public_key = \"file:PATH\"` with a file that begins with `-----BEGIN PUBLIC KEY-----`",
    );
    None
}
