//! Decodes the answer of a script: a list that begins with a word.

use bytes::Bytes;
use redis::Value;

use crate::{
    clock::Timestamp,
    store::{
        contract::StoreError,
        words::{AnswerReader, incomplete},
    },
};

/// The values of a script's answer that have not been read yet.
pub(super) struct ScriptAnswer {
    values: std::vec::IntoIter<Value>,
    /// The caller's clock when the script was sent.
    now: Timestamp,
}

impl ScriptAnswer {
    /// The answer in `value`; an error if it is not a list.
    pub(super) fn of(value: Value, now: Timestamp) -> Result<Self, StoreError> {
        match value {
            Value::Array(items) => Ok(Self { values: items.into_iter(), now }),
            _ => Err(incomplete()),
        }
    }

    /// Whether all values have been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.values.len() == 0
    }

    fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.values.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            Some(Value::Int(number)) => Ok(number.to_string().into_bytes()),
            _ => Err(incomplete()),
        }
    }
}

impl AnswerReader for ScriptAnswer {
    fn word(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.next()?).map_err(|_| incomplete())
    }

    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        let number = self.word()?.parse().map_err(|_| incomplete())?;
        N::try_from(number).map_err(|_| incomplete())
    }

    fn moment(&mut self) -> Result<Timestamp, StoreError> {
        let distance: i64 = self.number()?;
        Ok(Timestamp::from_millis(self.now.as_millis().saturating_add(distance)))
    }

    fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.next().map(Bytes::from)
    }
}
