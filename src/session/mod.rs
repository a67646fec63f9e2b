//! The session: what the visitor's cookies prove, how it is issued, kept fresh and ended. The last module that knows what a cookie is.

use std::time::Duration;

use url::Url;

use crate::secret::Secret;

/// `[session]`, validated, with what it needs of `[server]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use: decides `Secure`.
    pub public_url: Url,
    /// `cookie_prefix`, e.g. `sb_`.
    pub cookie_prefix: String,
    /// Put `__Host-` in front.
    pub host_prefix: bool,
    /// Whether `sb_at` is sealed; `sb_rt` always is.
    pub seal: bool,
    /// 32 bytes each; the first seals, all open.
    pub keys: Vec<SealKey>,
    /// Refresh this long before expiry (at most a fifth of the token's life).
    pub refresh_ahead: Duration,
    /// How long a result outlives its acknowledgement.
    pub refresh_grace: Duration,
    /// Lifetime of `sb_rt`.
    pub refresh_token_lifetime: Duration,
    /// A session without a refresh for this long has ended.
    pub idle: Duration,
    /// A session this old has ended.
    pub absolute: Duration,
    /// Clock difference tolerated when a token's times are checked.
    pub leeway: Duration,
    /// JSON pointer to the role or roles in the claims.
    pub roles_claim: String,
    /// Claims that `GET /session` lets out.
    pub expose_claims: Vec<String>,
    /// The longest timeout of any route or upstream: how long a request may be under way when its session ends.
    pub longest_timeout: Duration,
}

/// A sealing key: 32 random bytes.
#[derive(Clone)]
pub struct SealKey(pub zeroize::Zeroizing<[u8; 32]>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(***)")
    }
}

impl SealKey {
    /// Reads 32 bytes in base64: standard or URL-safe, padded or not, white space at the ends ignored.
    pub fn from_base64(text: &Secret) -> Option<Self> {
        use base64::{
            Engine as _,
            alphabet::{STANDARD, URL_SAFE},
            engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
        };
        let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = text.expose().trim();
        [STANDARD, URL_SAFE].iter().find_map(|alphabet| {
            let bytes = zeroize::Zeroizing::new(GeneralPurpose::new(alphabet, lax).decode(text).ok()?);
            Some(Self(zeroize::Zeroizing::new(bytes.as_slice().try_into().ok()?)))
        })
    }

    /// The key's name in cookies and in what `check` prints: 8 hex digits of its SHA-256.
    pub fn id(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_slice());
        digest.as_ref()[..4].iter().map(|b| format!("{b:02x}")).collect()
    }
}
