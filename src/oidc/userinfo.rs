//! The userinfo endpoint's answer (OpenID Connect Core section 5.3), and its merge with the ID token's claims.

use std::sync::Arc;

use http::StatusCode;

use super::{
    claims::Claims,
    fetch::{self, Unavailable},
    id_token::Rejection,
    presets::Preset,
    settings::Settings,
};
use crate::{clock::Timestamp, outbound::HttpAnswer, received};

/// Why the userinfo could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserinfoError {
    /// The endpoint is down, or its answer is no userinfo.
    #[error("userinfo is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// Its `sub` is not that of the ID token (section 5.3.2).
    #[error("userinfo is about another subject")]
    Subject,
    /// The endpoint refuses the access token, or reports a failure.
    #[error("the userinfo endpoint refused, with status {0}")]
    Refused(StatusCode),
    /// It is a signed JWT that is not accepted.
    #[error("the signed userinfo is not accepted: {0}")]
    Untrusted(Rejection),
}

/// The JWT that an answer consists of; `None` if it is no JWT. Its media type (`application/jwt`) is not asked.
pub(super) fn signed(answer: &HttpAnswer) -> Option<String> {
    let content = received::content(&answer.body);
    let text = std::str::from_utf8(&content).ok()?.trim_ascii_end();
    let is_part = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let is_jwt = text.starts_with("eyJ") && text.contains('.') && text.split('.').all(is_part);
    (answer.status.is_success() && is_jwt).then(|| text.to_owned())
}

/// The profile in an answer about the person in `claims`; `None` if it is not used. Everything that is neither a
/// profile nor a refusal is an outage: without the profile, a session could lose a role.
pub(super) fn read(
    answer: &HttpAnswer,
    settings: &Settings,
    claims: &Claims,
    now: Timestamp,
) -> Result<Option<Claims>, UserinfoError> {
    if fetch::is_refusal(answer) {
        return Err(UserinfoError::Refused(answer.status));
    }
    let unavailable = |error| UserinfoError::Unavailable(Arc::new(error));
    if !answer.status.is_success() {
        return Err(unavailable(Unavailable::status_of(answer, now)));
    }
    let body: Claims = answer.json().map_err(|_| unavailable(Unavailable::unreadable(answer, "userinfo")))?;
    let userinfo = settings.preset.userinfo_claims(body).ok_or(UserinfoError::Refused(answer.status))?;
    checked(userinfo, settings, claims)
}

/// The userinfo, if it is about the person in `claims`.
pub(super) fn checked(userinfo: Claims, settings: &Settings, claims: &Claims) -> Result<Option<Claims>, UserinfoError> {
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
    use serde_json::{Value, json};

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
