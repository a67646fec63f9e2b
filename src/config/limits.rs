//! `[limits]`: wrong guesses, and connections.

use super::{form, section::Section};
use crate::endpoint::{GuessLimits, Rate};

/// How many connections there may be: in all, and of one client.
#[derive(Clone, Copy)]
pub(super) struct Connections {
    pub(super) most: u32,
    pub(super) per_client: u32,
}

/// Reads the limits of guesses.
pub(super) fn guesses(section: &Section<'_>) -> GuessLimits {
    let rate = |key| {
        let (most, window) = section.read(key, form::rate);
        Rate { most, window }
    };
    GuessLimits { per_client: rate("failures_per_client"), per_account: rate("failures_per_account") }
}

/// Reads the limits of connections.
pub(super) fn connections(section: &Section<'_>) -> Connections {
    Connections { most: section.number("connections"), per_client: section.number("connections_per_client") }
}
