//! Values derived from the whole configuration: the route table, the calls that clients must not make, the signing
//! keys.

use super::Config;
use crate::{
    authority::{AuthorityKind, BackendSettings},
    call::{Piece, Template},
    channel::Channel,
    otp::{ChannelSettings, CodePurpose},
    route::{CallPiece, Conflict, HasPage, OwnCall, OwnCalls, OwnSettings, Table},
    signing::SigningKey,
};

impl Config {
    /// All routes and the gateway's own endpoints.
    pub fn table(&self) -> Result<Table, Vec<Conflict>> {
        let providers = self.providers.iter().map(|provider| provider.name.clone()).collect();
        let credentials = self.backend().is_some_and(|backend| backend.credentials.is_some());
        let code = |(channel, settings): (Channel, &ChannelSettings)| {
            (channel, if settings.purpose == CodePurpose::Login { HasPage::Yes } else { HasPage::No })
        };
        let codes = self.otp.channels().map(code).collect();
        let base_path = self.login.base_path.clone();
        Table::build(self.routes.clone(), OwnSettings { base_path, providers, credentials, codes })
    }

    /// The calls of the gateway to backends. A client's request that matches one is refused.
    pub fn own_calls(&self) -> OwnCalls {
        OwnCalls::new(&self.upstreams, self.calls().map(own_call).collect())
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
