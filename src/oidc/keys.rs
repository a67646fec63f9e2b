//! The keys that verify a provider's or backend's tokens: configured, or published and cached. Published keys are
//! fetched again when a token names an unknown one.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use jsonwebtoken::Algorithm;
use serde_json::Value;
use url::Url;

use super::{
    document_cache::DocumentCache,
    fetch::{self, Http, Unavailable},
    jws::{Jws, Keys, SignatureVerdict},
};
use crate::{
    clock::Clock,
    secret::{Random, Secret},
};

/// The source of keys.
pub(crate) enum KeySource {
    Fixed(Keys),
    Published(DocumentCache<Keys>),
}

impl KeySource {
    /// The JWK set at the URL that `locate` returns; `name` is for logs.
    pub(crate) fn published(
        name: String,
        http: Http,
        clock: Clock,
        random: Random,
        locate: impl Fn() -> BoxFuture<'static, Result<Url, Arc<Unavailable>>> + Send + Sync + 'static,
    ) -> Self {
        let now = clock.clone();
        Self::Published(DocumentCache::new(name, clock, random, move || {
            let (http, now, located) = (http.clone(), now.clone(), locate());
            Box::pin(async move {
                let answer = http.document(located.await?).await.map_err(Unavailable::from)?;
                let document: Value = fetch::read_json(&answer, "key set", now.now())?;
                Ok(Keys::of_set(&document).ok_or(Unavailable::Malformed("key set"))?)
            })
        }))
    }

    /// The JWK set at `url`; `name` is for logs.
    pub(crate) fn at(name: String, url: Url, http: Http, clock: Clock, random: Random) -> Self {
        Self::published(name, http, clock, random, move || std::future::ready(Ok(url.clone())).boxed())
    }

    /// A shared secret, for HMAC.
    pub(crate) fn secret(secret: &Secret) -> Self {
        Self::Fixed(Keys::of_secret(secret))
    }

    /// A public key in PEM; `None` if `pem` has none.
    pub(crate) fn public_key(pem: &str) -> Option<Self> {
        Keys::of_pem(pem).map(Self::Fixed)
    }

    /// A given JWK set; `None` if `document` is none.
    pub(crate) fn set(document: &Value) -> Option<Self> {
        Keys::of_set(document).map(Self::Fixed)
    }

    /// The number of keys that could verify a token.
    pub(crate) async fn count(&self) -> Result<usize, Arc<Unavailable>> {
        Ok(match self {
            Self::Fixed(keys) => keys.count(),
            Self::Published(cache) => cache.current().await?.count(),
        })
    }

    /// Whether one of the keys signed `token`, with one of the `allowed` algorithms.
    pub(crate) async fn verify(
        &self,
        token: &Jws<'_>,
        allowed: &[Algorithm],
    ) -> Result<SignatureVerdict, Arc<Unavailable>> {
        // Before any fetch: a token with another algorithm must cause none.
        if !allowed.contains(&token.algorithm) {
            return Ok(SignatureVerdict::UnknownKey);
        }
        let cache = match self {
            Self::Fixed(keys) => return Ok(keys.verdict(token)),
            Self::Published(cache) => cache,
        };
        let keys = cache.current().await?;
        match keys.verdict(token) {
            verdict @ (SignatureVerdict::Genuine | SignatureVerdict::Forged) => Ok(verdict),
            verdict @ (SignatureVerdict::Unmatched | SignatureVerdict::UnknownKey) => {
                Ok(cache.other_than(&keys).await.map_or(verdict, |newer| newer.verdict(token)))
            }
        }
    }
}
