//! The claims of the gateway's own access tokens.

use serde_json::{Value, json};

use super::{
    person::{Person, ProofSource},
    settings::GatewaySettings,
};
use crate::{
    call::{Json, Placeholder, Values},
    clock::Timestamp,
    oidc::Claims,
    secret::Random,
};

/// The `typ` of access tokens (RFC 9068 section 2.1).
pub(super) const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// Claims that are copied from the identity if `authority.gateway.claims` is not configured.
const DEFAULT_CLAIMS: [&str; 5] = ["email", "email_verified", "name", "phone_number", "phone_number_verified"];

impl GatewaySettings {
    /// The claims of an access token for `person` that expires at `until`, by the current configuration.
    pub(super) fn claims_for(&self, person: &Person, random: &Random, now: Timestamp, until: Timestamp) -> Claims {
        let mut claims = self.configured_claims(person);
        let roles = self.roles_of(&person.claims);
        // Set last, so that no configured claim replaces them.
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

    fn configured_claims(&self, person: &Person) -> Claims {
        let Some(templates) = &self.claims else {
            let present =
                DEFAULT_CLAIMS.iter().filter_map(|name| Some(((*name).to_owned(), person.claims.get(*name)?.clone())));
            return present.filter(|(_, value)| !value.is_null()).collect();
        };
        let values = person.values();
        let filled = |(name, template): &(String, Json)| Some((name.clone(), template.fill_present(&values)?));
        templates.iter().filter_map(filled).collect()
    }

    /// The roles of a person with these claims. Never empty: a person without a role has the default role.
    fn roles_of(&self, claims: &Claims) -> Vec<&str> {
        let permitted = self.roles.iter().filter(|(_, allow)| allow.permits(claims));
        let roles: Vec<_> = permitted.map(|(role, _)| role.as_str()).collect();
        if roles.is_empty() { vec![&self.default_role] } else { roles }
    }
}

impl Person {
    /// The values that `[authority.gateway] claims` may use.
    fn values(&self) -> Values {
        let email = self.claims.get("email").cloned().unwrap_or(Value::Null);
        let mut claims = self.claims.clone();
        let provider_sub = claims.insert("sub".to_owned(), self.subject.clone().into()).unwrap_or_default();
        let values = Values::new()
            .with(Placeholder::Email, email)
            .with(Placeholder::Method, self.from.name())
            .with(Placeholder::ProviderSub, provider_sub)
            .with_session_claims(claims);
        match &self.from {
            ProofSource::Provider(name) => values.with(Placeholder::Provider, name.as_str()),
            ProofSource::Code { channel, address, address_e164 } => values
                .with(Placeholder::Channel, channel.as_str())
                .with(Placeholder::Address, address.as_str())
                .with(Placeholder::AddressE164, address_e164.as_str()),
        }
    }
}
