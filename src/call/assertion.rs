//! `vestibule-assertion`: a call that rests on the gateway's word carries that word, signed, for this one request.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use serde_json::json;

use crate::{clock::Clock, secret::Random, signing::Signer};

/// What it takes to vouch for a call.
#[derive(Clone)]
pub struct Vouching {
    /// Who signs.
    pub signer: Signer,
    /// When.
    pub clock: Clock,
    /// Where `jti` comes from.
    pub random: Random,
}

/// What an assertion is bound to.
pub(super) struct Sealing<'c> {
    /// What the call is for.
    pub(super) purpose: &'static str,
    /// The name of the upstream.
    pub(super) upstream: &'c str,
    pub(super) method: &'c str,
    /// As on the wire, with the query.
    pub(super) path: &'c str,
    /// As on the wire.
    pub(super) body: &'c [u8],
}

/// Long enough for clocks that are a little off, too short to be of use to who reads a log.
const LIFE: Duration = Duration::from_secs(60);

impl Vouching {
    /// A JWT that is good for one request alone: this method, path and body, at this upstream, within a minute.
    pub(super) fn assertion(&self, call: &Sealing<'_>) -> HeaderValue {
        let now = self.clock.now();
        let claims = json!({
            "iss": self.signer.issuer(),
            "aud": call.upstream,
            "iat": now.as_secs(),
            "exp": now.plus(LIFE).as_secs(),
            "jti": self.random.token::<16>(),
            "purpose": call.purpose,
            "method": call.method,
            "path": call.path,
            "body_sha256": URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, call.body)),
        });
        HeaderValue::try_from(self.signer.sign("vestibule-assertion+jwt", &claims))
            .expect("a JWT is base64url and dots")
    }
}
