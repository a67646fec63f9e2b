//! The servers of `vestibule demo`, all on loopback: a small OIDC provider, a backend with short-lived rotating tokens,
//! an outbox that receives one-time codes, and a page that shows the session. The integration tests use the same
//! servers and change them through [`hook`].

pub mod backend;
pub mod hook;
pub mod provider;

mod families;
mod fault;
mod page;
mod people;
mod reply;
mod server;
mod signing;

use std::net::SocketAddr;

pub use self::{
    backend::{Backend, BackendOptions, BearerCheck, RefreshTokenVia, TrustedProvider},
    fault::{Fault, FaultSwitch},
    people::Person,
    provider::{Provider, ProviderOptions, StartError},
    signing::{Claims, KeyError, SigningKey},
};
use crate::{clock::Clock, secret::Random};

/// The provider, and the backend that accepts its ID tokens.
#[derive(Clone)]
pub struct DemoServers {
    /// The identity provider.
    pub provider: Provider,
    /// The backend: token authority and protected API.
    pub backend: Backend,
}

impl DemoServers {
    /// Starts both servers.
    pub async fn start(clock: Clock, random: Random) -> Result<Self, StartError> {
        let provider = Provider::start(ProviderOptions::new(clock.clone(), random.clone())).await?;
        let trusted = TrustedProvider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let options = BackendOptions { mask_bearer: true, ..BackendOptions::new(clock, random, trusted) };
        Ok(Self { provider, backend: Backend::start(options).await? })
    }

    /// Stops both servers.
    pub fn stop(&self) {
        self.provider.stop();
        self.backend.stop();
    }
}

/// The `gateway.toml` of a gateway that listens at `gateway`, in front of these servers.
pub fn gateway_toml(servers: &DemoServers, gateway: SocketAddr) -> String {
    let (provider, backend) = (&servers.provider, servers.backend.origin());
    let outbox = servers.backend.outbox_url();
    let (issuer, audience) = (provider.issuer(), backend::AUDIENCE);
    let (client_id, client_secret) = (provider.client_id(), provider.client_secret().expose());
    // Secrets are base64url and addresses are host and port, so no value needs escaping.
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
    async fn the_demos_gateway_toml_is_valid_and_names_both_servers() {
        let servers = DemoServers::start(Clock::system(), Random::system()).await.unwrap();
        let gateway = SocketAddr::from(([127, 0, 0, 1], 8080));
        let file: toml::Table = gateway_toml(&servers, gateway).parse().unwrap();
        assert_eq!(file["providers"]["demo"]["issuer"].as_str(), Some(servers.provider.issuer().as_str()));
        assert_eq!(file["upstreams"]["backend"]["targets"][0].as_str(), Some(servers.backend.origin()));
        assert_eq!(file["authority"]["exchange"]["path"].as_str(), Some("/auth/{provider}"));
        assert_eq!(file["routes"].as_array().map(Vec::len), Some(4));
    }
}
