//! The HTTP client for providers of messages.

use std::time::Duration;

use crate::outbound::{Network, Outbound, Settings};

/// A client for providers of messages. Its connect timeout is 2 s, because a person is waiting for the code.
pub fn http_client() -> reqwest::Result<Outbound> {
    let connect_timeout = Duration::from_secs(2);
    let (peer, network, authorities) = ("message provider", Network::Internet, None);
    // A GET may send a message.
    Outbound::new(Settings { peer, connect_timeout, network, repeats_gets: false, authorities })
}

/// Longest answer of a provider, in bytes; usual answers have a few hundred.
pub(super) const LARGEST_ANSWER: usize = 64 << 10;
