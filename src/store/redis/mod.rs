//! The store in Redis. Every step is one script on one key, so it is atomic on one server, behind Sentinels and in a
//! Cluster. Scripts compare with the server's clock (TIME); Redis' own expiry only removes records that have been
//! invalid for some time.
//!
//! Every call returns within its deadline: 500 ms, or the `timeout_ms` of the address. It is sent again only if the
//! server said that it did not run. After any other failure the caller gets `StoreError::Unavailable`, because the call
//! may have run.
//!
//! Redis replicates after it has answered, so a failover can lose the last writes. Then a lost code is invalid, a lost
//! lease can be granted to a second holder, the newest token of a family whose advance was lost is refused, and a key
//! whose take was lost can be taken a second time.

mod address;
mod answer;
mod codes;
mod counters;
mod deposits;
mod families;
mod follow;
mod instance;
mod keys;
mod message;
mod notes;
mod one_time;
mod refreshes;
mod script;
mod servers;
mod store;
#[cfg(test)]
mod tests;

pub(super) use store::RedisStore;
