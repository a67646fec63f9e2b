//! One identity provider: what it publishes, and the ways in which everything else asks it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use reqwest::RequestBuilder;

use super::{
    Claims, Flaw, IdTokenError, Kind, OAuth2, Settings, Unavailable,
    fetch::{self, Http, Received},
    id_token::Expected,
    jws::{self, Jws, Verdict},
    kept::Kept,
    keys::KeySource,
    metadata::{self, Metadata},
    token::Endpoints,
    userinfo::{self, UserinfoError},
};
use crate::{
    clock::Clock,
    secret::{AccessToken, IdToken, Random},
};

/// A configured provider.
pub struct Provider {
    pub(super) settings: Settings,
    pub(super) http: Http,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) protocol: Protocol,
    heard: AtomicU8,
}

/// What it speaks, and what that needs.
pub(super) enum Protocol {
    /// OpenID Connect: what it publishes is fetched when it is first needed.
    OpenId(Published),
    /// OAuth 2.0 alone: all there is to know is configured.
    OAuth2(Box<OAuth2>),
}

/// What an OpenID provider publishes.
pub(super) struct Published {
    metadata: Kept<Metadata>,
    keys: KeySource,
}

/// What the last exchange with a provider showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reachability {
    /// There was none yet.
    Untried,
    /// It answers.
    Reachable,
    /// It does not.
    Unreachable,
}

impl Provider {
    /// A provider that is reached through `http` (see [`super::http_client`]).
    pub fn new(settings: Settings, http: Http, clock: Clock, random: Random) -> Self {
        let protocol = match &settings.kind {
            Kind::Oidc => Protocol::OpenId(Published::by(&settings, &http, &clock)),
            Kind::OAuth2(oauth2) => Protocol::OAuth2(oauth2.clone()),
        };
        let heard = AtomicU8::new(Reachability::Untried as u8);
        Self { settings, http, clock, random, protocol, heard }
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the last exchange showed.
    pub fn reachable(&self) -> Reachability {
        match self.heard.load(Ordering::Relaxed) {
            heard if heard == Reachability::Reachable as u8 => Reachability::Reachable,
            heard if heard == Reachability::Unreachable as u8 => Reachability::Unreachable,
            _ => Reachability::Untried,
        }
    }

    /// Fetches its discovery document, unless that is there; one that has none is only knocked at: any answer of its token endpoint will do.
    pub async fn discover(&self) -> Result<(), Arc<Unavailable>> {
        match &self.protocol {
            Protocol::OpenId(published) => self.metadata(published).await.map(drop),
            Protocol::OAuth2(oauth2) => {
                self.ask(self.http.head(oauth2.token_url.clone()), fetch::CALL).await.map(drop).map_err(Arc::new)
            }
        }
    }

    /// Fetches its keys, unless they are there: how many could verify a token; none where there is no ID token.
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
            self.hear(Reachability::Unreachable);
        }
        metadata
    }

    pub(super) async fn ask(&self, request: RequestBuilder, deadline: Duration) -> Result<Received, Unavailable> {
        let received = self.http.answer(request, deadline).await;
        let answers = received.as_ref().is_ok_and(|received| !received.status.is_server_error());
        self.hear(if answers { Reachability::Reachable } else { Reachability::Unreachable });
        received
    }

    fn hear(&self, reachability: Reachability) {
        self.heard.store(reachability as u8, Ordering::Relaxed);
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

    /// The claims are looked at first: a token that is not for us is no reason to fetch keys.
    pub(super) async fn verified(
        &self,
        published: &Published,
        token: &IdToken,
        expected: Expected<'_>,
    ) -> Result<Claims, IdTokenError> {
        let token = Jws::parse(token.expose()).ok_or(IdTokenError::Invalid(Flaw::Form))?;
        expected.check(&token).map_err(IdTokenError::Invalid)?;
        match published.keys.verify(&token, jws::ASYMMETRIC).await.map_err(IdTokenError::Unavailable)? {
            Verdict::Genuine => Ok(token.claims),
            Verdict::Forged | Verdict::Unmatched | Verdict::UnknownKey => Err(IdTokenError::Invalid(Flaw::Signature)),
        }
    }

    /// What the userinfo endpoint says of the person in `claims`; none where it need not or cannot be asked.
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
        let request = self.http.get(endpoint.clone()).bearer_auth(access_token.expose());
        let received =
            self.ask(request, deadline).await.map_err(|error| UserinfoError::Unavailable(Arc::new(error)))?;
        userinfo::read(&received, &self.settings, claims, self.clock.now())
    }
}

impl Published {
    fn by(settings: &Settings, http: &Http, clock: &Clock) -> Self {
        let metadata = {
            let (issuer, preset) = (settings.issuer.clone(), settings.preset);
            let (http, now) = (http.clone(), clock.clone());
            Kept::new(format!("{} metadata", settings.name), clock.clone(), move || {
                let (http, issuer, now) = (http.clone(), issuer.clone(), now.now());
                async move { metadata::discover(&http, &issuer, preset, now).await.map_err(Arc::new) }.boxed()
            })
        };
        let located = metadata.clone();
        let keys = KeySource::published(format!("{} keys", settings.name), http.clone(), clock.clone(), move || {
            let located = located.clone();
            async move { Ok(located.current().await?.jwks_uri.clone()) }.boxed()
        });
        Self { metadata, keys }
    }
}
