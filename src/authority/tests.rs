//! Both kinds of authority against a backend and a provider that answer everything there is to answer.

use std::sync::Mutex;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    call::{Body, Text, Vouching},
    oidc::{self, Identity, TokenAnswer, fake, fake::Fake},
    scripted::{self, Reply, Seen, Server},
    seal::SealKey,
    signing::SigningKey,
    store::MemoryStore,
    upstream::Target,
};

/// A backend whose answer can be replaced.
pub(super) struct Api {
    pub(super) server: Server,
    reply: Arc<Mutex<Reply>>,
    pub(super) clock: Clock,
}

impl Api {
    pub(super) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let reply = Arc::new(Mutex::new(good()));
        let script = Arc::clone(&reply);
        let server = Server::start(move |_| script.lock().unwrap().clone()).await;
        Self { server, reply, clock: Clock::movable() }
    }

    pub(super) fn answers(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(super) fn asked(&self) -> Seen {
        self.server.seen().pop().unwrap()
    }

    fn authority(&self) -> Authority {
        self.authority_with(settings(), vec![])
    }

    fn authority_with(&self, settings: Settings, providers: Vec<Arc<Provider>>) -> Authority {
        Authority::new(settings, self.parts(providers)).unwrap()
    }

    /// With a store that an authority can share with the next.
    pub(super) fn parts(&self, providers: Vec<Arc<Provider>>) -> Parts {
        parts(caller(self.server.address), providers, &self.clock)
    }
}

fn authority(
    address: std::net::SocketAddr,
    settings: Settings,
    providers: Vec<Arc<Provider>>,
    clock: &Clock,
) -> Authority {
    Authority::new(settings, parts(caller(address), providers, clock)).unwrap()
}

fn caller(address: std::net::SocketAddr) -> Caller {
    let target = Target::Http { host: address.ip().to_string(), port: address.port() };
    let connect_timeout = Duration::from_secs(5);
    Caller::new(vec![crate::call::Backend { name: "api".to_owned(), targets: vec![target], connect_timeout }], 64 << 10)
        .unwrap()
}

/// What an authority of a test works with: a store of its own, and keys that are always the same.
pub(crate) fn parts(caller: Caller, providers: Vec<Arc<Provider>>, clock: &Clock) -> Parts {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = SealKey([7; 32].into());
    let random = Random::system();
    let signer = Signer::new(vec![SigningKey::derived(&key)], "https://app.example");
    let vouching = Vouching { signer: signer.clone(), clock: clock.clone(), random: random.clone() };
    Parts {
        caller: Arc::new(caller.vouching(vouching)),
        providers,
        http: oidc::http_client(oidc::AnswerSizes::default()).unwrap(),
        store: MemoryStore::shared(),
        ring: KeyRing::new(&[key], random.clone()),
        signer,
        clock: clock.clone(),
        random,
    }
}

fn good() -> Reply {
    Reply::json(200, &json!({"accessToken": "at1", "refreshToken": "rt1", "expiresIn": "900"}))
}

pub(super) fn template(path: &str, json: &Value, allowed: &[&str]) -> Template {
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

fn backend() -> Backend {
    let exchange = json!({"id_token": "{id_token}", "deviceId": "{device_id}", "deviceName": "{device_name}", "who": "{profile}", "pt": "{access_token}"});
    Backend {
        upstream: 0,
        exchange: Some(template("/auth/{provider}", &exchange, EXCHANGE)),
        credentials: Some(template("/auth/login", &json!({"email": "{email}", "password": "{password}"}), CREDENTIALS)),
        otp: Some(template("/auth/otp", &json!({"to": "{channel}:{address}", "e164": "{address_e164}"}), OTP)),
        refresh: Some(template(
            "/auth/refresh",
            &json!({"refreshToken": "{refresh_token}", "deviceId": "{device_id}"}),
            REFRESH,
        )),
        refused: vec![401],
        signout: Some(template("/auth/signout", &json!({"refreshToken": "{refresh_token}"}), SIGN_OUT)),
        answer: Answer {
            access_token: Pointer::Json("/accessToken".to_owned()),
            refresh_token: Pointer::Json("/refreshToken".to_owned()),
            expires_in: Pointer::Json("/expiresIn".to_owned()),
        },
    }
}

fn settings() -> Settings {
    Settings { kind: Kind::Backend(Box::new(backend())), verify: None, notify: None }
}

fn at_provider() -> Settings {
    Settings { kind: Kind::Provider, verify: None, notify: None }
}

pub(super) fn with_backend(change: impl FnOnce(&mut Backend)) -> Settings {
    let mut backend = backend();
    change(&mut backend);
    Settings { kind: Kind::Backend(Box::new(backend)), verify: None, notify: None }
}

pub(super) fn visitor() -> ClientDevice {
    let device = Device { id: uuid::Uuid::from_u128(7), name: "내 \"폰\"".to_owned() };
    ClientDevice { client: Client::named("192.0.2.7", "Phone/1.0"), device }
}

pub(super) fn credentials() -> Proof {
    Proof::Credentials { email: "a@b.kr".to_owned(), password: Secret::new("\"pw\"") }
}

pub(super) fn identity(profile: &Value) -> Identity {
    let tokens = TokenAnswer {
        access_token: AccessToken::new("pat"),
        refresh_token: Some(RefreshToken::new("prt")),
        id_token: None,
        expires_in: Some(Duration::from_secs(60)),
    };
    let profile = profile.as_object().unwrap().clone();
    let claims = profile.clone();
    Identity {
        provider: "corp".to_owned(),
        claims,
        profile,
        profile_as_given: None,
        id_token: Some(IdToken::new("idt")),
        tokens: Some(tokens),
    }
}

pub(super) fn refresh_token() -> RefreshToken {
    RefreshToken::new("rt0")
}

async fn refreshed(authority: &Authority) -> Result<Issued, RefreshError> {
    let request =
        RefreshRequest { refresh_token: &refresh_token(), access_token: None, provider: "corp", identity: None };
    authority.refresh(request, &visitor()).await
}

pub(super) fn kind(result: &Result<Issued, IssueError>) -> &'static str {
    match result {
        Ok(_) => "issued",
        Err(IssueError::BadCredentials) => "bad credentials",
        Err(IssueError::Refused(_)) => "refused",
        Err(IssueError::NotAllowed) => "not allowed",
        Err(IssueError::Unsupported) => "unsupported",
        Err(IssueError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn an_identity_is_exchanged_for_the_backends_tokens() {
    let api = Api::start().await;
    let proof = Proof::Provider(Box::new(identity(&json!({"sub": "u1", "email": "a@b.kr"}))));
    let issued = api.authority().issue(proof, &visitor()).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("at1", "rt1"));
    assert_eq!((issued.expires_in, issued.access_claims), (Some(Duration::from_secs(900)), None));
    assert_eq!((issued.identity.unwrap()["sub"].as_str(), issued.id_token.unwrap().expose()), (Some("u1"), "idt"));
    let asked = api.asked();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/auth/corp"));
    assert_eq!(
        asked.json(),
        json!({
            "id_token": "idt", "deviceId": "00000000-0000-0000-0000-000000000007", "deviceName": "내 \"폰\"",
            "who": {"sub": "u1", "email": "a@b.kr"}, "pt": "pat"
        })
    );
    assert_eq!((asked.header("x-forwarded-for"), asked.header("user-agent")), (Some("192.0.2.7"), Some("Phone/1.0")));
}

#[tokio::test]
async fn what_a_backend_answers_to_a_login_is_a_no_or_an_outage() {
    let api = Api::start().await;
    let authority = api.authority();
    for (reply, of_credentials, of_exchange) in [
        (good(), "issued", "issued"),
        (Reply::json(400, &json!({})), "bad credentials", "refused"),
        (Reply::json(401, &json!({})), "bad credentials", "refused"),
        (Reply::json(403, &json!({})), "bad credentials", "refused"),
        (Reply::json(404, &json!({})), "unavailable", "unavailable"),
        (Reply::json(429, &json!({})), "unavailable", "unavailable"),
        (Reply::json(500, &json!({})), "unavailable", "unavailable"),
        (Reply::json(302, &json!({})).with("location", "/"), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"token": "x"})), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"accessToken": ""})), "unavailable", "unavailable"),
        (Reply::json(200, &json!({"accessToken": "a\r\nx: y"})), "unavailable", "unavailable"),
        (Reply::text(200, "text/html", "<html>"), "unavailable", "unavailable"),
        (Reply::Reset, "unavailable", "unavailable"),
        (Reply::Cut, "unavailable", "unavailable"),
    ] {
        api.answers(reply.clone());
        assert_eq!(kind(&authority.issue(credentials(), &visitor()).await), of_credentials, "{reply:?}");
        assert_eq!(api.asked().json(), json!({"email": "a@b.kr", "password": "\"pw\""}));
        let proof = Proof::Provider(Box::new(identity(&json!({"sub": "u1"}))));
        assert_eq!(kind(&authority.issue(proof, &visitor()).await), of_exchange, "{reply:?}");
    }
    let without = api.authority_with(with_backend(|backend| backend.credentials = None), vec![]);
    assert_eq!(kind(&without.issue(credentials(), &visitor()).await), "unsupported");
    assert!(authority.takes_credentials() && !without.takes_credentials());
}

pub(super) fn code(channel: Channel, address: &str, address_e164: &str) -> Code {
    Code { channel, address: address.to_owned(), address_e164: address_e164.to_owned(), allow: None }
}

#[tokio::test]
async fn a_proved_address_is_exchanged_for_the_backends_tokens() {
    let api = Api::start().await;
    let authority =
        api.authority_with(with_backend(|backend| backend.otp.as_mut().unwrap().assertion = Some("otp.login")), vec![]);
    let sms = || code(Channel::Sms, "01012345678", "+821012345678");
    let issued = authority.issue(Proof::Code(sms()), &visitor()).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("at1", "rt1"));
    assert_eq!(
        Value::Object(issued.identity.unwrap()),
        json!({"phone_number": "+821012345678", "phone_number_verified": true})
    );
    let asked = api.asked();
    assert_eq!(
        (asked.target.as_str(), asked.json()),
        ("/auth/otp", json!({"to": "sms:01012345678", "e164": "+821012345678"}))
    );
    assert!(asked.header("vestibule-assertion").is_some());
    for (status, expected) in
        [(400, "refused"), (401, "refused"), (403, "refused"), (404, "unavailable"), (503, "unavailable")]
    {
        api.answers(Reply::json(status, &json!({})));
        assert_eq!(kind(&authority.issue(Proof::Code(sms()), &visitor()).await), expected, "{status}");
    }
    let stranger =
        Code { allow: Some(Allow::Listed { email_domains: vec![], emails: vec![], claims: vec![] }), ..sms() };
    assert_eq!(kind(&authority.issue(Proof::Code(stranger), &visitor()).await), "not allowed");
    let without = api.authority_with(with_backend(|backend| backend.otp = None), vec![]);
    assert_eq!(kind(&without.issue(Proof::Code(sms()), &visitor()).await), "unsupported");
    assert!(authority.takes_codes(Channel::Sms) && !without.takes_codes(Channel::Sms));
    let provider = api.authority_with(at_provider(), vec![]);
    assert_eq!(kind(&provider.issue(Proof::Code(sms()), &visitor()).await), "unsupported");
}

#[tokio::test]
async fn only_the_configured_refusal_that_is_no_page_ends_a_session() {
    let api = Api::start().await;
    let authority = api.authority();
    let failed = |seconds: Option<u64>| RefreshError::Failed { retry_after: seconds.map(Duration::from_secs) };
    for (reply, expected) in [
        (Reply::json(401, &json!({"error": "expired"})), RefreshError::Refused),
        (Reply::text(401, "text/plain", ""), RefreshError::Refused),
        (Reply::text(401, "text/html", "no"), failed(None)),
        (Reply::text(401, "text/plain", "<!doctype html>"), failed(None)),
        (Reply::json(400, &json!({"error": "invalid_grant"})), failed(None)),
        (Reply::json(403, &json!({})), failed(None)),
        (Reply::text(403, "text/html", "<html>"), failed(None)),
        (Reply::json(404, &json!({})), failed(None)),
        (Reply::json(429, &json!({})).with("retry-after", "5"), failed(Some(5))),
        (Reply::json(500, &json!({})), failed(None)),
        (Reply::json(502, &json!({})), failed(None)),
        (Reply::json(302, &json!({})).with("location", "/login"), failed(None)),
        (Reply::text(200, "application/json", "{\"accessToken\":"), failed(None)),
        (Reply::json(200, &json!({"error": "x"})), failed(None)),
        (Reply::text(200, "application/json", vec![b'x'; 1 << 20]), failed(None)),
        (Reply::Reset, RefreshError::Unanswered),
        (Reply::Cut, RefreshError::Unanswered),
    ] {
        api.answers(reply.clone());
        assert_eq!(refreshed(&authority).await.err(), Some(expected), "{reply:?}");
        assert_eq!(api.asked().json()["refreshToken"], "rt0");
    }
    api.answers(Reply::json(400, &json!({})));
    let wider = api.authority_with(with_backend(|backend| backend.refused = vec![400, 401]), vec![]);
    assert_eq!(refreshed(&wider).await.err(), Some(RefreshError::Refused));

    api.answers(Reply::Hang);
    let impatient = with_backend(|backend| backend.refresh.as_mut().unwrap().timeout = Duration::from_millis(50));
    assert_eq!(refreshed(&api.authority_with(impatient, vec![])).await.err(), Some(RefreshError::Unanswered));
    let dead = authority_at_nobody(&api.clock).await;
    assert_eq!(refreshed(&dead).await.err(), Some(RefreshError::Unsent));
}

async fn authority_at_nobody(clock: &Clock) -> Authority {
    authority(scripted::dead_address().await, settings(), vec![], clock)
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let api = Api::start().await;
    for (answer, expected) in [
        (json!({"accessToken": "at2"}), None),
        (json!({"accessToken": "at2", "refreshToken": null}), None),
        (json!({"accessToken": "at2", "refreshToken": ""}), None),
        (json!({"accessToken": "at2", "refreshToken": "rt2"}), Some("rt2")),
    ] {
        api.answers(Reply::json(200, &answer));
        let issued = refreshed(&api.authority()).await.unwrap();
        assert_eq!(issued.refresh_token.as_ref().map(RefreshToken::expose), expected, "{answer}");
        assert_eq!((issued.identity, issued.id_token), (None, None));
    }
}

#[tokio::test]
async fn a_refresh_token_can_come_and_go_as_a_cookie() {
    let api = Api::start().await;
    let in_cookie = with_backend(|backend| {
        backend.answer.refresh_token = Pointer::Cookie("refreshToken".to_owned());
        let refresh = backend.refresh.as_mut().unwrap();
        refresh.body = Body::Empty;
        refresh.cookies = vec![("refreshToken".to_owned(), Text::parse("{refresh_token}", REFRESH).unwrap())];
    });
    let authority = api.authority_with(in_cookie, vec![]);
    let answer = Reply::json(200, &json!({"accessToken": "at2"}));
    for (cookies, expected) in [
        (vec!["other=1; Path=/", "refreshToken=r%3D2.x; HttpOnly; Path=/auth"], Some("r%3D2.x")),
        (vec!["refreshToken=old; Max-Age=0", "refreshToken=new"], Some("new")),
        (vec!["refreshToken=; Max-Age=0"], None),
        (vec!["RefreshToken=r"], None),
        (vec![], None),
    ] {
        api.answers(cookies.iter().fold(answer.clone(), |reply, cookie| reply.with("set-cookie", *cookie)));
        let issued = refreshed(&authority).await.unwrap();
        assert_eq!(issued.refresh_token.as_ref().map(RefreshToken::expose), expected, "{cookies:?}");
        assert_eq!(api.asked().header("cookie"), Some("refreshToken=rt0"));
    }
}

#[tokio::test]
async fn a_sign_out_is_confirmed_only_by_success() {
    let api = Api::start().await;
    let token = refresh_token();
    let request = SignOutRequest { refresh_token: Some(&token), access_token: None, provider: "" };
    for (reply, expected) in [
        (Reply::text(204, "text/plain", ""), SignedOut::Confirmed),
        (Reply::json(401, &json!({})), SignedOut::NotConfirmed),
        (Reply::json(500, &json!({})), SignedOut::NotConfirmed),
        (Reply::Reset, SignedOut::NotConfirmed),
    ] {
        api.answers(reply);
        assert_eq!(api.authority().sign_out(request, &visitor()).await, expected);
        assert_eq!(api.asked().json(), json!({"refreshToken": "rt0"}));
    }
    let without = api.authority_with(with_backend(|backend| backend.signout = None), vec![]);
    assert_eq!(without.sign_out(request, &visitor()).await, SignedOut::NothingToDo);
}

#[tokio::test]
async fn a_providers_own_tokens_are_issued_to_those_who_are_allowed() {
    let fake = Fake::start().await;
    let allow = Allow::Listed { email_domains: vec!["b.kr".to_owned()], emails: vec![], claims: vec![] };
    let provider = Arc::new(fake.provider_with(oidc::Settings { allow: Some(allow), ..fake.settings() }));
    let nobody = scripted::dead_address().await;
    let authority = authority(nobody, at_provider(), vec![provider], &fake.clock);
    let issue = async |profile: Value| authority.issue(Proof::Provider(Box::new(identity(&profile))), &visitor()).await;
    let issued = issue(json!({"sub": "u1", "email": "a@b.kr", "email_verified": true})).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token.unwrap().expose()), ("pat", "prt"));
    assert_eq!(kind(&issue(json!({"sub": "u1", "email": "a@b.kr"})).await), "not allowed");
    assert_eq!(kind(&authority.issue(credentials(), &visitor()).await), "unsupported");
    let mut app = identity(&json!({"email": "a@b.kr", "email_verified": true}));
    app.tokens = None;
    assert_eq!(kind(&authority.issue(Proof::Provider(Box::new(app)), &visitor()).await), "unsupported");

    fake.answer(
        "/token",
        Reply::json(200, &json!({"access_token": "at2", "id_token": fake.id_token(json!({"role": "x"})).expose()})),
    );
    let issued = refreshed(&authority).await.unwrap();
    assert_eq!((issued.access_token.expose(), issued.refresh_token, issued.id_token.is_some()), ("at2", None, true));
    assert_eq!(issued.identity.unwrap()["role"], "x");
    fake.answer("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
    assert_eq!(refreshed(&authority).await.err(), Some(RefreshError::Refused));

    fake.answer("/revoke", Reply::json(200, &json!({})));
    let token = refresh_token();
    let request = SignOutRequest { refresh_token: Some(&token), access_token: None, provider: "corp" };
    assert_eq!(authority.sign_out(request, &visitor()).await, SignedOut::Confirmed);
    fake.answer("/revoke", Reply::json(500, &json!({})));
    assert_eq!(authority.sign_out(request, &visitor()).await, SignedOut::NotConfirmed);
    assert_eq!(
        authority.sign_out(SignOutRequest { provider: "gone", ..request }, &visitor()).await,
        SignedOut::NothingToDo
    );
}

fn verify(keys: VerifyKeys) -> Settings {
    let verify = Verify {
        keys,
        algorithms: vec![],
        issuer: Some("https://api.example.kr".to_owned()),
        audience: Some("sigbang".to_owned()),
    };
    Settings { verify: Some(verify), ..settings() }
}

fn access_claims(clock: &Clock, changes: Value) -> Value {
    let now = clock.now().as_secs();
    let mut claims = json!({"iss": "https://api.example.kr", "aud": "sigbang", "sub": "u1", "iat": now, "exp": now + 60, "role": "admin"});
    let Value::Object(changes) = changes else { panic!("an object") };
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

async fn shown(authority: &Authority, token: &str, leeway: Duration) -> Result<Claims, VerifyError> {
    authority.read_access_token(token, leeway)?.verify().await
}

fn verdict(result: &Result<Claims, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "genuine",
        Err(VerifyError::Expired) => "expired",
        Err(VerifyError::Invalid) => "invalid",
        Err(VerifyError::Forged) => "forged",
        Err(VerifyError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn an_access_token_is_checked_for_who_made_it_for_whom_and_when() {
    let api = Api::start().await;
    let signer = fake::Signer::ec();
    let authority = api.authority_with(verify(VerifyKeys::PublicKey(signer.pem())), vec![]);
    let now = api.clock.now().as_secs();
    let leeway = Duration::from_secs(5);
    for (header, changes, expected) in [
        (r#"{"alg":"ES256"}"#, json!({}), "genuine"),
        (r#"{"alg":"ES256","kid":"any","typ":"JWT"}"#, json!({}), "genuine"),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, json!({"aud": ["x", "sigbang"]}), "genuine"),
        (r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, json!({"exp": now - 3}), "genuine"),
        (r#"{"alg":"ES256","typ":"vestibule-proof+jwt"}"#, json!({}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"exp": now - 6}), "expired"),
        (r#"{"alg":"ES256"}"#, json!({"exp": null}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"exp": 1e300}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"nbf": now + 30}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"iss": "https://evil.example"}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"iss": null}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"aud": "sigbang-proof"}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"aud": null}), "invalid"),
        (r#"{"alg":"none"}"#, json!({}), "invalid"),
        (r#"{"alg":"HS256"}"#, json!({}), "invalid"),
    ] {
        let token = signer.sign(header, &access_claims(&api.clock, changes.clone()));
        assert_eq!(verdict(&shown(&authority, &token, leeway).await), expected, "{header} {changes}");
    }
    let claims = access_claims(&api.clock, json!({}));
    for (bad, expected) in [
        (fake::Signer::ec().sign(r#"{"alg":"ES256"}"#, &claims), "forged"),
        // No signature is looked at: these cost next to nothing.
        (fake::Signer::Hmac(signer.pem().into_bytes()).sign(r#"{"alg":"HS256"}"#, &claims), "invalid"),
        ("opaque".to_owned(), "invalid"),
    ] {
        assert_eq!(verdict(&shown(&authority, &bad, leeway).await), expected);
    }
    let without = api.authority();
    let token = signer.sign(r#"{"alg":"ES256"}"#, &claims);
    assert_eq!(verdict(&shown(&without, &token, leeway).await), "invalid", "nothing vouches for it");
}

#[tokio::test]
async fn a_shared_secret_means_hs256_alone() {
    let api = Api::start().await;
    let secret = VerifyKeys::Secret(Secret::new("c2VjcmV0"));
    let authority = api.authority_with(verify(secret), vec![]);
    let claims = access_claims(&api.clock, json!({}));
    let leeway = Duration::ZERO;
    let good = fake::Signer::Hmac(b"c2VjcmV0".to_vec()).sign(r#"{"alg":"HS256"}"#, &claims);
    assert_eq!(verdict(&shown(&authority, &good, leeway).await), "genuine");
    for (signer, header, expected) in [
        (fake::Signer::Hmac(b"secret".to_vec()), r#"{"alg":"HS256"}"#, "forged"),
        (fake::Signer::Hmac(b"c2VjcmV0".to_vec()), r#"{"alg":"HS512"}"#, "invalid"),
        (fake::Signer::ec(), r#"{"alg":"ES256"}"#, "invalid"),
    ] {
        assert_eq!(verdict(&shown(&authority, &signer.sign(header, &claims), leeway).await), expected);
    }
}

#[tokio::test]
async fn new_tokens_come_with_their_claims_and_whether_these_are_verified() {
    let api = Api::start().await;
    let (signer, fake) = (fake::Signer::ec(), Fake::start().await);
    let token = signer.sign(r#"{"alg":"ES256","kid":"a"}"#, &access_claims(&api.clock, json!({"exp": 1})));
    api.answers(Reply::json(200, &json!({"accessToken": token})));
    let login = async |settings| api.authority_with(settings, vec![]).issue(credentials(), &visitor()).await;
    let claims = async |settings| login(settings).await.unwrap().access_claims.unwrap();
    assert!(!claims(settings()).await.verified);
    let checked = claims(verify(VerifyKeys::PublicKey(signer.pem()))).await;
    assert!(checked.verified && checked.claims["role"] == "admin", "one that arrives expired is genuine all the same");

    let published = || verify(VerifyKeys::Jwks(fake.server.url("/api-keys")));
    fake.answer("/api-keys", Reply::json(503, &json!({})));
    assert!(!claims(published()).await.verified, "a login does not fail, and no refresh is lost, for want of keys");
    fake.answer("/api-keys", Reply::json(200, &json!({"keys": [signer.jwk("a")]})));
    assert!(claims(published()).await.verified);
    // A key that is not published is no work either; a token that names none is tried with those there are.
    let authority = api.authority_with(published(), vec![]);
    let shows = async |header| {
        let token = fake::Signer::ec().sign(header, &access_claims(&api.clock, json!({})));
        verdict(&shown(&authority, &token, Duration::ZERO).await)
    };
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"a"}"#, "forged"),
        (r#"{"alg":"ES256"}"#, "forged"),
        (r#"{"alg":"ES256","kid":"b"}"#, "invalid"),
        (r#"{"alg":"EdDSA","kid":"a"}"#, "invalid"),
    ] {
        assert_eq!(shows(header).await, expected, "{header}");
    }

    let foreign = verify(VerifyKeys::PublicKey(fake::Signer::ec().pem()));
    assert_eq!(kind(&login(foreign).await), "unavailable", "an authority that is not what it should be");
    assert!(
        Authority::new(
            verify(VerifyKeys::PublicKey("no key".to_owned())),
            parts(Caller::new(vec![], 64 << 10).unwrap(), vec![], &Clock::system())
        )
        .is_err()
    );
}
