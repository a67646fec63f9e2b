//! The integration tests: what visitors, backends and operators see of a running gateway.

mod harness;

mod architecture;
mod callback;
mod login;
mod refresh;
mod retry_on_401;
mod return_to;
mod session;
