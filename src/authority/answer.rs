//! The fields of a backend's answer, wherever the configuration says they stand.

use std::time::Duration;

use cookie::Cookie;
use http::header;
use serde_json::Value;

use super::{Answer, Pointer};
use crate::{
    call, oidc,
    secret::{AccessToken, RefreshToken},
};

/// The tokens in an answer.
pub(super) struct Tokens {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) expires_in: Option<Duration>,
}

impl Answer {
    /// Reads them; `None` where there is no access token that could pass through a header.
    pub(super) fn tokens(&self, answer: &call::BackendAnswer) -> Option<Tokens> {
        let text = |pointer| match find(pointer, answer) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Tokens {
            access_token: AccessToken::new(text(&self.access_token).filter(|token| oidc::is_token(token))?),
            refresh_token: text(&self.refresh_token)
                .filter(|token| !token.is_empty() && !token.contains(char::is_control))
                .map(RefreshToken::new),
            expires_in: find(&self.expires_in, answer).as_ref().and_then(oidc::seconds),
        })
    }
}

fn find(pointer: &Pointer, answer: &call::BackendAnswer) -> Option<Value> {
    match pointer {
        Pointer::Json(pointer) => answer.json.as_ref()?.pointer(pointer).cloned(),
        // The last one is the one that a browser would keep.
        Pointer::Cookie(name) => answer
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| Cookie::parse(value.to_str().ok()?).ok())
            .rfind(|cookie| cookie.name() == name)
            .map(|cookie| Value::String(cookie.value().to_owned())),
    }
}
