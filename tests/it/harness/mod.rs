//! The parts of the tests: a gateway, a browser, raw connections, and the other servers.

mod backend;
mod browser;
pub(crate) mod frames;
mod gateway;
mod issuer;
mod next;
mod op;
mod process;
mod provider;
mod proxies;
pub(crate) mod raw;
mod servers;
mod smtp;
mod upstream;
mod websocket;

use std::time::Duration;

pub(crate) use self::{
    backend::{Backend, RecordedRequest},
    browser::{Answer, Browser, BrowserRequest, Opened, Protocol},
    frames::Frames,
    gateway::{Gateway, Setup, TestStack, free_port},
    issuer::{Issuer, b64},
    next::{NextApp, NextMode},
    op::OpenIdProvider,
    process::Process,
    provider::{CallbackTamper, IdTokenTamper, Provider, html_answer, json_answer},
    proxies::Product,
    raw::Raw,
    servers::{StoreServer, on_both_stores},
    smtp::MailServer,
    upstream::{ReceivedRequest, Upstream, ok},
    websocket::WebSocket,
};

/// Time limit of every wait in a test: longer than any event takes, so that a missing event fails the test instead of
/// blocking it.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Waits for `event`, and panics after [`TIME_LIMIT`].
#[track_caller]
pub(crate) fn within_time_limit<F: Future>(what: &'static str, event: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        let output = tokio::time::timeout(TIME_LIMIT, event).await;
        output.unwrap_or_else(|_| panic!("{place}: no event within the time limit: {what}"))
    }
}

/// Prints a measurement, or a test that was not run; `cargo test -- --nocapture` shows it.
#[expect(clippy::print_stdout, reason = "the output is for the person who runs the tests")]
pub(crate) fn report(line: &str) {
    println!("{line}");
}

/// Reports that a program that a test needs is not installed; in continuous integration (`CI` is set) that is a
/// failure.
#[track_caller]
pub(crate) fn not_installed(program: &str) {
    assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
    report(&format!("NOT RUN: {program} is not installed"));
}

/// Seconds, as a duration.
pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
