//! The cookies of one-time code challenges, one for each channel. The module `otp` seals and opens their values.

use std::time::Duration;

use http::{HeaderMap, header};

use super::{cookies::CookieChanges, shared::Shared};
use crate::channel::Channel;

/// The cookies of one-time code challenges.
pub struct Challenges<'s> {
    shared: &'s Shared,
}

impl<'s> Challenges<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared }
    }

    /// The values of the challenge cookie of `channel`. There may be more than one: other hosts of the site can set it
    /// too.
    pub fn find<'h>(&self, headers: &'h HeaderMap, channel: Channel) -> Vec<&'h [u8]> {
        let found = self.shared.jar.find(headers.get_all(header::COOKIE).iter());
        found.challenges.into_iter().filter(|(found, _)| *found == channel).map(|(_, value)| value).collect()
    }

    /// Sets the challenge cookie of `channel` for `span`, rounded up to whole seconds.
    pub fn keep(&self, channel: Channel, sealed: &str, span: Duration) -> CookieChanges {
        let max_age = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        self.shared.jar.set_challenge(channel, sealed, max_age)
    }

    /// Deletes the challenge cookie of `channel`.
    pub fn clear(&self, channel: Channel) -> CookieChanges {
        self.shared.jar.clear_challenge(channel)
    }
}
