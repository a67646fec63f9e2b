//! The answers of Redis' scripts and of `PostgreSQL`'s functions, decoded into the contract's enums. Each answer begins
//! with a word, and its values follow in the order number, moment, bytes. Where the words of the two differ, both stand
//! in one arm: what is written in Redis' scripts and in released migrations cannot be changed while a fleet runs two
//! versions.

use std::time::Duration;

use bytes::Bytes;

use super::contract::{Advanced, Generation, Lease, Opened, Resent, Settled, StoreError, StoredResult, Tried};
use crate::clock::Timestamp;

/// One answer. Each call reads the next value of that type.
pub(super) trait Answer {
    /// The word that it begins with.
    fn word(&mut self) -> Result<String, StoreError>;
    /// A number.
    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError>;
    /// A moment.
    fn moment(&mut self) -> Result<Timestamp, StoreError>;
    /// What was stored as bytes.
    fn bytes(&mut self) -> Result<Bytes, StoreError>;
}

/// What `Refreshes::lease` answers.
pub(super) fn lease(answer: &mut impl Answer) -> Result<Lease, StoreError> {
    match answer.word()?.as_str() {
        "granted" => Ok(Lease::Granted(answer.number()?)),
        "held" => Ok(Lease::Held(answer.moment()?)),
        "result" => Ok(Lease::Result(stored_result(answer)?)),
        "ended" => Ok(Lease::Ended),
        word => Err(unknown(word)),
    }
}

/// What `Refreshes::settle` answers.
pub(super) fn settled(answer: &mut impl Answer) -> Result<Settled, StoreError> {
    match answer.word()?.as_str() {
        "stored" => Ok(Settled::Stored),
        "ended" => Ok(Settled::Ended),
        "lost" => Ok(Settled::Lost),
        word => Err(unknown(word)),
    }
}

/// A stored result: its generation, when it was stored, and what is sealed in it.
pub(super) fn stored_result(answer: &mut impl Answer) -> Result<StoredResult, StoreError> {
    Ok(StoredResult { generation: answer.number()?, stored_at: answer.moment()?, sealed: answer.bytes()? })
}

/// What `Codes::open` answers.
pub(super) fn opened(answer: &mut impl Answer, cooldown: Duration) -> Result<Opened, StoreError> {
    match answer.word()?.as_str() {
        "stored" => Ok(Opened::Stored),
        // The moment from which it is worth another attempt.
        "soon" | "crowded" => Ok(Opened::TooSoon(answer.moment()?)),
        // The moment at which the last code was sent.
        "cooling" => Ok(Opened::TooSoon(answer.moment()?.plus(cooldown))),
        word => Err(unknown(word)),
    }
}

/// What `Codes::resend` answers.
pub(super) fn resent(answer: &mut impl Answer) -> Result<Resent, StoreError> {
    match answer.word()?.as_str() {
        "code" => {
            let expires = answer.moment()?;
            Ok(Resent::Code { sealed: answer.bytes()?, expires })
        }
        "often" | "too often" => Ok(Resent::TooOften(answer.moment()?)),
        "none" => Ok(Resent::None),
        word => Err(unknown(word)),
    }
}

/// What `Codes::try_code` answers.
pub(super) fn tried(answer: &mut impl Answer) -> Result<Tried, StoreError> {
    match answer.word()?.as_str() {
        "right" => Ok(Tried::Right(answer.number()?)),
        "wrong" => Ok(Tried::Wrong),
        "gone" => Ok(Tried::Gone),
        word => Err(unknown(word)),
    }
}

/// What `Families::advance` answers.
pub(super) fn advanced(answer: &mut impl Answer) -> Result<Advanced, StoreError> {
    match answer.word()?.as_str() {
        "to" | "advanced" => {
            let generation: Generation = answer.number()?;
            Ok(Advanced::To { generation, record: answer.bytes()? })
        }
        "reused" => Ok(Advanced::Reused),
        "unknown" => Ok(Advanced::Unknown),
        word => Err(unknown(word)),
    }
}

/// An answer that no script or function of this version gives.
pub(super) fn unknown(word: &str) -> StoreError {
    StoreError::Unavailable(format!("it answered {word:?}, which no script or function of this version answers"))
}

/// An answer without a value that belongs to it.
pub(super) fn incomplete() -> StoreError {
    StoreError::Unavailable("its answer lacks a value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of one word, with any values.
    struct Word(String);

    impl Answer for Word {
        fn word(&mut self) -> Result<String, StoreError> {
            Ok(self.0.clone())
        }

        fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
            N::try_from(1).map_err(|_| incomplete())
        }

        fn moment(&mut self) -> Result<Timestamp, StoreError> {
            Ok(Timestamp::default())
        }

        fn bytes(&mut self) -> Result<Bytes, StoreError> {
            Ok(Bytes::new())
        }
    }

    type Decoder = fn(&mut Word) -> Result<(), StoreError>;

    /// The words that stand between `before` and a quotation mark.
    fn words<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
        text.split(before).skip(1).map(|rest| rest.split('\'').next().unwrap()).collect()
    }

    #[test]
    fn every_word_that_a_script_or_a_function_answers_is_decoded() {
        let answers: [(Decoder, &str, &str, &str); 6] = [
            (
                |word| lease(word).map(drop),
                include_str!("redis/lua/lease.lua"),
                include_str!("postgres/migrations/0001_sessions.sql"),
                "lease",
            ),
            (
                |word| settled(word).map(drop),
                include_str!("redis/lua/settle.lua"),
                include_str!("postgres/migrations/0001_sessions.sql"),
                "settle",
            ),
            (
                |word| opened(word, Duration::ZERO).map(drop),
                include_str!("redis/lua/open_code.lua"),
                include_str!("postgres/migrations/0003_codes.sql"),
                "open_code",
            ),
            (
                |word| resent(word).map(drop),
                include_str!("redis/lua/send_again.lua"),
                include_str!("postgres/migrations/0003_codes.sql"),
                "again_code",
            ),
            (
                |word| tried(word).map(drop),
                include_str!("redis/lua/try_code.lua"),
                include_str!("postgres/migrations/0003_codes.sql"),
                "try_code",
            ),
            (
                |word| advanced(word).map(drop),
                include_str!("redis/lua/advance_family.lua"),
                include_str!("postgres/migrations/0005_families.sql"),
                "advance",
            ),
        ];
        for (decode, script, migration, function) in answers {
            let begin = format!("create function vestibule.{function}(");
            let function = migration.split(&begin).nth(1).unwrap().split("end $$").next().unwrap();
            for answered in [words(script, "return { '"), words(function, "answer := '")] {
                assert!(answered.len() >= 3, "{begin}: {answered:?}");
                for word in answered {
                    decode(&mut Word(word.to_owned())).unwrap();
                }
            }
            assert!(decode(&mut Word("else".to_owned())).is_err());
        }
    }
}
