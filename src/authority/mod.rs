//! Who issues the access and refresh tokens: the backend by exchange, the identity provider itself, or the gateway.

use std::{sync::Arc, time::Duration};

use url::Url;

use crate::{
    call::{Caller, Json, Placeholder, Template, Values},
    channel::Channel,
    client::Client,
    clock::Clock,
    oidc::{Claims, Provider},
    seal::KeyRing,
    secret::{AccessToken, IdToken, Random, RefreshToken, Secret},
    signing::Signer,
    store::Store,
};

mod answer;
mod code;
mod gateway;
mod issue;
mod life;
mod notify;
mod refresh;
mod sign_out;
mod verify;
mod who;

pub use code::Code;
pub use issue::{IssueError, Outage, Proof};
pub use life::{Life, life};
pub use refresh::RefreshRequest;
pub use sign_out::{SignOutRequest, SignedOut};
pub use verify::{AccessClaims, BadKey, ShownToken, VerifyError};

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
/// The placeholders of `[otp.sms.notify]` and `[otp.email.notify]`.
pub const OTP_NOTIFY: &[&str] =
    &["channel", "address", "address_e164", "access_token", "device_id", "device_name", "claims."];
/// The placeholders of `[login.notify]`.
pub const LOGIN_NOTIFY: &[&str] =
    &["provider", "profile", "email", "channel", "address", "address_e164", "device_id", "device_name", "claims."];
/// The placeholders of `[authority.gateway] claims`.
pub const CLAIMS: &[&str] = &["provider", "email", "channel", "address", "address_e164", "claims."];
/// The claims of an access token that are not to be mapped: they are the gateway's own.
pub const OWN_CLAIMS: &[&str] = &["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "role", "roles"];

/// `[authority]`, validated, with `[login.notify]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who issues.
    pub kind: Kind,
    /// How a JWT access token is verified; needed for `seal = false` and for roles from the AT.
    pub verify: Option<Verify>,
    /// `[login.notify]`: the call at a person's first login.
    pub notify: Option<Template>,
}

/// Who issues the tokens.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The identity provider: its own tokens.
    Provider,
    /// The backend.
    Backend(Box<Backend>),
    /// The gateway itself.
    Gateway(Box<Gateway>),
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
    /// After a one-time code with `purpose = "login"`.
    pub otp: Option<Template>,
    /// With the RT.
    pub refresh: Option<Template>,
    /// Statuses of the refresh call that end the session; default 401.
    pub refused: Vec<u16>,
    /// At logout.
    pub signout: Option<Template>,
    /// Where the fields stand in the answers.
    pub answer: Answer,
}

/// `[authority.gateway]`, with what it needs of `[session]` and `[otp]`.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// From `iat` to `exp`; at least a second.
    pub access_token_lifetime: Duration,
    /// The role of whoever has none of `roles`.
    pub default_role: String,
    /// Roles and who has them, in the order of the file.
    pub roles: Vec<(String, Allow)>,
    /// Further claims; `None`: the usual ones, where they are known.
    pub claims: Option<Vec<(String, Json)>>,
    /// The channels whose codes log in.
    pub codes: Vec<CodeLogin>,
    /// How long a refresh token that was replaced still brings the one that replaced it.
    pub refresh_grace: Duration,
    /// A login without a refresh for this long has ended.
    pub idle: Duration,
    /// A login this old has ended.
    pub absolute: Duration,
}

/// A channel with `purpose = "login"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeLogin {
    /// The channel.
    pub channel: Channel,
    /// Who may come in.
    pub allow: Option<Allow>,
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
    notify: Option<Template>,
    verifier: Option<verify::Verifier>,
    caller: Arc<Caller>,
    providers: Vec<Arc<Provider>>,
    store: Store,
    ring: KeyRing,
    signer: Signer,
    clock: Clock,
    random: Random,
}

/// What an [`Authority`] works with.
#[derive(Clone)]
pub struct Parts {
    /// For calls to backends.
    pub caller: Arc<Caller>,
    /// Where people come from.
    pub providers: Vec<Arc<Provider>>,
    /// For the keys of `[authority.verify]`.
    pub http: crate::oidc::Http,
    /// Families of the gateway's own refresh tokens, and who has been here.
    pub store: Store,
    /// Seals the gateway's own refresh tokens.
    pub ring: KeyRing,
    /// Signs the gateway's own access tokens.
    pub signer: Signer,
    /// Now.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}

/// The client and the device that the authority is asked for.
#[derive(Clone, Debug)]
pub struct ClientDevice {
    /// The client.
    pub client: Client,
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
    /// The authority of these settings.
    pub fn new(settings: Settings, parts: Parts) -> Result<Self, BadKey> {
        let Parts { caller, providers, http, store, ring, signer, clock, random } = parts;
        let verifier = match (&settings.kind, settings.verify) {
            (Kind::Gateway(gateway), _) => Some(verify::Verifier::of_own(gateway, &signer)),
            (_, Some(verify)) => Some(verify::Verifier::new(verify, http, clock.clone())?),
            (_, None) => None,
        };
        let (kind, notify) = (settings.kind, settings.notify);
        Ok(Self { kind, notify, verifier, caller, providers, store, ring, signer, clock, random })
    }

    /// Whether there is a login with e-mail and password.
    pub fn takes_credentials(&self) -> bool {
        matches!(&self.kind, Kind::Backend(backend) if backend.credentials.is_some())
    }

    /// Whether an access token can be had for a refresh token.
    pub fn refreshes(&self) -> bool {
        match &self.kind {
            Kind::Provider | Kind::Gateway(_) => true,
            Kind::Backend(backend) => backend.refresh.is_some(),
        }
    }

    /// Whether its refresh tokens are the gateway's own, which are good once.
    pub fn detects_reuse(&self) -> bool {
        matches!(self.kind, Kind::Gateway(_))
    }

    /// Index of the upstream that issues; none where that is no upstream.
    pub fn upstream(&self) -> Option<usize> {
        match &self.kind {
            Kind::Provider | Kind::Gateway(_) => None,
            Kind::Backend(backend) => Some(backend.upstream),
        }
    }

    /// Whether a one-time code of this channel logs in.
    pub fn takes_codes(&self, channel: Channel) -> bool {
        match &self.kind {
            Kind::Provider => false,
            Kind::Backend(backend) => backend.otp.is_some(),
            Kind::Gateway(gateway) => gateway.codes.iter().any(|login| login.channel == channel),
        }
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.settings().name == name).map(AsRef::as_ref)
    }
}

impl ClientDevice {
    /// These two.
    pub fn of(client: &Client, device: &Device) -> Self {
        Self { client: client.clone(), device: device.clone() }
    }

    /// What every call to a backend may say of the visitor.
    fn values(&self) -> Values {
        self.add_to(Values::new())
    }

    fn add_to(&self, values: Values) -> Values {
        values
            .with(Placeholder::DeviceId, self.device.id.to_string())
            .with(Placeholder::DeviceName, self.device.name.clone())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::parts as test_parts;
