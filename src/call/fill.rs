//! Fills a template. Each value is encoded for its place, so that it cannot change the syntax.

use std::collections::HashMap;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::template::{Json, Piece, Placeholder, Text};
use crate::upstream::headers::append_value;

/// The values of one call's placeholders. They may be tokens and passwords, so it has no `Debug`.
#[derive(Clone, Default)]
pub struct Values {
    named: HashMap<Placeholder, Value>,
    claims: Map<String, Value>,
}

/// Why a template cannot be filled. Nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadValue {
    /// The value of this placeholder is empty, `.` or `..`, which cannot be a segment of a path.
    #[error("the value of `{0}` cannot be part of a path")]
    Path(String),
    /// The template's own text makes this header, cookie or path invalid in HTTP.
    #[error("the template's `{0}` is not valid in HTTP")]
    Syntax(String),
    /// The call needs a signed assertion, and the caller has no [`AssertionSigner`](super::AssertionSigner).
    #[error("the call needs the gateway's signature, and no signer is set")]
    Unsigned,
}

impl Values {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a placeholder.
    #[must_use]
    pub fn with(mut self, placeholder: Placeholder, value: impl Into<Value>) -> Self {
        self.named.insert(placeholder, value.into());
        self
    }

    /// Sets the claims of a session, or of one that is about to begin: `{claims.NAME}`, and `{sub}` from the claim.
    #[must_use]
    pub fn with_session_claims(self, claims: Map<String, Value>) -> Self {
        let sub = claims.get("sub").cloned().unwrap_or_default();
        self.with(Placeholder::Sub, sub).with_claims(claims)
    }

    /// Sets the claims for `{claims.NAME}`.
    #[must_use]
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = claims;
        self
    }

    /// The subject, where it is known: the value of `{sub}`.
    pub(super) fn sub(&self) -> Option<&str> {
        self.named.get(&Placeholder::Sub)?.as_str()
    }

    /// The value with its JSON type; null if there is none.
    fn value(&self, placeholder: &Placeholder) -> Value {
        self.get(placeholder).cloned().unwrap_or(Value::Null)
    }

    fn get(&self, placeholder: &Placeholder) -> Option<&Value> {
        match placeholder {
            Placeholder::Claim(name) => self.claims.get(name),
            named => self.named.get(named),
        }
    }

    /// The value as text; empty if there is none.
    fn text(&self, placeholder: &Placeholder) -> String {
        match self.value(placeholder) {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

impl Json {
    /// The JSON with all values; null where there is none.
    pub(crate) fn fill(&self, values: &Values) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Value(placeholder) => values.value(placeholder),
            Self::Text(text) => Value::String(text.fill(values)),
            Self::Array(items) => Value::Array(items.iter().map(|item| item.fill(values)).collect()),
            Self::Object(members) => {
                Value::Object(members.iter().map(|(name, member)| (name.clone(), member.fill(values))).collect())
            }
        }
    }
}

impl Json {
    /// The JSON without the members and elements whose placeholders have no value; `None` if nothing is left.
    pub fn fill_present(&self, values: &Values) -> Option<Value> {
        Some(match self {
            Self::Plain(value) => value.clone(),
            Self::Value(placeholder) => match values.value(placeholder) {
                Value::Null => return None,
                value => value,
            },
            Self::Text(text) => {
                let is_present = |piece: &Piece| match piece {
                    Piece::Literal(_) => true,
                    Piece::Placeholder(placeholder) => !values.value(placeholder).is_null(),
                };
                text.0.iter().all(is_present).then(|| Value::String(text.fill(values)))?
            }
            Self::Array(items) => Value::Array(items.iter().filter_map(|item| item.fill_present(values)).collect()),
            Self::Object(members) => {
                let present = |(name, member): &(String, Self)| Some((name.clone(), member.fill_present(values)?));
                Value::Object(members.iter().filter_map(present).collect())
            }
        })
    }
}

impl Text {
    /// For JSON strings and form fields, which are encoded as a whole afterwards.
    pub(crate) fn fill(&self, values: &Values) -> String {
        self.concat(|placeholder| values.text(placeholder))
    }

    /// For the path and query of a request target.
    pub(crate) fn fill_path(&self, values: &Values) -> Result<String, BadValue> {
        let mut path = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => path.push_str(literal),
                Piece::Placeholder(placeholder) => {
                    let value = values.text(placeholder);
                    if matches!(value.as_str(), "" | "." | "..") && !path.contains('?') {
                        return Err(BadValue::Path(placeholder.family().to_owned()));
                    }
                    path.extend(utf8_percent_encode(&value, NOT_UNRESERVED));
                }
            }
        }
        if path.starts_with('/') { Ok(path) } else { Err(BadValue::Syntax("path".to_owned())) }
    }

    /// For a header's value; `None` if a value is absent or no header can have it (see [`append_value`]).
    pub(crate) fn fill_header(&self, name: &str, values: &Values) -> Result<Option<HeaderValue>, BadValue> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => filled.push_str(literal),
                Piece::Placeholder(placeholder) => {
                    let appended = values.get(placeholder).and_then(|value| append_value(&mut filled, value));
                    if appended.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        HeaderValue::from_str(&filled).map(Some).map_err(|_| BadValue::Syntax(name.to_owned()))
    }

    /// For a cookie's value (RFC 6265 section 4.1.1): separators of cookies are encoded too, and `%`, so that two
    /// values are never sent alike. A token keeps its `%`: where the backend itself set it as a cookie, it gets the
    /// bytes that it set.
    pub(super) fn fill_cookie(&self, values: &Values) -> String {
        self.concat(|placeholder| {
            let encoded = match placeholder {
                Placeholder::AccessToken | Placeholder::RefreshToken | Placeholder::IdToken => NOT_COOKIE_OCTET,
                _ => NOT_COOKIE_OCTET_OR_PERCENT,
            };
            utf8_percent_encode(&values.text(placeholder), encoded).to_string()
        })
    }

    fn concat(&self, mut value: impl FnMut(&Placeholder) -> String) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Placeholder(placeholder) => text.push_str(&value(placeholder)),
            }
        }
        text
    }
}

/// Everything but RFC 3986's unreserved characters.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Everything but RFC 6265's cookie-octets.
const NOT_COOKIE_OCTET: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\');
const NOT_COOKIE_OCTET_OR_PERCENT: &AsciiSet = &NOT_COOKIE_OCTET.add(b'%');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: &[&str] = &["provider", "email", "profile", "device_name", "claims."];

    fn text(template: &str) -> Text {
        Text::parse(template, ALL).unwrap()
    }

    fn email(value: &str) -> Values {
        Values::new().with(Placeholder::Email, value)
    }

    #[test]
    fn values_keep_their_type_in_json_and_never_become_syntax() {
        let template = json!({"p": "{profile}", "n": "{claims.age}", "e": "<{email}>", "none": "{claims.none}", "l": [1, "{email}"]});
        let values = email("\"},{\"admin\":true")
            .with(Placeholder::Profile, json!({"sub": "7"}))
            .with_claims(Map::from_iter([("age".to_owned(), json!(40))]));
        let filled = Json::from_value(&template, ALL).unwrap().fill(&values);
        let sent: Value = serde_json::from_str(&filled.to_string()).unwrap();
        assert_eq!(
            sent,
            json!({"p": {"sub": "7"}, "n": 40, "e": "<\"},{\"admin\":true>", "none": null, "l": [1, "\"},{\"admin\":true"]})
        );
    }

    #[test]
    fn members_without_a_value_can_be_left_out() {
        let template = json!({"e": "{email}", "n": "{claims.none}", "t": "<{claims.none}>", "l": [1, "{claims.none}"], "o": {"x": "{claims.none}"}, "nul": null});
        let filled = Json::from_value(&template, ALL).unwrap().fill_present(&email("a@b.kr"));
        assert_eq!(filled, Some(json!({"e": "a@b.kr", "l": [1], "o": {}, "nul": null})));
        assert_eq!(Json::from_value(&json!("{claims.none}"), ALL).unwrap().fill_present(&Values::new()), None);
    }

    #[test]
    fn a_value_in_a_path_stays_one_segment_or_is_refused() {
        for (value, path) in [
            ("a@b.kr", "/u/a%40b.kr/x"),
            ("../admin", "/u/..%2Fadmin/x"),
            ("%2e%2e", "/u/%252e%252e/x"),
            ("?a=b#c", "/u/%3Fa%3Db%23c/x"),
            ("한", "/u/%ED%95%9C/x"),
            ("a\r\nb", "/u/a%0D%0Ab/x"),
        ] {
            assert_eq!(text("/u/{email}/x").fill_path(&email(value)).unwrap(), path);
        }
        for value in ["", ".", ".."] {
            assert_eq!(text("/u/{email}").fill_path(&email(value)), Err(BadValue::Path("email".to_owned())));
        }
        assert_eq!(text("/u?e={email}").fill_path(&email("")).unwrap(), "/u?e=");
        assert!(text("{email}").fill_path(&email("x")).is_err(), "a path begins with a slash");
    }

    #[test]
    fn a_value_in_a_header_is_encoded_as_in_identity_headers() {
        for (value, header) in [
            ("a;b=c%", "x a;b=c%25"),
            ("내 폰", "x %EB%82%B4%20%ED%8F%B0"),
            ("%EB%82%B4", "x %25EB%2582%25B4"),
            ("a\r\nb: c", "x a%0D%0Ab:%20c"),
            ("", "x "),
        ] {
            assert_eq!(text("x {email}").fill_header("x", &email(value)).unwrap().unwrap(), header);
        }
        let claim = |value: Value| Values::new().with_claims(Map::from_iter([("c".to_owned(), value)]));
        let filled = |value: Value| text("{claims.c}").fill_header("x", &claim(value)).unwrap();
        assert_eq!(filled(json!(["a", "b,c"])).unwrap(), "a,b%2Cc");
        assert_eq!(filled(json!(7)).unwrap(), "7");
        for absent in [json!(null), json!({}), json!([]), json!([[1]])] {
            assert_eq!(filled(absent.clone()), None, "{absent}");
        }
        assert_eq!(text("x {email}").fill_header("x", &Values::new()), Ok(None));
    }

    #[test]
    fn a_value_in_a_cookie_cannot_begin_another_cookie() {
        assert_eq!(text("{email}").fill_cookie(&email("a=1; b=\"2\"")), "a=1%3B%20b=%222%22");
        assert_eq!(text("{email}").fill_cookie(&email("a%3B")), "a%253B", "no other text is `a;`");
    }

    #[test]
    fn a_token_in_a_cookie_has_the_bytes_that_the_backend_set() {
        let values = Values::new().with(Placeholder::RefreshToken, "a%3Db=");
        assert_eq!(Text::parse("{refresh_token}", &["refresh_token"]).unwrap().fill_cookie(&values), "a%3Db=");
    }
}
