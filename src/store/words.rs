//! Decodes the answers of Redis' scripts and of `PostgreSQL`'s functions into the contract's enums. An answer is a
//! word, then its values in the order number, moment, bytes. Where scripts and functions use different words, one arm
//! matches both: released migrations cannot be changed, and during an update two versions of the gateway share one
//! store.

use std::time::Duration;

use bytes::Bytes;

use super::contract::{
    Advanced, Generation, Grant, Lease, Note, Opened, Replaced, Resent, Settled, StoreError, StoredResult, Tried,
};
use crate::clock::Timestamp;

/// Reads one answer. Each method reads the next value of its type.
pub(super) trait AnswerReader {
    /// The word that the answer begins with.
    fn word(&mut self) -> Result<String, StoreError>;
    /// A whole number; an error if `N` cannot represent it.
    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError>;
    /// A point in time, by the caller's clock.
    fn moment(&mut self) -> Result<Timestamp, StoreError>;
    /// Opaque bytes.
    fn bytes(&mut self) -> Result<Bytes, StoreError>;
}

/// Decodes the answer to `Refreshes::lease`.
pub(super) fn lease(answer: &mut impl AnswerReader, now: Timestamp) -> Result<Lease, StoreError> {
    match answer.word()?.as_str() {
        "granted" => {
            let fence = answer.number()?;
            Ok(Lease::Granted(Grant { fence, doubtful_for: answer.moment()?.since(now) }))
        }
        "held" => Ok(Lease::Held(answer.moment()?.since(now))),
        "result" => Ok(Lease::Result(stored_result(answer)?)),
        "ended" => Ok(Lease::Ended),
        word => Err(unknown(word)),
    }
}

/// Decodes the answer to `Refreshes::settle`.
pub(super) fn settled(answer: &mut impl AnswerReader) -> Result<Settled, StoreError> {
    match answer.word()?.as_str() {
        "stored" => Ok(Settled::Stored),
        "ended" => Ok(Settled::Ended),
        "lost" => Ok(Settled::Lost),
        word => Err(unknown(word)),
    }
}

/// Decodes a stored result, without the word before it.
pub(super) fn stored_result(answer: &mut impl AnswerReader) -> Result<StoredResult, StoreError> {
    Ok(StoredResult { generation: answer.number()?, stored_at: answer.moment()?, sealed: answer.bytes()? })
}

/// Decodes the answer to `Notes::read`.
pub(super) fn note(answer: &mut impl AnswerReader) -> Result<Note, StoreError> {
    match answer.word()?.as_str() {
        "note" => Ok(note_read(answer)?),
        word => Err(unknown(word)),
    }
}

/// Decodes the answer to `Notes::replace`.
pub(super) fn replaced(answer: &mut impl AnswerReader) -> Result<Replaced, StoreError> {
    match answer.word()?.as_str() {
        "done" => Ok(Replaced::Done),
        "changed" => Ok(Replaced::Changed(note_read(answer)?)),
        word => Err(unknown(word)),
    }
}

/// A note, with the time of the server's clock.
fn note_read(answer: &mut impl AnswerReader) -> Result<Note, StoreError> {
    Ok(Note { read_at: Timestamp::from_millis(answer.number()?), content: answer.bytes()? })
}

/// Decodes the answer to `Codes::open`.
pub(super) fn opened(answer: &mut impl AnswerReader, cooldown: Duration) -> Result<Opened, StoreError> {
    match answer.word()?.as_str() {
        "stored" => Ok(Opened::Stored),
        // The time from which another attempt can succeed.
        "soon" | "crowded" => Ok(Opened::TooSoon(answer.moment()?)),
        // The time at which the last code was sent.
        "cooling" => Ok(Opened::TooSoon(answer.moment()?.plus(cooldown))),
        word => Err(unknown(word)),
    }
}

/// Decodes the answer to `Codes::resend`.
pub(super) fn resent(answer: &mut impl AnswerReader) -> Result<Resent, StoreError> {
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

/// Decodes the answer to `Codes::try_code`.
pub(super) fn tried(answer: &mut impl AnswerReader) -> Result<Tried, StoreError> {
    match answer.word()?.as_str() {
        "right" => Ok(Tried::Right(answer.number()?)),
        "wrong" => Ok(Tried::Wrong),
        "gone" => Ok(Tried::Gone),
        word => Err(unknown(word)),
    }
}

/// Decodes the answer to `Families::advance`.
pub(super) fn advanced(answer: &mut impl AnswerReader) -> Result<Advanced, StoreError> {
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

/// Decodes the answer to `Deposits::deposited` and `Deposits::withdraw` in Redis.
pub(super) fn deposited(answer: &mut impl AnswerReader) -> Result<Option<Bytes>, StoreError> {
    match answer.word()?.as_str() {
        "value" => answer.bytes().map(Some),
        "none" => Ok(None),
        word => Err(unknown(word)),
    }
}

/// The error for a word that no script or function of this version answers.
pub(super) fn unknown(word: &str) -> StoreError {
    StoreError::Unavailable(format!("it answered {word:?}, which no script or function of this version answers"))
}

/// The error for an answer with a missing or malformed value.
pub(super) fn incomplete() -> StoreError {
    StoreError::Unavailable("its answer lacks a value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with this word and arbitrary values.
    struct AnyAnswer(String);

    impl AnswerReader for AnyAnswer {
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

    type Decoder = fn(&mut AnyAnswer) -> Result<(), StoreError>;

    /// The texts in `text` between `before` and the next quotation mark.
    fn words<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
        text.split(before).skip(1).map(|rest| rest.split('\'').next().unwrap()).collect()
    }

    #[test]
    fn every_word_that_a_script_or_a_function_answers_is_decoded() {
        let answers: [(Decoder, &str, &str, &str); 6] = [
            (
                |word| lease(word, Timestamp::default()).map(drop),
                include_str!("redis/lua/lease.lua"),
                include_str!("postgres/migrations/0007_leases.sql"),
                "lease_to",
            ),
            (
                |word| settled(word).map(drop),
                include_str!("redis/lua/settle.lua"),
                include_str!("postgres/migrations/0007_leases.sql"),
                "settle_by",
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
                    decode(&mut AnyAnswer(word.to_owned())).unwrap();
                }
            }
            assert!(decode(&mut AnyAnswer("else".to_owned())).is_err());
        }
    }
}
