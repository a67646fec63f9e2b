//! The servers of `vestibule demo`, all on loopback: a small OIDC provider, a backend with short-lived rotating tokens,
//! an outbox that receives one-time codes, and a page that shows the session. `vestibule dev` and the integration tests
//! use the same servers; the tests change them through [`hook`].

pub mod backend;
pub mod hook;
pub mod provider;

mod families;
mod fault;
mod front;
mod page;
mod people;
mod reply;
mod server;
mod signing;
mod toml;

use std::time::Duration;

use url::Url;

pub use self::{
    backend::{Backend, BackendOptions, BearerCheck, RefreshTokenVia, TrustedProvider},
    fault::{Fault, FaultSwitch},
    front::{AppAddress, Front},
    page::{PANEL_PATH, PageKind},
    people::Person,
    provider::{Provider, ProviderOptions, StartError},
    signing::{Claims, KeyError, SigningKey},
    toml::{AppAccess, demo_toml, dev_toml, gateway_toml},
};
use crate::{clock::Clock, secret::Random};

/// Life of an access token of `vestibule dev`: that of many backends. The panel can end it sooner.
const DEV_TOKEN_LIFE: Duration = Duration::from_secs(300);

/// The provider, and the backend that accepts its ID tokens.
#[derive(Clone)]
pub struct DemoServers {
    /// The identity provider.
    pub provider: Provider,
    /// The backend: token authority and protected API.
    pub backend: Backend,
}

impl DemoServers {
    /// Starts both servers for a gateway at `page`, which has the provider behind it too. `page_kind` is what the
    /// backend shows.
    pub async fn start(clock: Clock, random: Random, page: &Url, page_kind: PageKind) -> Result<Self, StartError> {
        let mut options = ProviderOptions::new(clock.clone(), random.clone());
        options.browser_url = Some(toml::provider_url(page));
        options.panel = (page_kind == PageKind::Panel).then_some(PANEL_PATH);
        let provider = Provider::start(options).await?;
        let trusted = TrustedProvider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let mut options =
            BackendOptions { mask_bearer: true, page: page_kind, ..BackendOptions::new(clock, random, trusted) };
        if page_kind == PageKind::Panel {
            options.access_token_life = DEV_TOKEN_LIFE;
        }
        Ok(Self { provider, backend: Backend::start(options).await? })
    }

    /// Stops both servers.
    pub fn stop(&self) {
        self.provider.stop();
        self.backend.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_demos_file_is_valid_and_its_browsers_need_the_gateways_port_alone() {
        let page: Url = "http://localhost:8080/".parse().unwrap();
        let servers = DemoServers::start(Clock::system(), Random::system(), &page, PageKind::Demo).await.unwrap();
        let text = demo_toml(&servers, &page, ([127, 0, 0, 1], 8080).into());
        let file: ::toml::Table = text.parse().unwrap();
        assert_eq!(file["providers"]["demo"]["issuer"].as_str(), Some(servers.provider.issuer().as_str()));
        assert_eq!(file["upstreams"]["backend"]["targets"][0].as_str(), Some(servers.backend.origin()));
        assert_eq!(file["upstreams"]["provider"]["targets"][0].as_str(), Some(servers.provider.issuer().as_str()));
        assert_eq!(file["authority"]["exchange"]["path"].as_str(), Some("/auth/{provider}"));
        let discovery = format!("{}/.well-known/openid-configuration", servers.provider.issuer());
        let document: serde_json::Value = reqwest::get(discovery).await.unwrap().json().await.unwrap();
        for name in ["authorization_endpoint", "end_session_endpoint"] {
            assert!(document[name].as_str().unwrap().starts_with("http://localhost:8080/auth/dev/id/"), "{document}");
        }
    }
}
