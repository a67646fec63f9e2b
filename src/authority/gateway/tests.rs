//! The gateway as the authority, from the login to the end of a family.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::{
    authority::{
        CLAIMS, CodeLogin, Kind, Parts, Proof, RefreshRequest, Settings, SignOutRequest, VerifyError,
        tests::{Api, code, credentials, identity, kind, visitor},
    },
    call::Json,
    channel::Channel,
    oidc::{self, Allow, Claims, Provider, fake::Fake},
    seal::{KeyRing, SealKey},
    secret::Random,
    store::{Families, Generation},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86400);

/// What outlives the authorities of a test: they are built anew, as by a reload.
struct World {
    fake: Fake,
    parts: Parts,
}

impl World {
    async fn start() -> Self {
        let (api, fake) = (Api::start().await, Fake::start().await);
        let parts = Parts { clock: fake.clock.clone(), ..api.parts(vec![]) };
        Self { fake, parts }
    }

    /// The provider `corp` with this `allow`.
    fn provider(&self, allow: Option<Allow>) -> Vec<Arc<Provider>> {
        vec![Arc::new(self.fake.provider_with(oidc::Settings { allow, ..self.fake.settings() }))]
    }

    fn with(&self, gateway: Gateway, providers: Vec<Arc<Provider>>) -> Authority {
        let settings = Settings { kind: Kind::Gateway(Box::new(gateway)), verify: None, notify: None };
        Authority::new(settings, Parts { providers, ..self.parts.clone() }).unwrap()
    }

    fn authority(&self) -> Authority {
        self.with(gateway(), self.provider(None))
    }

    fn advance(&self, span: Duration) {
        self.parts.clock.advance(span);
    }
}

fn gateway() -> Gateway {
    Gateway {
        issuer: "https://app.example".to_owned(),
        audience: "api".to_owned(),
        access_token_lifetime: Duration::from_secs(600),
        default_role: "user".to_owned(),
        roles: vec![("admin".to_owned(), emails(&["boss@b.kr"])), ("staff".to_owned(), domains(&["b.kr"]))],
        claims: None,
        codes: vec![CodeLogin { channel: Channel::Sms, allow: None }],
        refresh_grace: MINUTE,
        idle: 30 * DAY,
        absolute: 90 * DAY,
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn emails(emails: &[&str]) -> Allow {
    Allow::Listed { email_domains: vec![], emails: owned(emails), claims: vec![] }
}

fn domains(domains: &[&str]) -> Allow {
    Allow::Listed { email_domains: owned(domains), emails: vec![], claims: vec![] }
}

fn boss() -> Proof {
    let profile =
        json!({"sub": "u1", "email": "boss@b.kr", "email_verified": true, "name": "민아", "hd": "b.kr", "n": 7});
    Proof::Provider(Box::new(identity(&profile)))
}

async fn login(authority: &Authority, proof: Proof) -> Issued {
    authority.issue(proof, &visitor()).await.unwrap()
}

async fn refreshed(authority: &Authority, token: &RefreshToken) -> Result<Issued, RefreshError> {
    let request = RefreshRequest { refresh_token: token, access_token: None, provider: "corp", identity: None };
    authority.refresh(request, &visitor()).await
}

/// The claims of an access token, verified by the gateway's own keys.
async fn read(authority: &Authority, issued: &Issued) -> Claims {
    let claims =
        authority.read_access_token(issued.access_token.expose(), Duration::ZERO).unwrap().verify().await.unwrap();
    assert_eq!(issued.access_claims, Some(AccessClaims { claims: claims.clone(), verified: true }));
    claims
}

fn rt(issued: &Issued) -> &RefreshToken {
    issued.refresh_token.as_ref().unwrap()
}

#[tokio::test]
async fn who_comes_from_a_provider_gets_a_jwt_that_says_who_they_are() {
    let world = World::start().await;
    let authority = world.authority();
    let issued = login(&authority, boss()).await;
    let mut claims = read(&authority, &issued).await;
    assert!(claims.remove("jti").unwrap().as_str().unwrap().len() >= 22);
    let now = claims.remove("iat").unwrap().as_i64().unwrap();
    assert!(world.parts.clock.now().as_secs() - now <= 60);
    assert_eq!(
        Value::Object(claims),
        json!({
            "iss": "https://app.example", "aud": "api", "sub": "corp|u1", "exp": now + 600, "role": "admin",
            "roles": ["admin", "staff"], "email": "boss@b.kr", "email_verified": true, "name": "민아"
        })
    );
    let header = jsonwebtoken::decode_header(issued.access_token.expose()).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.kid.as_deref(), world.parts.signer.jwks()["keys"][0]["kid"].as_str());
    assert_eq!((issued.expires_in, issued.id_token.unwrap().expose()), (Some(10 * MINUTE), "idt"));
    assert_eq!(issued.identity.unwrap()["hd"], "b.kr");
    assert!(authority.refreshes() && authority.verifies() && !authority.takes_credentials());
    assert_eq!(authority.upstream(), None);
    assert_eq!(kind(&authority.issue(credentials(), &visitor()).await), "unsupported");
}

#[tokio::test]
async fn who_proved_an_address_gets_a_jwt_that_says_so() {
    let world = World::start().await;
    let codes = Channel::ALL.map(|channel| CodeLogin { channel, allow: None }).to_vec();
    let authority = world.with(Gateway { codes, ..gateway() }, vec![]);
    let sms = login(&authority, Proof::Code(code(Channel::Sms, "01012345678", "+821012345678"))).await;
    let claims = read(&authority, &sms).await;
    assert_eq!((claims["sub"].as_str(), claims["role"].as_str()), (Some("sms|+821012345678"), Some("user")));
    assert_eq!((&claims["phone_number"], &claims["phone_number_verified"]), (&json!("+821012345678"), &json!(true)));
    let email = login(&authority, Proof::Code(code(Channel::Email, "a@b.kr", "a@b.kr"))).await;
    let claims = read(&authority, &email).await;
    assert_eq!((claims["sub"].as_str(), &claims["roles"]), (Some("email|a@b.kr"), &json!(["staff"])));
    assert_eq!(claims["email_verified"], true);
}

#[tokio::test]
async fn the_file_says_which_claims_go_along() {
    let world = World::start().await;
    let claim = |name: &str, template: Value| (name.to_owned(), Json::from_value(&template, CLAIMS).unwrap());
    let claims = vec![
        claim("tenant", json!("{claims.hd}")),
        claim("n", json!("{claims.n}")),
        claim(
            "by",
            json!({"how": "{provider}{channel}", "provider": "{provider}", "to": "{address}", "mail": "<{email}>"}),
        ),
        claim("none", json!("{claims.none}")),
        claim("fixed", json!(true)),
        claim("sub", json!("somebody else")),
    ];
    let codes = vec![CodeLogin { channel: Channel::Sms, allow: None }];
    let authority = world.with(Gateway { claims: Some(claims), codes, ..gateway() }, world.provider(None));
    let said = read(&authority, &login(&authority, boss()).await).await;
    assert_eq!((&said["tenant"], &said["n"], &said["fixed"]), (&json!("b.kr"), &json!(7), &json!(true)));
    assert_eq!(said["by"], json!({"provider": "corp", "mail": "<boss@b.kr>"}), "what is not known is left out");
    assert_eq!((said.get("none"), said.get("email"), &said["sub"]), (None, None, &json!("corp|u1")));
    let sms = Proof::Code(code(Channel::Sms, "01012345678", "+821012345678"));
    let said = read(&authority, &login(&authority, sms).await).await;
    assert_eq!(said["by"], json!({"to": "01012345678"}));
}

#[tokio::test]
async fn only_those_who_are_allowed_get_tokens() {
    let world = World::start().await;
    let sms = || code(Channel::Sms, "01012345678", "+821012345678");
    let number = |number: &str| {
        let claims = vec![("phone_number".to_owned(), vec![json!(number)])];
        Some(Allow::Listed { email_domains: vec![], emails: vec![], claims })
    };
    for (allow, proof, expected) in [
        (Some(emails(&["boss@b.kr"])), boss(), "issued"),
        (Some(emails(&["other@b.kr"])), boss(), "not allowed"),
        (None, Proof::Code(Code { allow: number("+821012345678"), ..sms() }), "issued"),
        (None, Proof::Code(Code { allow: number("+821000000000"), ..sms() }), "not allowed"),
        (None, Proof::Code(Code { allow: Some(emails(&["boss@b.kr"])), ..sms() }), "not allowed"),
        (None, Proof::Code(code(Channel::Email, "a@b.kr", "a@b.kr")), "unsupported"),
    ] {
        let authority = world.with(gateway(), world.provider(allow));
        assert_eq!(kind(&authority.issue(proof.clone(), &visitor()).await), expected, "{proof:?}");
    }
    let codes = vec![CodeLogin { channel: Channel::Sms, allow: number("+821000000000") }];
    let authority = world.with(Gateway { codes, ..gateway() }, vec![]);
    assert_eq!(kind(&authority.issue(Proof::Code(sms()), &visitor()).await), "not allowed", "by the file alone");
    let nobody = Proof::Provider(Box::new(identity(&json!({"email": "a@b.kr"}))));
    assert_eq!(kind(&world.authority().issue(nobody, &visitor()).await), "unsupported");
}

#[tokio::test]
async fn a_refresh_rotates_and_a_lost_answer_comes_again() {
    let world = World::start().await;
    let authority = world.authority();
    let first = login(&authority, boss()).await;
    world.advance(10 * MINUTE);
    let expired = authority.read_access_token(first.access_token.expose(), Duration::ZERO).map(drop);
    assert!(matches!(expired, Err(VerifyError::Expired)));
    let second = refreshed(&authority, rt(&first)).await.unwrap();
    assert_eq!(read(&authority, &second).await["sub"], "corp|u1");
    assert_eq!((second.identity.is_none(), second.id_token.is_none()), (true, true), "what was known is kept");
    assert_ne!(rt(&first), rt(&second));
    world.advance(MINUTE / 2);
    let again = refreshed(&authority, rt(&first)).await.unwrap();
    let third = refreshed(&authority, rt(&again)).await.unwrap();
    assert_eq!(read(&authority, &third).await["role"], "admin");
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_long_after_it_was_replaced_ends_the_family() {
    let world = World::start().await;
    let authority = world.authority();
    let first = login(&authority, boss()).await;
    let second = refreshed(&authority, rt(&first)).await.unwrap();
    world.advance(MINUTE + Duration::from_secs(1));
    let refused = |result: Result<Issued, RefreshError>| result.err() == Some(RefreshError::Refused);
    assert!(refused(refreshed(&authority, rt(&first)).await));
    assert!(refused(refreshed(&authority, rt(&second)).await), "whoever holds the newest has to log in too");
}

#[tokio::test]
async fn who_may_come_and_who_has_which_role_is_read_anew_at_each_refresh() {
    let world = World::start().await;
    let first = login(&world.authority(), boss()).await;
    let demoted = world.with(Gateway { roles: vec![], ..gateway() }, world.provider(Some(domains(&["b.kr"]))));
    let second = refreshed(&demoted, rt(&first)).await.unwrap();
    assert_eq!(read(&demoted, &second).await["roles"], json!(["user"]));

    for providers in [world.provider(Some(emails(&["other@b.kr"]))), vec![]] {
        let session = login(&world.authority(), boss()).await;
        let changed = world.with(gateway(), providers);
        assert_eq!(refreshed(&changed, rt(&session)).await.err(), Some(RefreshError::Refused));
        let back = refreshed(&world.authority(), rt(&session)).await;
        assert_eq!(back.err(), Some(RefreshError::Refused), "the family is over for good");
    }

    let sms = login(&world.authority(), Proof::Code(code(Channel::Sms, "01012345678", "+821012345678"))).await;
    let second = refreshed(&world.authority(), rt(&sms)).await.unwrap();
    let without = world.with(Gateway { codes: vec![], ..gateway() }, world.provider(None));
    assert_eq!(refreshed(&without, rt(&second)).await.err(), Some(RefreshError::Refused));
}

#[tokio::test]
async fn a_login_ends_when_it_is_not_used_and_at_its_absolute_end() {
    let world = World::start().await;
    let authority = world.authority();
    let idle = login(&authority, boss()).await;
    let mut used = login(&authority, boss()).await;
    for _ in 0..4 {
        world.advance(20 * DAY);
        used = refreshed(&authority, rt(&used)).await.unwrap();
    }
    assert_eq!(refreshed(&authority, rt(&idle)).await.err(), Some(RefreshError::Refused));
    world.advance(10 * DAY);
    assert_eq!(refreshed(&authority, rt(&used)).await.err(), Some(RefreshError::Refused));
}

#[tokio::test]
async fn an_access_token_does_not_outlive_its_login() {
    let world = World::start().await;
    let life = |issued: &Issued| {
        let claims = &issued.access_claims.as_ref().unwrap().claims;
        let of = |name: &str| claims[name].as_u64().unwrap();
        (Duration::from_secs(of("exp") - of("iat")), issued.expires_in.unwrap())
    };
    let short = |idle, absolute| world.with(Gateway { idle, absolute, ..gateway() }, world.provider(None));
    let idle = login(&short(MINUTE, 90 * DAY), boss()).await;
    assert_eq!(life(&idle), (MINUTE, MINUTE));
    let absolute = short(30 * DAY, 12 * MINUTE);
    let first = login(&absolute, boss()).await;
    assert_eq!(life(&first), (10 * MINUTE, 10 * MINUTE));
    world.advance(8 * MINUTE);
    let (told, expires_in) = life(&refreshed(&absolute, rt(&first)).await.unwrap());
    assert!(told <= 4 * MINUTE && expires_in <= 4 * MINUTE && expires_in > 3 * MINUTE, "{told:?} {expires_in:?}");
}

#[tokio::test]
async fn a_sign_out_ends_the_family_alone() {
    let world = World::start().await;
    let authority = world.authority();
    let (ended, other) = (login(&authority, boss()).await, login(&authority, boss()).await);
    let request = |token| SignOutRequest { refresh_token: token, access_token: None, provider: "corp" };
    assert_eq!(authority.sign_out(request(Some(rt(&ended))), &visitor()).await, SignedOut::Confirmed);
    assert_eq!(refreshed(&authority, rt(&ended)).await.err(), Some(RefreshError::Refused));
    assert!(refreshed(&authority, rt(&other)).await.is_ok());
    assert_eq!(authority.sign_out(request(None), &visitor()).await, SignedOut::NothingToDo);
    let foreign = RefreshToken::new("rt0");
    assert_eq!(authority.sign_out(request(Some(&foreign)), &visitor()).await, SignedOut::NothingToDo);
}

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let world = World::start().await;
    let authority = world.authority();
    let issued = login(&authority, boss()).await;
    let mut bent = rt(&issued).expose().to_owned();
    bent.pop();
    let stranger = KeyRing::new(&[SealKey([9; 32].into())], Random::system());
    let refresh = OwnRefresh { family: FamilyId([1; 16]), generation: 0, made: world.parts.clock.now() };
    let never_begun = world.parts.ring.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
    let other_purpose = world.parts.ring.seal(Purpose::Refresh, &refresh.to_bytes(), |_| 1);
    let other_key = stranger.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
    for token in ["", "rt0", &bent, &never_begun, &other_purpose, &other_key] {
        assert_eq!(
            refreshed(&authority, &RefreshToken::new(token)).await.err(),
            Some(RefreshError::Refused),
            "{token}"
        );
    }
    assert!(refreshed(&authority, rt(&issued)).await.is_ok());
    for (typ, claims) in [
        ("vestibule-proof+jwt", json!({"iss": "https://app.example", "aud": "api", "exp": 4_102_444_800u64})),
        ("at+jwt", json!({"iss": "https://app.example", "aud": "other", "exp": 4_102_444_800u64})),
    ] {
        let token = world.parts.signer.sign(typ, &claims);
        let read = authority.read_access_token(&token, Duration::ZERO).map(drop);
        assert!(matches!(read, Err(VerifyError::Invalid)), "{typ} {claims}");
    }
}

/// Families in a store that cannot be reached, or is full.
struct Away(fn() -> StoreError);

impl Families for Away {
    fn begin(&self, _: FamilyId, _: Bytes, _: Timestamp, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(self.0()) })
    }

    fn advance(
        &self,
        _: FamilyId,
        _: Generation,
        _: Duration,
        _: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        Box::pin(async { Err(self.0()) })
    }

    fn end_family(&self, _: FamilyId, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(self.0()) })
    }
}

#[tokio::test]
async fn a_store_that_is_away_lets_nobody_in_and_ends_no_session() {
    let mut world = World::start().await;
    let issued = login(&world.authority(), boss()).await;
    let good = world.parts.store.families.clone();
    for (error, expected) in [
        ((|| StoreError::Unavailable("gone".to_owned())) as fn() -> StoreError, RefreshError::Unsent),
        (|| StoreError::Full, RefreshError::Failed { retry_after: None }),
    ] {
        world.parts.store.families = Arc::new(Away(error));
        let authority = world.authority();
        assert_eq!(kind(&authority.issue(boss(), &visitor()).await), "unavailable");
        assert_eq!(refreshed(&authority, rt(&issued)).await.err(), Some(expected));
        let request = SignOutRequest { refresh_token: Some(rt(&issued)), access_token: None, provider: "corp" };
        assert_eq!(authority.sign_out(request, &visitor()).await, SignedOut::NotConfirmed);
    }
    world.parts.store.families = good;
    assert!(refreshed(&world.authority(), rt(&issued)).await.is_ok());
}
