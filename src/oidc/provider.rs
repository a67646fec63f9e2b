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
use serde_json::Value;

use super::{
    claims::Claims,
    document_cache::DocumentCache,
    endpoints::Endpoints,
    fetch::{Http, Unavailable},
    id_token::{Expected, Flaw, IdTokenError, Rejection},
    jws::{self, Jws, SignatureVerdict, Unparsable},
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
    /// The metadata by the configuration alone; `None` if that lacks something that a login needs.
    given: Option<Arc<Metadata>>,
    keys: KeySource,
}

/// How long a login waits for metadata that it does not need, but that may say more than the configuration.
const WAIT_FOR_EXTRAS: Duration = Duration::from_secs(1);

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
    /// A provider that is reached through `http` (see [`super::http_client`]). Fails if one of the certificates in `ca`
    /// is none.
    pub fn new(settings: Settings, http: Http, clock: Clock, random: Random) -> reqwest::Result<Self> {
        let http = http.for_provider(settings.ca.as_deref())?;
        let protocol = match &settings.kind {
            ProviderKind::Oidc => Protocol::OpenId(Published::by(&settings, &http, &clock, &random)),
            ProviderKind::OAuth2(oauth2) => Protocol::OAuth2(oauth2.clone()),
        };
        let reachability = AtomicU8::new(Reachability::Untried as u8);
        Ok(Self { settings, http, clock, random, protocol, reachability })
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

    /// The metadata for logins and refreshes. Where the configuration gives all that they need, they also work without
    /// the provider's document: with the defaults of OpenID Connect Discovery section 3 for what is not given.
    pub(super) async fn metadata(&self, published: &Published) -> Result<Arc<Metadata>, Arc<Unavailable>> {
        let Some(given) = &published.given else { return self.published_metadata(published).await };
        let fetched = tokio::time::timeout(WAIT_FOR_EXTRAS, published.metadata.current()).await;
        match fetched {
            Ok(Ok(metadata)) => Ok(metadata),
            // What a document says about itself or about PKCE is not replaced by the configuration.
            Ok(Err(error)) if error.is_from_document() => Err(error),
            Ok(Err(_)) | Err(_) => Ok(Arc::clone(given)),
        }
    }

    /// The metadata that the provider publishes, with the addresses of the configuration.
    pub(super) async fn published_metadata(&self, published: &Published) -> Result<Arc<Metadata>, Arc<Unavailable>> {
        let metadata = published.metadata.current().await;
        if metadata.is_err() && published.given.is_none() {
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
            tenants: &self.settings.tenants,
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
        let token = parsed(token.expose()).map_err(IdTokenError::Invalid)?;
        expected.check(&token).map_err(IdTokenError::Invalid)?;
        self.check_signature(published, &token).await?;
        Ok(token.claims)
    }

    async fn check_signature(&self, published: &Published, token: &Jws<'_>) -> Result<(), IdTokenError> {
        let kid = || token.key_id().map(Value::from);
        let rejection = match published.keys.verify(token, jws::ASYMMETRIC).await.map_err(IdTokenError::Unavailable)? {
            SignatureVerdict::Genuine => return Ok(()),
            SignatureVerdict::Forged => Flaw::Signature.with(kid().as_ref(), "the key with this `kid` did not sign it"),
            SignatureVerdict::Unmatched => Flaw::Signature.with(None, "none of the published keys signed it"),
            SignatureVerdict::UnknownKey if published.keys.count().await.is_ok_and(|count| count == 0) => {
                Flaw::Signature.because("the provider's key set has no key for signatures")
            }
            SignatureVerdict::UnknownKey => {
                let wanted = format!("no published key has this `kid` and the algorithm {:?}", token.algorithm);
                Flaw::Signature.with(kid().as_ref(), &wanted)
            }
        };
        Err(IdTokenError::Invalid(rejection))
    }

    /// The userinfo of the person in `claims`; `None` if the provider has no such endpoint, or puts all claims into the
    /// ID token.
    pub(super) async fn userinfo(
        &self,
        (published, metadata): (&Published, &Metadata),
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
        let Some(token) = userinfo::signed(&answer) else {
            return userinfo::read(&answer, &self.settings, claims, self.clock.now());
        };
        let userinfo = self.signed_userinfo(published, metadata, &token).await?;
        userinfo::checked(userinfo, &self.settings, claims)
    }

    /// The claims of a userinfo that is a signed JWT (OpenID Connect Core section 5.3.2): signed by the provider, and
    /// where `iss`, `aud` and times are there, of the provider, for this client and valid now.
    async fn signed_userinfo(
        &self,
        published: &Published,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Claims, UserinfoError> {
        let token = parsed(token).map_err(UserinfoError::Untrusted)?;
        self.expected(metadata).check_userinfo(&token.claims).map_err(UserinfoError::Untrusted)?;
        match self.check_signature(published, &token).await {
            Ok(()) => Ok(token.claims),
            Err(IdTokenError::Invalid(rejection)) => Err(UserinfoError::Untrusted(rejection)),
            Err(IdTokenError::Unavailable(error)) => Err(UserinfoError::Unavailable(error)),
        }
    }
}

/// The token, parsed and with an algorithm that is taken.
fn parsed(token: &str) -> Result<Jws<'_>, Rejection> {
    let wanted = || format!("these are taken: {}", jws::names(jws::ASYMMETRIC));
    match Jws::parse(token) {
        Ok(token) if jws::ASYMMETRIC.contains(&token.algorithm) => Ok(token),
        Ok(token) => Err(Flaw::Algorithm.with(Some(&format!("{:?}", token.algorithm).into()), &wanted())),
        Err(Unparsable::Algorithm(name)) => Err(Flaw::Algorithm.with(Some(&name.into()), &wanted())),
        Err(Unparsable::Encrypted) => Err(Flaw::Encrypted.into()),
        Err(Unparsable::Form) => Err(Flaw::Form.into()),
    }
}

impl Published {
    fn by(settings: &Settings, http: &Http, clock: &Clock, random: &Random) -> Self {
        let metadata = {
            let settings = Arc::new(settings.clone());
            let (http, now) = (http.clone(), clock.clone());
            let name = format!("{} metadata", settings.name);
            DocumentCache::new(name, clock.clone(), random.clone(), move || {
                let (http, settings, now) = (http.clone(), Arc::clone(&settings), now.now());
                async move { metadata::discover(&http, &settings, now).await.map_err(Arc::new) }.boxed()
            })
        };
        let (located, given) = (metadata.clone(), settings.addresses.jwks.clone());
        let name = format!("{} keys", settings.name);
        let keys = KeySource::published(name, http.clone(), clock.clone(), random.clone(), move || {
            let (located, given) = (located.clone(), given.clone());
            async move {
                match given {
                    Some(given) => Ok(given),
                    None => Ok(located.current().await?.jwks_uri.clone()),
                }
            }
            .boxed()
        });
        Self { metadata, given: Metadata::given(settings).map(Arc::new), keys }
    }
}
