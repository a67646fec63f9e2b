//! An identity provider for unit tests, on the scripted server: everything it publishes and answers can be replaced.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{AnswerSizes, Provider, Settings, http_client};
use crate::{
    clock::Clock,
    scripted::{Reply, Seen, Server},
    secret::{IdToken, Random, Secret},
};

/// A key, or a constant signature.
pub(crate) enum Signer {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    Hmac(Vec<u8>),
    /// Always the same bytes.
    Constant(Vec<u8>),
}

impl Signer {
    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key in a key set.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kid": kid, "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": b64(&parts.n), "e": b64(&parts.e)})
            }
            Self::Ed(key) => json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().as_ref())}),
            Self::Hmac(_) | Self::Constant(_) => unreachable!("no public key"),
        }
    }

    /// The public key in PEM.
    pub(crate) fn pem(&self) -> String {
        use base64::engine::general_purpose::STANDARD;
        let der = match self {
            Self::Ec(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Hmac(_) | Self::Constant(_) => unreachable!("no public key"),
        };
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A signed token with this header and these claims, valid or not.
    pub(crate) fn sign(&self, header: &str, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = match self {
            Self::Ec(key) => key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes()).as_ref().to_vec()
            }
            Self::Constant(bytes) => bytes.clone(),
        };
        format!("{signed}.{}", b64(&signature))
    }
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider that is running on a scripted server.
pub(crate) struct Fake {
    pub(crate) server: Server,
    pub(crate) signer: Signer,
    pub(crate) clock: Clock,
    replies: Arc<Mutex<HashMap<&'static str, Reply>>>,
}

pub(crate) const METADATA: &str = "/.well-known/openid-configuration";
pub(crate) const CLIENT: &str = "client:1";

impl Fake {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let signer = Signer::ec();
        let replies = HashMap::from([("/jwks", Reply::json(200, &json!({"keys": [signer.jwk("k1")]})))]);
        let replies = Arc::new(Mutex::new(replies));
        let script = Arc::clone(&replies);
        let server = Server::start(move |seen: &Seen| {
            let scripted = script.lock().unwrap().get(seen.target.as_str()).cloned();
            scripted.unwrap_or_else(|| match seen.target.as_str() {
                METADATA => Reply::json(200, &metadata(seen.header("host").unwrap())),
                _ => Reply::json(404, &json!({})),
            })
        })
        .await;
        Self { server, signer, clock: Clock::movable(), replies }
    }

    /// Sets the answer at a path.
    pub(crate) fn answer(&self, path: &'static str, reply: Reply) {
        self.replies.lock().unwrap().insert(path, reply);
    }

    /// Restores the default answer at a path.
    pub(crate) fn reset(&self, path: &'static str) {
        self.replies.lock().unwrap().remove(path);
    }

    /// The default metadata with some members replaced.
    pub(crate) fn metadata_with(&self, members: Value) -> Reply {
        let mut metadata = metadata(&self.server.address.to_string());
        let Value::Object(members) = members else { panic!("an object") };
        metadata.as_object_mut().unwrap().extend(members);
        Reply::json(200, &metadata)
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Valid claims with some replaced; null removes one.
    pub(crate) fn claims(&self, changes: Value) -> Value {
        let now = self.clock.now().as_secs();
        let mut claims = json!({"iss": self.issuer(), "sub": "u1", "aud": CLIENT, "iat": now, "exp": now + 300});
        let Value::Object(changes) = changes else { panic!("an object") };
        for (name, value) in changes {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(&name);
            } else {
                claims[name] = value;
            }
        }
        claims
    }

    pub(crate) fn id_token(&self, changes: Value) -> IdToken {
        IdToken::new(self.signer.sign(r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#, &self.claims(changes)))
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            client_id: CLIENT.to_owned(),
            client_secret: Some(Secret::new("s&cret")),
            ..Settings::for_tests(self.issuer().parse().unwrap())
        }
    }

    pub(crate) fn provider(&self) -> Provider {
        self.provider_with(self.settings())
    }

    pub(crate) fn provider_with(&self, settings: Settings) -> Provider {
        let http = http_client(AnswerSizes::default()).unwrap();
        Provider::new(settings, http, self.clock.clone(), Random::system()).unwrap()
    }
}

fn metadata(host: &str) -> Value {
    let at = |path: &str| format!("http://{host}{path}");
    json!({
        "issuer": format!("http://{host}"),
        "authorization_endpoint": at("/authorize?tenant=1"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "revocation_endpoint": at("/revoke"),
        "end_session_endpoint": at("/end"),
        "code_challenge_methods_supported": ["S256"]
    })
}
