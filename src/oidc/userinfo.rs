//! The userinfo endpoint's answer (OpenID Connect Core section 5.3), and how it joins the ID token's claims.

use std::sync::Arc;

use serde_json::Value;

use super::{Claims, Preset, Settings, Unavailable, fetch::Received};
use crate::clock::Timestamp;

/// Why there is no userinfo.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserinfoError {
    /// Not now.
    #[error("userinfo is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// It speaks of somebody else (section 5.3.2).
    #[error("userinfo is about another subject")]
    Subject,
}

/// Reads an answer about the person in `claims`; `None` where the provider does not want to tell us.
pub(super) fn read(
    received: &Received,
    settings: &Settings,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<Claims>, UserinfoError> {
    if received.status.is_server_error() {
        return Err(UserinfoError::Unavailable(Arc::new(received.unhelpful(now))));
    }
    let answer: Option<Value> = serde_json::from_slice(&received.body).ok().filter(|_| received.status.is_success());
    let Some(userinfo) = answer.and_then(|answer| settings.preset.userinfo_claims(answer)) else {
        tracing::warn!(provider = settings.name, status = received.status.as_u16(), "oidc: userinfo not usable");
        return Ok(None);
    };
    match userinfo.get("sub") {
        Some(subject) if Some(subject) == claims.get("sub") => Ok(Some(userinfo)),
        // Naver's profile has an id of its own kind; one that differs is no proof of a mix-up, but no profile for us either.
        _ if settings.preset == Preset::Naver => {
            tracing::warn!(provider = settings.name, "oidc: profile has another id than the ID token, not used");
            Ok(None)
        }
        _ => Err(UserinfoError::Subject),
    }
}

/// The ID token's claims and what userinfo adds to them. An e-mail and the word that it is verified stay together.
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

/// The claims of an ID token that are about the login and not about the person.
pub(super) fn about_the_login(claims: &Claims) -> Claims {
    const NAMES: [&str; 7] = ["iss", "sub", "aud", "azp", "auth_time", "acr", "amr"];
    claims.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_verified_mark_never_passes_to_another_address() {
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
