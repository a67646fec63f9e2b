//! The requests to refresh and to sign out a session, and the result of a sign-out.

use crate::{
    oidc::Claims,
    secret::{AccessToken, RefreshToken},
};

/// A request for new tokens of a session.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// The session's newest refresh token.
    pub refresh_token: &'a RefreshToken,
    /// The session's newest access token, if it still has one.
    pub access_token: Option<&'a AccessToken>,
    /// The provider of its login; empty if there was none.
    pub provider: &'a str,
    /// The identity provider's claims about the person. A new ID token must be for the same person.
    pub identity: Option<&'a Claims>,
    /// The session's claims, with its one `sub`.
    pub claims: &'a Claims,
}

/// A request to sign out an ended session.
#[derive(Clone, Copy, Debug)]
pub struct SignOutRequest<'a> {
    /// The session's newest refresh token.
    pub refresh_token: Option<&'a RefreshToken>,
    /// The session's newest access token.
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
