//! Which claims are sealed into a session, and which roles they give.

use serde_json::Value;

use super::shared::Shared;
use crate::authority::{AccessClaims, Claims, sub_of};

/// Claims that a session always has: issuer and subject identify the person.
const ALWAYS_KEPT: [&str; 2] = ["iss", "sub"];
/// Most octets of JSON of all values of `[authority.answer] claims`: both tokens' cookies hold them.
const MOST_ANSWERED_OCTETS: usize = 4096;

/// What is known of a person, by its source.
#[derive(Clone, Copy)]
pub(super) struct Sources<'c> {
    /// The identity provider: the ID token, a profile, or an address that a code proved.
    pub(super) identity: &'c Claims,
    /// The access token, if it is a JWT.
    pub(super) access: Option<&'c AccessClaims>,
    /// The backend's answers (`[authority.answer] claims`).
    pub(super) answered: &'c Claims,
}

impl Shared {
    /// The session's claims and the person's roles. Claims of the access token replace those of the identity provider,
    /// and those of the backend's answers replace both, also with null. Roles are read from the access token only if
    /// its signature is verified.
    pub(super) fn claims_and_roles(&self, sources: Sources<'_>) -> (Claims, Vec<String>) {
        let Sources { identity, access, answered } = sources;
        let of_token = access.map(|access| &access.claims);
        let mut claims = self.used_claims(Some(identity));
        claims.extend(self.used_claims(of_token));
        claims.extend(self.used_claims(Some(answered)));
        match sub_of(answered, of_token, Some(identity).filter(|_| self.authority.adopts_providers_subject())) {
            Some(sub) => drop(claims.insert("sub".to_owned(), sub.clone())),
            None => drop(claims.remove("sub")),
        }
        (claims, self.roles(sources))
    }

    fn roles(&self, Sources { identity, access, answered }: Sources<'_>) -> Vec<String> {
        let of = |claims: &Claims| claims_at(claims, &self.settings.roles_claim);
        if self.role_name().is_some_and(|name| answered.contains_key(&name)) {
            return of(answered).unwrap_or_default();
        }
        let verified = access.filter(|access| access.verified);
        verified.and_then(|access| of(&access.claims)).or_else(|| of(identity)).unwrap_or_default()
    }

    /// Claims and roles of an unsealed access token without the refresh token that came with it. What the backend's
    /// answers say is sealed there: such a claim is not known, whatever the access token says.
    pub(super) fn claims_and_roles_without_answers(&self, access: &AccessClaims) -> (Claims, Vec<String>) {
        let none = Claims::new();
        let answered = self.authority.answered_claims().map(|name| (name.to_owned(), Value::Null)).collect();
        let (mut claims, roles) =
            self.claims_and_roles(Sources { identity: &none, access: Some(access), answered: &answered });
        claims.retain(|_, value| !value.is_null());
        (claims, roles)
    }

    /// What the backend's answers say after another one: a claim that is not in it stays. Values that take more than
    /// [`MOST_ANSWERED_OCTETS`] together are left out, so that a session stays within its cookies.
    pub(super) fn answered_after(&self, known: &Claims, answer: &Claims) -> Claims {
        let mut answered = known.clone();
        answered.extend(self.used_claims(Some(answer)));
        let mut left = MOST_ANSWERED_OCTETS;
        for (name, value) in &mut answered {
            let octets = name.len() + value.to_string().len();
            if octets <= left {
                left -= octets;
                continue;
            }
            tracing::warn!(
                claim = %name, octets,
                "the claims of [authority.answer] take more than 4 KiB together: this one is left out"
            );
            *value = Value::Null;
        }
        answered
    }

    /// The claim that has the roles.
    fn role_name(&self) -> Option<String> {
        first_name(&self.settings.roles_claim).map(|(name, _)| name)
    }

    /// Those of `claims` that the configuration uses.
    pub(super) fn used_claims(&self, claims: Option<&Claims>) -> Claims {
        let settings = &self.settings;
        let role = self.role_name();
        let wanted = |name: &str| {
            ALWAYS_KEPT.contains(&name)
                || role.as_deref() == Some(name)
                || settings.expose_claims.iter().chain(&settings.template_claims).any(|n| n == name)
        };
        claims.into_iter().flatten().filter(|(name, _)| wanted(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

/// The string, or the strings of the array, at a JSON pointer (RFC 6901).
fn claims_at(claims: &Claims, pointer: &str) -> Option<Vec<String>> {
    let (name, rest) = first_name(pointer)?;
    let value = claims.get(&name)?;
    let value = if rest.is_empty() { value } else { value.pointer(&format!("/{rest}"))? };
    match value {
        Value::String(role) => Some(vec![role.clone()]),
        Value::Array(roles) => Some(roles.iter().filter_map(|r| r.as_str().map(str::to_owned)).collect()),
        _ => None,
    }
}

/// The first name in a JSON pointer, and the rest without its slash.
fn first_name(pointer: &str) -> Option<(String, &str)> {
    let names = pointer.strip_prefix('/')?;
    let (first, rest) = names.split_once('/').unwrap_or((names, ""));
    Some((first.replace("~1", "/").replace("~0", "~"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn roles_are_one_string_or_a_list_at_any_json_pointer() {
        let of = |json: &str, pointer: &str| claims_at(&claims(json), pointer);
        assert_eq!(of(r#"{"role":"admin"}"#, "/role").unwrap(), ["admin"]);
        assert_eq!(of(r#"{"realm_access":{"roles":["a","b",3]}}"#, "/realm_access/roles").unwrap(), ["a", "b"]);
        assert_eq!(of(r#"{"https://x/roles":["a"]}"#, "/https:~1~1x~1roles").unwrap(), ["a"]);
        assert_eq!(of(r#"{"role":7}"#, "/role"), None);
        assert_eq!(of("{}", "/role"), None);
    }
}
