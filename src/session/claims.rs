//! Which claims are sealed into a session, and which roles they give.

use serde_json::Value;

use super::shared::Shared;
use crate::authority::Claims;

/// Claims that a session always has: issuer and subject identify the person.
const ALWAYS_KEPT: [&str; 2] = ["iss", "sub"];

impl Shared {
    /// The session's claims and the person's roles. Claims of the access token replace those of the ID token
    /// (`identity`); roles are read from the access token only if its signature is `verified`.
    pub(super) fn claims_and_roles(
        &self,
        access: Option<&Claims>,
        verified: bool,
        identity: &Claims,
    ) -> (Claims, Vec<String>) {
        let mut claims = self.used_claims(Some(identity));
        claims.extend(self.used_claims(access));
        let of = |claims: &Claims| claims_at(claims, &self.settings.roles_claim);
        let roles = access.filter(|_| verified).and_then(of).or_else(|| of(identity)).unwrap_or_default();
        (claims, roles)
    }

    /// Those of `claims` that the configuration uses.
    pub(super) fn used_claims(&self, claims: Option<&Claims>) -> Claims {
        let settings = &self.settings;
        let role = settings.roles_claim.split('/').nth(1).map(|s| s.replace("~1", "/").replace("~0", "~"));
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
    let name = pointer.strip_prefix('/')?;
    let (first, rest) = name.split_once('/').map_or((name, ""), |(first, rest)| (first, rest));
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    let value = if rest.is_empty() { value } else { value.pointer(&format!("/{rest}"))? };
    match value {
        Value::String(role) => Some(vec![role.clone()]),
        Value::Array(roles) => Some(roles.iter().filter_map(|r| r.as_str().map(str::to_owned)).collect()),
        _ => None,
    }
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
