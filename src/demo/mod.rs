//! The loopback world of `vestibule demo`: a small OIDC provider, a backend with short-lived rotating tokens, an outbox where codes arrive, and a
//! page that shows the session working. The integration tests use the same provider, backend and outbox.

pub mod backend;
pub mod provider;

mod families;
mod page;
mod people;
mod reply;
mod script;
mod server;
mod signing;

use std::{net::SocketAddr, time::Duration};

pub use self::{
    backend::{Backend, BackendOptions, BearerCheck, RefreshTokenVia},
    people::Person,
    provider::{Provider, ProviderOptions, StartError},
    script::{Fault, Scripted},
    signing::KeyError,
};
use crate::{clock::Clock, secret::Random};

/// The provider and the backend, which trusts it.
#[derive(Clone)]
pub struct World {
    /// Who says who people are.
    pub provider: Provider,
    /// Who issues tokens and is protected.
    pub backend: Backend,
}

/// What may differ from world to world.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Life of the backend's access tokens.
    pub access_token_life: Duration,
    /// Which access tokens open the backend's API.
    pub bearer: BearerCheck,
    /// How the backend's refresh tokens come and go.
    pub refresh_token_via: RefreshTokenVia,
    /// Whether the backend hides the Bearer from scripts that ask for the headers it saw.
    pub mask_bearer: bool,
    /// Hosts beside loopback where the provider sends people back to.
    pub redirect_hosts: Vec<String>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            access_token_life: Duration::from_secs(20),
            bearer: BearerCheck::Own,
            refresh_token_via: RefreshTokenVia::Body,
            mask_bearer: true,
            redirect_hosts: Vec::new(),
        }
    }
}

impl World {
    /// Starts both.
    pub async fn start(clock: Clock, random: Random, options: WorldOptions) -> Result<Self, StartError> {
        let provider = ProviderOptions::new(clock.clone(), random.clone());
        let provider = Provider::start(ProviderOptions { redirect_hosts: options.redirect_hosts, ..provider }).await?;
        let trust = backend::Trust::Provider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let backend = Backend::start(BackendOptions {
            access_token_life: options.access_token_life,
            bearer: options.bearer,
            refresh_token_via: options.refresh_token_via,
            mask_bearer: options.mask_bearer,
            ..BackendOptions::new(clock, random, trust)
        })
        .await?;
        Ok(Self { provider, backend })
    }

    /// Closes both.
    pub fn stop(&self) {
        self.provider.stop();
        self.backend.stop();
    }
}

/// The `gateway.toml` of a gateway at `gateway` in front of that world.
pub fn gateway_toml(world: &World, gateway: SocketAddr) -> String {
    let (provider, backend) = (&world.provider, world.backend.origin());
    let outbox = world.backend.outbox_url();
    let (issuer, audience) = (provider.issuer(), backend::AUDIENCE);
    let (client_id, client_secret) = (provider.client_id(), provider.client_secret().expose());
    // Token texts are base64url and the addresses are ours, so nothing here needs escaping.
    format!(
        r#"[server]
listen = "{gateway}"
public_url = "http://{gateway}"

[session]
roles_claim = "/role"
expose_claims = ["sub", "email", "name", "role"]

[pages]
name = "Vestibule demo"

[authority]
kind = "backend"
upstream = "backend"

[authority.exchange]
path = "/auth/{{provider}}"
json = {{ id_token = "{{id_token}}", deviceId = "{{device_id}}", deviceName = "{{device_name}}" }}

[authority.credentials]
path = "/auth/login"
json = {{ email = "{{email}}", password = "{{password}}", deviceId = "{{device_id}}" }}

[authority.otp]
path = "/auth/otp"
json = {{ channel = "{{channel}}", address = "{{address}}", deviceId = "{{device_id}}" }}

[authority.refresh]
path = "/auth/refresh"
json = {{ refreshToken = "{{refresh_token}}", deviceId = "{{device_id}}" }}

[authority.signout]
path = "/auth/signout"
json = {{ refreshToken = "{{refresh_token}}" }}

[authority.verify]
jwks_url = "{backend}/.well-known/jwks.json"
issuer = "{backend}"
audience = "{audience}"

[providers.demo]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = "{client_secret}"
scopes = ["openid", "email", "profile"]
label = "Demo ID"

[otp.sms]
purpose = "login"
outbox = {{ url = "{outbox}" }}

[otp.email]
purpose = "login"
from = "Vestibule <demo@example.test>"
outbox = {{ url = "{outbox}" }}

[upstreams.backend]
targets = ["{backend}"]

[[routes]]
path = "/api/{{*rest}}"
upstream = "backend"
access = "user"

[[routes]]
path = "/control/events"
upstream = "backend"
access = "public"

[[routes]]
path = "/control/{{*rest}}"
upstream = "backend"
access = "optional"

[[routes]]
path = "/{{*rest}}"
upstream = "backend"
access = "optional"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_gateways_file_is_toml_and_names_both_servers() {
        let world = World::start(Clock::system(), Random::system(), WorldOptions::default()).await.unwrap();
        let gateway = SocketAddr::from(([127, 0, 0, 1], 8080));
        let file: toml::Table = gateway_toml(&world, gateway).parse().unwrap();
        assert_eq!(file["providers"]["demo"]["issuer"].as_str(), Some(world.provider.issuer().as_str()));
        assert_eq!(file["upstreams"]["backend"]["targets"][0].as_str(), Some(world.backend.origin()));
        assert_eq!(file["authority"]["exchange"]["path"].as_str(), Some("/auth/{provider}"));
        assert_eq!(file["routes"].as_array().map(Vec::len), Some(4));
    }
}
