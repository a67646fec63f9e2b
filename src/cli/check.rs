//! `vestibule check`: every problem of the configuration, the ids of the session keys, and how large the `Cookie`
//! header can get.

use std::{
    io::{self, Write},
    path::Path,
};

use super::exit::{Exit, with_config};
use crate::{
    config::{Complaints, Config, Loaded},
    scheme::Scheme,
    session::MOST_ATTEMPTS,
};

/// Prints the result for the file at `path`; with `probes` also whether the services it names can be reached.
pub(super) fn check(
    path: &Path,
    loaded: Result<Loaded, Complaints>,
    probes: bool,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let mut reached = true;
    let exit = with_config(path, loaded, out, |loaded, out| {
        for warning in &loaded.warnings {
            writeln!(out, "{warning}\n")?;
        }
        describe(&loaded.config, out)?;
        let warnings = Complaints { errors: Vec::new(), warnings: loaded.warnings.clone() };
        writeln!(out, "{}: {}", path.display(), warnings.count())?;
        if probes {
            reached = super::probe::probe(&loaded.config, out)?;
        }
        Ok(())
    })?;
    Ok(if reached { exit } else { Exit::BadConfig })
}

fn describe(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let session = &config.session;
    for (index, key) in session.keys.iter().enumerate() {
        writeln!(out, "key {}: {}", key.id(), if index == 0 { "seals and opens" } else { "opens" })?;
    }
    writeln!(
        out,
        "Cookie header at its worst: {} bytes, and {} while {MOST_ATTEMPTS} logins are under way (a header block may have {}, those of many backends 8192)",
        session.longest_cookie_header(0, 0),
        session.longest_cookie_header(MOST_ATTEMPTS, config.otp.channels().count()),
        config.listen.limits.head_bytes
    )?;
    if Scheme::named(session.public_url.scheme()) == Some(Scheme::Https)
        && !session.host_prefix
        && config.hygiene.hosts.is_empty()
    {
        writeln!(
            out,
            "hint: one host is served by https: `host_prefix = true` keeps other hosts of the domain from setting the cookies"
        )?;
    }
    Ok(())
}
