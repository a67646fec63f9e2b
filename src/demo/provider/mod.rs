//! A small OIDC provider on loopback; a person logs in by choosing a name, without a password.

mod authorize;
mod endpoint;
mod page;
mod token;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::authorize::Codes;
pub use self::endpoint::Endpoint;
use super::{
    families::{Families, Rotation},
    fault::Outage,
    hook::{NoHook, ProviderHook, ScriptedAnswer},
    people::Person,
    reply::{self, Parameters},
    server::{self, Hangup, LoopbackServer, Reply},
    signing::{KeyError, SigningKey},
};
use crate::{
    clock::Clock,
    secret::{Random, Secret},
};

/// How the provider is set up.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// The source of tokens and codes.
    pub random: Random,
    /// The id of the only client.
    pub client_id: String,
    /// The secret of the only client.
    pub client_secret: Secret,
    /// Hosts that a `redirect_uri` may have besides loopback addresses.
    pub redirect_hosts: Vec<String>,
    /// Where browsers reach it, if not at the issuer: a path of a gateway in front of it, without a final slash.
    pub browser_url: Option<String>,
    /// The address of the session panel, which the login page then names.
    pub panel: Option<&'static str>,
    /// Lifetime of an access token.
    pub access_token_life: Duration,
    /// Lifetime of an ID token.
    pub id_token_life: Duration,
    /// Lifetime of a refresh token.
    pub refresh_token_life: Duration,
    /// Whether a refresh makes the old refresh token void; use of a void token ends its family.
    pub rotate_refresh_tokens: bool,
    /// The changes that a test makes.
    pub hook: Arc<dyn ProviderHook>,
}

impl ProviderOptions {
    /// The client `vestibule` with a random secret, access tokens of five minutes, and rotating refresh tokens.
    pub fn new(clock: Clock, random: Random) -> Self {
        Self {
            client_id: "vestibule".to_owned(),
            client_secret: Secret::new(random.token::<24>()),
            clock,
            random,
            redirect_hosts: Vec::new(),
            browser_url: None,
            panel: None,
            access_token_life: Duration::from_secs(300),
            id_token_life: Duration::from_secs(600),
            refresh_token_life: Duration::from_secs(30 * 24 * 3600),
            rotate_refresh_tokens: true,
            hook: Arc::new(NoHook),
        }
    }
}

/// Why a demo server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No socket could be opened on 127.0.0.1.
    #[error("no port on 127.0.0.1 could be opened")]
    Bind(#[from] io::Error),
    /// No signing key could be generated.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No HTTP client could be created.
    #[error("no HTTP client could be created")]
    Client(#[from] reqwest::Error),
}

/// The number of requests to each endpoint, and of their results.
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
    /// Codes that were exchanged for tokens.
    pub codes_redeemed: u64,
    /// Token requests with a refresh token.
    pub refresh_calls: u64,
    /// Refreshes that were answered with tokens.
    pub refreshes_ok: u64,
    /// Token requests with a refresh token that was used before.
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
    state: Arc<ProviderState>,
    server: Arc<LoopbackServer>,
}

pub(super) struct ProviderState {
    options: ProviderOptions,
    issuer: String,
    key: SigningKey,
    codes: Codes,
    families: Families<Grant>,
    counters: watch::Sender<ProviderCounters>,
}

/// The grant of a login: the person, and what the request asked for.
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
        let state = Arc::new(ProviderState {
            issuer: format!("http://{address}"),
            key: SigningKey::generate(&options.random)?,
            codes: Codes::new(options.random.clone()),
            families: Families::new(options.random.clone(), options.refresh_token_life),
            counters: watch::Sender::default(),
            options,
        });
        let server = LoopbackServer::start(listener, state.clone(), CancellationToken::new());
        Ok(Self { state, server: Arc::new(server) })
    }

    /// The issuer; discovery is at `{issuer}/.well-known/openid-configuration`.
    pub fn issuer(&self) -> String {
        self.state.issuer.clone()
    }

    /// Its listening address.
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

    /// Ends all refresh tokens of a person; returns their number.
    pub fn revoke_subject(&self, subject: &str) -> usize {
        self.state.families.revoke_where(|grant| grant.person.subject == subject)
    }

    /// An ID token for that person, as a native app sends it, with the claims of `extra` added.
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

    /// The counters so far.
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

    /// Waits until `reached` returns true for the counters.
    pub async fn until(&self, mut reached: impl FnMut(&ProviderCounters) -> bool) {
        // It cannot fail: this provider owns the sender.
        let _ = self.state.counters.subscribe().wait_for(|counters| reached(counters)).await;
    }

    /// Closes the listening socket and every connection.
    pub fn stop(&self) {
        self.server.stop();
    }
}

impl server::Service for ProviderState {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        if let Some(outage) = self.options.hook.outage() {
            match outage.pass().await {
                Ok(()) => {}
                Err(Outage::Close) => return Err(Hangup),
                Err(Outage::Unavailable) => {
                    return Ok(reply::error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "down"));
                }
            }
        }
        let (head, body) = request.into_parts();
        let Ok(body) = reply::collect(body, MAX_BODY).await else { return Err(Hangup) };
        let query = Parameters::parse(head.uri.query().unwrap_or("").as_bytes());
        let form = Parameters::parse(&body);
        let path = head.uri.path();
        if path == "/logout" {
            return Ok(self.end_session(&query.and(form)));
        }
        let Some(endpoint) = Endpoint::at(path) else { return Ok(page::asset(path)) };
        self.counters.send_modify(|counters| counters.count(endpoint, &form));
        let scripted = self.options.hook.answer(endpoint);
        if endpoint == Endpoint::Authorize {
            return Ok(self.authorize(&head.method, &head.headers, &query, &form, scripted.as_ref()));
        }
        let reply = match scripted {
            Some(ScriptedAnswer::Answer { status, content_type, body }) => {
                return Ok(reply::reply(status, content_type, body));
            }
            Some(ScriptedAnswer::LoseAnswer) => {
                self.direct(endpoint, &head.method, &head.headers, &form);
                return Err(Hangup);
            }
            None => self.direct(endpoint, &head.method, &head.headers, &form),
        };
        Ok(reply)
    }
}

/// Longest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

impl ProviderState {
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
        let for_browsers = self.options.browser_url.as_deref().unwrap_or(issuer);
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{for_browsers}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "end_session_endpoint": format!("{for_browsers}/logout"),
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
