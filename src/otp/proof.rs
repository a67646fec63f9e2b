//! The proof of a verified address: a JWT for backends to check.

use std::time::Duration;

use serde::Serialize;

use super::{
    address::Address,
    endpoints::{ChannelSetup, Otps},
};
use crate::{channel::Channel, clock::Timestamp, session::AccessGrant};

/// Validity of a proof: time to fill in and post a sign-up form.
const LIFETIME: Duration = Duration::from_secs(300);
/// `typ` of a proof; no other JWT of the gateway has it (RFC 8725 section 3.11).
const TYP: &str = "vestibule-proof+jwt";

/// The claims: this address was verified by this visitor at this time.
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
    /// E.164, or the e-mail address in lower case.
    address: &'c str,
    verified_at: i64,
}

impl Otps {
    /// The proof of `address`, verified at `verified_at`; `access` is the visitor's access token, whose `sub` the proof
    /// gets; `None` without a session.
    pub(super) fn proof(
        &self,
        setup: &ChannelSetup,
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
                exp: now.plus(LIFETIME).as_secs(),
                jti: self.random.token::<16>(),
                sub: access.and_then(|access| access.claims.get("sub")?.as_str()),
                purpose: setup.purpose.as_str(),
                channel: setup.channel,
                address: address.canonical(),
                verified_at: verified_at.as_secs(),
            },
        )
    }
}
