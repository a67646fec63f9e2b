//! The errors of stores.

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, did not answer in time, or gave an answer that this version does not know. The call
    /// may or may not have taken effect.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store is at a limit of memory, disk or count. Nothing was changed.
    #[error("the store is full")]
    Full,
}

/// Why a store can never be used as it is configured: its address cannot be parsed, or a file that the settings name
/// cannot be opened. The text never contains a password.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be opened: {0}")]
pub struct OpenStoreError(pub(in crate::store) String);
