//! How many messages are sent, and how many wrong codes are taken: per address, client, country and in all.

use std::time::Duration;

use super::{Otps, address::Address};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::{Call, CountError, Rate},
    store::Quota,
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
    /// [`Counts::give_back`](crate::endpoint::Counts::give_back).
    pub(super) async fn spend_message(
        &self,
        call: &Call,
        channel: Channel,
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<Quota>, CountError> {
        let limits = &self.settings.limits;
        let mut quotas = vec![
            self.quota(&[b"address", channel.as_str().as_bytes(), address.canonical().as_bytes()], limits.per_address),
            self.quota(&[b"client", call.client.key().bytes()], limits.per_ip),
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
        self.counts.spend(quotas.iter().copied().chain([failure]).collect(), now).await?;
        self.counts.give_back(vec![failure], now).await;
        Ok(quotas)
    }

    /// Counts one failure of an address; given back where the try was right.
    pub(super) async fn spend_failure(
        &self,
        channel: Channel,
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<Quota>, CountError> {
        let failure = vec![self.failure(channel, address)];
        self.counts.spend(failure.clone(), now).await?;
        Ok(failure)
    }

    fn failure(&self, channel: Channel, address: &Address) -> Quota {
        self.quota(&[b"failures", channel.as_str().as_bytes(), address.canonical().as_bytes()], FAILURES)
    }

    fn quota(&self, name: &[&[u8]], rate: Rate) -> Quota {
        let name: Vec<_> = std::iter::once(&b"limit"[..]).chain(name.iter().copied()).collect();
        self.counts.quota(&name, rate)
    }
}
