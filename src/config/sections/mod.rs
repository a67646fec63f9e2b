//! The tables of `gateway.toml`, one file for each.

pub(crate) mod authority;
pub(crate) mod call;
pub(crate) mod limits;
pub(crate) mod otp;
pub(crate) mod pages;
pub(crate) mod providers;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod signing;
pub(crate) mod store;
