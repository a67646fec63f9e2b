//! The answer of a statement: a row whose columns are `answer` (a word), `number`, `distance` (of a time from the
//! server's clock, in milliseconds) and `payload`, of which each statement has those that it needs.

use bytes::Bytes;
use tokio_postgres::{Row, types::FromSql};

use super::reason::failed;
use crate::{
    clock::Timestamp,
    store::{
        contract::StoreError,
        words::{AnswerReader, incomplete},
    },
};

/// A row, and the caller's clock when the statement was sent.
pub(super) struct RowAnswer {
    pub(super) row: Row,
    pub(super) now: Timestamp,
}

impl RowAnswer {
    /// A column of the row.
    pub(super) fn column<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T, StoreError> {
        self.row.try_get(name).map_err(|error| failed(&error))
    }

    /// The time at a distance from the server's clock, by the caller's clock.
    pub(super) fn by_callers_clock(&self, distance: i64) -> Timestamp {
        Timestamp::from_millis(self.now.as_millis().saturating_add(distance))
    }
}

impl AnswerReader for RowAnswer {
    fn word(&mut self) -> Result<String, StoreError> {
        self.column("answer")
    }

    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        N::try_from(self.column("number")?).map_err(|_| incomplete())
    }

    fn moment(&mut self) -> Result<Timestamp, StoreError> {
        Ok(self.by_callers_clock(self.column("distance")?))
    }

    fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.column("payload").map(Bytes::copy_from_slice)
    }
}
