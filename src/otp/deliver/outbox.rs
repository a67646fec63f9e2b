//! The outbox of development: messages are not sent but written to a file, or posted to a server of this machine.

use std::path::PathBuf;

use url::Url;

/// `[otp.X.outbox]`, validated.
#[derive(Clone, Debug)]
pub enum OutboxSettings {
    /// Appended to this file, one JSON object a line.
    File(PathBuf),
    /// Posted as JSON to this address on loopback.
    Url(Url),
}

/// Where messages end instead of at their addresses.
pub struct Outbox;
