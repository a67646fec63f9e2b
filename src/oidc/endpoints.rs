//! The endpoints that a provider has, from its metadata or from the configuration.

use url::Url;

/// How the client sends its secret to the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenAuth {
    /// In `Authorization: Basic`.
    Basic,
    /// As fields of the form.
    Post,
}

/// A provider's endpoints.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) token_auth: TokenAuth,
    pub(super) revocation: Revocation,
}

/// How tokens are revoked.
#[derive(Debug)]
pub(super) enum Revocation {
    /// The provider has no revocation.
    None,
    /// The revocation endpoint (RFC 7009 section 2).
    At(Url),
    /// `grant_type=delete` at the token endpoint, access tokens only (Naver).
    DeleteAtTokenEndpoint,
}
