//! `allow`: which persons may log in, with the authorities `provider` and `gateway` and at channels for one-time codes.

use serde_json::Value;

use super::claims::Claims;
use crate::received;

/// Which persons may log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Allow {
    /// `allow = "anyone"`.
    Anyone,
    /// A person must have a listed e-mail address or domain, if any is listed, and a listed value of every listed
    /// claim.
    Listed {
        /// E-mail domains, in lower case.
        email_domains: Vec<String>,
        /// E-mail addresses, in lower case.
        emails: Vec<String>,
        /// Claims and their accepted values: the claim equals one of them, or is an array that contains one.
        claims: Vec<(String, Vec<Value>)>,
    },
}

/// The condition of `allow` that a person does not meet; for the log. It has no address, only a domain.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPermitted {
    /// `allow` lists nothing.
    #[error("it lists nobody")]
    Nobody,
    /// There is no e-mail address to compare with `email_domains` or `emails`.
    #[error("there is no claim `email`")]
    NoEmail,
    /// The address is not verified.
    #[error("`email_verified` is {0}, and only `true` counts")]
    Unverified(String),
    /// The address has more than one reading.
    #[error("the e-mail address is not a plain one")]
    OddEmail,
    /// The address is in neither list.
    #[error("neither is its e-mail domain `{0}` in `email_domains`, nor the address in `emails`")]
    Email(String),
    /// A claim has none of the accepted values.
    #[error("the claim `{name}` is {seen}, and that is not listed")]
    Claim {
        /// The claim.
        name: String,
        /// Its value as JSON, cleaned and shortened.
        seen: String,
    },
}

impl NotPermitted {
    /// With what the provider said in place of a boolean about whether the address is verified.
    #[must_use]
    pub fn with_verified_as_given(self, given: &Value) -> Self {
        match self {
            Self::Unverified(_) => Self::Unverified(seen("", Some(given))),
            other => other,
        }
    }
}

impl Allow {
    /// Whether a person with these claims may log in.
    pub fn permits(&self, claims: &Claims) -> bool {
        self.check(claims).is_ok()
    }

    /// Like [`Allow::permits`], with the first condition that is not met.
    pub fn check(&self, claims: &Claims) -> Result<(), NotPermitted> {
        let Self::Listed { email_domains, emails, claims: listed } = self else { return Ok(()) };
        if email_domains.is_empty() && emails.is_empty() && listed.is_empty() {
            return Err(NotPermitted::Nobody);
        }
        if !(email_domains.is_empty() && emails.is_empty()) {
            let (local, domain) = verified_email(claims)?;
            if !email_domains.contains(&domain) && !emails.contains(&format!("{local}@{domain}")) {
                return Err(NotPermitted::Email(domain));
            }
        }
        for (name, accepted) in listed {
            let value = claims.get(name);
            if !value.is_some_and(|value| is_one_of(value, accepted)) {
                return Err(NotPermitted::Claim { name: name.clone(), seen: seen(name, value) });
            }
        }
        Ok(())
    }
}

/// A claim's value in a log line; addresses and numbers of persons are not logged.
fn seen(name: &str, value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(_) if name.contains("email") || name.contains("phone") => "another one".to_owned(),
        Some(value) => format!("`{}`", received::for_log(&value.to_string(), 100, &[])),
    }
}

/// The e-mail's local part and domain in lower case, if `email_verified` is the boolean `true` and the address has only
/// one reading.
fn verified_email(claims: &Claims) -> Result<(String, String), NotPermitted> {
    let email = claims.get("email").and_then(Value::as_str).ok_or(NotPermitted::NoEmail)?;
    match claims.get("email_verified") {
        Some(Value::Bool(true)) => {}
        verified => return Err(NotPermitted::Unverified(seen("", verified))),
    }
    plain_email(email).ok_or(NotPermitted::OddEmail)
}

/// The local part and the domain in lower case.
fn plain_email(email: &str) -> Option<(String, String)> {
    let (local, domain) = email.split_once('@')?;
    // RFC 5322's atext (section 3.2.3) and dots: no quotes, comments, lists or second `@`.
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_plain = !local.is_empty() && local.chars().all(plain);
    let is_name = !domain.is_empty() && domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    (is_plain && is_name).then(|| (local.to_ascii_lowercase(), domain.to_ascii_lowercase()))
}

fn is_one_of(value: &Value, accepted: &[Value]) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| accepted.contains(value)),
        single => accepted.contains(single),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allow(domains: &[&str], emails: &[&str], claims: Vec<(String, Vec<Value>)>) -> Allow {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        Allow::Listed { email_domains: owned(domains), emails: owned(emails), claims }
    }

    fn permits(allow: &Allow, claims: &Value) -> bool {
        allow.permits(claims.as_object().unwrap())
    }

    #[test]
    fn an_email_domain_must_match_exactly_and_the_address_be_verified() {
        let corp = allow(&["corp.com"], &["guest@else.kr"], vec![]);
        for (email, verified, expected) in [
            ("a@corp.com", json!(true), true),
            ("A@Corp.COM", json!(true), true),
            ("Guest@else.kr", json!(true), true),
            ("other@else.kr", json!(true), false),
            ("a@corp.com", json!("true"), false),
            ("a@corp.com", json!(1), false),
            ("a@corp.com", json!(null), false),
            ("a@sub.corp.com", json!(true), false),
            ("a@badcorp.com", json!(true), false),
            ("a@corp.com.", json!(true), false),
            ("a@evil@corp.com", json!(true), false),
            ("a@evil.com,b@corp.com", json!(true), false),
            ("\"a@evil.com\"@corp.com", json!(true), false),
            ("a(x)@corp.com", json!(true), false),
            ("a＠corp.com", json!(true), false),
            ("ä@corp.com", json!(true), false),
            ("a @corp.com", json!(true), false),
            ("a@corp.com\n", json!(true), false),
            ("@corp.com", json!(true), false),
            ("corp.com", json!(true), false),
        ] {
            let claims = json!({"email": email, "email_verified": verified});
            assert_eq!(permits(&corp, &claims), expected, "{email} {verified}");
        }
        assert!(!permits(&corp, &json!({"email": "a@corp.com"})));
    }

    #[test]
    fn a_refusal_says_which_condition_failed_without_the_address() {
        let corp = allow(&["corp.com"], &["guest@else.kr"], vec![("hd".to_owned(), vec![json!("corp.com")])]);
        for (claims, expected) in [
            (
                json!({"email": "a@corp.com", "email_verified": "true"}),
                "`email_verified` is `\"true\"`, and only `true` counts",
            ),
            (json!({"email": "a@corp.com"}), "`email_verified` is absent, and only `true` counts"),
            (json!({"email_verified": true}), "there is no claim `email`"),
            (
                json!({"email": "kim@x.kr", "email_verified": true}),
                "neither is its e-mail domain `x.kr` in `email_domains`, nor the address in `emails`",
            ),
            (json!({"email": "a@b@corp.com", "email_verified": true}), "the e-mail address is not a plain one"),
            (
                json!({"email": "a@corp.com", "email_verified": true}),
                "the claim `hd` is absent, and that is not listed",
            ),
            (
                json!({"email": "a@corp.com", "email_verified": true, "hd": "x\n"}),
                "the claim `hd` is `\"x\\n\"`, and that is not listed",
            ),
        ] {
            assert_eq!(corp.check(claims.as_object().unwrap()).unwrap_err().to_string(), expected, "{claims}");
        }
        let by_claim = allow(&[], &[], vec![("email".to_owned(), vec![json!("a@b.kr")])]);
        let refused = by_claim.check(json!({"email": "kim@x.kr"}).as_object().unwrap()).unwrap_err();
        assert!(!refused.to_string().contains("kim"), "{refused}");
    }

    #[test]
    fn every_listed_claim_must_have_one_of_its_listed_values() {
        let both = allow(
            &[],
            &[],
            vec![("hd".to_owned(), vec![json!("corp.com")]), ("groups".to_owned(), vec![json!("ops"), json!("dev")])],
        );
        assert!(permits(&both, &json!({"hd": "corp.com", "groups": ["x", "dev"]})));
        assert!(permits(&both, &json!({"hd": "corp.com", "groups": "ops"})));
        assert!(!permits(&both, &json!({"hd": "corp.com", "groups": ["x"]})));
        assert!(!permits(&both, &json!({"groups": ["ops"]})));
    }

    #[test]
    fn allow_anyone_permits_every_person_and_empty_lists_permit_none() {
        assert!(permits(&Allow::Anyone, &json!({})));
        assert!(!permits(&allow(&[], &[], vec![]), &json!({"email": "a@b.kr", "email_verified": true})));
    }
}
