//! The SHA-256 digests that are the store's keys for data of a session.

use aws_lc_rs::digest;

use crate::{
    client::ClientKey,
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

/// A refresh token as one session has it: another session may have the same token, and its failures are its own.
pub(super) fn token_of_session(sid: Sid, rt: Digest) -> Digest {
    digest_of(&[b"token of session", &sid.0, &rt.0])
}

/// The start of a token's SHA-256: enough to recognise a token that was issued here.
pub(super) fn token_digest(token: &str) -> [u8; 16] {
    shortened(&digest_of(&[b"token", token.as_bytes()]))
}

/// The person that outages count by: the subject, else the client that logged in.
pub(super) fn person_of_subject(subject: &str) -> u32 {
    u32::from_be_bytes(shortened(&digest_of(&[b"subject", subject.as_bytes()])))
}

/// The person that outages count by where no subject is known.
pub(super) fn person_of_client(client: ClientKey) -> u32 {
    u32::from_be_bytes(shortened(&digest_of(&[b"client", client.bytes()])))
}

fn shortened<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut start = [0; N];
    start.copy_from_slice(&digest.0[..N]);
    start
}

/// The `sid` under which the end of an unsealed access token is stored: the token itself has none.
pub(super) fn unsealed_sid(token: &AccessToken) -> Sid {
    Sid(shortened(&digest_of(&[b"raw access token", token.expose().as_bytes()])))
}
