//! `[authority]` and `[signing]` in whole files.

use super::*;

#[test]
fn a_session_keeps_the_claims_that_headers_and_its_refresh_ask_for() {
    let text = BACKEND
        .replace("\"{refresh_token}\" }", "\"{refresh_token}\", a = [{ b = \"{claims.tenant}\", c = \"is {claims.unit}\" }] }\nheaders = { x-t = \"{claims.tier}\" }")
        .replace("access = \"user\"", "headers = { set = { x-id = \"{claims.sub}\" } }");
    assert_eq!(read(&text).unwrap().config.session.template_claims, ["sub", "tenant", "tier", "unit"]);
}

#[test]
fn authority_gateway_has_defaults_from_public_url_and_session() {
    let Loaded { config, warnings } = read(GATEWAY).unwrap_or_else(|complaints| panic!("{complaints}"));
    assert_eq!(
        printed(&warnings),
        "7:8 the gateway's own refresh tokens are in `store.kind = \"memory\"`: a restart ends every session → write `[store]` with a `kind` that outlives the process\n"
    );
    let AuthorityKind::Gateway(gateway) = &config.authority.kind else { panic!("{:?}", config.authority.kind) };
    assert_eq!((&*gateway.issuer, &*gateway.audience), ("https://app.example", "https://app.example"));
    assert_eq!((gateway.access_token_lifetime, &*gateway.default_role), (Duration::from_mins(10), "user"));
    assert_eq!((gateway.idle, gateway.refresh_grace), (config.session.idle, config.session.refresh_grace));
    assert!(gateway.claims.is_none());
    let emails = vec!["boss@example.com".to_owned()];
    let boss = Allow::Listed { email_domains: vec![], emails, claims: vec![] };
    assert_eq!(gateway.roles, [("admin".to_owned(), boss)]);
    let claims = vec![("phone_number".to_owned(), vec!["+821012345678".into()])];
    let allow = Some(Allow::Listed { email_domains: vec![], emails: vec![], claims });
    assert_eq!(gateway.codes, [CodeLogin { channel: Channel::Sms, allow }]);
    assert_eq!(config.upstreams[0].bearer, Bearer::Access);
    assert_eq!(config.providers[0].authorize_params, [], "the provider's refresh token is of no use");
    assert_eq!((config.signing.len(), config.signing_keys().len()), (0, 1));
    let more = GATEWAY
        .replace("roles.admin", "issuer = \"i\"\naudience = \"a\"\naccess_token_lifetime = \"5m\"\ndefault_role = \"guest\"\nclaims = { mail = \"{claims.email}\", by = { name = \"{provider}\" } }\nroles.admin")
        .replace("[session]", "[session]\nseal = false");
    let config = read(&more).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let AuthorityKind::Gateway(gateway) = config.authority.kind else { panic!("a gateway") };
    assert_eq!((&*gateway.issuer, &*gateway.audience, &*gateway.default_role), ("i", "a", "guest"));
    assert_eq!(gateway.claims.unwrap()[0], ("mail".to_owned(), Json::Value(Placeholder::Claim("email".into()))));
}

#[test]
fn empty_issuers_audiences_and_roles_are_complaints_and_long_access_tokens_are_warned_of() {
    for (line, expected) in [
        ("issuer = \"\"", "`issuer` is empty"),
        ("audience = \" \"", "`audience` is empty"),
        ("default_role = \"\"", "`default_role` is empty"),
        ("roles.\"\" = { emails = [\"a@b.kr\"] }", "a role needs a name"),
    ] {
        let text = GATEWAY.replace("[authority.gateway]", &format!("[authority.gateway]\n{line}"));
        let printed = printed(&read(&text).unwrap_err().errors);
        assert!(printed.contains(expected) && printed.lines().count() == 1, "{line}\n{printed}");
    }
    let warned = |line: &str| {
        let text = GATEWAY.replace("[authority.gateway]", &format!("[authority.gateway]\n{line}"));
        printed(&read(&text).unwrap().warnings).contains("9:25 an access token cannot be called back")
    };
    assert!(warned("access_token_lifetime = \"25h\"") && !warned("access_token_lifetime = \"24h\""));
}

#[test]
fn bearer_id_without_an_openid_provider_is_warned_of() {
    let text = GATEWAY.replace("[[routes]]", "bearer = \"id\"\n[[routes]]");
    assert!(!printed(&read(&text).unwrap().warnings).contains("no provider here gives ID tokens"));
    let google = "[providers.google]\nclient_id = \"id\"\nallow = \"anyone\"\n";
    let github = google.replace("google]", "github]\nkind = \"oauth2\"\nclient_secret = \"env:SECRET\"");
    for providers in [github.as_str(), ""] {
        let printed = printed(&read(&text.replace(google, providers)).unwrap().warnings);
        assert!(printed.contains("the upstream `api` gets no token: no provider here gives ID tokens"), "{printed}");
    }
}

#[test]
fn calls_after_logins_carry_an_assertion_and_no_client_can_make_them() {
    let exchange = "[authority.exchange]\npath = \"/social\"\njson = { p = \"{profile}\" }\n[authority.otp]\npath = \"/auth/otp\"\n[authority.refresh]";
    let text = BACKEND
        .replace("[authority.refresh]", exchange)
        .replace("[upstreams", "[providers.google]\nclient_id = \"x\"\n[otp.sms]\npurpose = \"login\"\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[upstreams");
    let config = read(&text).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let own_calls = config.own_calls();
    assert!(["/social", "/auth/otp", "/auth/login"].iter().all(|path| own_calls.include(
        0,
        &http::Method::POST,
        &LaxPath::new(path)
    )));
    let backend = |text: &str| match read(text).unwrap().config.authority.kind {
        AuthorityKind::Backend(backend) => backend,
        other => panic!("{other:?}"),
    };
    assert_eq!(backend(&text).otp.unwrap().assertion, Some("otp.login"));
    assert_eq!(backend(&text).exchange.unwrap().assertion, Some("exchange"));
    assert_eq!(backend(&text).refresh.unwrap().assertion, None);
    let proved = text.replace("\"{profile}\"", "[\"{profile}\", \"{id_token}\"]");
    assert_eq!(backend(&proved).exchange.unwrap().assertion, Some("exchange"), "a provider may have no ID token");

    let notify = "[login.notify]\nupstream = \"api\"\npath = \"/joined\"\njson = { who = \"{profile}\", to = \"{address_e164}\" }\n[upstreams";
    let config =
        read(&GATEWAY.replace("[upstreams", notify)).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    assert!(config.own_calls().include(0, &http::Method::POST, &LaxPath::new("/joined")));
    assert_eq!(config.authority.notify.unwrap().assertion, Some("login.notify"));
}

#[test]
fn signing_keys_are_read_and_tested() {
    let folder = tempfile::tempdir().unwrap();
    let pem = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let generate = crate::signing::SigningKey::generate;
    pem("a.pem", generate(crate::signing::SigningAlgorithm::Es256).expose());
    pem("b.pem", generate(crate::signing::SigningAlgorithm::Ed25519).expose());
    pem("p384.pem", &rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem());
    pem("public.pem", &rcgen::KeyPair::generate().unwrap().public_key_pem());
    let read = |keys: &str| {
        let text = BACKEND.replace("[session]", &format!("[signing]\nkeys = [{keys}]\n[session]"));
        parse(&text, "gateway.toml", folder.path(), &environment(&[]), &Random::system())
    };
    let config = read("\"file:a.pem\", \"file:b.pem\"").unwrap_or_else(|complaints| panic!("{complaints}")).config;
    assert_eq!(config.signing_keys().iter().map(|key| key.id().len()).collect::<Vec<_>>(), [43, 43]);
    let wrong = |keys: &str| printed(&read(keys).unwrap_err().errors);
    let good_one = "`vestibule keygen --signing` prints a good one\n";
    assert_eq!(
        wrong("\"file:a.pem\", \"file:a.pem\", \"file:p384.pem\", \"file:public.pem\", \"env:SECRET\""),
        format!(
            "5:23 this key is listed twice → leave one of the two out\n\
             5:37 this is neither a P-256 nor an Ed25519 key → {good_one}\
             5:54 this is not a private key in PKCS#8 PEM → it begins with `-----BEGIN PRIVATE KEY-----`; {good_one}\
             5:73 this is not a private key in PKCS#8 PEM → it begins with `-----BEGIN PRIVATE KEY-----`; {good_one}"
        )
    );
    assert_eq!(
        wrong(""),
        "5:8 without a key nothing can be signed → leave it out for keys that are derived from `session.keys`\n"
    );
}
