//! A scripted backend, settings and proofs for the tests of each kind of authority.

use std::sync::Mutex;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    call::{AssertionSigner, Body, Json, Text},
    client::Client,
    oidc::{self, Identity, TokenAnswer},
    scripted::{Reply, Seen, Server},
    seal::SealKey,
    secret::{AccessToken, IdToken, RefreshToken, Secret},
    signing::SigningKey,
    store::MemoryStore,
    upstream::Target,
};

mod backend;
mod provider;
mod verify;

/// A backend whose answer a test can replace.
pub(crate) struct ScriptedBackend {
    pub(crate) server: Server,
    reply: Arc<Mutex<Reply>>,
    pub(crate) clock: Clock,
}

impl ScriptedBackend {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let reply = Arc::new(Mutex::new(good()));
        let script = Arc::clone(&reply);
        let server = Server::start(move |_| script.lock().unwrap().clone()).await;
        Self { server, reply, clock: Clock::movable() }
    }

    pub(crate) fn answers(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(crate) fn asked(&self) -> Seen {
        self.server.seen().pop().unwrap()
    }

    pub(crate) fn authority(&self) -> Authority {
        self.authority_with(settings(), vec![])
    }

    pub(crate) fn authority_with(&self, settings: Settings, providers: Vec<Arc<Provider>>) -> Authority {
        Authority::new(settings, self.deps(providers)).unwrap()
    }

    /// The dependencies of an authority of this backend; the store is new.
    pub(crate) fn deps(&self, providers: Vec<Arc<Provider>>) -> Deps {
        deps(caller(self.server.address), providers, &self.clock)
    }
}

pub(crate) fn authority(
    address: std::net::SocketAddr,
    settings: Settings,
    providers: Vec<Arc<Provider>>,
    clock: &Clock,
) -> Authority {
    Authority::new(settings, deps(caller(address), providers, clock)).unwrap()
}

fn caller(address: std::net::SocketAddr) -> Caller {
    let target = Target::Http { host: address.ip().to_string(), port: address.port() };
    let backend = crate::call::Backend {
        name: "api".to_owned(),
        targets: vec![target],
        connect_timeout: Duration::from_secs(5),
        health: vec![],
        random: Random::system(),
    };
    Caller::new(vec![backend], 64 << 10).unwrap()
}

/// The dependencies of a test's authority: a new store, and fixed keys.
pub(crate) fn deps(caller: Caller, providers: Vec<Arc<Provider>>, clock: &Clock) -> Deps {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = SealKey([7; 32].into());
    let random = Random::system();
    let signer = Signer::new(vec![SigningKey::derived(&key)], "https://app.example");
    let assertions = AssertionSigner { signer: signer.clone(), clock: clock.clone(), random: random.clone() };
    Deps {
        caller: Arc::new(caller.with_assertions(assertions)),
        providers,
        http: oidc::http_client(oidc::AnswerSizes::default()).unwrap(),
        store: MemoryStore::shared(),
        ring: KeyRing::new(&[key], random.clone()),
        signer,
        clock: clock.clone(),
        random,
    }
}

pub(crate) fn good() -> Reply {
    Reply::json(200, &json!({"accessToken": "at1", "refreshToken": "rt1", "expiresIn": "900"}))
}

pub(crate) fn template(path: &str, json: &Value, allowed: &[&str]) -> Template {
    Template {
        upstream: 0,
        method: Method::POST,
        path: Text::parse(path, allowed).unwrap(),
        headers: vec![],
        cookies: vec![],
        body: Body::Json(Json::from_value(json, allowed).unwrap()),
        timeout: Duration::from_secs(10),
        assertion: None,
    }
}

fn backend() -> BackendSettings {
    let fields = ["email", "password"].map(str::to_owned).to_vec();
    let known = of_credentials(&fields);
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let exchange = json!({"id_token": "{id_token}", "deviceId": "{device_id}", "deviceName": "{device_name}", "who": "{profile}", "pt": "{access_token}"});
    BackendSettings {
        upstream: 0,
        exchange: Some(template("/auth/{provider}", &exchange, EXCHANGE)),
        credentials: Some(template("/auth/login", &json!({"email": "{email}", "password": "{password}"}), &known)),
        fields,
        otp: Some(template("/auth/otp", &json!({"to": "{channel}:{address}", "e164": "{address_e164}"}), OTP)),
        refresh: Some(template(
            "/auth/refresh",
            &json!({"refreshToken": "{refresh_token}", "deviceId": "{device_id}"}),
            REFRESH,
        )),
        refused: vec![401],
        refused_when: RefusedWhen::default(),
        signout: Some(template("/auth/signout", &json!({"refreshToken": "{refresh_token}"}), SIGN_OUT)),
        answer: AnswerFields {
            access_token: Pointer::Json("/accessToken".to_owned()),
            refresh_token: Pointer::Json("/refreshToken".to_owned()),
            expires_in: Pointer::Json("/expiresIn".to_owned()),
            claims: vec![],
        },
    }
}

pub(crate) fn settings() -> Settings {
    Settings { kind: AuthorityKind::Backend(Box::new(backend())), verify: None, notify: None }
}

pub(crate) fn at_provider() -> Settings {
    Settings { kind: AuthorityKind::Provider, verify: None, notify: None }
}

pub(crate) fn with_backend(change: impl FnOnce(&mut BackendSettings)) -> Settings {
    let mut backend = backend();
    change(&mut backend);
    Settings { kind: AuthorityKind::Backend(Box::new(backend)), verify: None, notify: None }
}

pub(crate) fn client_device() -> ClientDevice {
    let device = Device { id: uuid::Uuid::from_u128(7), name: "내 \"폰\"".to_owned() };
    ClientDevice { client: Client::named("192.0.2.7", "Phone/1.0"), device }
}

pub(crate) fn credentials() -> Proof {
    Proof::Credentials(vec![
        ("email".to_owned(), Secret::new("a@b.kr")),
        ("password".to_owned(), Secret::new("\"pw\"")),
    ])
}

pub(crate) fn identity(profile: &Value) -> Identity {
    let tokens = TokenAnswer {
        access_token: AccessToken::new("pat"),
        refresh_token: Some(RefreshToken::new("prt")),
        id_token: None,
        expires_in: Some(json!(60)),
    };
    let profile = profile.as_object().unwrap().clone();
    let claims = profile.clone();
    Identity {
        provider: "corp".to_owned(),
        claims,
        profile,
        profile_as_given: None,
        email_verified_as_given: None,
        id_token: Some(IdToken::new("idt")),
        tokens: Some(tokens),
    }
}

pub(crate) fn refresh_token() -> RefreshToken {
    RefreshToken::new("rt0")
}

pub(crate) async fn refreshed(authority: &Authority) -> Result<Issued, RefreshError> {
    let request = RefreshRequest {
        refresh_token: &refresh_token(),
        access_token: None,
        provider: "corp",
        identity: None,
        claims: &Claims::new(),
    };
    authority.refresh(request, &client_device()).await
}

pub(crate) fn outcome_of(result: &Result<Issued, IssueError>) -> &'static str {
    match result {
        Ok(_) => "issued",
        Err(IssueError::BadCredentials(Guess::Counted)) => "bad credentials",
        Err(IssueError::BadCredentials(Guess::Uncounted)) => "bad credentials, no guess",
        Err(IssueError::TooMany(_)) => "too many",
        Err(IssueError::Refused(_)) => "refused",
        Err(IssueError::NotAllowed(_)) => "not allowed",
        Err(IssueError::Unsupported) => "unsupported",
        Err(IssueError::Unavailable(_)) => "unavailable",
    }
}

pub(crate) fn proved(channel: Channel, address: &str, address_e164: &str) -> ProvedAddress {
    ProvedAddress { channel, address: address.to_owned(), address_e164: address_e164.to_owned(), allow: None }
}
