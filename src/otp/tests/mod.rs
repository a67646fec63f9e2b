//! Tests of the endpoints: codes are requested, sent, guessed and verified by browsers (with cookies) and apps
//! (without).

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, join_all, ready};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{
    endpoints::{ChannelSetup, Failed},
    message::MessageSender,
    *,
};
use crate::{
    authority::{self, Allow, Authority, Device, IssueError, Issued},
    call::{Backend, Body, Caller, Json, Piece, Placeholder, Template, Text as Template_},
    channel::Channel,
    client::Client,
    clock::Clock,
    endpoint::{Call, EndpointAnswer, OriginSettings, Origins, ReturnTo, ReturnToSettings},
    oidc::{self, fake::b64},
    pages::{Pages, Site},
    respond::Content,
    scripted::{Reply, Server, dead_address},
    seal::{KeyRing, SealKey},
    secret::{AccessToken, Random},
    session::{self, AuthStatus, NewLogin, Sessions},
    signing::{Signer, SigningKey},
    store::{Codes, Counters, Digest, MemoryStore, NewCode, Opened, Quota, Resent, Spent, Store, StoreError, Tried},
    telemetry::Metrics,
    upstream::Target,
};

const PHONE: &str = "010-1234-5678";
const MAIL: &str = "Kim@Example.kr";
/// A limit of 100,000 messages, so that only the limit of a test has an effect.
const AMPLE: Rate = Rate { most: 100_000, window: Duration::from_secs(3600) };

/// Stores messages for a test to read.
#[derive(Default)]
pub(super) struct Recorder {
    sent: Mutex<Vec<(String, String)>>,
    is_down: AtomicBool,
}

impl Recorder {
    pub(super) fn take(&self, to: &str, text: &str) -> Result<(), deliver::Undelivered> {
        self.sent.lock().unwrap().push((to.to_owned(), text.to_owned()));
        if self.is_down.load(Ordering::Relaxed) { Err(deliver::Undelivered) } else { Ok(()) }
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    fn last(&self) -> (String, String) {
        self.sent.lock().unwrap().last().unwrap().clone()
    }

    /// The digits of the last message.
    fn code(&self) -> String {
        let text = self.last().1;
        let runs = text.split(|c: char| !c.is_ascii_digit());
        runs.into_iter().find(|run| run.len() == 6).unwrap().to_owned()
    }

    /// Six digits that differ from the last code.
    fn other_than_code(&self) -> String {
        let code: u32 = self.code().parse().unwrap();
        format!("{:06}", (code + 1) % 1_000_000)
    }
}

/// A store that does not answer.
struct Down;

fn gone<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    ready(Err(StoreError::Unavailable("gone".to_owned()))).boxed()
}

impl Codes for Down {
    fn open(
        &self,
        _: NewCode,
        _: Duration,
        _: usize,
        _: crate::clock::Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>> {
        gone()
    }

    fn resend(
        &self,
        _: Digest,
        _: Digest,
        _: u32,
        _: crate::clock::Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>> {
        gone()
    }

    fn try_code(
        &self,
        _: Digest,
        _: Digest,
        _: Digest,
        _: u32,
        _: crate::clock::Timestamp,
        _: crate::clock::Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>> {
        gone()
    }

    fn settle_code(
        &self,
        _: Digest,
        _: Digest,
        _: u64,
        _: bool,
        _: crate::clock::Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        gone()
    }
}

impl Counters for Down {
    fn spend(&self, _: Vec<Quota>, _: crate::clock::Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        gone()
    }

    fn refund(
        &self,
        _: Vec<Quota>,
        _: crate::clock::Timestamp,
        _: crate::clock::Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        gone()
    }
}

/// The parts of a setup that tests change.
struct Setup {
    purpose: CodePurpose,
    allow: Option<Allow>,
    authority: authority::AuthorityKind,
    notify: Option<Template>,
    backend: Option<Target>,
    limits: Limits,
    store: Store,
    clock: Clock,
    keys: Vec<u8>,
}

impl Setup {
    fn of(purpose: CodePurpose) -> Self {
        let limits =
            Limits { per_address: AMPLE, per_ip: AMPLE, per_country: Some(AMPLE), total: AMPLE, daily_cap: 100_000 };
        Self {
            purpose,
            allow: None,
            authority: authority::AuthorityKind::Provider,
            notify: None,
            backend: None,
            limits,
            store: MemoryStore::shared(),
            clock: midnight(),
            keys: vec![7],
        }
    }

    fn build(self) -> OtpFixture {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let (clock, random, metrics) = (self.clock.clone(), Random::system(), Arc::new(Metrics::new()));
        let connect_timeout = Duration::from_secs(2);
        let backends = self.backend.map(|target| Backend {
            name: "api".to_owned(),
            targets: vec![target],
            connect_timeout,
            health: vec![],
            random: random.clone(),
        });
        let caller = Arc::new(Caller::new(backends.into_iter().collect(), 64 << 10).unwrap());
        let keys: Vec<_> = self.keys.iter().map(|byte| SealKey([*byte; 32].into())).collect();
        let signer = Signer::new(keys.iter().map(SigningKey::derived).collect(), "https://app.example.kr");
        let ring = KeyRing::new(&keys, random.clone());
        let parts = authority::Deps {
            caller: caller.clone(),
            providers: vec![],
            http: oidc::http_client(oidc::AnswerSizes::default()).unwrap(),
            store: self.store.clone(),
            ring: ring.clone(),
            signer: signer.clone(),
            clock: clock.clone(),
            random: random.clone(),
        };
        let authority = Authority::new(authority::Settings { kind: self.authority, verify: None, notify: None }, parts);
        let sessions = Sessions::new(
            session::Settings { keys: keys.clone(), ..session::test_settings("https://app.example.kr") },
            Arc::new(authority.unwrap()),
            self.store.clone(),
            clock.clone(),
            random.clone(),
            metrics.clone(),
            Handle::current(),
        );
        let public_url = "https://app.example.kr".parse().unwrap();
        let site = Site { public_url: &public_url, base_path: "/auth", form_targets: &[] };
        let pages = Pages::new(&crate::pages::Settings::default(), &site);
        let places = ReturnToSettings { base_path: "/auth", after_login: "/home", origins: &[] };
        let recorder = Arc::new(Recorder::default());
        let setup = |channel| ChannelSetup {
            channel,
            purpose: self.purpose,
            allow: self.allow.clone(),
            notify: self.notify.clone(),
            fields: FieldNames { address: channel.field().to_owned(), code: "code".to_owned() },
            sender: MessageSender::Recorder(recorder.clone()),
        };
        let settings = Settings {
            lifetime: Duration::from_secs(180),
            cooldown: Duration::from_secs(60),
            attempts: 5,
            addresses: Rules {
                countries: ["KR", "US", "JP"].iter().filter_map(|c| Country::parse(c)).collect(),
                bare_domains: false,
            },
            limits: self.limits,
            proof_audience: "example-proof".to_owned(),
            site: "app.example.kr".to_owned(),
            sms: None,
            email: None,
        };
        let deps = Deps {
            base_path: "/auth".to_owned(),
            ring,
            signer: signer.clone(),
            caller,
            sessions: sessions.clone(),
            store: self.store.clone(),
            pages: Arc::new(pages.unwrap()),
            return_to: ReturnTo::new(&places),
            login_page: "/auth/login".to_owned(),
            clock: clock.clone(),
            random,
            metrics: metrics.clone(),
        };
        let setups = vec![setup(Channel::Sms), setup(Channel::Email)];
        OtpFixture { otps: Otps::with_setups(settings, setups, deps), sessions, recorder, clock, signer, metrics }
    }
}

/// A clock at midnight (UTC), so that no count spans two days.
fn midnight() -> Clock {
    let clock = Clock::movable();
    let into_the_day = u64::try_from(clock.now().as_millis().rem_euclid(86_400_000)).unwrap();
    clock.advance(Duration::from_millis(86_400_000 - into_the_day));
    clock
}

struct OtpFixture {
    otps: Otps,
    sessions: Sessions,
    recorder: Arc<Recorder>,
    clock: Clock,
    signer: Signer,
    metrics: Arc<Metrics>,
}

/// The endpoint of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Send,
    Resend,
    Verify,
}

/// A visitor: a browser has cookies, an app does not.
#[derive(Clone)]
struct Visitor {
    cookies: BTreeMap<String, String>,
    address: IpAddr,
    is_app: bool,
    language: &'static str,
}

/// The result of a call.
struct CallResult {
    answer: Result<EndpointAnswer, Failed>,
    set_cookie: Vec<String>,
}

impl OtpFixture {
    fn of(purpose: CodePurpose) -> Self {
        Setup::of(purpose).build()
    }

    async fn call(&self, visitor: &Visitor, media_type: &str, body: impl Into<Bytes>) -> Call {
        let mut headers = HeaderMap::new();
        if !visitor.cookies.is_empty() {
            let pairs: Vec<_> = visitor.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        }
        if !visitor.is_app {
            headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
            let is_form = media_type == "application/x-www-form-urlencoded";
            headers.insert("sec-fetch-mode", if is_form { "navigate" } else { "cors" }.parse().unwrap());
        }
        headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
        headers.insert(header::ACCEPT_LANGUAGE, visitor.language.parse().unwrap());
        let (body, client) = (body.into(), Client::at(visitor.address));
        let visit = self.sessions.visit(&headers, &client).await;
        let language = self.otps.pages.languages().of(&headers);
        Call {
            method: Method::POST,
            headers,
            query: None,
            body,
            client,
            origin: Origins::new(&OriginSettings {
                public_url: &"https://app.example.kr".parse().unwrap(),
                hosts: &[],
            })
            .public()
            .clone(),
            is_navigation: false,
            may_begin_login: true,
            visit,
            wants_page: false,
            language,
        }
    }

    async fn step(&self, step: Step, channel: Channel, call: Call) -> Result<EndpointAnswer, Failed> {
        match step {
            Step::Send => self.otps.send(call, channel).await,
            Step::Resend => self.otps.resend(call, channel).await,
            Step::Verify => self.otps.verify(call, channel).await,
        }
    }

    async fn post(&self, visitor: &mut Visitor, step: Step, channel: Channel, body: Value) -> CallResult {
        let call = self.call(visitor, "application/json", body.to_string()).await;
        visitor.take(self.step(step, channel, call).await)
    }

    async fn form(&self, visitor: &mut Visitor, step: Step, channel: Channel, body: &str) -> CallResult {
        let call = self.call(visitor, "application/x-www-form-urlencoded", body.to_owned()).await;
        visitor.take(self.step(step, channel, call).await)
    }

    async fn send(&self, visitor: &mut Visitor, phone: &str) -> CallResult {
        self.post(visitor, Step::Send, Channel::Sms, json!({ "phone": phone })).await
    }

    async fn resend(&self, visitor: &mut Visitor, phone: &str) -> CallResult {
        self.post(visitor, Step::Resend, Channel::Sms, json!({ "phone": phone })).await
    }

    async fn verify(&self, visitor: &mut Visitor, phone: &str, code: &str) -> CallResult {
        self.post(visitor, Step::Verify, Channel::Sms, json!({ "phone": phone, "code": code })).await
    }

    /// Sends a code and returns it; panics if that fails.
    async fn send_code(&self, visitor: &mut Visitor, phone: &str) -> String {
        let got = self.send(visitor, phone).await;
        assert!(got.answer.is_ok(), "{:?}", got.answer);
        self.recorder.code()
    }

    /// A browser that is logged in as `sub`.
    async fn logged_in(&self, sub: &str) -> Visitor {
        let mut visitor = browser();
        let mut visit = self.sessions.visit(&HeaderMap::new(), &Client::at(visitor.address)).await;
        let Value::Object(identity) = json!({ "sub": sub, "email": "a@b.kr" }) else { unreachable!() };
        let issued = Issued {
            access_token: AccessToken::new(format!("at-{sub}")),
            refresh_token: None,
            id_token: None,
            expires_in: Some(Duration::from_secs(3600)),
            identity: Some(identity),
            access_claims: None,
            answered: serde_json::Map::new(),
        };
        let device = Device { id: Random::system().uuid(), name: "Chrome on Windows".to_owned() };
        let login = NewLogin { issued, provider: "corp".into(), device };
        let (_, cookies) = self.sessions.begin(login, &mut visit).await.unwrap();
        let mut headers = HeaderMap::new();
        cookies.write(&mut headers);
        visitor.keep(&headers);
        visitor
    }

    fn claims(&self, proof: &str) -> Value {
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(self.signer.jwks()).unwrap();
        let header = jsonwebtoken::decode_header(proof).unwrap();
        assert_eq!(header.typ.as_deref(), Some("vestibule-proof+jwt"));
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.set_audience(&["example-proof"]);
        // The clock of a test may be ahead of the machine's, and is never behind.
        jsonwebtoken::decode(proof, &key, &validation).unwrap().claims
    }
}

fn browser() -> Visitor {
    Visitor { cookies: BTreeMap::new(), address: "192.0.2.7".parse().unwrap(), is_app: false, language: "ko" }
}

fn app() -> Visitor {
    Visitor { is_app: true, language: "en", ..browser() }
}

impl Visitor {
    fn take(&mut self, answer: Result<EndpointAnswer, Failed>) -> CallResult {
        let mut headers = HeaderMap::new();
        match &answer {
            Ok(answer) => answer.cookies.clone().write(&mut headers),
            Err(failed) => failed.cookies.clone().write(&mut headers),
        }
        let set_cookie = self.keep(&headers);
        CallResult { answer, set_cookie }
    }

    fn keep(&mut self, headers: &HeaderMap) -> Vec<String> {
        let set: Vec<_> = headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        for cookie in set.iter().filter(|_| !self.is_app) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        set
    }
}

impl CallResult {
    fn json(&self) -> &Value {
        match self.answer.as_ref().map(|answer| &answer.content) {
            Ok(Content::Json(value)) => value,
            other => panic!("no JSON: {other:?}"),
        }
    }

    fn location(&self) -> &str {
        match self.answer.as_ref().map(|answer| &answer.content) {
            Ok(Content::Redirect(location)) => location,
            other => panic!("no redirect: {other:?}"),
        }
    }

    fn error(&self) -> &OtpError {
        match &self.answer {
            Err(failed) => &failed.error,
            Ok(answer) => panic!("no error: {answer:?}"),
        }
    }

    fn code(&self) -> &'static str {
        self.error().kind().code()
    }
}

mod guesses;
mod limits;
mod login;
mod notify;
mod page;
mod requests;
