//! How many messages are sent, and how many wrong codes are taken: per address, client, country and in all.
//!
//! The counts lie under digests keyed with the first session key: another first key begins them anew.

use std::time::Duration;

use super::{Channel, OtpError, Otps, address::Address};
use crate::{
    clock::Timestamp,
    endpoint::{Call, Rate},
    network::Network,
    store::{Digest, Quota, Spent, StoreError},
};

/// `[otp] limits` and `daily_cap`, validated.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To one address: against flooding a person.
    pub per_address: Rate,
    /// For one client: against trying many addresses.
    pub per_ip: Rate,
    /// To the numbers of one country: against toll fraud. `None`: a tenth of `total` for each but the first.
    pub per_country: Option<Rate>,
    /// In all; half of it is kept for those who have logged in before.
    pub total: Rate,
    /// On one day: the most that an attack can cost.
    pub daily_cap: u32,
}

/// Wrong codes for one address, whatever browsers they come from: what slows a guesser who asks for one code after another (NIST SP 800-63B section 5.2.2).
const FAILURES: Rate = Rate { most: 10, window: Duration::from_secs(3600) };
const DAY: Duration = Duration::from_secs(86_400);

impl Otps {
    /// Counts one message under everything that limits it, or refuses it: also one to an address that no code is taken for at present. What was counted is given back with
    /// [`Otps::refund`].
    pub(super) async fn spend_message(
        &self,
        call: &Call,
        channel: Channel,
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<Quota>, SpendError> {
        let limits = &self.settings.limits;
        let mut quotas = vec![
            self.quota(&[b"address", channel.as_str().as_bytes(), address.canonical().as_bytes()], limits.per_address),
            self.quota(&[b"client", Network::of(call.client).bytes()], limits.per_ip),
            self.quota(&[b"total"], limits.total),
            self.quota(&[b"day"], Rate { most: limits.daily_cap, window: DAY }),
        ];
        if let Some((country, limit)) = address.country_limit(&self.settings.addresses, limits) {
            quotas.push(self.quota(&[b"country", country.as_str().as_bytes()], limit));
        }
        // `sb_did` is a label that anybody can make up, so it must be one that logged in. A cookie that only a login brings, even one that has ended since, says so itself.
        if !call.visit.came_with_login() && !self.sessions.knows_device(&call.headers).await {
            quotas.push(self.quota(&[b"strangers"], limits.total.half()));
        }
        // Asked for by counting it and giving it back: a message is no failure.
        let failure = self.failure(channel, address);
        let counted = self.spend(quotas.iter().copied().chain([failure]).collect(), now).await;
        if counted.is_ok() {
            self.refund(vec![failure], now).await;
        }
        counted.map(|_| quotas)
    }

    /// Counts one failure of an address; given back where the try was right.
    pub(super) async fn spend_failure(
        &self,
        channel: Channel,
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<Quota>, SpendError> {
        self.spend(vec![self.failure(channel, address)], now).await
    }

    /// Gives back what was counted at `now`. Where that fails somebody waits a little longer, and nobody gets more than the limits say.
    pub(super) async fn refund(&self, quotas: Vec<Quota>, now: Timestamp) {
        if let Err(error) = self.store.counters.refund(quotas, now).await {
            tracing::warn!(%error, "otp: what was counted was not given back");
        }
    }

    async fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> Result<Vec<Quota>, SpendError> {
        match self.store.counters.spend(quotas.clone(), now).await? {
            Spent::Within => Ok(quotas),
            Spent::Over { again_at, .. } => Err(SpendError::Over(again_at.since(now))),
        }
    }

    fn failure(&self, channel: Channel, address: &Address) -> Quota {
        self.quota(&[b"failures", channel.as_str().as_bytes(), address.canonical().as_bytes()], FAILURES)
    }

    fn quota(&self, parts: &[&[u8]], rate: Rate) -> Quota {
        let parts: Vec<_> = std::iter::once(&b"limit"[..]).chain(parts.iter().copied()).collect();
        Quota { key: Digest(self.limit_key.digest(&parts)), most: rate.most, window: rate.window }
    }
}

/// Why nothing was counted.
pub(super) enum SpendError {
    /// A limit is reached; another try is worth it after this long.
    Over(Duration),
    /// Nobody knows.
    Store(StoreError),
}

impl From<StoreError> for SpendError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SpendError> for OtpError {
    fn from(error: SpendError) -> Self {
        match error {
            SpendError::Over(wait) => Self::TooMany(wait),
            SpendError::Store(error) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_limit_lets_somebody_through() {
        let rate = |most| Rate { most, window: DAY };
        assert_eq!((rate(1).half(), rate(5).half(), rate(1000).half()), (rate(1), rate(2), rate(500)));
        assert_eq!((rate(1).tenth(), rate(25).tenth(), rate(1000).tenth()), (rate(1), rate(2), rate(100)));
    }
}
