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
    assert_eq!((settings.label.as_deref(), settings.scopes), (Some("GitHub"), vec!["user:email".to_owned()]));
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
    assert_eq!((corp.token_auth, corp.pkce, corp.token_params.len()), (TokenAuth::Basic, false, 1));
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
