//! An issuer of tokens with any claims: it signs with its own key and publishes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use vestibule::clock::Clock;

use super::Upstream;

/// The issuer; dropping it stops its server.
pub(crate) struct Issuer {
    key: EcdsaKeyPair,
    server: Upstream,
    answers: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

/// The key's `kid`.
const KEY_ID: &str = "k1";
/// `aud` of its access tokens.
const AUDIENCE: &str = "api";
/// `aud` of its ID tokens.
const CLIENT: &str = "client";

impl Issuer {
    /// Starts an issuer.
    pub(crate) async fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let answers: Arc<Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
        let script = Arc::clone(&answers);
        let server = Upstream::start(move |mut wire| {
            let script = Arc::clone(&script);
            async move {
                while let Some(heard) = wire.request().await {
                    let path = heard.line().split(' ').nth(1).unwrap_or("/").to_owned();
                    let answer = script.lock().unwrap().get(&path).cloned();
                    wire.send(answer.unwrap_or_else(|| document(404, "{}"))).await;
                }
            }
        })
        .await;
        let issuer = Self { key, server, answers };
        let origin = issuer.origin();
        let metadata = json!({
            "issuer": origin,
            "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
            "userinfo_endpoint": format!("{origin}/userinfo"),
            "jwks_uri": format!("{origin}/jwks"),
            "code_challenge_methods_supported": ["S256"],
        });
        issuer.answers("/.well-known/openid-configuration", document(200, &metadata.to_string()));
        issuer.publish();
        issuer
    }

    /// Sets the answer of its server at a path, byte for byte.
    pub(crate) fn answers(&self, path: &str, answer: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer.into());
    }

    /// Publishes its key.
    pub(crate) fn publish(&self) {
        let set = json!({ "keys": [self.jwk()] });
        self.answers("/jwks", document(200, &set.to_string()));
    }

    /// Its public key.
    pub(crate) fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({"kid": KEY_ID, "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
    }

    /// Number of requests to its server for that path.
    pub(crate) fn asked_for(&self, path: &str) -> usize {
        self.server.heard().iter().filter(|heard| heard.line().split(' ').nth(1) == Some(path)).count()
    }

    /// Number of all requests to its server.
    pub(crate) fn asked(&self) -> usize {
        self.server.heard().len()
    }

    /// Its `iss`, which is its server's URL.
    pub(crate) fn origin(&self) -> String {
        self.server.target()
    }

    /// `[authority.verify]` with its published key, as TOML.
    pub(crate) fn verify_toml(&self) -> String {
        let origin = self.origin();
        format!("[authority.verify]\njwks_url = \"{origin}/jwks\"\nissuer = \"{origin}\"\naudience = \"{AUDIENCE}\"\n")
    }

    /// The provider `kit` with this issuer, whose ID tokens log in, as TOML.
    pub(crate) fn provider_toml(&self) -> String {
        format!(
            "[providers.kit]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret = \"a-secret-for-tests\"\nscopes = [\"openid\"]\nid_token_login = {{ audiences = [\"{CLIENT}\"] }}\n",
            self.origin()
        )
    }

    /// Valid claims of an access token, with these changes; null removes a claim.
    pub(crate) fn access_claims(&self, clock: &Clock, changes: &Value) -> Value {
        self.claims(AUDIENCE, clock, changes)
    }

    /// Valid claims of an ID token, with these changes; null removes a claim.
    pub(crate) fn id_claims(&self, clock: &Clock, changes: &Value) -> Value {
        self.claims(CLIENT, clock, changes)
    }

    fn claims(&self, audience: &str, clock: &Clock, changes: &Value) -> Value {
        let now = clock.now().as_secs();
        let mut claims = json!({"iss": self.origin(), "sub": "u1", "aud": audience, "iat": now, "exp": now + 3600});
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&format!(r#"{{"alg":"ES256","kid":"{KEY_ID}","typ":"JWT"}}"#), claims)
    }

    /// A token with this header and these claims, signed with the issuer's key whatever they are.
    pub(crate) fn sign(&self, header: &str, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", b64(signature.as_ref()))
    }

    /// A token with this header and these claims, signed with HMAC and the public key as its secret.
    pub(crate) fn sign_with_public_key(&self, header: &str, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.to_string().as_bytes()));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.pem().as_bytes());
        format!("{signed}.{}", b64(hmac::sign(&secret, signed.as_bytes()).as_ref()))
    }

    fn pem(&self) -> String {
        let text = STANDARD.encode(self.key.public_key().as_der().unwrap().as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

/// base64url without padding.
pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn document(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
