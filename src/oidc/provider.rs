//! One identity provider: its metadata and keys, and the requests that logins, refreshes and logouts share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use http::Method;
use reqwest::RequestBuilder;

use super::{
    claims::Claims,
    document_cache::DocumentCache,
    endpoints::Endpoints,
    fetch::{self, Http, Unavailable},
    id_token::{Expected, Flaw, IdTokenError},
    jws::{self, Jws, SignatureVerdict},
    keys::KeySource,
    metadata::{self, Metadata},
    oauth2::settings::OAuth2,
    settings::{ProviderKind, Settings},
    userinfo::{self, UserinfoError},
};
use crate::{
    clock::Clock,
    outbound::HttpAnswer,
    secret::{AccessToken, IdToken, Random},
};

/// A configured provider.
pub struct Provider {
    pub(super) settings: Settings,
    pub(super) http: Http,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) protocol: Protocol,
    /// A [`Reachability`].
    reachability: AtomicU8,
}

/// The protocol of a provider, with its data.
pub(super) enum Protocol {
    /// OpenID Connect.
    OpenId(Published),
    /// OAuth 2.0 without OpenID Connect: everything is configured, no metadata or keys are fetched.
    OAuth2(Box<OAuth2>),
}

/// The published documents of an OpenID provider; fetched at first use.
pub(super) struct Published {
    metadata: DocumentCache<Metadata>,
    keys: KeySource,
}

/// Whether the last request to a provider was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reachability {
    /// There was no request yet.
    Untried,
    /// It was answered with a status below 500.
    Reachable,
    /// It was not answered, or with a status of 500 or more.
    Unreachable,
}

impl Provider {
    /// A provider that is reached through `http` (see [`super::http_client`]).
    pub fn new(settings: Settings, http: Http, clock: Clock, random: Random) -> Self {
        let http = http.for_another_provider();
        let protocol = match &settings.kind {
            ProviderKind::Oidc => Protocol::OpenId(Published::by(&settings, &http, &clock, &random)),
            ProviderKind::OAuth2(oauth2) => Protocol::OAuth2(oauth2.clone()),
        };
        let reachability = AtomicU8::new(Reachability::Untried as u8);
        Self { settings, http, clock, random, protocol, reachability }
    }

    /// The validated `[providers.NAME]`.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the last request was answered.
    pub fn reachable(&self) -> Reachability {
        match self.reachability.load(Ordering::Relaxed) {
            last if last == Reachability::Reachable as u8 => Reachability::Reachable,
            last if last == Reachability::Unreachable as u8 => Reachability::Unreachable,
            _ => Reachability::Untried,
        }
    }

    /// Fetches the discovery document, unless it is cached. An OAuth 2.0 provider has none: any answer of its token
    /// endpoint is a success.
    pub async fn discover(&self) -> Result<(), Arc<Unavailable>> {
        match &self.protocol {
            Protocol::OpenId(published) => self.metadata(published).await.map(drop),
            Protocol::OAuth2(oauth2) => {
                let request = self.http.request(Method::HEAD, oauth2.token_url.clone());
                self.ask(request, fetch::CALL).await.map(drop).map_err(Arc::new)
            }
        }
    }

    /// The number of keys that could verify an ID token; fetched unless they are cached. 0 for an OAuth 2.0 provider.
    pub async fn count_keys(&self) -> Result<usize, Arc<Unavailable>> {
        match &self.protocol {
            Protocol::OpenId(published) => published.keys.count().await,
            Protocol::OAuth2(_) => Ok(0),
        }
    }

    pub(super) async fn endpoints(&self) -> Result<Endpoints, Arc<Unavailable>> {
        match &self.protocol {
            Protocol::OpenId(published) => Ok(self.metadata(published).await?.endpoints(self.settings.preset)),
            Protocol::OAuth2(oauth2) => Ok(oauth2.endpoints(self.settings.preset)),
        }
    }

    pub(super) async fn metadata(&self, published: &Published) -> Result<Arc<Metadata>, Arc<Unavailable>> {
        let metadata = published.metadata.current().await;
        if metadata.is_err() {
            self.set_reachability(Reachability::Unreachable);
        }
        metadata
    }

    pub(super) async fn ask(&self, request: RequestBuilder, deadline: Duration) -> Result<HttpAnswer, Unavailable> {
        let answer = self.http.answer(request, deadline).await;
        let is_up = answer.as_ref().is_ok_and(|answer| !answer.status.is_server_error());
        self.set_reachability(if is_up { Reachability::Reachable } else { Reachability::Unreachable });
        Ok(answer?)
    }

    fn set_reachability(&self, reachability: Reachability) {
        self.reachability.store(reachability as u8, Ordering::Relaxed);
    }

    pub(super) fn expected<'a>(&'a self, metadata: &'a Metadata) -> Expected<'a> {
        Expected {
            issuer: &metadata.issuer,
            preset: self.settings.preset,
            audiences: std::slice::from_ref(&self.settings.client_id),
            nonce: None,
            access_token: None,
            max_age: None,
            now: self.clock.now(),
        }
    }

    /// The claims of an ID token, after the checks of its claims and its signature. The claims are checked first: a
    /// token for another client must not cause a fetch of keys.
    pub(super) async fn verified_claims(
        &self,
        published: &Published,
        token: &IdToken,
        expected: Expected<'_>,
    ) -> Result<Claims, IdTokenError> {
        let token = Jws::parse(token.expose()).ok_or(IdTokenError::Invalid(Flaw::Form))?;
        expected.check(&token).map_err(IdTokenError::Invalid)?;
        match published.keys.verify(&token, jws::ASYMMETRIC).await.map_err(IdTokenError::Unavailable)? {
            SignatureVerdict::Genuine => Ok(token.claims),
            SignatureVerdict::Forged | SignatureVerdict::Unmatched | SignatureVerdict::UnknownKey => {
                Err(IdTokenError::Invalid(Flaw::Signature))
            }
        }
    }

    /// The userinfo of the person in `claims`; `None` if the provider has no such endpoint, refuses it, or puts all
    /// claims into the ID token.
    pub(super) async fn userinfo(
        &self,
        metadata: &Metadata,
        access_token: &AccessToken,
        claims: &Claims,
        deadline: Duration,
    ) -> Result<Option<Claims>, UserinfoError> {
        let Some(endpoint) =
            metadata.userinfo_endpoint.as_ref().filter(|_| !self.settings.preset.id_token_is_complete())
        else {
            return Ok(None);
        };
        let request = self.http.request(Method::GET, endpoint.clone()).bearer_auth(access_token.expose());
        let answer = self.ask(request, deadline).await.map_err(|error| UserinfoError::Unavailable(Arc::new(error)))?;
        userinfo::read(&answer, &self.settings, claims, self.clock.now())
    }
}

impl Published {
    fn by(settings: &Settings, http: &Http, clock: &Clock, random: &Random) -> Self {
        let metadata = {
            let (issuer, preset) = (settings.issuer.clone(), settings.preset);
            let (http, now) = (http.clone(), clock.clone());
            let name = format!("{} metadata", settings.name);
            DocumentCache::new(name, clock.clone(), random.clone(), move || {
                let (http, issuer, now) = (http.clone(), issuer.clone(), now.now());
                async move { metadata::discover(&http, &issuer, preset, now).await.map_err(Arc::new) }.boxed()
            })
        };
        let located = metadata.clone();
        let name = format!("{} keys", settings.name);
        let keys = KeySource::published(name, http.clone(), clock.clone(), random.clone(), move || {
            let located = located.clone();
            async move { Ok(located.current().await?.jwks_uri.clone()) }.boxed()
        });
        Self { metadata, keys }
    }
}
