//! Who issues the access and refresh tokens: the backend by exchange, or the identity provider itself.

use url::Url;

use crate::{call::Template, secret::Secret};

/// `[authority]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who issues.
    pub kind: Kind,
    /// How a JWT access token is verified; needed for `seal = false` and for roles from the AT.
    pub verify: Option<Verify>,
}

/// Who issues the tokens.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The identity provider: its own tokens.
    Provider,
    /// The backend.
    Backend(Box<Backend>),
}

/// The calls of a backend authority.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Index of the authority's own upstream.
    pub upstream: usize,
    /// After an OIDC login.
    pub exchange: Option<Template>,
    /// `POST {base_path}/login`.
    pub credentials: Option<Template>,
    /// With the RT.
    pub refresh: Option<Template>,
    /// Statuses of the refresh call that end the session; default 401.
    pub refused: Vec<u16>,
    /// At logout.
    pub signout: Option<Template>,
    /// Where the fields stand in the answers.
    pub answer: Answer,
}

/// Where each field stands in the backend's answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Default `/accessToken`.
    pub access_token: Pointer,
    /// Default `/refreshToken`.
    pub refresh_token: Pointer,
    /// Default `/expiresIn`: seconds, as a number or as text.
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

/// `[authority.verify]`.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Where the keys are.
    pub keys: VerifyKeys,
    /// Accepted algorithms; empty: those the key allows (HS256 for a secret).
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// Checked where given.
    pub issuer: Option<String>,
    /// Checked where given.
    pub audience: Option<String>,
}

/// Where an access token's verification keys come from.
#[derive(Clone, Debug)]
pub enum VerifyKeys {
    /// A JWKS (RFC 7517) that is fetched.
    Jwks(Url),
    /// A shared secret, its UTF-8 bytes.
    Secret(Secret),
    /// A public key in PEM.
    PublicKey(String),
}
