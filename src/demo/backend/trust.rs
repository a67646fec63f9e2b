//! The tokens that the backend trusts: a provider's ID tokens and the gateway's assertions.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::request::Parts;
use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use serde_json::Value;

use super::{
    super::{
        server::lock,
        signing::{self, Claims},
    },
    StartError,
};
use crate::clock::Timestamp;

/// The provider whose ID tokens the backend accepts; its keys are at `{issuer}/jwks`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedProvider {
    /// `iss` of its ID tokens.
    pub issuer: String,
    /// `aud` of its ID tokens: the id of its client.
    pub audience: String,
}

/// The origin of the gateway whose assertions are required for logins with a one-time code. Until it is set, no
/// assertion is required, as in a network where only the gateway can reach the backend.
#[derive(Default)]
pub(super) struct TrustedGateway(Mutex<Option<String>>);

impl TrustedGateway {
    pub(super) fn set(&self, origin: &str) {
        *lock(&self.0) = Some(origin.to_owned());
    }

    /// Whether the request has an assertion that the gateway signed for its method, path and body. The keys are fetched
    /// for each request.
    pub(super) async fn has_signed(&self, head: &Parts, body: &Bytes, now: Timestamp) -> bool {
        let Some(gateway) = lock(&self.0).clone() else { return true };
        let assertion = head.headers.get("vestibule-assertion").and_then(|value| value.to_str().ok());
        let Some(claims) = assertion.map(|token| claims_of(&gateway, token)) else { return false };
        let Some(claims) = claims.await else { return false };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
        text("iss") == Some(&gateway)
            && text("method") == Some(head.method.as_str())
            && text("path") == head.uri.path_and_query().map(http::uri::PathAndQuery::as_str)
            && text("body_sha256") == Some(&URL_SAFE_NO_PAD.encode(digest))
            && claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| exp > now.as_secs())
    }
}

async fn claims_of(gateway: &str, token: &str) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let is_assertion = header.typ.as_deref() == Some("vestibule-assertion+jwt");
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().ok()?;
    let answer = client.get(format!("{gateway}/.well-known/jwks.json")).send().await.ok()?;
    let set: JwkSet = answer.error_for_status().ok()?.json().await.ok()?;
    let key = DecodingKey::from_jwk(set.find(&header.kid.filter(|_| is_assertion)?)?).ok()?;
    signing::verify(token, &key)
}

/// The keys of the trusted provider; fetched again when a token has an unknown key id.
pub(super) struct TrustedKeys {
    provider: TrustedProvider,
    client: reqwest::Client,
    keys: Mutex<HashMap<String, DecodingKey>>,
}

impl TrustedKeys {
    pub(super) fn new(provider: TrustedProvider) -> Result<Self, StartError> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(Self { provider, client, keys: Mutex::default() })
    }

    /// The claims of a valid token of the provider.
    pub(super) async fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let TrustedProvider { issuer, audience } = &self.provider;
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.key(issuer, &kid).await?;
        let claims = signing::verify(token, &key)?;
        let is_for_us = match claims.get("aud") {
            Some(Value::String(aud)) => aud == audience,
            Some(Value::Array(all)) => all.iter().any(|aud| aud == audience.as_str()),
            _ => false,
        };
        let is_live = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| exp > now.as_secs());
        let is_of_provider = claims.get("iss").and_then(Value::as_str) == Some(issuer);
        (is_for_us && is_live && is_of_provider).then_some(claims)
    }

    async fn key(&self, issuer: &str, kid: &str) -> Option<DecodingKey> {
        let cached = lock(&self.keys).get(kid).cloned();
        if cached.is_some() {
            return cached;
        }
        let answer = self.client.get(format!("{issuer}/jwks")).send().await.ok()?;
        let set: JwkSet = answer.error_for_status().ok()?.json().await.ok()?;
        let named =
            set.keys.iter().filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)));
        let fetched: HashMap<_, _> = named.collect();
        let key = fetched.get(kid).cloned();
        *lock(&self.keys) = fetched;
        key
    }
}
