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

/// Limit of wrong codes for one address, over all browsers. It stops an attacker who requests a new code after every
/// few guesses (NIST SP 800-63B section 5.2.2).
const WRONG_CODES: Rate = Rate { most: 10, window: Duration::from_secs(3600) };
const DAY: Duration = Duration::from_secs(86_400);

impl Otps {
    /// Counts one message against every limit, or refuses it. It is also refused if the address has reached its limit
    /// of wrong codes, because no code for it would be accepted then. To undo the count, pass the result to
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
        if let Some((country, limit)) = self.country_limit(address) {
            quotas.push(self.quota(&[b"country", country.as_str().as_bytes()], limit));
        }
        // Any client can invent a value of `sb_did`, so it counts only if the store has recorded a login with it. A
        // session cookie is sealed: it proves a login even after its session has ended.
        if !call.visit.came_with_login() && !self.sessions.knows_device(&call.headers).await {
            quotas.push(self.quota(&[b"strangers"], limits.total.half()));
        }
        // Only checks the limit of wrong codes: one is counted and given back, because a message is not a wrong code.
        let wrong_code = self.wrong_code_quota(channel, address);
        self.counts.spend(quotas.iter().copied().chain([wrong_code]).collect(), now).await?;
        self.counts.give_back(vec![wrong_code], now, self.clock.now()).await;
        Ok(quotas)
    }

    /// Counts one wrong code for an address; the caller gives it back if the code was right.
    pub(super) async fn spend_wrong_code(
        &self,
        channel: Channel,
        address: &Address,
        now: Timestamp,
    ) -> Result<Vec<Quota>, CountError> {
        let quotas = vec![self.wrong_code_quota(channel, address)];
        self.counts.spend(quotas.clone(), now).await?;
        Ok(quotas)
    }

    /// The limit of the address's country: `per_country`, or by default a tenth of `total` for each country except the
    /// first.
    fn country_limit(&self, address: &Address) -> Option<(Country, Rate)> {
        let (limits, country) = (&self.settings.limits, address.country()?);
        let is_first = self.settings.addresses.countries.first() == Some(&country);
        let limit = limits.per_country.or_else(|| (!is_first).then(|| limits.total.tenth()))?;
        Some((country, limit))
    }

    fn wrong_code_quota(&self, channel: Channel, address: &Address) -> Quota {
        self.quota(&[b"failures", channel.as_str().as_bytes(), address.canonical().as_bytes()], WRONG_CODES)
    }

    fn quota(&self, name: &[&[u8]], rate: Rate) -> Quota {
        let name: Vec<_> = std::iter::once(&b"limit"[..]).chain(name.iter().copied()).collect();
        self.counts.quota(&name, rate)
    }
}
