//! Claims, and the forms of times in them.

use std::time::Duration;

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

/// A span in seconds, as a JSON number or string; values out of range are set to 0 or to ten years.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    const LONGEST: f64 = 10.0 * 365.0 * 86400.0;
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|seconds: &f64| !seconds.is_nan()),
        _ => None,
    }?;
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_read_as_number_or_text_and_bounded() {
        let ten_years = Some(Duration::from_secs(315_360_000));
        for (value, expected) in [
            (json!(3600), Some(Duration::from_secs(3600))),
            (json!("3600"), Some(Duration::from_secs(3600))),
            (json!(" 60 "), Some(Duration::from_secs(60))),
            (json!(1.5), Some(Duration::from_millis(1500))),
            (json!(-5), Some(Duration::ZERO)),
            (json!(1e300), ten_years),
            (json!("inf"), ten_years),
            (json!("NaN"), None),
            (json!("soon"), None),
            (json!(null), None),
            (json!(true), None),
        ] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }
}
