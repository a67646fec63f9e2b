//! The HMAC (RFC 2104) that signs a request to a provider.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::secret::Secret;

/// The hash function of an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HmacAlgorithm {
    /// SHA-1, which some providers still demand.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How an HMAC is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HmacEncoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// The HMAC of `text`.
pub(super) fn sign(algorithm: HmacAlgorithm, secret: &Secret, text: &str, encoding: HmacEncoding) -> String {
    let algorithm = match algorithm {
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret.expose().as_bytes()), text.as_bytes());
    match encoding {
        HmacEncoding::Base64 => STANDARD.encode(tag),
        HmacEncoding::Hex => tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmacs_equal_the_test_vectors_of_rfc_2202_and_rfc_4231() {
        let of = |algorithm, encoding| sign(algorithm, &Secret::new("Jefe"), "what do ya want for nothing?", encoding);
        assert_eq!(of(HmacAlgorithm::Sha1, HmacEncoding::Hex), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            of(HmacAlgorithm::Sha256, HmacEncoding::Hex),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(of(HmacAlgorithm::Sha256, HmacEncoding::Base64), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        assert!(of(HmacAlgorithm::Sha512, HmacEncoding::Hex).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
    }
}
