//! The HTTP client for providers of messages.

use std::time::Duration;

use crate::outbound::{Network, Outbound, Settings};

/// A client for providers of messages; connecting takes 2 s at most, because a person waits for the code.
pub fn http_client() -> reqwest::Result<Outbound> {
    let connect_timeout = Duration::from_secs(2);
    Outbound::new(Settings { peer: "message provider", connect_timeout, network: Network::Internet })
}

/// Largest answer, in bytes: an answer is a number and a sentence.
pub(super) const LARGEST_ANSWER: usize = 64 << 10;
