//! Reads the tokens from a backend's answer, at the places that `[authority.answer]` configures.

use std::fmt;

use cookie::Cookie;
use http::header;
use serde_json::Value;

use crate::{
    authority::issued::FreshTokens,
    call,
    oidc::{self, Claims},
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
    /// `claims`: what the backend says of the person; name and JSON pointer (RFC 6901).
    pub claims: Vec<(String, String)>,
}

/// A place in an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pointer {
    /// A JSON pointer (RFC 6901) into the body.
    Json(String),
    /// `cookie:NAME`: the value of a `Set-Cookie` of the answer.
    Cookie(String),
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(pointer) => f.write_str(pointer),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

impl AnswerFields {
    /// The tokens in an answer; the reason for the log if there is no access token, or one that is invalid in a header.
    pub(super) fn tokens(&self, answer: &call::BackendAnswer) -> Result<FreshTokens, String> {
        let text = |pointer| match find(pointer, answer) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let Some(access_token) = text(&self.access_token) else {
            let place = &self.access_token;
            return Err(match &answer.json {
                None if matches!(place, Pointer::Json(_)) => format!("it is no JSON, and `{place}` is a place in JSON"),
                _ if find(place, answer).is_some() => format!("`{place}` is no text"),
                _ => format!("`{place}` is absent"),
            });
        };
        let no_token = || format!("`{}` has characters that no token has", self.access_token);
        Ok(FreshTokens {
            access_token: AccessToken::new(oidc::bearer_token(&access_token).ok_or_else(no_token)?),
            refresh_token: text(&self.refresh_token)
                .filter(|token| !token.is_empty() && !token.contains(char::is_control))
                .map(RefreshToken::new),
            expires_in: find(&self.expires_in, answer),
            answered: self.claims(answer),
        })
    }

    /// The claims that the answer has, null included.
    fn claims(&self, answer: &call::BackendAnswer) -> Claims {
        let found =
            |(name, pointer): &(String, String)| Some((name.clone(), answer.json.as_ref()?.pointer(pointer)?.clone()));
        self.claims.iter().filter_map(found).collect()
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
