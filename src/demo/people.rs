//! The people who live in the demo.

use serde_json::json;

use super::signing::Claims;

/// Someone who can log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// `sub` at the provider.
    pub subject: String,
    /// The name shown.
    pub name: String,
    /// The e-mail address, verified.
    pub email: String,
    /// `user` or `admin`.
    pub role: &'static str,
}

/// The three to pick from: id, name, role.
pub(super) const RESIDENTS: [(&str, &str, &str); 3] =
    [("mina", "김미나 Mina", "user"), ("jun", "이준 Jun", "admin"), ("sora", "박소라 Sora", "user")];

/// Longest name that can be typed.
const MAX_NAME: usize = 40;

impl Person {
    /// The resident with that id, or a guest with that name; `None` for a name of nothing but spaces.
    pub fn named(name: &str) -> Option<Self> {
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        if name.is_empty() {
            return None;
        }
        let id = name.to_lowercase();
        if let Some((id, name, role)) = RESIDENTS.into_iter().find(|(resident, ..)| *resident == id) {
            let (subject, email) = (format!("demo-{id}"), format!("{id}@example.test"));
            return Some(Self { subject, name: name.to_owned(), email, role });
        }
        // One guest per name, also where the name has no ASCII letter in it.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
        let tag = digest.as_ref().iter().take(5).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        Some(Self { subject: format!("guest-{tag}"), email: format!("guest-{tag}@example.test"), name, role: "user" })
    }

    /// The role that goes with an address: the backend decides roles, whatever the provider says.
    pub(super) fn role_of(email: &str) -> &'static str {
        let resident = RESIDENTS.into_iter().find(|(id, ..)| email.strip_suffix("@example.test") == Some(id));
        resident.map_or("user", |(_, _, role)| role)
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
    fn residents_are_found_by_id_and_anyone_else_is_a_guest() {
        assert_eq!(Person::named("Jun").map(|p| p.role), Some("admin"));
        assert_eq!(Person::role_of("jun@example.test"), "admin");
        let (hana, again) = (Person::named("하나"), Person::named(" 하나 "));
        assert!(hana.is_some());
        assert_eq!(hana, again);
        assert_ne!(hana, Person::named("두리"));
        assert_eq!(Person::named("  "), None);
    }
}
