//! `vestibule keygen`: a new session key, or a new signing key.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::exit::Exit;
use crate::{
    secret::Random,
    signing::{SigningAlgorithm, SigningKey},
};

/// The algorithm of a signing key.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// ES256 (P-256), which every JWT library supports.
    Es256,
    /// `EdDSA` (Ed25519): shorter keys and faster signatures.
    #[value(alias = "eddsa")]
    Ed25519,
}

/// Prints 32 random bytes in base64, or a private key in PEM.
pub(super) fn keygen(signing: Option<Algorithm>, random: &Random, out: &mut dyn Write) -> io::Result<Exit> {
    let algorithm = match signing {
        None => {
            let key = zeroize::Zeroizing::new(random.bytes::<32>());
            writeln!(out, "{}", STANDARD.encode(key.as_slice()))?;
            return Ok(Exit::Success);
        }
        Some(Algorithm::Es256) => SigningAlgorithm::Es256,
        Some(Algorithm::Ed25519) => SigningAlgorithm::Ed25519,
    };
    write!(out, "{}", SigningKey::generate(algorithm).expose())?;
    Ok(Exit::Success)
}
