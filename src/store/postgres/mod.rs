//! The store in `PostgreSQL`, for a fleet without Redis. One call is one statement, in most cases a function that the
//! migrations created. It runs at READ COMMITTED and under an advisory lock on its record, so it is one atomic step.
//! Calls use pooled connections. One further connection (`listen.rs`) updates the schema before the first call is sent,
//! and receives which sessions other instances settle and end.

mod address;
mod answer;
mod codes;
mod counters;
mod deposits;
mod families;
mod listen;
mod migrations;
mod notes;
mod one_time;
mod pool;
mod reason;
mod refreshes;
mod store;
#[cfg(test)]
mod tests;
mod values;

pub(super) use store::PostgresStore;
