//! The profile of an OAuth 2.0 provider, and the claims made from it. It replaces the ID token as proof of identity.

use http::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::{
    oidc::{claims::Claims, id_token::Flaw},
    received,
};

/// The profile request, and where the claims are in its answer. Places are JSON pointers (RFC 6901).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Its URL; the access token is sent as a Bearer token.
    pub url: Url,
    /// Headers of the request besides `Authorization`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A value that marks a successful answer; `None`: status 200 is enough.
    pub success: Option<ProfileSuccess>,
    /// Place of the person's id at the provider: a string or a whole number.
    pub subject: String,
    /// Place of the e-mail address.
    pub email: Option<String>,
    /// Places that must all be `true` for the address to be verified. Empty: the answer has no such fields.
    pub email_verified: Vec<String>,
    /// Place of the person's name.
    pub name: Option<String>,
    /// Place of a picture's URL.
    pub picture: Option<String>,
    /// URL of a list of the person's e-mail addresses, each with `email`, `primary` and `verified`; the primary one
    /// is used instead of [`Profile::email`].
    pub emails_url: Option<Url>,
}

/// The value that distinguishes a success from a failure, where both have status 200.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileSuccess {
    /// Place of the value in the answer.
    pub pointer: String,
    /// The string, number or boolean at that place, as text.
    pub equals: String,
}

/// The longest subject, in bytes (OpenID Connect Core section 2).
const LONGEST_SUBJECT: usize = 255;

impl Profile {
    /// The claims in an answer: `iss` and `sub`, and if present `email`, `email_verified`, `name` and `picture`.
    pub(super) fn claims(&self, issuer: &str, answer: &Value, emails: Option<&Value>) -> Result<Claims, Flaw> {
        if !self.is_success(answer) {
            return Err(Flaw::Profile);
        }
        let at = |pointer: &Option<String>| text(answer.pointer(pointer.as_ref()?)?);
        let subject = answer.pointer(&self.subject).and_then(text).filter(|subject| is_subject(subject));
        let mut claims = Claims::new();
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("sub".to_owned(), subject.ok_or(Flaw::Subject)?.into());
        for (name, value) in [("name", at(&self.name)), ("picture", at(&self.picture))] {
            claims.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        let (email, verified) = match emails.and_then(primary) {
            Some((email, verified)) => (Some(email), Some(verified)),
            None => (at(&self.email), self.is_verified(answer)),
        };
        if let Some(email) = email {
            claims.insert("email".to_owned(), email.into());
            claims.extend(verified.map(|verified| ("email_verified".to_owned(), verified.into())));
        }
        Ok(claims)
    }

    fn is_success(&self, answer: &Value) -> bool {
        let Some(ProfileSuccess { pointer, equals }) = &self.success else { return true };
        answer.pointer(pointer).and_then(received::scalar_text).as_ref() == Some(equals)
    }

    /// Whether the address is verified; `None` if the answer has no such fields.
    fn is_verified(&self, answer: &Value) -> Option<bool> {
        let is_true = |pointer: &String| answer.pointer(pointer) == Some(&Value::Bool(true));
        (!self.email_verified.is_empty()).then(|| self.email_verified.iter().all(is_true))
    }

    /// What the answer has in place of a boolean about whether the address is verified.
    pub(super) fn verified_without_a_boolean<'a>(
        &self,
        answer: &'a Value,
        emails: Option<&'a Value>,
    ) -> Option<&'a Value> {
        let is_odd = |value: &&Value| !value.is_boolean() && !value.is_null();
        match emails.and_then(primary_entry) {
            Some(entry) => entry.get("verified").filter(is_odd),
            None => self.email_verified.iter().filter_map(|place| answer.pointer(place)).find(is_odd),
        }
    }
}

/// A string, or a whole number as text. Other numbers are refused: a rounded id could be that of another person.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn is_subject(text: &str) -> bool {
    text.len() <= LONGEST_SUBJECT && !text.contains(char::is_control)
}

/// The primary address of a list, and whether it is verified.
fn primary(emails: &Value) -> Option<(String, bool)> {
    let entry = primary_entry(emails)?;
    Some((entry.get("email").and_then(text)?, is_true(entry, "verified")))
}

fn primary_entry(emails: &Value) -> Option<&Value> {
    emails.as_array()?.iter().find(|entry| is_true(entry, "primary"))
}

fn is_true(entry: &Value, name: &str) -> bool {
    entry.get(name) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile() -> Profile {
        Profile {
            url: "https://api.example/me".parse().unwrap(),
            headers: vec![],
            success: None,
            subject: "/id".to_owned(),
            email: Some("/email".to_owned()),
            email_verified: vec![],
            name: Some("/name".to_owned()),
            picture: None,
            emails_url: None,
        }
    }

    fn subject(answer: &Value) -> Result<Value, Flaw> {
        profile().claims("https://x", answer, None).map(|claims| claims["sub"].clone())
    }

    #[test]
    fn a_subject_is_a_text_or_a_whole_number_and_nothing_else() {
        for (id, expected) in [
            (json!("a1"), "a1"),
            (json!(7), "7"),
            (json!(0), "0"),
            (json!(-7), "-7"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ] {
            assert_eq!(subject(&json!({ "id": id })), Ok(json!(expected)));
        }
        let rounded: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
        for id in [
            json!(null),
            json!(""),
            json!("  "),
            json!("a\nb"),
            json!("a".repeat(256)),
            json!(1.5),
            rounded,
            json!(true),
            json!([7]),
            json!({"id": 7}),
        ] {
            assert_eq!(subject(&json!({ "id": id })), Err(Flaw::Subject), "{id}");
        }
        assert_eq!(subject(&json!({})), Err(Flaw::Subject));
    }

    #[test]
    fn a_success_value_may_be_text_number_or_boolean() {
        let tested = |equals: &str, answer: Value| {
            let success = Some(ProfileSuccess { pointer: "/code".to_owned(), equals: equals.to_owned() });
            Profile { success, ..profile() }.claims("https://x", &answer, None).map(drop)
        };
        for (equals, code) in [("00", json!("00")), ("0", json!(0)), ("0", json!("0")), ("true", json!(true))] {
            assert_eq!(tested(equals, json!({"code": code, "id": 7})), Ok(()), "{equals} {code}");
        }
        for (equals, code) in
            [("00", json!(0)), ("00", json!("024")), ("0", json!(null)), ("0", json!([0])), ("", json!(null))]
        {
            assert_eq!(tested(equals, json!({"code": code, "id": 7})), Err(Flaw::Profile), "{equals} {code}");
        }
        assert_eq!(tested("00", json!({"id": 7})), Err(Flaw::Profile));
    }

    #[test]
    fn an_address_is_verified_only_if_every_place_is_true() {
        let places = vec!["/valid".to_owned(), "/verified".to_owned()];
        let asked = Profile { email_verified: places, ..profile() };
        for (valid, verified, expected) in [
            (json!(true), json!(true), true),
            (json!(true), json!(false), false),
            (json!(true), json!("true"), false),
            (json!(true), json!(1), false),
            (json!(null), json!(true), false),
        ] {
            let answer = json!({"id": 7, "email": "a@b.kr", "valid": valid, "verified": verified});
            assert_eq!(asked.claims("https://x", &answer, None).unwrap()["email_verified"], expected, "{answer}");
        }
        let without_address = asked.claims("https://x", &json!({"id": 7, "valid": true, "verified": true}), None);
        assert_eq!(without_address.unwrap().get("email_verified"), None);
        let silent = profile().claims("https://x", &json!({"id": 7, "email": "a@b.kr", "email_verified": true}), None);
        assert_eq!(Value::Object(silent.unwrap()), json!({"iss": "https://x", "sub": "7", "email": "a@b.kr"}));
    }

    #[test]
    fn the_primary_address_of_a_list_is_used_with_its_own_verified_flag() {
        let answer = json!({"id": 7, "email": "public@b.kr"});
        let of = |emails: Value| {
            let mut claims = profile().claims("https://x", &answer, Some(&emails)).unwrap();
            (claims.remove("email").unwrap(), claims.remove("email_verified"))
        };
        let entry = |email: &str, primary: Value, verified: Value| json!({"email": email, "primary": primary, "verified": verified});
        let list = json!([entry("a@b.kr", json!(false), json!(true)), entry("c@d.kr", json!(true), json!(true))]);
        assert_eq!(of(list), (json!("c@d.kr"), Some(json!(true))));
        let unverified =
            json!([entry("c@d.kr", json!(true), json!("true")), entry("a@b.kr", json!(false), json!(true))]);
        assert_eq!(of(unverified), (json!("c@d.kr"), Some(json!(false))));
        for nothing in [json!([]), json!({}), json!([7, null]), json!([entry("a@b.kr", json!(1), json!(true))])] {
            assert_eq!(of(nothing), (json!("public@b.kr"), None), "without email_verified");
        }
        for (verified, odd) in [(json!("true"), true), (json!(1), true), (json!(false), false), (json!(null), false)] {
            let list = json!([entry("c@d.kr", json!(true), verified.clone())]);
            let found = profile().verified_without_a_boolean(&answer, Some(&list)).cloned();
            assert_eq!(found, odd.then_some(verified));
        }
    }
}
