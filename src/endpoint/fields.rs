//! The fields of a JSON body. A field of another type than the endpoint reads counts as absent, so that the answer
//! names the field and not the body.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{BodyFormat, Call, Unreadable};
use crate::received;

/// The members of a body's object, by the octets of their names. A body that is empty, or another JSON value than an
/// object, has none.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<Vec<u8>, Value>);

impl Fields {
    /// Reads the body of `call`, which is empty or JSON.
    pub fn of(call: &Call) -> Result<Self, Unreadable> {
        match call.body_format() {
            BodyFormat::Empty => Ok(Self::default()),
            BodyFormat::Json => Self::read(&call.body),
            BodyFormat::Form | BodyFormat::Other => Err(Unreadable::NotJson),
        }
    }

    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let members = received::members(body).map_err(|_| Unreadable::Malformed)?;
        let mut fields = BTreeMap::new();
        for (name, value) in members {
            // Two parsers could use different ones of two members with one name (RFC 8259 section 4).
            if fields.insert(name, value).is_some() {
                return Err(Unreadable::Repeated);
            }
        }
        Ok(Self(fields))
    }

    /// The names of the members of a body's object, repeated ones too; none if the body is no JSON object.
    pub fn names(body: &[u8]) -> Vec<String> {
        let members = received::members(body).unwrap_or_default();
        members.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect()
    }

    /// A text; `None` if the field is absent, null or of another type.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name.as_bytes()).and_then(Value::as_str)
    }

    /// The value of a field that may be of several types; `None` if it is absent or null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name.as_bytes()).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_another_type_counts_as_absent_and_a_body_of_another_type_has_no_fields() {
        let text = |body: &str| Fields::read(body.as_bytes()).unwrap().text("email").map(str::to_owned);
        assert_eq!(text(r#"{"email":"a@b.kr"}"#).as_deref(), Some("a@b.kr"));
        assert_eq!(text("\u{feff}{\"email\":\"a@b.kr\"}").as_deref(), Some("a@b.kr"));
        for body in [
            r#"{"email":null}"#,
            r#"{"email":7}"#,
            r#"{"email":true}"#,
            r#"{"email":["a@b.kr"]}"#,
            r#"{"email":{"$ne":null}}"#,
            r#"{"email":1e999}"#,
            r#"{"email":"\ud800"}"#,
            r#"{"\ud800":"a@b.kr"}"#,
            "{}",
            "[]",
            r#"[{"email":"a@b.kr"}]"#,
            "null",
            "7",
            "\"a@b.kr\"",
        ] {
            assert_eq!(text(body), None, "{body}");
        }
    }

    #[test]
    fn a_member_that_cannot_be_held_does_not_spoil_the_others() {
        let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let long = "7".repeat(400);
        for odd in ["1e999", "-1e999", r#""\ud800""#, r#"["\ud800"]"#, &nested, &long] {
            let fields = Fields::read(format!("{{\"x\":{odd},\"email\":\"a@b.kr\"}}").as_bytes()).unwrap();
            assert_eq!(fields.text("email"), Some("a@b.kr"), "{odd}");
        }
        let code = Fields::read(format!("{{\"code\":{long}}}").as_bytes()).unwrap();
        assert!(code.value("code").is_some_and(Value::is_number), "a number of a wrong form, not an absent one");
    }

    #[test]
    fn a_body_that_is_no_json_is_malformed_and_a_repeated_member_is_refused() {
        for body in
            ["nonsense", "{", "{\"email\":\"a\"", "\u{feff}", "{} {}", "{\"x\":1e999", "{\"x\":\"\\x\"}", "[1e999}"]
        {
            assert_eq!(Fields::read(body.as_bytes()).err(), Some(Unreadable::Malformed), "{body}");
        }
        for body in
            [r#"{"email":"a","email":"b"}"#, r#"{"x":1,"x":1}"#, r#"{"x":1,"\u0078":2}"#, r#"{"\ud800":1,"\ud800":2}"#]
        {
            assert_eq!(Fields::read(body.as_bytes()).err(), Some(Unreadable::Repeated), "{body}");
        }
    }
}
