//! Why a store did not do what it was asked.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, it did not answer in time, or it gave an answer of another version. Whether the call took
    /// effect is unknown.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It is at its limit, and nothing was changed.
    #[error("the store is full")]
    Full,
}

/// Why a store can never be used as it is configured: its address cannot be parsed, or a file that the settings name
/// cannot be opened. The reason never repeats a password.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be opened: {0}")]
pub struct OpenStoreError(pub(in crate::store) String);
