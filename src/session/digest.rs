//! The SHA-256 digests that are the store's keys for data of a session.

use aws_lc_rs::digest;

use crate::{
    secret::{AccessToken, RefreshToken},
    store::{Digest, Sid},
};

/// SHA-256 over length-prefixed parts, so that different lists of parts never give the same input.
pub(super) fn digest_of(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

/// The store's key of the lease and the result of a refresh token's refresh.
pub(super) fn refresh_digest(provider: &str, token: &RefreshToken) -> Digest {
    digest_of(&[b"refresh", provider.as_bytes(), token.expose().as_bytes()])
}

/// The `sid` under which the end of an unsealed access token is stored: the token itself has none.
pub(super) fn unsealed_sid(token: &AccessToken) -> Sid {
    let digest = digest_of(&[b"raw access token", token.expose().as_bytes()]);
    let mut sid = [0; 16];
    sid.copy_from_slice(&digest.0[..16]);
    Sid(sid)
}
