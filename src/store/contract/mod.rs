//! The arithmetic that every store computes alike.

pub(super) mod quota;
