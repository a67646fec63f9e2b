//! Temporary: until the foundation is merged.
pub use crate::hygiene::Scheme;
