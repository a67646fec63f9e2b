//! `vestibule check`: every problem of the configuration, the keys by their fingerprints, and how large the Cookie header can get.

use std::{
    io::{self, Write},
    path::Path,
};

use super::Exit;
use crate::config::{Complaints, Config, Loaded};

/// Most bytes of the session's cookies in all: past that a login fails.
const SESSION_COOKIES: usize = 16 * 1024;
/// Login attempts in flight that are kept, and the most that one takes (a `return_to` is what makes it long).
const ATTEMPTS: usize = 5;
const ATTEMPT: usize = 1024;
/// A UUID as text.
const DEVICE_ID: usize = 36;
/// The largest header block that the gateway takes.
const HEADER_BLOCK: usize = 32 * 1024;

/// Prints what there is to say about the file at `path`.
pub(super) fn check(path: &Path, loaded: Result<Loaded, Complaints>, out: &mut dyn Write) -> io::Result<Exit> {
    super::with_config(path, loaded, out, |loaded, out| {
        for warning in &loaded.warnings {
            writeln!(out, "{warning}\n")?;
        }
        describe(&loaded.config, out)?;
        let warnings = Complaints { errors: Vec::new(), warnings: loaded.warnings.clone() };
        writeln!(out, "{}: {}", path.display(), warnings.count())
    })
}

fn describe(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let session = &config.session;
    for (index, key) in session.keys.iter().enumerate() {
        writeln!(out, "key {}: {}", key.id(), if index == 0 { "seals and opens" } else { "opens" })?;
    }
    let size = cookie_header(config);
    writeln!(
        out,
        "Cookie header at its worst: {size} bytes (a header block may have {HEADER_BLOCK}, those of many backends 8192)"
    )?;
    if session.public_url.scheme() == "https" && !session.host_prefix && config.hygiene.hosts.is_empty() {
        writeln!(
            out,
            "hint: one host is served by https: `host_prefix = true` keeps other hosts of the domain from setting the cookies"
        )?;
    }
    Ok(())
}

/// The Cookie header with the largest session, a device id, and as many login attempts as are kept.
fn cookie_header(config: &Config) -> usize {
    let prefix = config.session.cookie_prefix.len() + if config.session.host_prefix { "__Host-".len() } else { 0 };
    let separator = "; ".len();
    let device = separator + prefix + "did=".len() + DEVICE_ID;
    let attempts = ATTEMPTS * (separator + prefix + ATTEMPT);
    "Cookie: ".len() + SESSION_COOKIES + device + attempts
}
