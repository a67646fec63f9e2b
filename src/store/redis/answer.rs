//! What a script answered: a list that begins with a word.

use bytes::Bytes;
use redis::Value;

use crate::{clock::Timestamp, store::StoreError};

/// The rest of a script's answer, read from the front.
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            _ => Err(other_than_expected()),
        }
    }

    /// A word of ours.
    pub(super) fn word(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.next()?).map_err(|_| other_than_expected())
    }

    pub(super) fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        let number = self.word()?.parse().map_err(|_| other_than_expected())?;
        N::try_from(number).map_err(|_| other_than_expected())
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_millis)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        self.next().map(Bytes::from)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.len() == 0
    }

    fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            Some(Value::Int(number)) => Ok(number.to_string().into_bytes()),
            _ => Err(other_than_expected()),
        }
    }
}

pub(super) fn other_than_expected() -> StoreError {
    StoreError::Unavailable("it answers what no script of ours does".to_owned())
}
