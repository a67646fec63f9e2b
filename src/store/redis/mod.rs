//! The store in Redis. Every step is one script on one key, so it is the same step on one server, behind Sentinels and
//! in a Cluster. Scripts compare the times that they are given; Redis' own expiry only removes what became invalid some
//! time ago.
//!
//! Every call has an answer within its deadline, half a second unless the address says otherwise. It is sent again only
//! if the server said that it did not run. Otherwise the caller gets an error that says that it may have run.
//!
//! Redis replicates after it has answered, so a failover can lose the last writes. A code whose record is lost is dead,
//! a lease that is lost was fenced, and a family whose advance is lost does not know its newest token. A key that is
//! taken once can then be taken a second time.

mod address;
mod answer;
mod codes;
mod counters;
mod families;
mod follow;
mod instance;
mod keys;
mod message;
mod one_time;
mod refreshes;
mod script;
mod servers;
mod store;
#[cfg(test)]
mod tests;

pub(super) use store::RedisStore;
