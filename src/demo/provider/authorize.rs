//! The authorization endpoint (OIDC Core section 3.1.2): who is it, and a code for the client.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use http::{HeaderMap, Method};
use url::{Host, Url};

use super::{
    super::{
        reply::{self, Parameters, prefers_korean},
        script::Scripted,
        server::{Reply, lock},
    },
    Grant, State, page,
};
use crate::{clock::Timestamp, demo::people::Person, secret::Random};

/// A code is for the moment (RFC 6749 section 4.1.2 advises ten minutes at most).
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Most codes remembered, used ones included.
const MAX_CODES: usize = 1024;

/// A checked authorization request.
struct Attempt {
    redirect_uri: Url,
    state: Option<String>,
    form_post: bool,
}

/// A code's promise, kept when it is redeemed.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    expires: Timestamp,
}

/// What became of a code.
pub(super) enum Redeemed {
    /// Good, and used up now.
    Promise(Box<Promise>),
    /// Shown a second time; the first had opened this family.
    Again(Option<u64>),
    /// Never issued, or too old.
    Unknown,
}

/// The codes issued lately.
pub(super) struct Codes {
    random: Random,
    inner: Mutex<(BTreeMap<String, Code>, VecDeque<String>)>,
}

enum Code {
    Fresh(Box<Promise>),
    Used(Option<u64>),
}

impl State {
    pub(super) fn authorize(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: &Parameters,
        form: &Parameters,
        scripted: Option<&Scripted>,
    ) -> Reply {
        if method != Method::GET && method != Method::POST {
            return reply::wrong_method();
        }
        let korean = query.one("ui_locales").map_or_else(|| prefers_korean(headers), |l| l.starts_with("ko"));
        let asked = query.clone().and(form.clone());
        let attempt = match self.attempt(&asked) {
            Ok(attempt) => attempt,
            // Before the client is known to be ours nothing is sent to its address (RFC 6749 section 4.1.2.1).
            Err(complaint) => return page::complaint(korean, complaint),
        };
        match scripted {
            Some(Scripted::Answer { body, .. }) => {
                let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                return self.refuse(korean, &attempt, body["error"].as_str().unwrap_or("server_error"));
            }
            Some(Scripted::LoseAnswer) => return self.refuse(korean, &attempt, "server_error"),
            None => {}
        }
        let challenge = match Self::challenge(&asked) {
            Ok(challenge) => challenge.to_owned(),
            Err(code) => return self.refuse(korean, &attempt, code),
        };
        if form.one("cancel").is_some() {
            return self.refuse(korean, &attempt, "access_denied");
        }
        let auto = self.tampering.auto_login();
        let chosen = form.one("name").or(form.one("person")).or(query.one("auto")).or(auto.as_deref());
        let Some(person) = chosen.and_then(Person::named) else {
            if asked.one("prompt") == Some("none") {
                return self.refuse(korean, &attempt, "login_required");
            }
            return page::login(korean, query, asked.one("login_hint"));
        };
        let now = self.options.clock.now();
        let code = self.codes.issue(Promise {
            grant: Grant {
                person,
                scope: asked.one("scope").unwrap_or("openid").to_owned(),
                nonce: asked.one("nonce").map(str::to_owned),
                auth_time: now.as_secs(),
                sid: self.options.random.token::<12>(),
            },
            redirect_uri: asked.one("redirect_uri").unwrap_or_default().to_owned(),
            challenge,
            expires: now.plus(CODE_LIFE),
        });
        self.respond(korean, &attempt, vec![("code", code)])
    }

    /// Who asks, and where the answer goes.
    fn attempt(&self, asked: &Parameters) -> Result<Attempt, page::Complaint> {
        if asked.one("client_id") != Some(&self.options.client_id) {
            return Err(page::Complaint::Client);
        }
        let redirect_uri =
            asked.one("redirect_uri").and_then(|uri| self.redirect(uri)).ok_or(page::Complaint::Redirect)?;
        let form_post = asked.one("response_mode") == Some("form_post");
        Ok(Attempt { redirect_uri, state: asked.one("state").map(str::to_owned), form_post })
    }

    /// An address of the client's: on loopback at any port (RFC 8252 section 7.3), or on a host it is set up with.
    pub(super) fn redirect(&self, uri: &str) -> Option<Url> {
        let url = Url::parse(uri).ok().filter(|url| url.fragment().is_none() && url.username().is_empty())?;
        let ours = match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(host) => host == "localhost" || self.options.redirect_hosts.iter().any(|own| own == host),
        };
        (ours && matches!(url.scheme(), "http" | "https")).then_some(url)
    }

    /// The PKCE challenge (RFC 7636), after the rest of the request has been looked at; or an error's code.
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
        // S256 of anything is 43 characters of base64url; `plain` is not offered.
        let challenge = asked.one("code_challenge").filter(|c| c.len() == 43);
        challenge.filter(|_| asked.one("code_challenge_method") == Some("S256")).ok_or("invalid_request")
    }

    fn refuse(&self, korean: bool, attempt: &Attempt, code: &str) -> Reply {
        self.respond(korean, attempt, vec![("error", code.to_owned())])
    }

    /// Sends the browser back with the outcome, the state, and who says so (RFC 9207).
    fn respond(&self, korean: bool, attempt: &Attempt, mut outcome: Vec<(&'static str, String)>) -> Reply {
        outcome.extend(attempt.state.clone().map(|state| ("state", state)));
        outcome.push(("iss", self.issuer.clone()));
        self.tampering.response(&mut outcome);
        if attempt.form_post {
            return page::form_post(korean, &attempt.redirect_uri, &outcome);
        }
        let mut location = attempt.redirect_uri.clone();
        location.query_pairs_mut().extend_pairs(outcome);
        reply::see_other(location.as_str())
    }
}

impl Codes {
    pub(super) fn new(random: Random) -> Self {
        Self { random, inner: Mutex::default() }
    }

    fn issue(&self, promise: Promise) -> String {
        let code = self.random.token::<24>();
        let mut inner = lock(&self.inner);
        let (codes, order) = &mut *inner;
        if order.len() >= MAX_CODES
            && let Some(oldest) = order.pop_front()
        {
            codes.remove(&oldest);
        }
        codes.insert(code.clone(), Code::Fresh(Box::new(promise)));
        order.push_back(code.clone());
        code
    }

    /// Takes a code; it is used up whatever comes of it.
    pub(super) fn redeem(&self, code: &str, now: Timestamp) -> Redeemed {
        let mut inner = lock(&self.inner);
        match inner.0.get_mut(code).map(|code| std::mem::replace(code, Code::Used(None))) {
            Some(Code::Fresh(promise)) if promise.expires > now => Redeemed::Promise(promise),
            Some(Code::Used(family)) => Redeemed::Again(family),
            Some(Code::Fresh(_)) | None => Redeemed::Unknown,
        }
    }

    /// Remembers what a code opened, so that its second use ends it.
    pub(super) fn opened(&self, code: &str, family: u64) {
        if let Some(code) = lock(&self.inner).0.get_mut(code) {
            *code = Code::Used(Some(family));
        }
    }
}
