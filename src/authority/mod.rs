//! Who issues the access and refresh tokens: the backend by exchange, or the identity provider itself.

use std::{net::IpAddr, sync::Arc, time::Duration};

use url::Url;

use crate::{
    call::{About, Caller, Placeholder, Template, Values},
    clock::Clock,
    oidc::{Claims, Provider},
    secret::{AccessToken, IdToken, RefreshToken, Secret},
};

mod answer;
mod issue;
mod life;
mod refresh;
mod sign_out;
mod verify;

pub use issue::{Code, IssueError, Outage, Proof};
pub use life::{Life, life};
pub use refresh::RefreshRequest;
pub use sign_out::{SignOutRequest, SignedOut};
pub use verify::{AccessClaims, BadKey, VerifyError};

pub use crate::oidc::{Allow, RefreshError};

/// The placeholders of `[authority.exchange]`.
pub const EXCHANGE: &[&str] = &[
    "provider",
    "id_token",
    "access_token",
    "refresh_token",
    "profile",
    "email",
    "device_id",
    "device_name",
    "claims.",
];
/// The placeholders of `[authority.credentials]`.
pub const CREDENTIALS: &[&str] = &["email", "password", "device_id", "device_name"];
/// The placeholders of `[authority.refresh]`.
pub const REFRESH: &[&str] = &["refresh_token", "access_token", "provider", "device_id", "device_name", "claims."];
/// The placeholders of `[authority.signout]`.
pub const SIGN_OUT: &[&str] = &["refresh_token", "access_token", "provider", "device_id", "device_name"];

/// The placeholders of `[authority.otp]`.
pub const OTP: &[&str] = &["channel", "address", "address_e164", "device_id", "device_name"];
/// The placeholders of `[otp.X.notify]`.
pub const OTP_NOTIFY: &[&str] =
    &["channel", "address", "address_e164", "access_token", "device_id", "device_name", "claims."];

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

/// The one who issues, and how to speak with it.
pub struct Authority {
    kind: Kind,
    verifier: Option<verify::Verifier>,
    caller: Arc<Caller>,
    providers: Vec<Arc<Provider>>,
    clock: Clock,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The visitor's address.
    pub client: IpAddr,
    /// What its `User-Agent` said.
    pub user_agent: Option<String>,
    /// Its device: with a session, the one that is sealed in it.
    pub device: Device,
}

/// A device, by the visitor's own label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its id.
    pub id: uuid::Uuid,
    /// What the visitor calls it; may be empty.
    pub name: String,
}

/// What the authority gave.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: AccessToken,
    /// The refresh token; none keeps the old one.
    pub refresh_token: Option<RefreshToken>,
    /// A verified ID token; none keeps the old one.
    pub id_token: Option<IdToken>,
    /// How long the access token lives, if the authority said so.
    pub expires_in: Option<Duration>,
    /// What the identity provider says of the person; none keeps what was known.
    pub identity: Option<Claims>,
    /// The claims of an access token that is a JWT.
    pub access_claims: Option<AccessClaims>,
}

impl Authority {
    /// The authority of these settings. `http` is for the keys of `[authority.verify]`.
    pub fn new(
        settings: Settings,
        caller: Arc<Caller>,
        providers: Vec<Arc<Provider>>,
        http: reqwest::Client,
        clock: Clock,
    ) -> Result<Self, BadKey> {
        let verifier = settings.verify.map(|verify| verify::Verifier::new(verify, http, clock.clone())).transpose()?;
        Ok(Self { kind: settings.kind, verifier, caller, providers, clock })
    }

    /// Whether there is a login with e-mail and password.
    pub fn takes_credentials(&self) -> bool {
        matches!(&self.kind, Kind::Backend(backend) if backend.credentials.is_some())
    }

    /// Whether an access token can be had for a refresh token.
    pub fn refreshes(&self) -> bool {
        match &self.kind {
            Kind::Provider => true,
            Kind::Backend(backend) => backend.refresh.is_some(),
        }
    }

    /// Index of the upstream that issues; none where that is no upstream.
    pub fn upstream(&self) -> Option<usize> {
        match &self.kind {
            Kind::Provider => None,
            Kind::Backend(backend) => Some(backend.upstream),
        }
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.settings().name == name).map(AsRef::as_ref)
    }
}

impl Visitor {
    fn about(&self) -> About {
        About { client: self.client, user_agent: self.user_agent.clone() }
    }

    /// What every call to a backend may say of the visitor.
    fn values(&self) -> Values {
        Values::new()
            .with(Placeholder::DeviceId, self.device.id.to_string())
            .with(Placeholder::DeviceName, self.device.name.clone())
    }
}

#[cfg(test)]
mod tests;
