//! The store in `PostgreSQL`, for a fleet that has no Redis. One call is one statement, mostly a function that the
//! migrations created. At READ COMMITTED, and under an advisory lock on what it is about, it is one atomic step. Pooled
//! connections, all alike, carry the calls. A connection of its own (`listen.rs`) receives what other instances settle
//! and end, and brings the schema up to date before the first call is sent.

mod address;
mod answer;
mod codes;
mod counters;
mod families;
mod listen;
mod migrations;
mod one_time;
mod pool;
mod reason;
mod refreshes;
mod store;
#[cfg(test)]
mod tests;
mod values;

pub(super) use store::PostgresStore;
