//! The proof of a verified address: a JWT for backends to check.

use std::time::Duration;

use serde::Serialize;

use super::{Line, Otps, address::Address};
use crate::{channel::Channel, clock::Timestamp, session::AccessGrant};

/// Long enough to send a sign-up form with it.
const LIFE: Duration = Duration::from_secs(300);
/// What tells it from every other JWT of ours (RFC 8725 section 3.11).
const TYP: &str = "vestibule-proof+jwt";

/// "This address was verified by this visitor at this time."
#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    aud: &'c str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'c str>,
    purpose: &'static str,
    channel: Channel,
    /// E.164, or the e-mail address in small letters.
    address: &'c str,
    verified_at: i64,
}

impl Otps {
    /// The proof of `address`, verified at `verified_at`; `access` is the session of whoever did.
    pub(super) fn proof(
        &self,
        line: &Line,
        address: &Address,
        access: Option<&AccessGrant>,
        verified_at: Timestamp,
    ) -> String {
        let now = self.clock.now();
        self.signer.sign(
            TYP,
            &Claims {
                iss: self.signer.issuer(),
                aud: &self.settings.proof_audience,
                iat: now.as_secs(),
                exp: now.plus(LIFE).as_secs(),
                jti: self.random.token::<16>(),
                sub: access.and_then(|access| access.claims.get("sub")?.as_str()),
                purpose: line.purpose.as_str(),
                channel: line.channel,
                address: address.canonical(),
                verified_at: verified_at.as_secs(),
            },
        )
    }
}
