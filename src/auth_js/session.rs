//! `GET /session` in the shape of Auth.js, and `POST /session`, which is `update` of its clients.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{AuthJs, AuthJsError, Failed};
use crate::{
    endpoint::{Call, EndpointAnswer},
    session::{AuthJsVersion, CookieChanges},
};

impl AuthJs {
    /// `GET /session`, after the session was refreshed if that was due.
    pub fn session(&self, call: &Call) -> Result<EndpointAnswer, Failed> {
        if let Some(why) = call.visit.undecided() {
            return Err(Failed::new(call, AuthJsError::Undecided(why), CookieChanges::default()));
        }
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(self.sessions.csrf().clear_left_behind(&call.headers));
        Ok(EndpointAnswer::json(StatusCode::OK, self.object(call), cookies, auth_status))
    }

    /// `POST /session`: refreshes the session and answers it. What the page wants to be stored in it is dropped: a
    /// page's script must not decide who the person is.
    pub async fn update(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let bytes = call.body.clone();
        let body = Self::read(&call, &bytes)?;
        if !self.repeats_token(&call, &body) {
            let (auth_status, cookies) = call.visit.head();
            return Ok(EndpointAnswer::json(StatusCode::BAD_REQUEST, self.nobody(), cookies, auth_status));
        }
        call.visit.refresh_now().await;
        self.session(&call)
    }

    fn object(&self, call: &Call) -> Value {
        let (Some(access), Some(ends_at)) = (call.visit.access(), call.visit.ends_at()) else { return self.nobody() };
        let user = user(self.sessions.exposed_claims(access), &access.roles);
        json!({ "user": user, "expires": ends_at.rfc3339() })
    }

    /// The object of a visitor without a session. The client of version 4 reads an empty object as none.
    fn nobody(&self) -> Value {
        match self.version {
            AuthJsVersion::NextAuth4 => json!({}),
            AuthJsVersion::AuthJs5 => Value::Null,
        }
    }
}

/// The claims under the names of Auth.js. Without a claim `role` the first of `roles` stands for it.
fn user(mut claims: Map<String, Value>, roles: &[String]) -> Map<String, Value> {
    for (claim, name) in [("sub", "id"), ("picture", "image")] {
        if let Some(value) = claims.remove(claim) {
            claims.insert(name.to_owned(), value);
        }
    }
    if let (false, Some(role)) = (claims.contains_key("role"), roles.first()) {
        claims.insert("role".to_owned(), role.as_str().into());
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: Value, roles: &[&str]) -> Value {
        let Value::Object(claims) = claims else { panic!("no object: {claims}") };
        user(claims, &roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>()).into()
    }

    #[test]
    fn claims_have_the_names_of_auth_js() {
        let claims = json!({ "sub": "7", "name": "Mina", "picture": "https://p.example/7.png", "locale": "ko" });
        let user = json!({ "id": "7", "name": "Mina", "image": "https://p.example/7.png", "locale": "ko" });
        assert_eq!(of(claims, &[]), user);
    }

    #[test]
    fn the_role_is_the_claim_else_the_first_of_the_roles() {
        assert_eq!(of(json!({ "role": "editor" }), &["admin"]), json!({ "role": "editor" }));
        assert_eq!(of(json!({}), &["admin", "editor"]), json!({ "role": "admin" }));
        assert_eq!(of(json!({}), &[]), json!({}));
    }
}
