//! The authorization endpoint (OIDC Core section 3.1.2): logs a person in and issues a code for the client.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use http::{HeaderMap, Method};
use url::{Host, Url};

use super::{
    super::{
        hook::ScriptedAnswer,
        reply::{self, Parameters, prefers_korean},
        server::{Reply, lock},
    },
    Grant, ProviderState, page,
};
use crate::{clock::Timestamp, demo::people::Person, secret::Random};

/// Lifetime of a code; RFC 6749 section 4.1.2 recommends ten minutes at most.
const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// Most codes that are remembered, used ones included.
const MAX_CODES: usize = 1024;

/// An authorization request with a valid client and `redirect_uri`.
struct CheckedRequest {
    redirect_uri: Url,
    state: Option<String>,
    form_post: bool,
}

/// The grant of a code that is not redeemed yet.
#[derive(Clone, Debug)]
pub(super) struct PendingGrant {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    expires: Timestamp,
}

/// The result of redeeming a code.
pub(super) enum Redeemed {
    /// The code was valid; from now on it is used.
    Granted(Box<PendingGrant>),
    /// The code was used before, and its first use opened this family.
    UsedBefore(Option<u64>),
    /// The code was never issued, or has expired.
    Unknown,
}

/// The latest 1024 codes, and the order in which they were issued.
pub(super) struct Codes {
    random: Random,
    inner: Mutex<(BTreeMap<String, Code>, VecDeque<String>)>,
}

enum Code {
    Fresh(Box<PendingGrant>),
    Used(Option<u64>),
}

impl ProviderState {
    pub(super) fn authorize(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: &Parameters,
        form: &Parameters,
        scripted: Option<&ScriptedAnswer>,
    ) -> Reply {
        if method != Method::GET && method != Method::POST {
            return reply::wrong_method();
        }
        let korean = query.one("ui_locales").map_or_else(|| prefers_korean(headers), |l| l.starts_with("ko"));
        let asked = query.clone().and(form.clone());
        let request = match self.check_request(&asked) {
            Ok(request) => request,
            // With an invalid client or redirect_uri there is no redirect (RFC 6749 section 4.1.2.1).
            Err(error) => return page::request_error(korean, error),
        };
        match scripted {
            Some(ScriptedAnswer::Answer { body, .. }) => {
                let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                return self.refuse(korean, &request, body["error"].as_str().unwrap_or("server_error"));
            }
            Some(ScriptedAnswer::LoseAnswer) => return self.refuse(korean, &request, "server_error"),
            None => {}
        }
        let challenge = match Self::challenge(&asked) {
            Ok(challenge) => challenge.to_owned(),
            Err(code) => return self.refuse(korean, &request, code),
        };
        if form.one("cancel").is_some() {
            return self.refuse(korean, &request, "access_denied");
        }
        let auto = self.options.hook.auto_login();
        let chosen = form.one("name").or(form.one("person")).or(query.one("auto")).or(auto.as_deref());
        let Some(person) = chosen.and_then(Person::named) else {
            if asked.one("prompt") == Some("none") {
                return self.refuse(korean, &request, "login_required");
            }
            return page::login(korean, query, asked.one("login_hint"), self.options.panel);
        };
        let now = self.options.clock.now();
        let code = self.codes.issue(PendingGrant {
            grant: Grant {
                person,
                scope: asked.one("scope").unwrap_or("openid").to_owned(),
                nonce: asked.one("nonce").map(str::to_owned),
                auth_time: now.as_secs(),
                sid: self.options.random.token::<12>(),
            },
            redirect_uri: asked.one("redirect_uri").unwrap_or_default().to_owned(),
            challenge,
            expires: now.plus(CODE_LIFETIME),
        });
        self.respond(korean, &request, vec![("code", code)])
    }

    /// Checks the client and the `redirect_uri`.
    fn check_request(&self, asked: &Parameters) -> Result<CheckedRequest, page::RequestError> {
        if asked.one("client_id") != Some(&self.options.client_id) {
            return Err(page::RequestError::Client);
        }
        let redirect_uri =
            asked.one("redirect_uri").and_then(|uri| self.redirect(uri)).ok_or(page::RequestError::Redirect)?;
        let form_post = asked.one("response_mode") == Some("form_post");
        Ok(CheckedRequest { redirect_uri, state: asked.one("state").map(str::to_owned), form_post })
    }

    /// A `redirect_uri` of the client: on loopback at any port (RFC 8252 section 7.3), or on a host of
    /// `redirect_hosts`.
    pub(super) fn redirect(&self, uri: &str) -> Option<Url> {
        let url = Url::parse(uri).ok().filter(|url| url.fragment().is_none() && url.username().is_empty())?;
        let ours = match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(host) => host == "localhost" || self.options.redirect_hosts.iter().any(|own| own == host),
        };
        (ours && matches!(url.scheme(), "http" | "https")).then_some(url)
    }

    /// Checks the other parameters and returns the PKCE challenge (RFC 7636), or an OAuth error code.
    fn challenge(asked: &Parameters) -> Result<&str, &'static str> {
        if asked.one("response_type") != Some("code") {
            return Err("unsupported_response_type");
        }
        if !matches!(asked.one("response_mode"), None | Some("query" | "form_post")) {
            return Err("invalid_request");
        }
        if !asked.one("scope").is_some_and(|scope| scope.split(' ').any(|s| s == "openid")) {
            return Err("invalid_scope");
        }
        // An S256 challenge is 43 characters of base64url; `plain` is not supported.
        let challenge = asked.one("code_challenge").filter(|c| c.len() == 43);
        challenge.filter(|_| asked.one("code_challenge_method") == Some("S256")).ok_or("invalid_request")
    }

    fn refuse(&self, korean: bool, request: &CheckedRequest, code: &str) -> Reply {
        self.respond(korean, request, vec![("error", code.to_owned())])
    }

    /// The authorization response: `outcome` with the state and the issuer (RFC 9207).
    fn respond(&self, korean: bool, request: &CheckedRequest, mut outcome: Vec<(&'static str, String)>) -> Reply {
        outcome.extend(request.state.clone().map(|state| ("state", state)));
        outcome.push(("iss", self.issuer.clone()));
        self.options.hook.authorization_response(&mut outcome);
        if request.form_post {
            return page::form_post(korean, &request.redirect_uri, &outcome);
        }
        let mut location = request.redirect_uri.clone();
        location.query_pairs_mut().extend_pairs(outcome);
        reply::see_other(location.as_str())
    }
}

impl Codes {
    pub(super) fn new(random: Random) -> Self {
        Self { random, inner: Mutex::default() }
    }

    fn issue(&self, pending: PendingGrant) -> String {
        let code = self.random.token::<24>();
        let mut inner = lock(&self.inner);
        let (codes, order) = &mut *inner;
        if order.len() >= MAX_CODES
            && let Some(oldest) = order.pop_front()
        {
            codes.remove(&oldest);
        }
        codes.insert(code.clone(), Code::Fresh(Box::new(pending)));
        order.push_back(code.clone());
        code
    }

    /// Redeems a code. Afterwards it counts as used, even if it had expired.
    pub(super) fn redeem(&self, code: &str, now: Timestamp) -> Redeemed {
        let mut inner = lock(&self.inner);
        match inner.0.get_mut(code).map(|code| std::mem::replace(code, Code::Used(None))) {
            Some(Code::Fresh(pending)) if pending.expires > now => Redeemed::Granted(pending),
            Some(Code::Used(family)) => Redeemed::UsedBefore(family),
            Some(Code::Fresh(_)) | None => Redeemed::Unknown,
        }
    }

    /// Records the family that a code opened, so that a second use of the code ends the family.
    pub(super) fn opened(&self, code: &str, family: u64) {
        if let Some(code) = lock(&self.inner).0.get_mut(code) {
            *code = Code::Used(Some(family));
        }
    }
}
