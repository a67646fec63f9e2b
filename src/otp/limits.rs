//! Limits on messages and wrong codes: per address, client, country and in total.

use std::time::Duration;

use super::{
    address::{Address, Country},
    endpoints::Otps,
};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::{Call, CountError, Rate},
    store::Quota,
};

/// Wrong codes for one address, whatever browsers they come from: what slows a guesser who asks for one code after
/// another (NIST SP 800-63B section 5.2.2).
const FAILURES: Rate = Rate { most: 10, window: Duration::from_secs(3600) };
const DAY: Duration = Duration::from_secs(86_400);

impl Otps {
    /// Counts one message under every limit, or refuses it; also where the address is over its limit of wrong codes,
    /// for no code is accepted for it then. [`Counts::give_back`](crate::endpoint::Counts::give_back) takes the count
    /// back.
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
        if let Some((country, limit)) = self.country_limit(address) {
            quotas.push(self.quota(&[b"country", country.as_str().as_bytes()], limit));
        }
        // `sb_did` can be made up, so it counts only if the store knows it from a login. A session cookie, even of a
        // session that has ended, proves a login by itself.
        if !call.visit.came_with_login() && !self.sessions.knows_device(&call.headers).await {
            quotas.push(self.quota(&[b"strangers"], limits.total.half()));
        }
        // Checked by counting one failure and taking it back: a message is no failure.
        let failure = self.failure(channel, address);
        self.counts.spend(quotas.iter().copied().chain([failure]).collect(), now).await?;
        self.counts.give_back(vec![failure], now).await;
        Ok(quotas)
    }

    /// Counts one wrong code for an address; the caller takes it back where the code was right.
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

    /// The limit of the address's country. A country without one of its own gets a tenth of `total`, unless it is the
    /// first.
    fn country_limit(&self, address: &Address) -> Option<(Country, Rate)> {
        let (limits, country) = (&self.settings.limits, address.country()?);
        let is_first = self.settings.addresses.countries.first() == Some(&country);
        let limit = limits.per_country.or_else(|| (!is_first).then(|| limits.total.tenth()))?;
        Some((country, limit))
    }

    fn failure(&self, channel: Channel, address: &Address) -> Quota {
        self.quota(&[b"failures", channel.as_str().as_bytes(), address.canonical().as_bytes()], FAILURES)
    }

    fn quota(&self, name: &[&[u8]], rate: Rate) -> Quota {
        let name: Vec<_> = std::iter::once(&b"limit"[..]).chain(name.iter().copied()).collect();
        self.counts.quota(&name, rate)
    }
}
