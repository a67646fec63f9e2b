//! Turns errors of the database into errors of the store, without secrets.

use std::error::Error as _;

use tokio_postgres::{Error, error::SqlState};

use crate::store::contract::StoreError;

/// The error of a call that `error` ended.
pub(super) fn failed(error: &Error) -> StoreError {
    if error.code() == Some(&SqlState::DISK_FULL) { StoreError::Full } else { StoreError::Unavailable(reason(error)) }
}

/// The error of a call that got no answer before its deadline.
pub(super) fn late() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

/// The error and its causes in one line. Messages of the server contain names of users and databases, but no password.
pub(super) fn reason(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
