//! The cookies of those who asked for a one-time code: one for each channel, whose sealed value is the business of `otp`.

use std::time::Duration;

use http::{HeaderMap, header};

use super::{CookieChanges, Inner};
use crate::channel::Channel;

/// Challenges, as cookies.
pub struct Challenges<'s> {
    inner: &'s Inner,
}

impl<'s> Challenges<'s> {
    pub(super) fn new(inner: &'s Inner) -> Self {
        Self { inner }
    }

    /// The values of the cookie of `channel`: more than one where a neighbouring host set one too.
    pub fn find<'h>(&self, headers: &'h HeaderMap, channel: Channel) -> Vec<&'h [u8]> {
        let found = self.inner.jar.find(headers.get_all(header::COOKIE).iter());
        found.challenges.into_iter().filter(|(found, _)| *found == channel).map(|(_, value)| value).collect()
    }

    /// Keeps a sealed challenge for `span`, rounded up to whole seconds.
    pub fn keep(&self, channel: Channel, sealed: &str, span: Duration) -> CookieChanges {
        let max_age = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        self.inner.jar.set_challenge(channel, sealed, max_age)
    }

    /// Deletes the challenge of `channel`.
    pub fn clear(&self, channel: Channel) -> CookieChanges {
        self.inner.jar.clear_challenge(channel)
    }
}
