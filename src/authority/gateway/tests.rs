//! The gateway as the authority: from the login to the end of a family of refresh tokens.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::{
    authority::{
        Authority, AuthorityKind, CLAIMS, Deps, Proof, ProvedAddress, RefreshRequest, Settings, SignOutRequest,
        VerifyError,
        tests::{ScriptedBackend, client_device, credentials, identity, outcome_of, proved},
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

/// The dependencies of a test's authorities; each authority is built anew, as by a reload.
struct Setup {
    fake: Fake,
    deps: Deps,
}

impl Setup {
    async fn start() -> Self {
        let (backend, fake) = (ScriptedBackend::start().await, Fake::start().await);
        let deps = Deps { clock: fake.clock.clone(), ..backend.deps(vec![]) };
        Self { fake, deps }
    }

    /// The provider `corp` with this `allow`.
    fn provider(&self, allow: Option<Allow>) -> Vec<Arc<Provider>> {
        vec![Arc::new(self.fake.provider_with(oidc::Settings { allow, ..self.fake.settings() }))]
    }

    fn with(&self, gateway: GatewaySettings, providers: Vec<Arc<Provider>>) -> Authority {
        let settings = Settings { kind: AuthorityKind::Gateway(Box::new(gateway)), verify: None, notify: None };
        Authority::new(settings, Deps { providers, ..self.deps.clone() }).unwrap()
    }

    fn authority(&self) -> Authority {
        self.with(gateway(), self.provider(None))
    }

    fn advance(&self, span: Duration) {
        self.deps.clock.advance(span);
    }
}

fn gateway() -> GatewaySettings {
    GatewaySettings {
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
    authority.issue(proof, &client_device()).await.unwrap()
}

async fn refreshed(authority: &Authority, token: &RefreshToken) -> Result<Issued, RefreshError> {
    let request = RefreshRequest {
        refresh_token: token,
        access_token: None,
        provider: "corp",
        identity: None,
        claims: &Claims::new(),
    };
    authority.refresh(request, &client_device()).await
}

/// The claims of an access token, verified by the gateway's own keys.
async fn read(authority: &Authority, issued: &Issued) -> Claims {
    let claims = authority
        .read_access_token(issued.access_token.expose(), Some(Duration::ZERO))
        .unwrap()
        .verify()
        .await
        .unwrap();
    assert_eq!(issued.access_claims, Some(AccessClaims { claims: claims.clone(), verified: true }));
    claims
}

fn rt(issued: &Issued) -> &RefreshToken {
    issued.refresh_token.as_ref().unwrap()
}

#[tokio::test]
async fn after_a_provider_login_the_access_token_is_a_jwt_with_the_identitys_claims_and_roles() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let issued = login(&authority, boss()).await;
    let mut claims = read(&authority, &issued).await;
    assert!(claims.remove("jti").unwrap().as_str().unwrap().len() >= 22);
    let now = claims.remove("iat").unwrap().as_i64().unwrap();
    assert!(setup.deps.clock.now().as_secs() - now <= 60);
    assert_eq!(
        Value::Object(claims),
        json!({
            "iss": "https://app.example", "aud": "api", "sub": "corp|u1", "exp": now + 600, "role": "admin",
            "roles": ["admin", "staff"], "email": "boss@b.kr", "email_verified": true, "name": "민아"
        })
    );
    let header = jsonwebtoken::decode_header(issued.access_token.expose()).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.kid.as_deref(), setup.deps.signer.jwks()["keys"][0]["kid"].as_str());
    assert_eq!((issued.expires_in, issued.id_token.unwrap().expose()), (Some(10 * MINUTE), "idt"));
    assert_eq!(issued.identity.unwrap()["hd"], "b.kr");
    assert!(authority.refreshes() && authority.verifies() && !authority.takes_credentials());
    assert_eq!(authority.upstream(), None);
    assert_eq!(outcome_of(&authority.issue(credentials(), &client_device()).await), "unsupported");
}

#[tokio::test]
async fn after_a_one_time_code_the_access_token_names_the_verified_address() {
    let setup = Setup::start().await;
    let codes = Channel::ALL.map(|channel| CodeLogin { channel, allow: None }).to_vec();
    let authority = setup.with(GatewaySettings { codes, ..gateway() }, vec![]);
    let sms = login(&authority, Proof::Code(proved(Channel::Sms, "01012345678", "+821012345678"))).await;
    let claims = read(&authority, &sms).await;
    assert_eq!((claims["sub"].as_str(), claims["role"].as_str()), (Some("sms|+821012345678"), Some("user")));
    assert_eq!((&claims["phone_number"], &claims["phone_number_verified"]), (&json!("+821012345678"), &json!(true)));
    let email = login(&authority, Proof::Code(proved(Channel::Email, "a@b.kr", "a@b.kr"))).await;
    let claims = read(&authority, &email).await;
    assert_eq!((claims["sub"].as_str(), &claims["roles"]), (Some("email|a@b.kr"), &json!(["staff"])));
    assert_eq!(claims["email_verified"], true);
}

#[tokio::test]
async fn configured_claims_replace_the_default_claims_but_not_those_that_the_gateway_sets() {
    let setup = Setup::start().await;
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
    let authority = setup.with(GatewaySettings { claims: Some(claims), codes, ..gateway() }, setup.provider(None));
    let token_claims = read(&authority, &login(&authority, boss()).await).await;
    assert_eq!(
        (&token_claims["tenant"], &token_claims["n"], &token_claims["fixed"]),
        (&json!("b.kr"), &json!(7), &json!(true))
    );
    assert_eq!(token_claims["by"], json!({"provider": "corp", "mail": "<boss@b.kr>"}), "unknown values are left out");
    assert_eq!(
        (token_claims.get("none"), token_claims.get("email"), &token_claims["sub"]),
        (None, None, &json!("corp|u1"))
    );
    let sms = Proof::Code(proved(Channel::Sms, "01012345678", "+821012345678"));
    let token_claims = read(&authority, &login(&authority, sms).await).await;
    assert_eq!(token_claims["by"], json!({"to": "01012345678"}));
}

#[tokio::test]
async fn configured_claims_have_the_sub_of_the_token_and_that_of_the_provider_at_any_depth() {
    let setup = Setup::start().await;
    let template = json!({
        "x-hasura-user-id": "{sub}", "x-hasura-allowed-roles": ["user", "{method}"], "x-hasura-default-role": "user",
        "x-hasura-google-id": "{provider_sub}", "of": {"claim": "{claims.sub}", "text": "id:{sub}"},
    });
    let claims = vec![("https://hasura.io/jwt/claims".to_owned(), Json::from_value(&template, CLAIMS).unwrap())];
    let authority = setup.with(GatewaySettings { claims: Some(claims), ..gateway() }, setup.provider(None));
    let of_hasura = |claims: Claims| claims["https://hasura.io/jwt/claims"].clone();
    let issued = login(&authority, boss()).await;
    let expected = json!({
        "x-hasura-user-id": "corp|u1", "x-hasura-allowed-roles": ["user", "corp"], "x-hasura-default-role": "user",
        "x-hasura-google-id": "u1", "of": {"claim": "corp|u1", "text": "id:corp|u1"},
    });
    assert_eq!(of_hasura(read(&authority, &issued).await), expected);
    let again = refreshed(&authority, rt(&issued)).await.unwrap();
    assert_eq!(of_hasura(read(&authority, &again).await), expected, "at a refresh too");
    let sms = Proof::Code(proved(Channel::Sms, "01012345678", "+821012345678"));
    let by_code = of_hasura(read(&authority, &login(&authority, sms).await).await);
    let sub = "sms|+821012345678";
    assert_eq!((&by_code["x-hasura-user-id"], by_code.get("x-hasura-google-id")), (&json!(sub), None));
}

#[tokio::test]
async fn only_persons_that_allow_permits_get_tokens() {
    let setup = Setup::start().await;
    let sms = || proved(Channel::Sms, "01012345678", "+821012345678");
    let number = |number: &str| {
        let claims = vec![("phone_number".to_owned(), vec![json!(number)])];
        Some(Allow::Listed { email_domains: vec![], emails: vec![], claims })
    };
    for (allow, proof, expected) in [
        (Some(emails(&["boss@b.kr"])), boss(), "issued"),
        (Some(emails(&["other@b.kr"])), boss(), "not allowed"),
        (None, Proof::Code(ProvedAddress { allow: number("+821012345678"), ..sms() }), "issued"),
        (None, Proof::Code(ProvedAddress { allow: number("+821000000000"), ..sms() }), "not allowed"),
        (None, Proof::Code(ProvedAddress { allow: Some(emails(&["boss@b.kr"])), ..sms() }), "not allowed"),
        (None, Proof::Code(proved(Channel::Email, "a@b.kr", "a@b.kr")), "unsupported"),
    ] {
        let authority = setup.with(gateway(), setup.provider(allow));
        assert_eq!(outcome_of(&authority.issue(proof.clone(), &client_device()).await), expected, "{proof:?}");
    }
    let codes = vec![CodeLogin { channel: Channel::Sms, allow: number("+821000000000") }];
    let authority = setup.with(GatewaySettings { codes, ..gateway() }, vec![]);
    assert_eq!(
        outcome_of(&authority.issue(Proof::Code(sms()), &client_device()).await),
        "not allowed",
        "by the configuration alone"
    );
    let without_subject = Proof::Provider(Box::new(identity(&json!({"email": "a@b.kr"}))));
    assert_eq!(outcome_of(&setup.authority().issue(without_subject, &client_device()).await), "unsupported");
}

#[tokio::test]
async fn a_refresh_rotates_the_token_and_can_be_repeated_within_the_grace_time() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let first = login(&authority, boss()).await;
    setup.advance(10 * MINUTE);
    let expired = authority.read_access_token(first.access_token.expose(), Some(Duration::ZERO)).map(drop);
    assert!(matches!(expired, Err(VerifyError::Expired)));
    let second = refreshed(&authority, rt(&first)).await.unwrap();
    assert_eq!(read(&authority, &second).await["sub"], "corp|u1");
    assert_eq!((second.identity.is_none(), second.id_token.is_none()), (true, true), "the session keeps the old ones");
    assert_ne!(rt(&first), rt(&second));
    setup.advance(MINUTE / 2);
    let again = refreshed(&authority, rt(&first)).await.unwrap();
    let third = refreshed(&authority, rt(&again)).await.unwrap();
    assert_eq!(read(&authority, &third).await["role"], "admin");
}

#[tokio::test]
async fn a_refresh_token_that_is_used_again_after_its_grace_time_ends_the_family() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let first = login(&authority, boss()).await;
    let second = refreshed(&authority, rt(&first)).await.unwrap();
    setup.advance(MINUTE + Duration::from_secs(1));
    let refused = |result: Result<Issued, RefreshError>| result.err() == Some(RefreshError::Refused);
    assert!(refused(refreshed(&authority, rt(&first)).await));
    assert!(refused(refreshed(&authority, rt(&second)).await), "the holder of the newest token must log in again too");
}

#[tokio::test]
async fn permission_and_roles_are_read_anew_at_each_refresh() {
    let setup = Setup::start().await;
    let first = login(&setup.authority(), boss()).await;
    let demoted = setup.with(GatewaySettings { roles: vec![], ..gateway() }, setup.provider(Some(domains(&["b.kr"]))));
    let second = refreshed(&demoted, rt(&first)).await.unwrap();
    assert_eq!(read(&demoted, &second).await["roles"], json!(["user"]));

    for providers in [setup.provider(Some(emails(&["other@b.kr"]))), vec![]] {
        let session = login(&setup.authority(), boss()).await;
        let changed = setup.with(gateway(), providers);
        assert_eq!(refreshed(&changed, rt(&session)).await.err(), Some(RefreshError::Refused));
        let restored = refreshed(&setup.authority(), rt(&session)).await;
        assert_eq!(
            restored.err(),
            Some(RefreshError::Refused),
            "the family has ended also under the old configuration"
        );
    }

    let sms = login(&setup.authority(), Proof::Code(proved(Channel::Sms, "01012345678", "+821012345678"))).await;
    let second = refreshed(&setup.authority(), rt(&sms)).await.unwrap();
    let without = setup.with(GatewaySettings { codes: vec![], ..gateway() }, setup.provider(None));
    assert_eq!(refreshed(&without, rt(&second)).await.err(), Some(RefreshError::Refused));
}

#[tokio::test]
async fn a_login_ends_by_idle_time_and_by_absolute_age() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let idle = login(&authority, boss()).await;
    let mut used = login(&authority, boss()).await;
    for _ in 0..4 {
        setup.advance(20 * DAY);
        used = refreshed(&authority, rt(&used)).await.unwrap();
    }
    assert_eq!(refreshed(&authority, rt(&idle)).await.err(), Some(RefreshError::Refused));
    setup.advance(10 * DAY);
    assert_eq!(refreshed(&authority, rt(&used)).await.err(), Some(RefreshError::Refused));
}

#[tokio::test]
async fn an_access_token_does_not_outlive_its_login() {
    let setup = Setup::start().await;
    let life = |issued: &Issued| {
        let claims = &issued.access_claims.as_ref().unwrap().claims;
        let of = |name: &str| claims[name].as_u64().unwrap();
        (Duration::from_secs(of("exp") - of("iat")), issued.expires_in.unwrap())
    };
    let short = |idle, absolute| setup.with(GatewaySettings { idle, absolute, ..gateway() }, setup.provider(None));
    let idle = login(&short(MINUTE, 90 * DAY), boss()).await;
    assert_eq!(life(&idle), (MINUTE, MINUTE));
    let absolute = short(30 * DAY, 12 * MINUTE);
    let first = login(&absolute, boss()).await;
    assert_eq!(life(&first), (10 * MINUTE, 10 * MINUTE));
    setup.advance(8 * MINUTE);
    let (stated, expires_in) = life(&refreshed(&absolute, rt(&first)).await.unwrap());
    assert!(stated <= 4 * MINUTE && expires_in <= 4 * MINUTE && expires_in > 3 * MINUTE, "{stated:?} {expires_in:?}");
}

#[tokio::test]
async fn a_sign_out_ends_only_the_family_of_its_refresh_token() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let (ended, other) = (login(&authority, boss()).await, login(&authority, boss()).await);
    let request = |token| SignOutRequest { refresh_token: token, access_token: None, provider: "corp" };
    assert_eq!(authority.sign_out(request(Some(rt(&ended))), &client_device()).await, SignedOut::Confirmed);
    assert_eq!(refreshed(&authority, rt(&ended)).await.err(), Some(RefreshError::Refused));
    assert!(refreshed(&authority, rt(&other)).await.is_ok());
    assert_eq!(authority.sign_out(request(None), &client_device()).await, SignedOut::NothingToDo);
    let foreign = RefreshToken::new("rt0");
    assert_eq!(authority.sign_out(request(Some(&foreign)), &client_device()).await, SignedOut::NothingToDo);
}

#[tokio::test]
async fn tokens_that_the_gateway_did_not_make_are_refused() {
    let setup = Setup::start().await;
    let authority = setup.authority();
    let issued = login(&authority, boss()).await;
    let mut truncated = rt(&issued).expose().to_owned();
    truncated.pop();
    let other_ring = KeyRing::new(&[SealKey([9; 32].into())], Random::system());
    let refresh = OwnRefresh { family: FamilyId([1; 16]), generation: 0, logged_in_at: setup.deps.clock.now() };
    let never_begun = setup.deps.ring.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
    let other_purpose = setup.deps.ring.seal(Purpose::Refresh, &refresh.to_bytes(), |_| 1);
    let other_key = other_ring.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
    for token in ["", "rt0", &truncated, &never_begun, &other_purpose, &other_key] {
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
        let token = setup.deps.signer.sign(typ, &claims);
        let read = authority.read_access_token(&token, Some(Duration::ZERO)).map(drop);
        assert!(matches!(read, Err(VerifyError::Invalid)), "{typ} {claims}");
    }
}

/// Families in a store that fails with this error.
struct FailingFamilies(fn() -> StoreError);

impl Families for FailingFamilies {
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
async fn while_the_store_fails_no_login_succeeds_and_no_session_ends() {
    let mut setup = Setup::start().await;
    let issued = login(&setup.authority(), boss()).await;
    let good = setup.deps.store.families.clone();
    for (error, expected) in [
        ((|| StoreError::Unavailable("gone".to_owned())) as fn() -> StoreError, RefreshError::Unsent),
        (|| StoreError::Full, RefreshError::Failed { retry_after: None }),
    ] {
        setup.deps.store.families = Arc::new(FailingFamilies(error));
        let authority = setup.authority();
        assert_eq!(outcome_of(&authority.issue(boss(), &client_device()).await), "unavailable");
        assert_eq!(refreshed(&authority, rt(&issued)).await.err(), Some(expected));
        let request = SignOutRequest { refresh_token: Some(rt(&issued)), access_token: None, provider: "corp" };
        assert_eq!(authority.sign_out(request, &client_device()).await, SignedOut::NotConfirmed);
    }
    setup.deps.store.families = good;
    assert!(refreshed(&setup.authority(), rt(&issued)).await.is_ok());
}
