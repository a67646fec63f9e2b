//! What a session sends to be refreshed or signed out, and what a sign-out comes to.

use crate::{
    oidc::Claims,
    secret::{AccessToken, RefreshToken},
};

/// What a session shows to be refreshed.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// Its newest refresh token.
    pub refresh_token: &'a RefreshToken,
    /// Its newest access token, if it still has one.
    pub access_token: Option<&'a AccessToken>,
    /// The provider of its login; empty if there was none.
    pub provider: &'a str,
    /// The identity provider's claims about the person. A new ID token must be for the same person.
    pub identity: Option<&'a Claims>,
}

/// What an ended session shows to be signed out.
#[derive(Clone, Copy, Debug)]
pub struct SignOutRequest<'a> {
    /// Its newest refresh token.
    pub refresh_token: Option<&'a RefreshToken>,
    /// Its newest access token.
    pub access_token: Option<&'a AccessToken>,
    /// The provider of its login; empty if there was none.
    pub provider: &'a str,
}

/// How a sign-out ended. Unless it is confirmed, the refresh token may still be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignedOut {
    /// The authority has invalidated the tokens.
    Confirmed,
    /// The authority did not answer, or answered with an error.
    NotConfirmed,
    /// The authority has no sign-out, or there is no token to sign out.
    NothingToDo,
}
