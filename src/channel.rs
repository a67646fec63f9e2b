//! Temporary: until the foundation is merged.
pub use crate::otp::Channel;
