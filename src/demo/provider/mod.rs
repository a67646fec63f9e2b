//! A small OIDC provider on loopback: anyone logs in by picking a name, and tests make it misbehave.

mod authorize;
mod page;
mod tamper;
mod token;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::tamper::{CallbackTamper, IdTokenTamper};
use self::{authorize::Codes, tamper::Tampering};
use super::{
    families::{Families, Rotation},
    people::Person,
    reply::{self, Parameters},
    script::{Fault, FaultSwitch, Outage, Script, Scripted},
    server::{self, Hangup, Reply, Server},
    signing::{KeyError, SigningKey},
};
use crate::{
    clock::Clock,
    secret::{Random, Secret},
};

/// How the provider is set up.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Now.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// The one client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Hosts beside loopback where a `redirect_uri` may lead.
    pub redirect_hosts: Vec<String>,
    /// Life of an access token.
    pub access_token_life: Duration,
    /// Life of an ID token.
    pub id_token_life: Duration,
    /// Life of a refresh token.
    pub refresh_token_life: Duration,
    /// Whether a refresh makes the old refresh token void; reuse of a void one ends its family.
    pub rotate_refresh_tokens: bool,
}

impl ProviderOptions {
    /// The client `vestibule` with a fresh secret, access tokens of five minutes, rotating refresh tokens.
    pub fn new(clock: Clock, random: Random) -> Self {
        Self {
            client_id: "vestibule".to_owned(),
            client_secret: Secret::new(random.token::<24>()),
            clock,
            random,
            redirect_hosts: Vec::new(),
            access_token_life: Duration::from_secs(300),
            id_token_life: Duration::from_secs(600),
            refresh_token_life: Duration::from_secs(30 * 24 * 3600),
            rotate_refresh_tokens: true,
        }
    }
}

/// Why a demo server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port on 127.0.0.1.
    #[error("no port on 127.0.0.1 could be opened")]
    Bind(#[from] io::Error),
    /// No signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No HTTP client.
    #[error("no HTTP client could be made")]
    Client(#[from] reqwest::Error),
}

/// An endpoint of the provider, for answers written in advance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// `/jwks`.
    Jwks,
    /// `/authorize`.
    Authorize,
    /// `/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/revoke`.
    Revocation,
}

/// What the provider was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ProviderCounters {
    /// Requests for the discovery document.
    pub discovery_calls: u64,
    /// Requests for the keys.
    pub jwks_calls: u64,
    /// Requests to the authorization endpoint.
    pub authorize_calls: u64,
    /// Requests to the token endpoint.
    pub token_calls: u64,
    /// Codes turned into tokens.
    pub codes_redeemed: u64,
    /// Token requests with a refresh token.
    pub refresh_calls: u64,
    /// Those that brought tokens.
    pub refreshes_ok: u64,
    /// Void refresh tokens shown again.
    pub reuse_detected: u64,
    /// Requests for user information.
    pub userinfo_calls: u64,
    /// Revocation requests (RFC 7009).
    pub revocation_calls: u64,
    /// RP-initiated logouts.
    pub logouts: u64,
}

/// A running provider. Clones are the same provider; it stops with [`Provider::stop`] or when the last one is dropped.
#[derive(Clone)]
pub struct Provider {
    state: Arc<State>,
    server: Arc<Server>,
}

pub(super) struct State {
    options: ProviderOptions,
    issuer: String,
    key: SigningKey,
    /// Signs what pretends to be from here.
    foreign_key: SigningKey,
    codes: Codes,
    families: Families<Grant>,
    counters: watch::Sender<ProviderCounters>,
    fault: FaultSwitch,
    script: Script<Endpoint>,
    tampering: Tampering,
}

/// What a login granted.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    person: Person,
    scope: String,
    nonce: Option<String>,
    auth_time: i64,
    sid: String,
}

impl Provider {
    /// Starts a provider at a port of the system's choice.
    pub async fn start(options: ProviderOptions) -> Result<Self, StartError> {
        let (listener, address) = server::bind().await?;
        let state = Arc::new(State {
            issuer: format!("http://{address}"),
            key: SigningKey::generate(&options.random)?,
            foreign_key: SigningKey::generate(&options.random)?,
            codes: Codes::new(options.random.clone()),
            families: Families::new(options.random.clone(), options.refresh_token_life),
            counters: watch::Sender::default(),
            fault: FaultSwitch::new(options.clock.clone()),
            script: Script::new(),
            tampering: Tampering::default(),
            options,
        });
        let server = Server::start(listener, state.clone(), CancellationToken::new());
        Ok(Self { state, server: Arc::new(server) })
    }

    /// The issuer; discovery is at `{issuer}/.well-known/openid-configuration`.
    pub fn issuer(&self) -> String {
        self.state.issuer.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.state.issuer.strip_prefix("http://").and_then(|address| address.parse().ok())
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        &self.state.options.client_id
    }

    /// The client's secret.
    pub fn client_secret(&self) -> &Secret {
        &self.state.options.client_secret
    }

    /// Every request is answered 503, until it is not.
    pub fn set_down(&self, down: bool) {
        self.set_fault(if down { Fault::Unavailable } else { Fault::None });
    }

    /// How every request fails from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.state.fault.set(fault);
    }

    /// The next request to that endpoint gets this answer; further ones queue behind it.
    pub fn next_answer(&self, endpoint: Endpoint, scripted: Scripted) {
        self.state.script.push(endpoint, scripted);
    }

    /// The next request to that endpoint gets 400 with this OAuth error (`invalid_grant`, …). At the authorization
    /// endpoint the error goes back to the client in the redirect (`access_denied`, …).
    pub fn next_error(&self, endpoint: Endpoint, code: &str) {
        self.next_answer(endpoint, Scripted::json(StatusCode::BAD_REQUEST, &json!({ "error": code })));
    }

    /// From now on ID tokens are bad in this way; `None` makes them good again.
    pub fn tamper(&self, tamper: Option<IdTokenTamper>) {
        self.state.tampering.set_id_token(tamper);
    }

    /// From now on authorization responses are bad in this way; `None` makes them good again.
    pub fn tamper_callback(&self, tamper: Option<CallbackTamper>) {
        self.state.tampering.set_callback(tamper);
    }

    /// From now on that person is logged in without a page being shown; `None` shows the page again.
    pub fn set_auto_login(&self, name: Option<&str>) {
        self.state.tampering.set_auto_login(name);
    }

    /// Ends all of a person's refresh tokens; how many there were.
    pub fn revoke_subject(&self, subject: &str) -> usize {
        self.state.families.revoke_where(|grant| grant.person.subject == subject)
    }

    /// An ID token for that person, as a native app brings it, with the claims of `extra` on top.
    pub fn id_token(&self, name: &str, extra: &Value) -> Option<String> {
        let grant = Grant {
            person: Person::named(name)?,
            scope: "openid".to_owned(),
            nonce: None,
            auth_time: self.state.options.clock.now().as_secs(),
            sid: self.state.options.random.token::<12>(),
        };
        let mut claims = self.state.id_token_claims(&grant, None);
        claims.extend(extra.as_object().cloned().unwrap_or_default());
        Some(self.state.key.sign("JWT", &claims))
    }

    /// What was asked so far.
    pub fn counters(&self) -> ProviderCounters {
        *self.state.counters.borrow()
    }

    /// Requests to the token endpoint so far.
    pub fn token_calls(&self) -> u64 {
        self.counters().token_calls
    }

    /// Token requests with a refresh token so far.
    pub fn refresh_calls(&self) -> u64 {
        self.counters().refresh_calls
    }

    /// Waits until the counters say so.
    pub async fn until(&self, mut said: impl FnMut(&ProviderCounters) -> bool) {
        // The sender lives in this provider's own state, so the channel is open.
        let _ = self.state.counters.subscribe().wait_for(|counters| said(counters)).await;
    }

    /// Closes the socket and every connection.
    pub fn stop(&self) {
        self.server.stop();
    }
}

impl server::Service for State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        match self.fault.pass().await {
            Ok(()) => {}
            Err(Outage::Close) => return Err(Hangup),
            Err(Outage::Unavailable) => {
                return Ok(reply::error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "down"));
            }
        }
        let (head, body) = request.into_parts();
        let Ok(body) = reply::collect(body, MAX_BODY).await else { return Err(Hangup) };
        let query = Parameters::parse(head.uri.query().unwrap_or("").as_bytes());
        let form = Parameters::parse(&body);
        let endpoint = match head.uri.path() {
            "/.well-known/openid-configuration" => Endpoint::Discovery,
            "/jwks" => Endpoint::Jwks,
            "/authorize" => Endpoint::Authorize,
            "/token" => Endpoint::Token,
            "/userinfo" => Endpoint::Userinfo,
            "/revoke" => Endpoint::Revocation,
            "/logout" => return Ok(self.end_session(&query.and(form))),
            other => return Ok(page::asset(other)),
        };
        self.counters.send_modify(|counters| counters.count(endpoint, &form));
        let scripted = self.script.take(&endpoint);
        if endpoint == Endpoint::Authorize {
            return Ok(self.authorize(&head.method, &head.headers, &query, &form, scripted.as_ref()));
        }
        let reply = match scripted {
            Some(Scripted::Answer { status, content_type, body }) => {
                return Ok(reply::reply(status, content_type, body));
            }
            Some(Scripted::LoseAnswer) => {
                self.direct(endpoint, &head.method, &head.headers, &form);
                return Err(Hangup);
            }
            None => self.direct(endpoint, &head.method, &head.headers, &form),
        };
        Ok(reply)
    }
}

/// No request to a provider is longer.
const MAX_BODY: usize = 64 * 1024;

impl State {
    /// The endpoints that the gateway itself calls.
    fn direct(&self, endpoint: Endpoint, method: &Method, headers: &HeaderMap, form: &Parameters) -> Reply {
        match (endpoint, method) {
            (Endpoint::Discovery, &Method::GET) => reply::json(StatusCode::OK, &self.metadata()),
            (Endpoint::Jwks, &Method::GET) => {
                let keys = reply::reply(StatusCode::OK, "application/jwk-set+json", self.key.jwks().to_string());
                reply::with(keys, header::CACHE_CONTROL, "max-age=300")
            }
            (Endpoint::Token, &Method::POST) => self.token(headers, form),
            (Endpoint::Userinfo, &Method::GET | &Method::POST) => self.userinfo(headers),
            (Endpoint::Revocation, &Method::POST) => self.revoke(headers, form),
            _ => reply::wrong_method(),
        }
    }

    /// The discovery document (OIDC Discovery 1.0 section 3).
    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "name", "email", "email_verified", "role"],
            "prompt_values_supported": ["none", "login"],
            "ui_locales_supported": ["ko", "en"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn rotation(&self) -> Rotation {
        if self.options.rotate_refresh_tokens { Rotation::On } else { Rotation::Off }
    }
}

impl ProviderCounters {
    fn count(&mut self, endpoint: Endpoint, form: &Parameters) {
        match endpoint {
            Endpoint::Discovery => self.discovery_calls += 1,
            Endpoint::Jwks => self.jwks_calls += 1,
            Endpoint::Authorize => self.authorize_calls += 1,
            Endpoint::Userinfo => self.userinfo_calls += 1,
            Endpoint::Revocation => self.revocation_calls += 1,
            Endpoint::Token => {
                self.token_calls += 1;
                self.refresh_calls += u64::from(form.one("grant_type") == Some("refresh_token"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
