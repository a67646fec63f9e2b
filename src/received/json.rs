//! JSON in which one odd value does not spoil the rest: a number that cannot be held, a text with half a character, or
//! values nested too deep.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::{Number, Value, value::RawValue};

use super::content;

/// Levels down to which an odd value is looked for; each costs one more reading of what is below it. A value that is
/// odd below them is null as a whole.
const LEVELS: usize = 16;

/// The body as JSON; byte order marks before it are skipped (RFC 8259 section 8.1 permits that). Odd values are as
/// [`json_text`] says.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let content = content(body);
    match serde_json::from_slice(&content) {
        Err(error) if error.is_syntax() => json_text(text(&content)?),
        read => read,
    }
}

/// The text as JSON. A number that is too large is the largest one that can be held. A text with half of a character
/// in UTF-16, and what is nested deeper than 128 levels, are null.
pub fn json_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    match serde_json::from_str(text) {
        Err(error) if error.is_syntax() => serde_json::from_value(tolerated(serde_json::from_str(text)?, LEVELS)),
        read => read,
    }
}

/// The members of an object in their order, names that are repeated included; none for another value. Names are octets,
/// because half a character is none in UTF-8. Odd values are as [`json_text`] says.
pub fn members(body: &[u8]) -> serde_json::Result<Vec<(Vec<u8>, Value)>> {
    let content = content(body);
    let whole: &RawValue = serde_json::from_str(text(&content)?)?;
    if !whole.get().starts_with('{') {
        return Ok(Vec::new());
    }
    let Members(members) = serde_json::from_str(whole.get())?;
    Ok(members.into_iter().map(|(name, value)| (name, tolerated(value, LEVELS))).collect())
}

fn text(content: &[u8]) -> serde_json::Result<&str> {
    std::str::from_utf8(content).map_err(serde_json::Error::custom)
}

/// A value whose syntax is right, as far as it can be held.
fn tolerated(raw: &RawValue, levels: usize) -> Value {
    let text = raw.get();
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let Some(below) = levels.checked_sub(1) else { return Value::Null };
    match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map_or(Value::Null, |Members(members)| {
            let members = members
                .into_iter()
                .map(|(name, value)| (String::from_utf8_lossy(&name).into_owned(), tolerated(value, below)));
            Value::Object(members.collect())
        }),
        Some(b'[') => serde_json::from_str(text).map_or(Value::Null, |items: Vec<&RawValue>| {
            items.into_iter().map(|item| tolerated(item, below)).collect()
        }),
        Some(b'-') => Number::from_f64(f64::MIN).map_or(Value::Null, Value::Number),
        Some(b'0'..=b'9') => Number::from_f64(f64::MAX).map_or(Value::Null, Value::Number),
        _ => Value::Null,
    }
}

/// The members of an object, not read yet.
struct Members<'a>(Vec<(Vec<u8>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = object.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A member's name, in UTF-8 as far as it is text.
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octets;

        impl Visitor<'_> for Octets {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Octets)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_after_byte_order_marks_and_white_space() {
        for body in ["{\"a\":1}", "\u{feff}{\"a\":1}", "\u{feff}\u{feff}{\"a\":1}", "\r\n\u{feff} {\"a\":1}\n"] {
            assert_eq!(json::<Value>(body.as_bytes()).unwrap(), json!({"a": 1}), "{body:?}");
        }
        for body in ["", "\u{feff}", "{", "<html>", "{\"a\":1}\u{feff}", "{\"a\":1e999", "{\"a\":1e999}}", "{\"a\":01}"]
        {
            assert!(json::<Value>(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(json::<Value>(b"{\"a\":\"\xff\"}").is_err(), "no UTF-8");
    }

    #[test]
    fn one_odd_value_does_not_spoil_the_rest() {
        let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let long = "9".repeat(400);
        for (odd, read) in [
            ("1e999", json!(f64::MAX)),
            ("-1e999", json!(f64::MIN)),
            (long.as_str(), json!(f64::MAX)),
            (r#""\ud800""#, json!(null)),
            (r#""cut \ud83d""#, json!(null)),
            (r#"{"b":1e400,"c":2}"#, json!({"b": f64::MAX, "c": 2})),
            (r#"{"\ud800":1,"c":2}"#, json!({"\u{fffd}\u{fffd}\u{fffd}": 1, "c": 2})),
            (r#"["x","\ud800",1e400]"#, json!(["x", null, f64::MAX])),
        ] {
            for body in [format!("{{\"odd\":{odd},\"a\":1}}"), format!(" {{ \"a\" : 1 , \"odd\" : {odd} }} ")] {
                assert_eq!(json::<Value>(body.as_bytes()).unwrap(), json!({"odd": read, "a": 1}), "{body}");
            }
        }
        let read: Value = json(format!("{{\"odd\":{nested},\"a\":1}}").as_bytes()).unwrap();
        assert_eq!(read["a"], 1);
    }

    #[test]
    fn a_value_of_a_type_is_read_beside_an_odd_one() {
        #[derive(Deserialize)]
        struct Read {
            a: u8,
        }
        assert_eq!(json::<Read>(br#"{"odd":"\ud800","a":1}"#).unwrap().a, 1);
        assert!(json::<Read>(br#"{"odd":1e999,"a":"1"}"#).is_err());
    }

    #[test]
    fn members_keep_their_order_and_repeated_names() {
        let members = |body: &str| members(body.as_bytes()).unwrap();
        let names = |body: &str| members(body).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(r#"{"b":1,"\u0061":2,"b":3}"#), [b"b", b"a", b"b"]);
        let [one, other] = [r"\ud800", r"\ud801"].map(|name| names(&format!("{{\"{name}\":1}}")));
        assert_ne!(one, other);
        for other in ["[]", "null", "7", "1e999", "\"a\""] {
            assert_eq!(members(other), [], "{other}");
        }
    }
}
