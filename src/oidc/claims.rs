//! Claims, and the forms of times in them.

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// The claims of a token, or the profile of a person.
pub type Claims = Map<String, Value>;

/// A NumericDate (RFC 7519 section 2) between 1970 and the year 9999; `None` for anything else.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().filter(|seconds| (0.0..253_402_300_800.0).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    Some(Timestamp::from_millis((seconds * 1000.0) as i64))
}
