//! `vestibule explain GET /path`: what becomes of a request.

use std::io::{self, Write};

use clap::Args;
use http::Method;

use crate::config::{self, Config};

/// The request to explain.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method, e.g. GET.
    pub method: Method,
    /// The path, e.g. /api/users/me.
    pub path: String,
    /// The host it is sent to; without it, that of `public_url`.
    #[arg(long)]
    pub host: Option<String>,
    /// A role that the visitor has; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// Prints what becomes of `request`.
pub(super) fn explain(request: &Request, config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let told = config::explain(config, &request.method, request.host.as_deref(), &request.path, &request.roles);
    write!(out, "{told}")
}
