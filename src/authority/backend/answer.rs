//! Reads the tokens from a backend's answer, at the places that `[authority.answer]` configures.

use cookie::Cookie;
use http::header;
use serde_json::Value;

use crate::{
    authority::issued::FreshTokens,
    call, oidc,
    secret::{AccessToken, RefreshToken},
};

/// `[authority.answer]`: the place of each field in the backend's answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerFields {
    /// Default `/accessToken`.
    pub access_token: Pointer,
    /// Default `/refreshToken`.
    pub refresh_token: Pointer,
    /// Lifetime, in any of the forms that `authority/lifetime.rs` reads; default `/expiresIn`.
    pub expires_in: Pointer,
}

/// A place in an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pointer {
    /// A JSON pointer (RFC 6901) into the body.
    Json(String),
    /// `cookie:NAME`: the value of a `Set-Cookie` of the answer.
    Cookie(String),
}

impl AnswerFields {
    /// The tokens in an answer; `None` if there is no access token, or one that is invalid in a header.
    pub(super) fn tokens(&self, answer: &call::BackendAnswer) -> Option<FreshTokens> {
        let text = |pointer| match find(pointer, answer) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(FreshTokens {
            access_token: AccessToken::new(oidc::bearer_token(&text(&self.access_token)?)?),
            refresh_token: text(&self.refresh_token)
                .filter(|token| !token.is_empty() && !token.contains(char::is_control))
                .map(RefreshToken::new),
            expires_in: find(&self.expires_in, answer),
        })
    }
}

fn find(pointer: &Pointer, answer: &call::BackendAnswer) -> Option<Value> {
    match pointer {
        Pointer::Json(pointer) => answer.json.as_ref()?.pointer(pointer).cloned(),
        // The last one counts if the name occurs several times, as in browsers.
        Pointer::Cookie(name) => answer
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| Cookie::parse(value.to_str().ok()?).ok())
            .rfind(|cookie| cookie.name() == name)
            .map(|cookie| Value::String(cookie.value().to_owned())),
    }
}
