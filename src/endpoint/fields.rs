//! The fields of a JSON body. A field of another type than the endpoint reads counts as absent, so that the answer
//! names the field and not the body.

use std::collections::HashSet;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::call::{BodyFormat, Call, Unreadable};
use crate::received;

/// The members of a body's object. A body that is empty, or another JSON value than an object, has none.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

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
        let json: Value = received::json(body).map_err(|_| Unreadable::Malformed)?;
        // Two parsers could use different ones of two members with one name (RFC 8259 section 4).
        let mut seen = HashSet::new();
        if !Self::names(body).into_iter().all(|name| seen.insert(name)) {
            return Err(Unreadable::Repeated);
        }
        match json {
            Value::Object(members) => Ok(Self(members)),
            _ => Ok(Self::default()),
        }
    }

    /// The names of the members of a body's object, repeated ones too; none if the body is no JSON object.
    pub fn names(body: &[u8]) -> Vec<String> {
        received::json(body).map_or_else(|_| Vec::new(), |MemberNames(names)| names)
    }

    /// A text; `None` if the field is absent, null or of another type.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The value of a field that may be of several types; `None` if it is absent or null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// The names of the members of an object, in their order.
struct MemberNames(Vec<String>);

impl<'de> Deserialize<'de> for MemberNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = MemberNames;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<MemberNames, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = object.next_entry()? {
                    names.push(name);
                }
                Ok(MemberNames(names))
            }
        }

        deserializer.deserialize_map(Object)
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
    fn a_body_that_is_no_json_is_malformed_and_a_repeated_member_is_refused() {
        for body in ["nonsense", "{", "{\"email\":\"a\"", "\u{feff}", "{} {}"] {
            assert_eq!(Fields::read(body.as_bytes()).err(), Some(Unreadable::Malformed), "{body}");
        }
        for body in [r#"{"email":"a","email":"b"}"#, r#"{"x":1,"x":1}"#, r#"{"x":1,"\u0078":2}"#] {
            assert_eq!(Fields::read(body.as_bytes()).err(), Some(Unreadable::Repeated), "{body}");
        }
    }
}
