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
pub(super) struct ScriptAnswer(std::vec::IntoIter<Value>);

impl ScriptAnswer {
    /// The answer in `value`; an error if it is not a list.
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            _ => Err(incomplete()),
        }
    }

    /// Whether all values have been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.len() == 0
    }

    fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
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
        self.number().map(Timestamp::from_millis)
    }

    fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.next().map(Bytes::from)
    }
}
