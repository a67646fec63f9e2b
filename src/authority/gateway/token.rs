//! The gateway's own tokens: the claims of its access tokens, and what its opaque refresh tokens hold.

use serde_json::{Value, json};

use super::{
    super::Gateway,
    person::{From, Person},
};
use crate::{
    call::{Placeholder, Values},
    clock::Timestamp,
    oidc::Claims,
    secret::Random,
    store::{FamilyId, Generation},
};

/// The `typ` of access tokens (RFC 9068 section 2.1).
pub(super) const ACCESS: &str = "at+jwt";

/// Claims that go along where they are known and the configuration names none.
const USUAL: [&str; 5] = ["email", "email_verified", "name", "phone_number", "phone_number_verified"];

/// What a refresh token says, under its seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OwnRefresh {
    pub(super) family: FamilyId,
    pub(super) generation: Generation,
    /// When the person logged in: the store is to be told how long the family may live before it gives its record away.
    pub(super) made: Timestamp,
}

impl OwnRefresh {
    pub(super) fn to_bytes(self) -> [u8; 28] {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&self.family.0);
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..].copy_from_slice(&self.made.as_millis().to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        Some(Self {
            family: FamilyId(*family),
            generation: Generation::from_be_bytes(*generation),
            made: Timestamp::from_millis(i64::from_be_bytes(rest.try_into().ok()?)),
        })
    }
}

impl Gateway {
    /// What an access token that ends at `until` says of `person`, by the configuration of now.
    pub(super) fn claims_for(&self, person: &Person, random: &Random, now: Timestamp, until: Timestamp) -> Claims {
        let mut claims = self.mapped(person);
        let roles = self.roles_of(&person.claims);
        // Last: whatever is mapped, these are ours.
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(self.audience)),
            ("sub", json!(person.subject)),
            ("iat", json!(now.as_secs())),
            ("exp", json!(until.as_secs())),
            ("jti", json!(random.token::<16>())),
            ("role", json!(roles[0])),
            ("roles", json!(roles)),
        ] {
            claims.insert(name.to_owned(), value);
        }
        claims
    }

    fn mapped(&self, person: &Person) -> Claims {
        let Some(templates) = &self.claims else {
            let known = USUAL.iter().filter_map(|name| Some(((*name).to_owned(), person.claims.get(*name)?.clone())));
            return known.filter(|(_, value)| !value.is_null()).collect();
        };
        let values = person.values();
        let filled =
            |(name, template): &(String, crate::call::Json)| Some((name.clone(), template.fill_known(&values)?));
        templates.iter().filter_map(filled).collect()
    }

    /// Never empty: whoever has none has the default one.
    fn roles_of(&self, claims: &Claims) -> Vec<&str> {
        let permitted = self.roles.iter().filter(|(_, who)| who.permits(claims));
        let roles: Vec<_> = permitted.map(|(role, _)| role.as_str()).collect();
        if roles.is_empty() { vec![&self.default_role] } else { roles }
    }
}

impl Person {
    /// What `[authority.gateway] claims` may ask for.
    fn values(&self) -> Values {
        let email = self.claims.get("email").cloned().unwrap_or(Value::Null);
        let values = Values::new().with(Placeholder::Email, email).with_claims(self.claims.clone());
        match &self.from {
            From::Provider(name) => values.with(Placeholder::Provider, name.as_str()),
            From::Code { channel, address, address_e164 } => values
                .with(Placeholder::Channel, channel.as_str())
                .with(Placeholder::Address, address.as_str())
                .with(Placeholder::AddressE164, address_e164.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_reads_as_it_was_written_and_nothing_else_does() {
        let token =
            OwnRefresh { family: FamilyId([7; 16]), generation: 3, made: Timestamp::from_millis(1_800_000_000_001) };
        let bytes = token.to_bytes();
        assert_eq!(OwnRefresh::from_bytes(&bytes), Some(token));
        for length in 0..bytes.len() {
            assert_eq!(OwnRefresh::from_bytes(&bytes[..length]), None);
        }
        assert_eq!(OwnRefresh::from_bytes(&[0; 29]), None);
    }
}
