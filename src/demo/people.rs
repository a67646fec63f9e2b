//! The people who can log in at the demo's provider.

use serde_json::json;

use super::signing::Claims;

/// A person who can log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// `sub` at the provider.
    pub subject: String,
    /// The displayed name.
    pub name: String,
    /// The e-mail address, verified.
    pub email: String,
    /// `user` or `admin`.
    pub role: &'static str,
}

/// The people on the login page: id, name, role.
pub(super) const LISTED: [(&str, &str, &str); 3] =
    [("mina", "김미나 Mina", "user"), ("jun", "이준 Jun", "admin"), ("sora", "박소라 Sora", "user")];

/// Longest name, in characters; the rest is cut off.
const MAX_NAME: usize = 40;

impl Person {
    /// The listed person with that id, else a guest with that name; `None` for a blank name.
    pub fn named(name: &str) -> Option<Self> {
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        if name.is_empty() {
            return None;
        }
        let id = name.to_lowercase();
        if let Some((id, name, role)) = LISTED.into_iter().find(|(listed, ..)| *listed == id) {
            let (subject, email) = (format!("demo-{id}"), format!("{id}@example.test"));
            return Some(Self { subject, name: name.to_owned(), email, role });
        }
        // The id is a digest of the name, because a name may have no ASCII letter.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
        let tag = digest.as_ref().iter().take(5).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        Some(Self { subject: format!("guest-{tag}"), email: format!("guest-{tag}@example.test"), name, role: "user" })
    }

    /// The role of the person with that e-mail address. The backend uses it, and ignores the role in an ID token.
    pub(super) fn role_of(email: &str) -> &'static str {
        let listed = LISTED.into_iter().find(|(id, ..)| email.strip_suffix("@example.test") == Some(id));
        listed.map_or("user", |(_, _, role)| role)
    }

    /// The claims of OIDC Core section 5.1, and the role.
    pub(super) fn claims(&self) -> Claims {
        let claims = json!({
            "sub": self.subject, "name": self.name, "email": self.email, "email_verified": true, "role": self.role,
        });
        claims.as_object().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_id_gives_that_person_and_any_other_name_a_guest() {
        assert_eq!(Person::named("Jun").map(|p| p.role), Some("admin"));
        assert_eq!(Person::role_of("jun@example.test"), "admin");
        let (hana, again) = (Person::named("하나"), Person::named(" 하나 "));
        assert!(hana.is_some());
        assert_eq!(hana, again);
        assert_ne!(hana, Person::named("두리"));
        assert_eq!(Person::named("  "), None);
    }
}
