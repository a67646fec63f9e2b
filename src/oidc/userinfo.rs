//! The userinfo endpoint's answer (OpenID Connect Core section 5.3), and its merge with the ID token's claims.

use std::sync::Arc;

use serde_json::Value;

use super::{claims::Claims, fetch::Unavailable, presets::Preset, settings::Settings};
use crate::{clock::Timestamp, outbound::HttpAnswer};

/// Why the userinfo could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserinfoError {
    /// The endpoint is down.
    #[error("userinfo is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// Its `sub` is not that of the ID token (section 5.3.2).
    #[error("userinfo is about another subject")]
    Subject,
}

/// The profile in an answer about the person in `claims`; `None` if the provider refuses it.
pub(super) fn read(
    answer: &HttpAnswer,
    settings: &Settings,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<Claims>, UserinfoError> {
    if answer.status.is_server_error() {
        return Err(UserinfoError::Unavailable(Arc::new(Unavailable::status_of(answer, now))));
    }
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status.is_success());
    let Some(userinfo) = body.and_then(|body| settings.preset.userinfo_claims(body)) else {
        tracing::warn!(
            provider = settings.name,
            status = answer.status.as_u16(),
            "oidc: the answer of the userinfo endpoint is not used"
        );
        return Ok(None);
    };
    match userinfo.get("sub") {
        Some(subject) if Some(subject) == claims.get("sub") => Ok(Some(userinfo)),
        // Naver's profile ids are not its subjects: another id does not prove another person, but the profile is not
        // used.
        _ if settings.preset == Preset::Naver => {
            tracing::warn!(
                provider = settings.name,
                "oidc: the profile has another id than the ID token and is not used"
            );
            Ok(None)
        }
        _ => Err(UserinfoError::Subject),
    }
}

/// The ID token's claims, and those that userinfo adds. `email_verified` is always from the same source as `email`.
pub(super) fn merged(claims: &Claims, userinfo: Option<Claims>) -> Claims {
    let mut merged = claims.clone();
    let Some(mut userinfo) = userinfo else { return merged };
    match (merged.get("email"), userinfo.get("email")) {
        (Some(ours), theirs) if Some(ours) != theirs => {
            userinfo.remove("email_verified");
        }
        (None, Some(_)) => {
            merged.remove("email_verified");
        }
        _ => {}
    }
    for (name, value) in userinfo {
        merged.entry(name).or_insert(value);
    }
    merged
}

/// The claims of an ID token that are about the login, not about the person.
pub(super) fn login_claims(claims: &Claims) -> Claims {
    const NAMES: [&str; 7] = ["iss", "sub", "aud", "azp", "auth_time", "acr", "amr"];
    claims.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn email_verified_is_never_merged_onto_another_address() {
        for (claims, userinfo, expected) in [
            (json!({"email": "a"}), json!({"email": "b", "email_verified": true}), json!({"email": "a"})),
            (json!({"email": "a"}), json!({"email_verified": true}), json!({"email": "a"})),
            (json!({"email_verified": true}), json!({"email": "b"}), json!({"email": "b"})),
            (
                json!({"email": "a"}),
                json!({"email": "a", "email_verified": true}),
                json!({"email": "a", "email_verified": true}),
            ),
            (json!({}), json!({"email": "b", "email_verified": true}), json!({"email": "b", "email_verified": true})),
            (
                json!({"sub": "1", "name": "x"}),
                json!({"sub": "1", "name": "y", "hd": "z"}),
                json!({"sub": "1", "name": "x", "hd": "z"}),
            ),
        ] {
            let merged = merged(claims.as_object().unwrap(), userinfo.as_object().cloned());
            assert_eq!(Value::Object(merged), expected);
        }
    }
}
