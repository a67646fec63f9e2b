//! `allow`: which persons may log in, with the authorities `provider` and `gateway` and at channels for one-time codes.

use serde_json::Value;

use super::claims::Claims;

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

impl Allow {
    /// Whether a person with these claims may log in.
    pub fn permits(&self, claims: &Claims) -> bool {
        let Self::Listed { email_domains, emails, claims: listed } = self else { return true };
        if email_domains.is_empty() && emails.is_empty() && listed.is_empty() {
            return false;
        }
        let by_email = email_domains.is_empty() && emails.is_empty()
            || verified_email(claims).is_some_and(|(local, domain)| {
                email_domains.contains(&domain) || emails.contains(&format!("{local}@{domain}"))
            });
        by_email
            && listed.iter().all(|(name, accepted)| claims.get(name).is_some_and(|value| is_one_of(value, accepted)))
    }
}

/// The e-mail's local part and domain in lower case, if `email_verified` is the boolean `true` and the address has only
/// one reading.
fn verified_email(claims: &Claims) -> Option<(String, String)> {
    if claims.get("email_verified") != Some(&Value::Bool(true)) {
        return None;
    }
    let email = claims.get("email")?.as_str()?;
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
