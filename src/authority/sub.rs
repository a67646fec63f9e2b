//! The one `sub` of a session: `{sub}` and `{claims.sub}` at its login and later, in calls, headers and tokens.

use serde_json::Value;

use crate::oidc::Claims;

/// The subject that the backend's answer names, else that of the access token if it is a JWT, else that of `identity`:
/// the provider's claims, where the provider's subject may stand for the person.
pub fn sub_of<'c>(answered: &'c Claims, access: Option<&'c Claims>, identity: Option<&'c Claims>) -> Option<&'c Value> {
    [Some(answered), access, identity].into_iter().flatten().find_map(|claims| claims.get("sub"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_names_the_subject_before_the_access_token_and_that_before_the_provider() {
        let claims = |json: &str| serde_json::from_str::<Claims>(json).unwrap();
        let (answer, access, identity) = (claims(r#"{"sub":"a"}"#), claims(r#"{"sub":"t"}"#), claims(r#"{"sub":"p"}"#));
        let none = Claims::new();
        assert_eq!(sub_of(&answer, Some(&access), Some(&identity)), Some(&json!("a")));
        assert_eq!(sub_of(&none, Some(&access), Some(&identity)), Some(&json!("t")));
        assert_eq!(sub_of(&none, Some(&none), Some(&identity)), Some(&json!("p")));
        assert_eq!(sub_of(&none, None, None), None);
        let says_none = claims(r#"{"sub":null}"#);
        assert_eq!(sub_of(&says_none, Some(&access), None), Some(&json!(null)), "an answer may say that there is none");
    }
}
