//! Vestibule: an edge authentication gateway. `ARCHITECTURE.md` shows the way of a request through these modules and
//! which of them may import which.

pub mod assemble;
pub mod auth_js;
pub mod authority;
pub mod call;
pub mod cli;
pub mod config;
pub mod endpoint;
pub mod handle;
pub mod hygiene;
pub mod listen;
pub mod login;
pub mod oidc;
pub mod otp;
pub mod outbound;
pub mod pages;
pub mod problem;
pub mod respond;
pub mod route;
pub mod session;
pub mod store;
pub mod text;
pub mod upstream;

// All other modules may use these.
pub mod alarm;
mod answer_limits;
pub mod backoff;
pub mod channel;
pub mod client;
pub mod clock;
pub mod head_memory;
mod keep_alive;
pub mod own_headers;
pub mod received;
pub mod scheme;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod telemetry;
mod tls_fault;

pub mod demo;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

#[cfg(test)]
mod scripted;
