//! The integration tests: what visitors, backends and operators see of a running gateway.

mod harness;

mod access;
mod architecture;
mod callback;
mod cross_site;
mod login;
mod logout;
mod outage;
mod refresh;
mod retry_on_401;
mod return_to;
mod samples;
mod session;
