//! Values derived from the whole configuration: the route table, the calls that clients must not make, the signing
//! keys.

use url::{Position, Url};

use super::Config;
use crate::{
    authority::{AuthorityKind, BackendSettings},
    call::{Piece, Template},
    channel::Channel,
    oidc::{self, ProviderKind},
    otp::{ChannelSettings, CodePurpose},
    route::{CallPiece, Conflict, HasPage, OwnCall, OwnCalls, OwnSettings, SharedTargets, Table},
    signing::SigningKey,
};

/// What has to be registered with a provider, one address for each host on which logins begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The provider's name.
    pub provider: String,
    /// Where its logins come back.
    pub redirect_uris: Vec<String>,
    /// Where its logout comes back; empty for a provider of `kind = "oauth2"`, which has none.
    pub post_logout_redirect_uris: Vec<String>,
}

impl Config {
    /// The registrations. A login begins and ends on the visitor's own host: that of `public_url`, one of
    /// `server.hosts`, or a route's. No provider takes an address whose host is a name without a dot, except
    /// `localhost`; such logins run over `public_url`.
    pub fn registrations(&self) -> Vec<Registration> {
        let public_url = &self.hygiene.public_url;
        let listed = self.hygiene.hosts.iter().chain(self.routes.iter().flat_map(|route| &route.hosts));
        let mut origins = vec![public_url.clone()];
        for host in listed {
            let address = Url::parse(&format!("{}://{host}", public_url.scheme())).ok();
            let Some(mut address) = address.filter(|url| url.host_str().is_some_and(can_be_redirected_to)) else {
                continue;
            };
            // An entry without a port stands for every port; visitors come by the one of `public_url`.
            if address.port().is_none() && !host.ends_with(":80") && !host.ends_with(":443") {
                let _ = address.set_port(public_url.port());
            }
            if origins.iter().all(|known| known.origin() != address.origin()) {
                origins.push(address);
            }
        }
        let at = |origin: &Url, path: &str| format!("{}{path}", origin.origin().ascii_serialization());
        let mut ends: Vec<String> = origins.iter().map(|origin| self.after_logout(origin)).collect();
        ends.dedup();
        let registration = |provider: &oidc::Settings| {
            let path = format!("{}/callback/{}", self.login.base_path, provider.name);
            Registration {
                provider: provider.name.clone(),
                redirect_uris: origins.iter().map(|origin| at(origin, &path)).collect(),
                post_logout_redirect_uris: match provider.kind {
                    ProviderKind::Oidc => ends.clone(),
                    ProviderKind::OAuth2(_) => Vec::new(),
                },
            }
        };
        self.providers.iter().map(registration).collect()
    }

    /// `session.after_logout` on this origin if it needs no login, else the page after a logout.
    fn after_logout(&self, origin: &Url) -> String {
        let address = &self.login.after_logout;
        if !address.starts_with('/') {
            return address.clone();
        }
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let host = &origin[Position::BeforeHost..Position::AfterPort];
        let is_open = self.table().is_ok_and(|table| table.is_open(host, path));
        let own_page = format!("{}/logged-out", self.login.base_path);
        format!("{}{}", origin.origin().ascii_serialization(), if is_open { address } else { &own_page })
    }

    /// All routes and the gateway's own endpoints.
    pub fn table(&self) -> Result<Table, Vec<Conflict>> {
        let providers = self.providers.iter().map(|provider| provider.name.clone()).collect();
        let credentials = self.backend().is_some_and(|backend| backend.credentials.is_some());
        let code = |(channel, settings): (Channel, &ChannelSettings)| {
            (channel, if settings.purpose == CodePurpose::Login { HasPage::Yes } else { HasPage::No })
        };
        let codes = self.otp.channels().map(code).collect();
        let base_path = self.login.base_path.clone();
        let own = OwnSettings { base_path, providers, credentials, codes };
        Table::build(self.routes.clone(), own, &SharedTargets::new(&self.upstreams))
    }

    /// The calls of the gateway to backends. A client's request that matches one is refused.
    pub fn own_calls(&self) -> OwnCalls {
        OwnCalls::new(&SharedTargets::new(&self.upstreams), self.calls().map(own_call).collect())
    }

    /// All calls of the file: under `authority`, `otp` and `login`.
    fn calls(&self) -> impl Iterator<Item = &Template> {
        let issuing = self.backend().map(|b| [&b.exchange, &b.credentials, &b.otp, &b.refresh, &b.signout]);
        let notify = self.otp.channels().filter_map(|(_, channel)| channel.notify.as_ref());
        issuing.into_iter().flatten().flatten().chain(&self.authority.notify).chain(notify)
    }

    fn backend(&self) -> Option<&BackendSettings> {
        match &self.authority.kind {
            AuthorityKind::Backend(backend) => Some(backend),
            AuthorityKind::Provider | AuthorityKind::Gateway(_) => None,
        }
    }

    /// The keys that sign the gateway's JWTs, at least one: those of `[signing]`, else one derived from each session
    /// key.
    pub fn signing_keys(&self) -> Vec<SigningKey> {
        if self.signing.is_empty() {
            return self.session.keys.iter().map(SigningKey::derived).collect();
        }
        self.signing.clone()
    }
}

fn can_be_redirected_to(host: &str) -> bool {
    host == "localhost" || host.starts_with('[') || host.contains('.')
}

fn own_call(template: &Template) -> OwnCall {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => CallPiece::Literal(text.clone()),
        Piece::Placeholder(_) => CallPiece::Placeholder,
    };
    OwnCall {
        upstream: template.upstream,
        method: template.method.clone(),
        path: template.path.0.iter().map(piece).collect(),
    }
}
