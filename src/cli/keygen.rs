//! `vestibule keygen`: a new session key.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Exit;
use crate::secret::Random;

/// Prints 32 random bytes in base64.
pub(super) fn keygen(random: &Random, out: &mut dyn Write) -> io::Result<Exit> {
    let key = zeroize::Zeroizing::new(random.bytes::<32>());
    writeln!(out, "{}", STANDARD.encode(key.as_slice()))?;
    Ok(Exit::Success)
}
