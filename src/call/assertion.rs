//! The `vestibule-assertion` header: a signed JWT by which a backend checks that a call was made by this gateway.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use serde_json::json;

use crate::{clock::Clock, secret::Random, signing::Signer};

/// Signs the `vestibule-assertion` of calls.
#[derive(Clone)]
pub struct AssertionSigner {
    /// Has the gateway's signing keys and `iss`.
    pub signer: Signer,
    /// For `iat` and `exp`.
    pub clock: Clock,
    /// For `jti`.
    pub random: Random,
}

/// The request that an assertion is bound to.
pub(super) struct SignedRequest<'c> {
    /// `purpose`: what the call is for, e.g. `otp.login`.
    pub(super) purpose: &'static str,
    /// `aud`: the name of the upstream.
    pub(super) upstream: &'c str,
    /// `sub`: the person, where the call has `{sub}`.
    pub(super) sub: Option<&'c str>,
    pub(super) method: &'c str,
    /// `path`: exactly as sent, with the query.
    pub(super) path: &'c str,
    /// Exactly as sent; `body_sha256` is its hash.
    pub(super) body: &'c [u8],
}

/// Lifetime of an assertion: long enough for small clock differences, too short to use an assertion found in a log.
const LIFE: Duration = Duration::from_secs(60);

impl AssertionSigner {
    /// A JWT that is valid for this method, path and body, at this upstream, for 60 s.
    pub(super) fn assertion(&self, call: &SignedRequest<'_>) -> HeaderValue {
        let now = self.clock.now();
        let mut claims = json!({
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
        if let Some(sub) = call.sub {
            claims["sub"] = sub.into();
        }
        HeaderValue::try_from(self.signer.sign("vestibule-assertion+jwt", &claims))
            .expect("a JWT is base64url and dots")
    }
}
