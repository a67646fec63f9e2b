//! Values derived from the whole configuration: the route table, the calls that clients must not make, the signing
//! keys.

use super::Config;
use crate::{
    authority::{self, AuthorityKind, BackendSettings},
    call::{Piece, Template},
    channel::Channel,
    endpoint::{Origins, VisitorOrigin},
    oidc::{self, ProviderKind},
    otp::{self, ChannelSettings, CodePurpose},
    route::{CallPiece, Conflict, HasPage, OwnCall, OwnCalls, OwnSettings, SharedTargets, Table},
    session::{self, MOST_ATTEMPTS},
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

/// The longest `Cookie` headers of the gateway's own cookies, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieSizes {
    /// With a session alone.
    pub usual: usize,
    /// With a session, the most login attempts and a code of each channel under way.
    pub during_logins: usize,
    /// The most login attempts under way: 0 without a provider.
    pub attempts: usize,
    /// The channels of codes.
    pub channels: usize,
}

impl CookieSizes {
    pub(super) fn of(session: &session::Settings, providers: usize, channels: usize) -> Self {
        let attempts = if providers == 0 { 0 } else { MOST_ATTEMPTS };
        Self {
            usual: session.longest_cookie_header(0, 0),
            during_logins: session.longest_cookie_header(attempts, channels),
            attempts,
            channels,
        }
    }
}

impl Config {
    /// What people should know of a file without a fault; not a warning.
    pub fn notes(&self) -> Vec<String> {
        if !self.development {
            return Vec::new();
        }
        let mut parts = Vec::new();
        if self.session.public_url.scheme() == "http" {
            let listen = self.listen.listen;
            parts.push(format!(
                "cookies go over http though `{listen}` is not on loopback, so who can reach it or listen on the way can take a session over"
            ));
        }
        if self.session.key_was_made {
            parts.push("without `session.keys` every person is logged out at the next start".to_owned());
        }
        if parts.is_empty() {
            return Vec::new();
        }
        vec![format!("`development`: {}; it is for a container on one's own machine alone", parts.join("; "))]
    }

    /// The longest `Cookie` headers.
    pub fn cookie_sizes(&self) -> CookieSizes {
        CookieSizes::of(&self.session, self.providers.len(), self.otp.channels().count())
    }

    /// The registrations, for each host on which logins begin.
    pub fn registrations(&self) -> Vec<Registration> {
        let origins = self.login.origins();
        let mut ends: Vec<String> =
            origins.of_logins().iter().map(|origin| self.after_logout(&origins, origin)).collect();
        ends.dedup();
        let registration = |provider: &oidc::Settings| Registration {
            provider: provider.name.clone(),
            redirect_uris: {
                let uri = |origin| self.login.redirect_uri(origin, &provider.name);
                origins.of_logins().iter().map(uri).collect()
            },
            post_logout_redirect_uris: match provider.kind {
                ProviderKind::Oidc => ends.clone(),
                ProviderKind::OAuth2(_) => Vec::new(),
            },
        };
        self.providers.iter().map(registration).collect()
    }

    /// `session.after_logout` on this origin if it begins no login, else the page after a logout.
    fn after_logout(&self, origins: &Origins, origin: &VisitorOrigin) -> String {
        let address = &self.login.after_logout;
        let has_credentials = self.backend().is_some_and(|backend| backend.credentials.is_some());
        let has_one_login = self.providers.len() == 1 && !has_credentials && self.login.codes.is_empty();
        let begins_login = |(host, path): (String, String)| {
            self.table().is_ok_and(|table| table.begins_login(&host, &path, has_one_login))
        };
        if origins.locate(address, origin).is_some_and(begins_login) {
            return origin.absolute(&format!("{}/logged-out", self.login.base_path));
        }
        origin.absolute(address)
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
        let auth_js = self.session.compat.is_some();
        let own = OwnSettings { base_path, providers, credentials, codes, auth_js, dev_pages: self.dev_pages };
        Table::build(self.routes.clone(), own, &SharedTargets::new(&self.upstreams))
    }

    /// The calls of the gateway to backends. A client's request that matches one is refused.
    pub fn own_calls(&self) -> OwnCalls {
        OwnCalls::new(&SharedTargets::new(&self.upstreams), calls(&self.authority, &self.otp).map(own_call).collect())
    }

    fn backend(&self) -> Option<&BackendSettings> {
        backend(&self.authority)
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

/// All calls of the file: under `authority`, `otp` and `login`.
pub(super) fn calls<'s>(
    authority: &'s authority::Settings,
    otp: &'s otp::Settings,
) -> impl Iterator<Item = &'s Template> {
    let issuing = backend(authority).map(|b| [&b.exchange, &b.credentials, &b.otp, &b.refresh, &b.signout]);
    let notify = otp.channels().filter_map(|(_, channel)| channel.notify.as_ref());
    issuing.into_iter().flatten().flatten().chain(&authority.notify).chain(notify)
}

fn backend(authority: &authority::Settings) -> Option<&BackendSettings> {
    match &authority.kind {
        AuthorityKind::Backend(backend) => Some(backend),
        AuthorityKind::Provider | AuthorityKind::Gateway(_) => None,
    }
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
