//! What the tests are made of: a gateway, a browser, raw connections, and the peers on the gateway's other sides.

mod browser;
mod gateway;
mod op;
mod process;
pub mod raw;
mod upstream;
mod websocket;

use std::time::Duration;

pub use self::{
    browser::{Answer, Ask, Browser, Opened, Protocol},
    gateway::{Gateway, Setup, World, free_port},
    op::OpenIdProvider,
    process::Process,
    raw::Raw,
    upstream::{Upstream, Wire, ok},
    websocket::WebSocket,
};

/// Nothing that a test waits for takes this long; what does is a failure and not a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for `event`, and fails where it does not come.
#[track_caller]
pub fn within_patience<F: Future>(what: &'static str, event: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, event).await {
            Ok(output) => output,
            Err(_) => panic!("{place}: waited in vain for {what}"),
        }
    }
}

/// Seconds, as a duration.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
