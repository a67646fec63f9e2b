//! The content of a login attempt's cookie, and its `return_to`: up to 2,000 bytes in the cookie, more in the store.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::logins::Logins;
use crate::{
    endpoint::{Call, LONGEST_IN_COOKIE, VisitorOrigin, without_query},
    oidc,
    session::{DepositOwner, DepositSlot, FoundAttempt},
};

/// How long a long `return_to` is kept: as long as a login may take.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// The content of a login attempt's cookie.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LoginAttempt {
    pub(super) provider: String,
    pub(super) oidc: oidc::Attempt,
    /// The address after the login; if it is too long for the cookie, its path, or nothing.
    #[serde(rename = "r", alias = "return_to")]
    return_to: String,
    /// Whether the store has the whole address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_stored: bool,
    /// A digest of the origin that the login began on, short because each request carries the cookie; absent in
    /// attempts of older versions.
    #[serde(default, rename = "o")]
    origin: Option<String>,
    /// The text of the owner of the attempt's deposits; empty in attempts of older versions.
    #[serde(default, rename = "w")]
    owner: String,
    /// The browser's device id. A callback by `form_post` has no SameSite=Lax cookies, so the device cookie is missing
    /// there.
    pub(super) device: Option<Uuid>,
}

impl LoginAttempt {
    /// The deposit of this attempt under `secret`.
    pub(super) fn slot(&self, secret: String) -> DepositSlot {
        DepositSlot { owner: DepositOwner::parse(&self.owner).unwrap_or_default(), secret: secret.into() }
    }

    /// Whether it began on the origin of this visitor.
    pub(super) fn is_of(&self, origin: &VisitorOrigin) -> bool {
        self.origin.as_ref().is_none_or(|began| *began == origin_digest(origin))
    }

    fn slot_of_return_to(&self) -> DepositSlot {
        self.slot(format!("return_to {}", self.oidc.state.expose()))
    }
}

/// The first 6 bytes of an origin's SHA-256, in base64url.
fn origin_digest(origin: &VisitorOrigin) -> String {
    let whole = digest::digest(&digest::SHA256, origin.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..6])
}

impl Logins {
    /// The attempt that begins with this call, for its cookie. An address that is too long for the cookie is stored,
    /// but only for a navigation: a page of another site can load this endpoint as an image, and must not push the
    /// addresses of others out of the store.
    pub(super) async fn attempt(&self, call: &Call, name: &str, oidc: oidc::Attempt, return_to: &str) -> LoginAttempt {
        let device = self.sessions.device_id(&call.headers);
        let deposits = self.sessions.deposits();
        let mut attempt = LoginAttempt {
            provider: name.to_owned(),
            oidc,
            return_to: return_to.to_owned(),
            is_stored: false,
            origin: Some(origin_digest(&call.origin)),
            owner: deposits.owner(call.client.key()).text(),
            device,
        };
        if return_to.len() <= LONGEST_IN_COOKIE {
            return attempt;
        }
        let path = without_query(return_to);
        let short = if path.len() <= LONGEST_IN_COOKIE { path } else { self.return_to.after_login() };
        short.clone_into(&mut attempt.return_to);
        if call.is_navigation {
            match deposits.put(&attempt.slot_of_return_to(), &return_to, KEPT_FOR).await {
                Ok(()) => attempt.is_stored = true,
                Err(error) => tracing::warn!(%error, "a long return_to was not stored: the login ends at its path"),
            }
        }
        attempt
    }

    /// The address after the login of an attempt.
    pub(super) async fn return_to_of(&self, found: &FoundAttempt<LoginAttempt>) -> String {
        let attempt = &found.attempt;
        if !attempt.is_stored {
            return attempt.return_to.clone();
        }
        match self.sessions.deposits().get(&attempt.slot_of_return_to()).await {
            Ok(Some(whole)) => whole,
            Ok(None) => attempt.return_to.clone(),
            Err(error) => {
                tracing::warn!(%error, "a long return_to was not read: the login ends at its path");
                attempt.return_to.clone()
            }
        }
    }
}
