//! Vestibule: an edge authentication gateway. The modules stand in the order a request meets them.

pub mod cli;
pub mod config;

pub mod assemble;

pub mod listen;

pub mod handle;

pub mod hygiene;

pub mod route;

pub mod session;

pub mod authority;

pub mod endpoint;

pub mod login;

pub mod otp;

pub mod pages;

pub mod upstream;

pub mod respond;

pub mod problem;

pub mod text;

pub mod oidc;

pub mod call;

pub mod outbound;

pub mod store;

pub mod telemetry;

pub mod alarm;
pub mod backoff;
pub mod channel;
pub mod client;
pub mod clock;
pub mod scheme;
pub mod seal;
pub mod secret;
pub mod signing;

pub mod demo;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

#[cfg(test)]
mod scripted;
