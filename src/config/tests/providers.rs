//! `[providers.NAME]` in whole files.

use super::*;

#[test]
fn a_provider_whose_refresh_token_is_needed_is_asked_for_consent() {
    let corp = "[providers.corp]\nissuer = \"https://id.example\"\nclient_id = \"x\"\nallow = \"anyone\"\n";
    let offline = "scopes = [\"openid\", \"offline_access\"]\n";
    let params = |base: &str, of_provider: &str| {
        let text = base.replace("[upstreams", &format!("{corp}{of_provider}[upstreams"));
        read(&text).unwrap().config.providers.pop().unwrap().authorize_params
    };
    let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(params(SMALLEST, ""), []);
    assert_eq!(params(SMALLEST, offline), [param("prompt", "consent")]);
    let with = |own: &str| params(SMALLEST, &format!("{offline}authorize_params = {own}\n"));
    assert_eq!(with("{ prompt = \"login\" }"), [param("prompt", "login")]);
    assert_eq!(with("{ hd = \"corp\" }"), [param("prompt", "consent"), param("hd", "corp")]);
    let exchanged =
        BACKEND.replace("[authority.refresh]", "[authority.exchange]\npath = \"/exchange\"\n[authority.refresh]");
    assert_eq!(params(&exchanged, offline), []);
}

#[test]
fn oauth2_providers_are_known_by_name_or_described() {
    let read = |provider: &str| {
        let text = SMALLEST.replace("[upstreams", &format!("{provider}[upstreams"));
        let Loaded { mut config, warnings } = read(&text).unwrap_or_else(|complaints| panic!("{complaints}"));
        let settings = config.providers.pop().unwrap();
        let oidc::ProviderKind::OAuth2(oauth2) = settings.kind.clone() else { panic!("{provider}") };
        (settings, *oauth2, printed(&warnings))
    };
    let named = |name: &str, more: &str| {
        read(&format!(
            "[providers.{name}]\nkind = \"oauth2\"\nclient_id = \"x\"\nclient_secret = \"env:SECRET\"\n{more}"
        ))
    };
    let (settings, github, _) = named("github", "");
    assert_eq!((settings.preset, settings.issuer.as_str()), (Preset::GitHub, "https://github.com/"));
    assert_eq!((settings.label, settings.scopes), (None, vec!["user:email".to_owned()]));
    assert_eq!((github.token_auth, github.pkce, github.issuer_is_given), (TokenAuth::Post, true, false));
    assert_eq!(github.profile.emails_url.unwrap().as_str(), "https://api.github.com/user/emails");
    let (_, own, _) = named("github", "profile = { url = \"https://ghe.example/api/v3/user\" }\n");
    assert_eq!((own.profile.subject.as_str(), own.profile.emails_url), ("/id", None), "no token for another address");

    let (settings, naver, _) = named("naver", "authorize_params = { auth_type = \"reprompt\" }\n");
    assert_eq!((settings.preset, settings.scopes.len(), settings.authorize_params.len()), (Preset::Naver, 0, 1));
    let success = Some(oidc::ProfileSuccess { pointer: "/resultcode".to_owned(), equals: "00".to_owned() });
    assert_eq!((naver.profile.success, naver.profile.email_verified.len()), (success, 0));
    let (_, kakao, _) = named("kakao", "");
    assert_eq!(kakao.profile.email_verified.len(), 2);
    let (_, kakao, _) = named("kakao", "profile = { email = \"/kakao_account/other\" }\n");
    assert!(kakao.profile.email_verified.is_empty(), "a flag of one address is not used for another");

    let (settings, corp, warnings) = named(
        "corp",
        r#"issuer = "https://id.example/x"
authorize_url = "https://id.example:8443/authorize?tenant=1"
token_url = "http://id.example/token"
revoke_url = "https://id.example/revoke"
token_auth = "basic"
token_params = { audience = "api" }
pkce = false
scopes = ["openid", "me"]
profile = { url = "https://id.example/me", subject = "/id", email_verified = "/ok", headers = { X-A = "1" }, success = { pointer = "/code", equals = 0 } }
"#,
    );
    assert_eq!((settings.issuer.as_str(), corp.issuer_is_given), ("https://id.example/x", true));
    assert_eq!((corp.token_auth, corp.pkce, settings.token_params.len()), (TokenAuth::Basic, false, 1));
    assert_eq!(corp.profile.success.unwrap().equals, "0");
    assert_eq!((corp.profile.headers[0].0.as_str(), corp.profile.email), ("x-a", None));
    assert!(warnings.contains("what a provider says by http can be replaced on the way"), "{warnings}");
    assert!(warnings.contains("`openid` asks for an ID token"), "{warnings}");
    let (settings, ..) = named(
        "corp",
        "authorize_url = \"https://id.example:8443/a\"\ntoken_url = \"https://id.example/t\"\nprofile = { url = \"https://id.example/me\", subject = \"/id\" }\n",
    );
    assert_eq!(settings.issuer.as_str(), "https://id.example:8443/");
}

#[test]
fn allow_is_read_with_domains_in_lower_case_and_claims_of_every_type() {
    let text = SMALLEST.replace(
        "[upstreams",
        "allow = { email_domains = [\"@Example.COM\"], claims = { dep = [\"a\", 1], ok = true } }\n[upstreams",
    );
    let allow = read(&text).unwrap().config.providers.remove(0).allow.unwrap();
    let claims = vec![("dep".to_owned(), vec!["a".into(), 1.into()]), ("ok".to_owned(), vec![true.into()])];
    assert_eq!(allow, Allow::Listed { email_domains: vec!["example.com".into()], emails: vec![], claims });
    let text = SMALLEST.replace("[upstreams", "allow = \"anyone\"\n[upstreams");
    assert_eq!(read(&text).unwrap().config.providers[0].allow, Some(Allow::Anyone));
}

#[test]
fn addresses_parameters_tenants_and_labels_of_an_openid_provider_are_read() {
    let provider = |more: &str| {
        let corp = format!("[providers.corp]\nissuer = \"https://id.example\"\nclient_id = \"x\"\n{more}");
        let text = SMALLEST.replace("[upstreams", &format!("{corp}[upstreams"));
        let loaded = read(&text).unwrap_or_else(|complaints| panic!("{complaints}"));
        (loaded.config.providers.into_iter().find(|p| p.name == "corp").unwrap(), printed(&loaded.warnings))
    };
    let (settings, warnings) = provider(
        r#"discovery_url = "http://keycloak:8080/realms/x/.well-known/openid-configuration"
authorize_url = "https://id.example/a"
token_url = "http://keycloak:8080/t"
jwks_url = "http://keycloak:8080/k"
userinfo_url = "http://keycloak:8080/u"
revoke_url = "http://keycloak:8080/r"
token_params = { audience = "api" }
refresh_params = { scope = "api://x/use" }
tenants = ["9188040d-6c67-4c5b-b112-36a304b66dad"]
label = { ko = " 사내 계정 ", en = "Staff" }
allow = "anyone"
"#,
    );
    let oidc::Addresses { discovery, authorize, token, jwks, userinfo, revoke } = settings.addresses;
    for (address, expected) in [
        (discovery, "http://keycloak:8080/realms/x/.well-known/openid-configuration"),
        (authorize, "https://id.example/a"),
        (token, "http://keycloak:8080/t"),
        (jwks, "http://keycloak:8080/k"),
        (userinfo, "http://keycloak:8080/u"),
        (revoke, "http://keycloak:8080/r"),
    ] {
        assert_eq!(address.unwrap().as_str(), expected);
    }
    assert!(warnings.contains("by http can be replaced"), "{warnings}");
    let param = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(
        (settings.token_params, settings.refresh_params),
        (param("audience", "api"), param("scope", "api://x/use"))
    );
    assert_eq!(settings.tenants, oidc::Tenants::Listed(vec!["9188040d-6c67-4c5b-b112-36a304b66dad".to_owned()]));
    let label = settings.label.unwrap();
    assert_eq!((label.korean.as_str(), label.english.as_str()), ("사내 계정", "Staff"));

    let (settings, _) = provider("allow = \"anyone\"\nlabel = \"Corp\"\n");
    assert_eq!(settings.tenants, oidc::Tenants::Any, "`allow = \"anyone\"` without tenants takes all");
    let label = settings.label.unwrap();
    assert_eq!((label.korean.as_str(), label.english.as_str()), ("Corp", "Corp"));
    let (settings, _) = provider("allow = { email_domains = [\"a.kr\"] }\nlabel = { en = \"Corp\" }\n");
    assert_eq!(settings.tenants, oidc::Tenants::Listed(vec![]));
    assert_eq!(settings.label.unwrap().korean, "Corp", "one language serves both");
    let (settings, _) = provider("");
    assert_eq!((settings.tenants, settings.label), (oidc::Tenants::Listed(vec![]), None));
}

/// A certificate in PEM: its own issuer, or signed by `by`.
fn certificate(
    change: impl FnOnce(&mut rcgen::CertificateParams),
    by: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
) -> (String, rcgen::KeyPair, rcgen::CertificateParams) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["id.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, if by.is_some() { "id.example" } else { "Corp" });
    change(&mut params);
    let made = match by {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (made.pem(), key, params)
}

#[test]
fn a_ca_that_is_none_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let is_authority = |params: &mut rcgen::CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    let (authority, key, params) = certificate(is_authority, None);
    let key_pem = key.serialize_pem();
    let issuer = rcgen::Issuer::new(params, key);
    let (leaf, ..) = certificate(|_| {}, Some(&issuer));
    let (own, ..) = certificate(|_| {}, None);
    let (expired, ..) = certificate(
        |params| {
            is_authority(params);
            params.not_before = rcgen::date_time_ymd(1999, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 2, 3);
        },
        None,
    );
    let told = |text: &str| {
        let path = folder.path().join("ca.pem");
        fs::write(&path, text).unwrap();
        let corp = format!(
            "[providers.corp]\nissuer = \"https://id.example\"\nclient_id = \"x\"\nca = \"file:{}\"\n",
            path.display()
        );
        match read(&SMALLEST.replace("[upstreams", &format!("{corp}[upstreams"))) {
            Ok(loaded) => {
                let count = loaded.config.providers.iter().find_map(|p| p.ca.as_ref()).map_or(0, Vec::len);
                format!("{count} {}", printed(&loaded.warnings))
            }
            Err(complaints) => printed(&complaints.errors),
        }
    };
    for (text, expected) in [
        (authority.clone(), "1 "),
        (format!("# the company's\n{authority}{authority}"), "2 "),
        (format!("\u{feff}{}", authority.replace('\n', "\r\n")), "1 "),
        (own, "1 4:2"),
        (leaf.clone(), "11:6 this certificate is a server's, not an authority's"),
        (format!("{authority}{leaf}"), "11:6 certificate 2 in this file is a server's, not an authority's"),
        (expired, "11:6 this certificate has expired on 03 Feb 2001"),
        (key_pem, "11:6 this is a private key, not a certificate"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
            "11:6 this is a private key, not a certificate",
        ),
        (rcgen::KeyPair::generate().unwrap().public_key_pem(), "11:6 this is a public key, not a certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "11:6 there is no certificate in this file",
        ),
        ("nonsense".to_owned(), "11:6 there is no certificate in this file"),
    ] {
        let told = told(&text);
        assert!(told.starts_with(expected), "{expected}: {told}");
        assert_eq!(
            told.contains("this certificate is a server's own, not an authority's"),
            expected == "1 4:2",
            "{told}"
        );
    }
    for (empty, expected) in [
        (" \n", "11:6 this file is empty → the file holds the authority's certificate in PEM"),
        ("", "is empty → write the value into it\n"),
        ("\u{feff}\r\n", "is empty → write the value into it\n"),
    ] {
        let told = told(empty);
        assert!(told.contains(expected), "{told}");
    }
    let named = SMALLEST.replace("[upstreams", "ca = \"corp.pem\"\n[upstreams");
    let Err(complaints) = read(&named) else { panic!("the name of a file is no certificate") };
    assert!(printed(&complaints.errors).contains("write `ca = \"file:PATH\"`"));
}
