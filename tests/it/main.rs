//! The integration tests: what visitors, backends and operators see of a running gateway.

mod harness;

mod architecture;
