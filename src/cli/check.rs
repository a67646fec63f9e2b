//! `vestibule check`: every problem of the configuration, the ids of the session keys, how large the `Cookie` header
//! can get, and the addresses to register with providers.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    exit::Exit,
    probe::{Probed, probe},
};
use crate::{
    config::{Complaint, Complaints, Config, CookieSizes, Loaded, Registration},
    scheme::Scheme,
};

/// The path that `next-auth/react` asks under, unless its `SessionProvider` has a `basePath`.
const BASE_PATH_OF_AUTH_JS: &str = "/api/auth";

/// What `check` does besides reading the file.
#[derive(Args, Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckOptions {
    /// Also try to reach what the configuration names: store, mail, providers, published keys, upstreams (at most
    /// 15 s); and whether the listen addresses are free.
    #[arg(long)]
    pub probe: bool,
    /// End with exit code 1 if there are warnings.
    #[arg(long)]
    pub deny_warnings: bool,
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// The form of the output.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object; its members are in docs/operations.md.
    Json,
}

/// All that `check` has found.
struct Findings<'c> {
    file: String,
    complaints: Complaints,
    /// `None` where the file has an error.
    config: Option<&'c Config>,
    /// `None` without `--probe`.
    probed: Option<Vec<Probed>>,
}

/// Prints the result for the file at `path`.
pub(super) fn check(
    path: &Path,
    loaded: Result<Loaded, Complaints>,
    options: CheckOptions,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let (config, mut complaints) = match loaded {
        Ok(Loaded { config, warnings }) => (Some(config), Complaints { errors: Vec::new(), warnings }),
        Err(complaints) => (None, complaints),
    };
    let mut probed = None;
    if let Some(config) = config.as_ref().filter(|_| options.probe) {
        complaints.warnings.extend(busy_addresses(config));
        probed = Some(probe(config)?);
    }
    let is_reached = probed.iter().flatten().all(|probed| probed.result.is_ok());
    let is_good =
        complaints.errors.is_empty() && is_reached && (complaints.warnings.is_empty() || !options.deny_warnings);
    let findings = Findings { file: path.display().to_string(), complaints, config: config.as_ref(), probed };
    match options.format {
        Format::Text => findings.print(out)?,
        Format::Json => writeln!(out, "{:#}", findings.to_json(is_good))?,
    }
    Ok(if is_good { Exit::Success } else { Exit::BadConfig })
}

impl Findings<'_> {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.complaints)?;
        if let Some(config) = self.config {
            describe(config, out)?;
            for note in config.notes() {
                writeln!(out, "note: {note}")?;
            }
        }
        writeln!(out, "{}: {}", self.file, self.complaints.count())?;
        for probed in self.probed.iter().flatten() {
            writeln!(out, "{probed}")?;
        }
        Ok(())
    }

    fn to_json(&self, is_good: bool) -> Value {
        let registration = |registration: &Registration| {
            json!({
                "provider": registration.provider,
                "redirect_uris": registration.redirect_uris,
                "post_logout_redirect_uris": registration.post_logout_redirect_uris,
            })
        };
        let complaint = |complaint: &Complaint| {
            json!({
                "line": complaint.line,
                "column": complaint.column,
                "message": complaint.message,
                "help": complaint.help,
            })
        };
        let mut json = json!({
            "file": self.file,
            "ok": is_good,
            "errors": self.complaints.errors.iter().map(complaint).collect::<Vec<_>>(),
            "warnings": self.complaints.warnings.iter().map(complaint).collect::<Vec<_>>(),
        });
        if let Some(config) = self.config {
            let keys = config.session.keys.iter().enumerate();
            json["keys"] = keys.map(|(index, key)| json!({ "id": key.id(), "seals": index == 0 })).collect();
            let CookieSizes { usual, during_logins, .. } = config.cookie_sizes();
            let limit = config.listen.limits.head_bytes;
            json["cookie_header"] = json!({ "longest": usual, "during_logins": during_logins, "limit": limit });
            json["notes"] = config.notes().into();
            json["register"] = config.registrations().iter().map(registration).collect();
        }
        if let Some(probed) = &self.probed {
            let one = |probed: &Probed| {
                let (text, is_ok) = match &probed.result {
                    Ok(text) => (text, true),
                    Err(text) => (text, false),
                };
                json!({ "what": probed.what, "ok": is_ok, "detail": text })
            };
            json["probes"] = probed.iter().map(one).collect();
        }
        json
    }
}

fn describe(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let session = &config.session;
    for (index, key) in session.keys.iter().enumerate() {
        writeln!(out, "key {}: {}", key.id(), if index == 0 { "seals and opens" } else { "opens" })?;
    }
    let CookieSizes { usual, during_logins, attempts, channels } = config.cookie_sizes();
    let under_way = match (attempts, channels) {
        (0, 0) => String::new(),
        (0, codes) => format!(", and {during_logins} while {} under way", counted(codes, "code")),
        (logins, 0) => format!(", and {during_logins} while {} under way", counted(logins, "login")),
        (logins, codes) => {
            format!(", and {during_logins} while {logins} logins and {} under way", counted(codes, "code"))
        }
    };
    writeln!(
        out,
        "Cookie header at its worst: {usual} bytes{under_way} (a header block may have {}, those of many backends 8192)",
        config.listen.limits.head_bytes
    )?;
    let limit = usize::try_from(config.listen.limits.head_bytes).unwrap_or(usize::MAX);
    if during_logins > limit {
        let room = (during_logins + 8192).div_ceil(1024);
        writeln!(
            out,
            "hint: `header_bytes = \"{room}KiB\"` under `[limits]` leaves room for all of these cookies at once"
        )?;
    }
    for Registration { provider, redirect_uris, post_logout_redirect_uris } in config.registrations() {
        for uri in redirect_uris {
            writeln!(out, "register at {provider}: redirect_uri {uri}")?;
        }
        for uri in post_logout_redirect_uris {
            writeln!(out, "register at {provider}, if it has a logout: post_logout_redirect_uri {uri}")?;
        }
    }
    let base_path = config.login.base_path.as_str();
    if session.compat.is_some() && base_path != BASE_PATH_OF_AUTH_JS {
        writeln!(
            out,
            "hint: `next-auth/react` asks under `{BASE_PATH_OF_AUTH_JS}`: write `base_path = \"{BASE_PATH_OF_AUTH_JS}\"` \
             under `[session]`, or `basePath=\"{base_path}\"` at each `SessionProvider`"
        )?;
    }
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

/// `1 code is`, `2 codes are`.
fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what} is") } else { format!("{number} {what}s are") }
}

/// A warning for each listen address that cannot be bound. It may be in use by the gateway that runs with this file, so
/// it is no error.
fn busy_addresses(config: &Config) -> Vec<Complaint> {
    let listen = &config.listen;
    let addresses = [
        ("listen", Some(listen.listen)),
        ("admin_listen", listen.admin_listen),
        ("health_listen", listen.health_listen),
    ];
    let busy = |(key, address): (&str, Option<SocketAddr>)| {
        let address = address.filter(|address| address.port() != 0)?;
        let error = TcpListener::bind(address).err()?;
        let help = match error.kind() {
            io::ErrorKind::AddrInUse => "if that is not a gateway that runs with this file, choose another port",
            io::ErrorKind::PermissionDenied => {
                "ports under 1024 need a permission (CAP_NET_BIND_SERVICE), or choose another"
            }
            _ => "write an address that this machine has",
        };
        let kind = error.kind();
        Some(Complaint::without_place(format!("`server.{key}` cannot be listened on: {address}: {kind}"), help))
    };
    addresses.into_iter().filter_map(busy).collect()
}
