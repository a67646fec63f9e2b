//! The lies that a test can make the provider tell.

use std::{sync::Mutex, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{super::server::lock, State};
use crate::demo::signing::Claims;

/// A way in which an ID token is bad. A client that takes one of these has a hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdTokenTamper {
    /// Another attempt's nonce.
    WrongNonce,
    /// No nonce at all.
    MissingNonce,
    /// For another client.
    WrongAudience,
    /// For us and another client, authorized for the other (`azp`).
    ForeignAuthorizedParty,
    /// From another issuer.
    WrongIssuer,
    /// Ended an hour ago.
    Expired,
    /// Made an hour from now.
    IssuedInFuture,
    /// Without `exp`.
    MissingExpiry,
    /// Without `sub`.
    MissingSubject,
    /// `alg: none`, no signature.
    AlgNone,
    /// HS256, with the public key as the secret.
    AlgConfusion,
    /// Signed by a key that is not in the JWKS, under the id of one that is.
    ForeignKey,
    /// Under a key id that is not in the JWKS.
    UnknownKeyId,
    /// Claims changed after signing.
    BrokenSignature,
    /// The token is not there.
    MissingToken,
    /// Someone else's `sub` at a refresh.
    OtherSubjectAtRefresh,
}

/// A way in which the authorization response is bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallbackTamper {
    /// Another issuer in `iss` (a mix-up, RFC 9207).
    WrongIssuer,
    /// No `iss`, although the metadata promise it.
    MissingIssuer,
    /// Another `state`.
    WrongState,
    /// No `state`.
    MissingState,
    /// A code that was never issued.
    WrongCode,
}

/// Which lies are told at present.
#[derive(Default)]
pub(super) struct Tampering(Mutex<Lies>);

#[derive(Default)]
struct Lies {
    id_token: Option<IdTokenTamper>,
    callback: Option<CallbackTamper>,
    auto_login: Option<String>,
}

impl Tampering {
    pub(super) fn set_id_token(&self, tamper: Option<IdTokenTamper>) {
        lock(&self.0).id_token = tamper;
    }

    pub(super) fn set_callback(&self, tamper: Option<CallbackTamper>) {
        lock(&self.0).callback = tamper;
    }

    pub(super) fn set_auto_login(&self, name: Option<&str>) {
        lock(&self.0).auto_login = name.map(str::to_owned);
    }

    pub(super) fn id_token(&self) -> Option<IdTokenTamper> {
        lock(&self.0).id_token
    }

    pub(super) fn auto_login(&self) -> Option<String> {
        lock(&self.0).auto_login.clone()
    }

    /// Changes the parameters of an authorization response.
    pub(super) fn response(&self, parameters: &mut Vec<(&'static str, String)>) {
        let Some(tamper) = lock(&self.0).callback else { return };
        let (name, value) = match tamper {
            CallbackTamper::WrongIssuer => ("iss", Some("https://elsewhere.example.test")),
            CallbackTamper::MissingIssuer => ("iss", None),
            CallbackTamper::WrongState => ("state", Some("another-state")),
            CallbackTamper::MissingState => ("state", None),
            CallbackTamper::WrongCode => ("code", Some("never-issued")),
        };
        parameters.retain(|(n, _)| *n != name);
        parameters.extend(value.map(|value| (name, value.to_owned())));
    }
}

/// Whether tokens are made for a login or at a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occasion {
    Login,
    Refresh,
}

impl State {
    /// Signs an ID token's claims, or does what the lie of the day says.
    pub(super) fn sign_id_token(&self, mut claims: Claims, occasion: Occasion) -> Option<String> {
        let tamper = self.tampering.id_token();
        let now = self.options.clock.now();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        let hour = Duration::from_secs(3600);
        match tamper {
            Some(IdTokenTamper::WrongNonce) => drop(set("nonce", json!("another-nonce"))),
            Some(IdTokenTamper::MissingNonce) => drop(claims.remove("nonce")),
            Some(IdTokenTamper::WrongAudience) => drop(set("aud", json!("another-client"))),
            Some(IdTokenTamper::ForeignAuthorizedParty) => {
                set("aud", json!([self.options.client_id, "another-client"]));
                set("azp", json!("another-client"));
            }
            Some(IdTokenTamper::WrongIssuer) => drop(set("iss", json!("https://elsewhere.example.test"))),
            Some(IdTokenTamper::Expired) => {
                set("iat", json!(now.minus(2 * hour).as_secs()));
                set("exp", json!(now.minus(hour).as_secs()));
            }
            Some(IdTokenTamper::IssuedInFuture) => {
                set("iat", json!(now.plus(hour).as_secs()));
                set("exp", json!(now.plus(2 * hour).as_secs()));
            }
            Some(IdTokenTamper::MissingExpiry) => drop(claims.remove("exp")),
            Some(IdTokenTamper::MissingSubject) => drop(claims.remove("sub")),
            Some(IdTokenTamper::OtherSubjectAtRefresh) if occasion == Occasion::Refresh => {
                set("sub", json!("demo-someone-else"));
            }
            _ => {}
        }
        let signed = match tamper {
            Some(IdTokenTamper::MissingToken) => return None,
            Some(IdTokenTamper::AlgNone) => format!("{}.", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims)),
            Some(IdTokenTamper::AlgConfusion) => {
                let jwk = self.key.jwks().to_string();
                let text = unsigned(&json!({ "alg": "HS256", "typ": "JWT", "kid": self.key.kid() }), &claims);
                let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, jwk.as_bytes()), text.as_bytes());
                format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()))
            }
            Some(IdTokenTamper::ForeignKey) => self.foreign_key.sign_as("JWT", self.key.kid(), &claims),
            Some(IdTokenTamper::UnknownKeyId) => self.foreign_key.sign("JWT", &claims),
            Some(IdTokenTamper::BrokenSignature) => {
                let good = self.key.sign("JWT", &claims);
                claims.insert("role".to_owned(), json!("admin"));
                let text = unsigned(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.key.kid() }), &claims);
                format!("{text}.{}", good.rsplit('.').next().unwrap_or(""))
            }
            _ => self.key.sign("JWT", &claims),
        };
        Some(signed)
    }
}

fn unsigned(header: &Value, claims: &Claims) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(&Value::Object(claims.clone())))
}
