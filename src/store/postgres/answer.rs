//! The answer of a function: a row whose columns are `answer` (a word), `number`, `moment` and `payload`, of which each
//! function has those that it needs.

use std::time::SystemTime;

use bytes::Bytes;
use tokio_postgres::{Row, types::FromSql};

use super::{reason::failed, values::timestamp};
use crate::{
    clock::Timestamp,
    store::{
        contract::StoreError,
        words::{AnswerReader, incomplete},
    },
};

/// A function's answer.
pub(super) struct RowAnswer<'r>(pub(super) &'r Row);

impl AnswerReader for RowAnswer<'_> {
    fn word(&mut self) -> Result<String, StoreError> {
        column(self.0, "answer")
    }

    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        N::try_from(column(self.0, "number")?).map_err(|_| incomplete())
    }

    fn moment(&mut self) -> Result<Timestamp, StoreError> {
        column::<SystemTime>(self.0, "moment").map(timestamp)
    }

    fn bytes(&mut self) -> Result<Bytes, StoreError> {
        column(self.0, "payload").map(Bytes::copy_from_slice)
    }
}

/// A column of a row.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| failed(&error))
}
