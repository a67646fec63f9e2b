//! The paths and methods of the gateway's own endpoints.

use super::{
    super::own_table::{OwnFound, OwnTable, all_rows},
    *,
};
use crate::channel::Channel;

fn own(credentials: bool) -> OwnSettings {
    OwnSettings {
        base_path: "/api/auth".into(),
        providers: vec!["google".into(), "corp".into(), "sms".into()],
        credentials,
        codes: vec![],
        auth_js: false,
        dev_pages: DevPages::None,
    }
}

#[test]
fn only_dev_and_demo_have_routes_below_base_path_and_at_their_own_path_alone() {
    let table = |dev_pages| {
        let routes = vec![settings(1, &[], &[], "/api/auth/dev/{*rest}")];
        Table::build(routes, OwnSettings { dev_pages, ..own(true) }, &SharedTargets::default())
    };
    assert!(matches!(table(DevPages::None).unwrap_err()[..], [Conflict::UnderBasePath { .. }]));
    let table = table(DevPages::Routed).unwrap();
    for (path, is_routed) in [
        ("/api/auth/dev", true),
        ("/api/auth/dev/id/authorize", true),
        ("/api/auth/device", false),
        ("/api/auth", false),
        ("/api/auth/x/dev", false),
    ] {
        let found = table.find(&Method::GET, "app.example", path);
        assert_eq!(matches!(found, TableMatch::Route(_)), is_routed, "{path}: {found:?}");
    }
}

#[test]
fn only_configured_channels_have_endpoints_for_codes() {
    let all = OwnSettings { codes: vec![(Channel::Sms, HasPage::No), (Channel::Email, HasPage::Yes)], ..own(true) };
    let sms = OwnSettings { codes: vec![(Channel::Sms, HasPage::Yes)], ..own(true) };
    let (phone, mail) = (Channel::Sms, Channel::Email);
    for (own, method, path, expected) in [
        (&all, "POST", "/sms/send", format!("Own({:?})", OwnEndpoint::SendCode(phone))),
        (&all, "POST", "/sms/resend", format!("Own({:?})", OwnEndpoint::ResendCode(phone))),
        (&all, "POST", "/sms/verify", format!("Own({:?})", OwnEndpoint::VerifyCode(phone))),
        (&all, "POST", "/email/verify", format!("Own({:?})", OwnEndpoint::VerifyCode(mail))),
        (&all, "GET", "/login/email", format!("Own({:?})", OwnEndpoint::CodePage(mail))),
        (&all, "HEAD", "/login/email", format!("Own({:?})", OwnEndpoint::CodePage(mail))),
        (&all, "POST", "/login/email", "WrongMethod(\"GET, HEAD\")".to_owned()),
        (&all, "GET", "/sms/send", "WrongMethod(\"POST\")".to_owned()),
        (&all, "GET", "/login/sms", "None".to_owned()),
        (&all, "POST", "/sms", "None".to_owned()),
        (&all, "POST", "/sms/", "None".to_owned()),
        (&all, "POST", "/sms/send/", "None".to_owned()),
        (&all, "POST", "/sms/nonce", "None".to_owned()),
        (&all, "POST", "/SMS/send", "None".to_owned()),
        (&sms, "POST", "/email/send", "None".to_owned()),
        (&sms, "GET", "/login/email", "None".to_owned()),
        (&sms, "GET", "/login/sms", format!("Own({:?})", OwnEndpoint::CodePage(phone))),
    ] {
        let path = format!("/api/auth{path}");
        assert_eq!(found(own, method, &path).as_deref(), Some(expected.as_str()), "{method} {path}");
    }
}

/// The result for a request; `None`: the path is not the gateway's.
fn found(own: &OwnSettings, method: &str, path: &str) -> Option<String> {
    let table = OwnTable::new(own.clone());
    Some(match table.find(&method.parse().unwrap(), path)? {
        OwnFound::Endpoint(OwnMatch { service: OwnService::Call { endpoint, .. }, .. }) => format!("Own({endpoint:?})"),
        OwnFound::Endpoint(OwnMatch { service: OwnService::PublicKeys, .. }) => "Own(PublicKeys)".to_owned(),
        OwnFound::WrongMethod(allow) => format!("WrongMethod({allow:?})"),
        OwnFound::NoEndpoint => "None".to_owned(),
    })
}

#[test]
fn each_endpoint_has_its_method_and_path() {
    let own = own(true);
    let google = ProviderIndex(0);
    let corp = ProviderIndex(1);
    for (method, path, endpoint) in [
        ("GET", "/login", OwnEndpoint::LoginPage),
        ("HEAD", "/login", OwnEndpoint::LoginPage),
        ("POST", "/login", OwnEndpoint::Credentials),
        ("GET", "/login/google", OwnEndpoint::Start(google)),
        ("GET", "/callback/corp", OwnEndpoint::Callback(corp)),
        ("POST", "/callback/corp", OwnEndpoint::Callback(corp)),
        ("POST", "/google", OwnEndpoint::IdToken(google)),
        ("POST", "/google/nonce", OwnEndpoint::Nonce(google)),
        ("POST", "/refresh", OwnEndpoint::Refresh),
        ("GET", "/session", OwnEndpoint::Session),
        ("POST", "/logout", OwnEndpoint::Logout),
        ("GET", "/assets/page.js", OwnEndpoint::Script),
        ("HEAD", "/assets/logo", OwnEndpoint::Logo),
    ] {
        let path = format!("/api/auth{path}");
        assert_eq!(found(&own, method, &path), Some(format!("Own({endpoint:?})")), "{method} {path}");
    }
}

#[test]
fn the_public_keys_are_at_the_root() {
    let own = own(true);
    for method in ["GET", "HEAD"] {
        assert_eq!(found(&own, method, JWKS_PATH).as_deref(), Some("Own(PublicKeys)"), "{method}");
    }
    assert_eq!(found(&own, "POST", JWKS_PATH).as_deref(), Some("WrongMethod(\"GET, HEAD\")"));
    for path in ["/.well-known", "/.well-known/jwks.json/", "/.well-known/JWKS.json", "/x/.well-known/jwks.json"] {
        assert_eq!(found(&own, "GET", path), None, "{path}");
    }
}

#[test]
fn a_wrong_method_is_answered_with_the_methods_of_the_path() {
    for (credentials, method, path, allow) in [
        (true, "PUT", "/login", "GET, HEAD, POST"),
        (false, "POST", "/login", "GET, HEAD"),
        (true, "POST", "/login/google", "GET, HEAD"),
        (true, "HEAD", "/callback/google", "GET, POST"),
        (true, "GET", "/google", "POST"),
        (true, "GET", "/google/nonce", "POST"),
        (true, "GET", "/refresh", "POST"),
        (true, "OPTIONS", "/session", "GET, HEAD"),
        (true, "GET", "/logout", "POST"),
    ] {
        let path = format!("/api/auth{path}");
        assert_eq!(found(&own(credentials), method, &path), Some(format!("WrongMethod({allow:?})")), "{method} {path}");
    }
}

#[test]
fn the_gateway_owns_everything_below_base_path_and_nothing_else() {
    let own = own(true);
    for path in [
        "",
        "/",
        "/x",
        "/login/",
        "/login/x",
        "/login/google/",
        "/callback",
        "/callback/x",
        "/nonce",
        "/google/x",
        "/google/nonce/x",
        "//login",
        "/sms",
        "/sms/send",
        "/Login",
        "/devices",
    ] {
        assert_eq!(found(&own, "POST", &format!("/api/auth{path}")).as_deref(), Some("None"), "{path}");
    }
    for path in
        ["/", "/api", "/api/authx", "/api/authentication/login", "/API/auth/login", "/auth/login", "/x/api/auth/login"]
    {
        assert_eq!(found(&own, "POST", path), None, "{path}");
    }
}

#[test]
fn no_two_rows_have_the_same_method_at_the_same_path() {
    let own = OwnSettings {
        codes: vec![(Channel::Sms, HasPage::Yes), (Channel::Email, HasPage::Yes)],
        providers: vec!["google".into()],
        auth_js: true,
        ..own(true)
    };
    let mut seen = std::collections::HashSet::new();
    for row in all_rows() {
        let (OwnPath::BelowBasePath(path) | OwnPath::AtRoot(path)) = row.path;
        let placeholder = match row.served_by {
            ServedBy::One(_) => None,
            ServedBy::EachProvider(_) => Some(("{provider}", "google")),
            ServedBy::EachChannel(_) => Some(("{channel}", "sms")),
        };
        assert_eq!(path.contains('{'), placeholder.is_some(), "{path}");
        let path = placeholder.map_or(path.to_owned(), |(name, value)| path.replace(name, value));
        assert!(!path.contains('{'), "{path}");
        let path = if matches!(row.path, OwnPath::AtRoot(_)) { path } else { format!("/api/auth{path}") };
        for method in ["GET", "HEAD", "POST"].into_iter().filter(|m| row.methods.contain(&m.parse().unwrap())) {
            assert!(seen.insert((method, path.clone())), "{method} {path}");
            assert!(found(&own, method, &path).is_some_and(|found| found.starts_with("Own(")), "{method} {path}");
        }
    }
}
