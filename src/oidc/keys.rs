//! The published keys of a provider or backend: fetched, kept, and asked for anew when a token names one that is not there.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use jsonwebtoken::Algorithm;
use serde_json::Value;
use url::Url;

use super::{
    fetch::{Http, Unavailable},
    jws::{Jws, Keys, Verdict},
    kept::Kept,
};
use crate::{clock::Clock, secret::Secret};

/// Keys that are fetched when they are needed, or given once.
pub(crate) enum KeySource {
    Fixed(Keys),
    Published(Kept<Keys>),
}

impl KeySource {
    /// The JWK set at the address that `locate` finds.
    pub(crate) fn published(
        name: String,
        http: Http,
        clock: Clock,
        locate: impl Fn() -> BoxFuture<'static, Result<Url, Arc<Unavailable>>> + Send + Sync + 'static,
    ) -> Self {
        let now = clock.clone();
        Self::Published(Kept::new(name, clock, move || {
            let (http, now, located) = (http.clone(), now.clone(), locate());
            Box::pin(async move {
                let received = http.document(located.await?).await?;
                let document: Value = received.document("key set", now.now())?;
                Ok(Keys::of_set(&document).ok_or(Unavailable::Malformed("key set"))?)
            })
        }))
    }

    /// The JWK set at `url`.
    pub(crate) fn at(name: String, url: Url, http: Http, clock: Clock) -> Self {
        Self::published(name, http, clock, move || std::future::ready(Ok(url.clone())).boxed())
    }

    /// A shared secret.
    pub(crate) fn secret(secret: &Secret) -> Self {
        Self::Fixed(Keys::of_secret(secret))
    }

    /// A public key in PEM; `None` if it is none.
    pub(crate) fn public_key(pem: &str) -> Option<Self> {
        Keys::of_pem(pem).map(Self::Fixed)
    }

    /// A JWK set that is at hand; `None` if it is none.
    pub(crate) fn set(document: &Value) -> Option<Self> {
        Keys::of_set(document).map(Self::Fixed)
    }

    /// How many keys there are that could verify a token.
    pub(crate) async fn count(&self) -> Result<usize, Arc<Unavailable>> {
        Ok(match self {
            Self::Fixed(keys) => keys.count(),
            Self::Published(kept) => kept.current().await?.count(),
        })
    }

    /// Whether `token` was signed by one of the keys with an algorithm out of `allowed`.
    pub(crate) async fn verify(&self, token: &Jws<'_>, allowed: &[Algorithm]) -> Result<Verdict, Arc<Unavailable>> {
        // Before any fetch: such a token is no reason to ask for keys.
        if !allowed.contains(&token.algorithm) {
            return Ok(Verdict::UnknownKey);
        }
        let kept = match self {
            Self::Fixed(keys) => return Ok(keys.verdict(token)),
            Self::Published(kept) => kept,
        };
        let keys = kept.current().await?;
        match keys.verdict(token) {
            verdict @ (Verdict::Genuine | Verdict::Forged) => Ok(verdict),
            verdict @ (Verdict::Unmatched | Verdict::UnknownKey) => {
                Ok(kept.other_than(&keys).await.map_or(verdict, |newer| newer.verdict(token)))
            }
        }
    }
}
