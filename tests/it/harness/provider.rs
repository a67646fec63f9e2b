//! The demo's provider with a hook for tests: outages, scripted answers, defective ID tokens and callbacks.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Value, json};
use vestibule::{
    clock::Timestamp,
    demo::{
        self, Claims, Fault, FaultSwitch, ProviderOptions, SigningKey, StartError,
        hook::{GrantType, ProviderHook, ScriptedAnswer},
        provider::Endpoint,
    },
};

/// A scripted JSON answer.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> ScriptedAnswer {
    ScriptedAnswer::Answer { status, content_type: "application/json", body: body.to_string() }
}

/// An HTML answer, as a proxy between gateway and server sends it.
pub(crate) fn html_answer(status: StatusCode, body: &str) -> ScriptedAnswer {
    ScriptedAnswer::Answer { status, content_type: "text/html", body: body.to_owned() }
}

/// A defect of an ID token. A client that accepts a token with one of them has a vulnerability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IdTokenTamper {
    /// Another attempt's nonce.
    WrongNonce,
    /// No nonce.
    MissingNonce,
    /// For another client.
    WrongAudience,
    /// For us and another client, authorized for the other (`azp`).
    ForeignAuthorizedParty,
    /// Of another issuer.
    WrongIssuer,
    /// Expired an hour ago.
    Expired,
    /// Issued an hour from now.
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
    /// Another person's `sub` at a refresh.
    OtherSubjectAtRefresh,
    /// At a refresh, the token of the login again.
    SameAtRefresh,
}

/// A defect of the authorization response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallbackTamper {
    /// Another issuer in `iss` (a mix-up, RFC 9207).
    WrongIssuer,
    /// No `iss`, although the metadata announce it.
    MissingIssuer,
    /// Another `state`.
    WrongState,
    /// No `state`.
    MissingState,
    /// A code that was never issued.
    WrongCode,
}

/// A running provider. Clones are the same provider.
#[derive(Clone)]
pub(crate) struct Provider {
    provider: demo::Provider,
    hook: Arc<TestHook>,
}

impl Deref for Provider {
    type Target = demo::Provider;

    fn deref(&self) -> &demo::Provider {
        &self.provider
    }
}

impl Provider {
    /// Starts a provider.
    pub(crate) async fn start(mut options: ProviderOptions) -> Result<Self, StartError> {
        let hook = Arc::new(TestHook { outage: FaultSwitch::new(options.clock.clone()), state: Mutex::default() });
        options.hook = hook.clone();
        Ok(Self { provider: demo::Provider::start(options).await?, hook })
    }

    /// Whether every request gets 503.
    pub(crate) fn set_down(&self, down: bool) {
        self.set_fault(if down { Fault::Unavailable } else { Fault::None });
    }

    /// How every request fails from now on.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.hook.outage.set(fault);
    }

    /// The next request to that endpoint gets this answer; further ones queue behind it.
    pub(crate) fn next_answer(&self, endpoint: Endpoint, answer: ScriptedAnswer) {
        self.hook.state.lock().unwrap().answers.push_back((endpoint, answer));
    }

    /// The next request to that endpoint gets 400 with this OAuth error (`invalid_grant`, …). At the authorization
    /// endpoint the error goes back to the client in the redirect (`access_denied`, …).
    pub(crate) fn next_error(&self, endpoint: Endpoint, code: &str) {
        self.next_answer(endpoint, json_answer(StatusCode::BAD_REQUEST, &json!({ "error": code })));
    }

    /// From now on ID tokens have this defect; `None` makes them good again.
    pub(crate) fn tamper(&self, tamper: Option<IdTokenTamper>) {
        self.hook.state.lock().unwrap().id_token = tamper;
    }

    /// From now on logins get no refresh token.
    pub(crate) fn stop_refresh_tokens(&self) {
        self.hook.state.lock().unwrap().has_no_refresh_tokens = true;
    }

    /// From now on authorization responses have this defect; `None` makes them good again.
    pub(crate) fn tamper_callback(&self, tamper: Option<CallbackTamper>) {
        self.hook.state.lock().unwrap().callback = tamper;
    }

    /// From now on that person is logged in without a login page; `None` shows the page again.
    pub(crate) fn set_auto_login(&self, name: Option<&str>) {
        self.hook.state.lock().unwrap().auto_login = name.map(str::to_owned);
    }
}

#[derive(Debug)]
struct TestHook {
    outage: FaultSwitch,
    state: Mutex<HookState>,
}

#[derive(Default, Debug)]
struct HookState {
    answers: VecDeque<(Endpoint, ScriptedAnswer)>,
    id_token: Option<IdTokenTamper>,
    /// The newest ID token of a login.
    first_id_token: Option<String>,
    has_no_refresh_tokens: bool,
    callback: Option<CallbackTamper>,
    auto_login: Option<String>,
}

impl ProviderHook for TestHook {
    fn outage(&self) -> Option<&FaultSwitch> {
        Some(&self.outage)
    }

    fn answer(&self, endpoint: Endpoint) -> Option<ScriptedAnswer> {
        let answers = &mut self.state.lock().unwrap().answers;
        let at = answers.iter().position(|(of, _)| *of == endpoint)?;
        answers.remove(at).map(|(_, answer)| answer)
    }

    fn auto_login(&self) -> Option<String> {
        self.state.lock().unwrap().auto_login.clone()
    }

    fn authorization_response(&self, parameters: &mut Vec<(&'static str, String)>) {
        let Some(tamper) = self.state.lock().unwrap().callback else { return };
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

    fn issues_refresh_tokens(&self) -> bool {
        !self.state.lock().unwrap().has_no_refresh_tokens
    }

    fn sign_id_token(&self, key: &SigningKey, claims: Claims, grant: GrantType) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        if state.id_token == Some(IdTokenTamper::SameAtRefresh) && grant == GrantType::RefreshToken {
            return state.first_id_token.clone();
        }
        let token = match state.id_token {
            Some(tamper) => sign_with_defect(key, claims, grant, tamper),
            None => Some(key.sign("JWT", &claims)),
        };
        if grant == GrantType::AuthorizationCode {
            state.first_id_token.clone_from(&token);
        }
        token
    }
}

fn sign_with_defect(key: &SigningKey, mut claims: Claims, grant: GrantType, tamper: IdTokenTamper) -> Option<String> {
    let now = Timestamp::from_secs(claims["iat"].as_i64().unwrap());
    let client_id = claims["aud"].clone();
    let hour = Duration::from_secs(3600);
    let mut set = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
    match tamper {
        IdTokenTamper::WrongNonce => set("nonce", json!("another-nonce")),
        IdTokenTamper::MissingNonce => drop(claims.remove("nonce")),
        IdTokenTamper::WrongAudience => set("aud", json!("another-client")),
        IdTokenTamper::ForeignAuthorizedParty => {
            set("aud", json!([client_id, "another-client"]));
            set("azp", json!("another-client"));
        }
        IdTokenTamper::WrongIssuer => set("iss", json!("https://elsewhere.example.test")),
        IdTokenTamper::Expired => {
            set("iat", json!(now.minus(2 * hour).as_secs()));
            set("exp", json!(now.minus(hour).as_secs()));
        }
        IdTokenTamper::IssuedInFuture => {
            set("iat", json!(now.plus(hour).as_secs()));
            set("exp", json!(now.plus(2 * hour).as_secs()));
        }
        IdTokenTamper::MissingExpiry => drop(claims.remove("exp")),
        IdTokenTamper::MissingSubject => drop(claims.remove("sub")),
        IdTokenTamper::OtherSubjectAtRefresh if grant == GrantType::RefreshToken => {
            set("sub", json!("demo-someone-else"));
        }
        _ => {}
    }
    Some(match tamper {
        IdTokenTamper::MissingToken => return None,
        IdTokenTamper::AlgNone => format!("{}.", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims)),
        IdTokenTamper::AlgConfusion => {
            let text = unsigned(&json!({ "alg": "HS256", "typ": "JWT", "kid": key.kid() }), &claims);
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.jwks().to_string().as_bytes());
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, text.as_bytes())))
        }
        IdTokenTamper::ForeignKey => signed_by_another_key(key.kid(), &claims),
        IdTokenTamper::UnknownKeyId => signed_by_another_key("unknown-key", &claims),
        IdTokenTamper::BrokenSignature => {
            let good = key.sign("JWT", &claims);
            claims.insert("role".to_owned(), json!("admin"));
            let text = unsigned(&json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid() }), &claims);
            format!("{text}.{}", good.rsplit('.').next().unwrap())
        }
        _ => key.sign("JWT", &claims),
    })
}

/// A token under that key id, signed by a new key.
fn signed_by_another_key(kid: &str, claims: &Claims) -> String {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let text = unsigned(&json!({ "alg": "ES256", "typ": "JWT", "kid": kid }), claims);
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn unsigned(header: &Value, claims: &Claims) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(&Value::Object(claims.clone())))
}
