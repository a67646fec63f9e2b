//! Values and secrets from the environment, and secrets that complaints must not show.

use super::*;

#[test]
fn the_environment_sets_single_values() {
    let config = read_with(
        SMALLEST,
        &[
            ("VESTIBULE_SERVER__LISTEN", "127.0.0.1:9000"),
            ("VESTIBULE_SERVER__ADMIN_LISTEN", "127.0.0.1:9001"),
            ("VESTIBULE_SERVER__PROXY_PROTOCOL", "false"),
            ("VESTIBULE_TELEMETRY__LOG__FORMAT", "text"),
            ("VESTIBULE_PROVIDERS__GOOGLE__CLIENT_ID", "another"),
            ("VESTIBULE_UPSTREAMS__APP__BEARER", "id"),
            ("VESTIBULE_KEY", "not a setting"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap()
    .config;
    assert_eq!(config.listen.listen, "127.0.0.1:9000".parse::<SocketAddr>().unwrap());
    assert_eq!(config.listen.admin_listen, Some("127.0.0.1:9001".parse().unwrap()));
    assert_eq!(config.telemetry.format, crate::telemetry::Format::Text);
    assert_eq!(config.providers[0].client_id, "another");
    assert_eq!(config.upstreams[0].bearer, Bearer::Id);
}

#[test]
fn the_environment_sets_lists_with_commas_between_their_elements() {
    let config = read_with(
        SMALLEST,
        &[
            ("VESTIBULE_UPSTREAMS__APP__TARGETS", "http://10.0.0.1:3000, http://10.0.0.2:3000"),
            ("VESTIBULE_SERVER__HOSTS", "b.example"),
            ("VESTIBULE_SESSION__KEYS", "env:KEY"),
            ("VESTIBULE_SESSION__EXPOSE_CLAIMS", " "),
            ("VESTIBULE_PROVIDERS__GOOGLE__SCOPES", "openid,email"),
        ],
    )
    .unwrap()
    .config;
    assert_eq!(config.upstreams[0].targets.len(), 2);
    assert_eq!(config.hygiene.hosts, ["b.example"]);
    assert!(!config.session.key_was_made);
    assert_eq!(config.session.expose_claims, [""; 0]);
    assert_eq!(config.providers[0].scopes, ["openid", "email"]);
}

#[test]
fn a_setting_of_the_environment_that_is_wrong_is_complained_about() {
    let complaints = read_with(
        SMALLEST,
        &[
            ("VESTIBULE_SERVER__LISTN", "x"),
            ("VESTIBULE_SERVER__LISTEN", "x"),
            ("VESTIBULE_SERVER__HOSTS", "x.example, *.example"),
            ("VESTIBULE_SERVER__HOSTS__0", "x.example"),
            ("VESTIBULE_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,,x"),
            ("VESTIBULE_PROVIDERS__GOOGLE__TOKEN_PARAMS", "x"),
            ("VESTIBULE_UPSTREAMS__APP__TARGETS", ""),
            ("VESTIBULE_SESSION__SEAL", "maybe"),
            ("VESTIBULE_PROVIDERS__KAKAO__CLIENT_ID", "x"),
            ("VESTIBULE_VERIFY__CONNECTIONS", "3"),
            ("VESTIBULE_SERVER__LISTEN__PORT", "3"),
        ],
    )
    .unwrap_err();
    let errors: Vec<_> = complaints.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "error: VESTIBULE_PROVIDERS__GOOGLE__TOKEN_PARAMS: sets no key\n |\n = help: `token_params` is neither a single value nor a list of such: write it in the file",
            "error: VESTIBULE_PROVIDERS__KAKAO__CLIENT_ID: sets no key\n |\n = help: the file has no `[providers.kakao]`",
            "error: VESTIBULE_SERVER__HOSTS__0: sets no key\n |\n = help: `hosts` has no keys of its own",
            "error: VESTIBULE_SERVER__LISTEN__PORT: sets no key\n |\n = help: `listen` has no keys of its own",
            "error: VESTIBULE_SERVER__LISTN: sets no key\n |\n = help: did you mean `VESTIBULE_SERVER__LISTEN`?",
            "error: VESTIBULE_VERIFY__CONNECTIONS: sets no key\n |\n = help: `verify` is not available yet in this version",
            "error: VESTIBULE_SERVER__LISTEN: `listen` must be an address with a port, not `x`\n |\n = help: write an IP address and a port, e.g. \"0.0.0.0:8080\" or \"[::1]:8080\"",
            "error: VESTIBULE_SERVER__HOSTS: `hosts` must be a host, not `*.example`\n |\n = help: there are no wildcards in hosts yet: list each host; without `hosts` a route is for every accepted host",
            "error: VESTIBULE_SERVER__TRUSTED_PROXIES: `trusted_proxies` must be an address or a network, not ``\n |\n = help: write \"10.0.0.7\" or \"10.0.0.0/8\"",
            "error: VESTIBULE_SERVER__TRUSTED_PROXIES: `trusted_proxies` must be an address or a network, not `x`\n |\n = help: write \"10.0.0.7\" or \"10.0.0.0/8\"",
            "error: VESTIBULE_SESSION__SEAL: `seal` must be true or false, not the text `maybe`\n |\n = help: write `seal = true` or `seal = false`, without quotes",
            "error: VESTIBULE_UPSTREAMS__APP__TARGETS: an upstream needs a target\n |\n = help: write `targets = [\"http://127.0.0.1:3000\"]`",
        ]
    );
}

#[test]
fn secrets_come_from_the_environment_and_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
    let text = SMALLEST.replace("[session]", "[session]\nkeys = [\"file:key\"]");
    let config = parse(&text, "gateway.toml", folder.path(), &environment(&[]), &Random::system()).unwrap().config;
    assert_eq!(config.session.keys[0].id(), "630dcd29");
    assert_eq!(config.providers[0].client_secret.as_ref().unwrap().expose(), "hunter2");
}

#[test]
fn a_secret_is_never_shown() {
    let plain = SMALLEST.replace("env:SECRET", "hunter2");
    let loaded = read(&plain).unwrap();
    let shown = |warnings: &[Complaint]| warnings.iter().map(ToString::to_string).collect::<String>();
    assert!(shown(&loaded.warnings).contains("7 | client_secret = *********\n"), "{}", shown(&loaded.warnings));
    let (warnings, config) = (format!("{:?}", loaded.warnings), format!("{:?}", loaded.config));
    for bad in [
        plain.replace("client_secret", "client_secert"),
        plain.replace("client_secret", "hush_token"),
        plain.replace("\"hunter2\"", "[\"hunter2\"]"),
        plain.replace("\"hunter2\"", "\"hunter2"),
        plain.replace("\"hunter2\"", "hunter2"),
        plain.replace("\"hunter2\"", "\"hunter2\" x"),
        plain.replace("[session]", "[session]\nkeys = [\n\"a\",\n\"hunter2\",\n\"hunter2\n]"),
        plain.replace("[session]", "[session]\nkeys = [\"hunter2\"]"),
        plain.replace("[session]", "[session]\nkeys = \"hunter2\""),
        SMALLEST.replace("[session]", "[store]\nurl = \"redis://:hunter2@localhost\"\n[session]"),
        SMALLEST.replace("[session]", "[store]\nurl = \"redis://:hunter2@localhost\n[session]"),
        SMALLEST.replace(
            "[session]",
            "[session]\nlogin_page = \"http://a:hunter2@localhost\"\nlogin_pge = \"http://a:hunter2@localhost\"",
        ),
        SMALLEST.replace("[session]", "otp = { sms = { key = \"hunter2\" } }\n[session]"),
        SMALLEST.replace("[session]", "p = { google = { client_secret = \"hunter2\" } }\n[session]"),
        SMALLEST.replace("[\"http://127.0.0.1:3000\"]", "\"http://a:hunter2@127.0.0.1:3000\""),
        plain.replace("http://127.0.0.1:3000", "http://me:hunter2@127.0.0.1:3000"),
        plain.replace("http://localhost:8080", "http://me:hunter2@localhost:8080"),
        SMALLEST.replace("client_secret = \"env:SECRET\"", "client_secret = \"file:nowhere\"\nhunter = 1"),
        plain.replace(
            "[providers.google]",
            "[providers.kakao]\nclient_id = \"x\"\n[providers]\ngoogle = { a = 1, client_secret = \"hunter2\" }\n[x]",
        ),
    ] {
        let complaints = read(&bad).unwrap_err();
        assert!(!format!("{complaints}{complaints:?}").contains("hunter2"), "{complaints}");
    }
    assert!(
        !warnings.contains("hunter2") && !config.contains("hunter2") && config.contains("client_secret: Some(***)")
    );
}

#[test]
fn secrets_under_names_that_the_file_chooses_are_never_shown() {
    let provider = |line: &str| SMALLEST.replace("[upstreams.app]", &format!("{line}\n[upstreams.app]"));
    let call = |line: &str| BACKEND.replace("path = \"/auth/login\"", &format!("path = \"/auth/login\"\n{line}"));
    for bad in [
        provider("token_params = { client_secret = \"S3cret\", x = 1 }"),
        provider("authorize_params = { login_password = \"S3cret\", x = 1 }"),
        provider("profile.headers = { authorization = \"Bearer S3cret\", x = 1 }"),
        provider("profile = { headers = { X-API-Key = \"S3cret\" }, x = 1 }"),
        call("headers = { \"x-api-key\" = \"S3cret\", authorization = \"S3cret\", x = 1 }"),
        call("headers = { x-own = \"Bearer S3cret\", x-other = \"basic S3cret\", x = 1 }"),
        call("headers = { authorization = \"Basic S3cret{email}\", x = 1 }"),
        call("headers = { authorization = \"{email}S3cret\", x = 1 }"),
        call("headers = { authorization = [\"S3cret\"] }"),
        call("headers = { x-token = \"abc{S3cret}\" }"),
        call("headers = { x-token = \"S3cret\\n\" }"),
        call("cookies = { sid = \"S3cret\", x = 1 }"),
        call("json = { a = { credentials = [{ b = \"S3cret\" }] }, Token = \"S3cret\" }"),
        call("headers = { authorization = \"S3cret }"),
        call("headers = { X-Own = \"Bearer S3cret\" x }"),
        provider("sesion = { signature = \"S3cret\" }"),
        provider("signature_of_mine = \"S3cret\""),
        SMALLEST.replace("[session]", "[session]\nkeys = [\n\"a\"\n\"S3cret=\"\n]"),
    ] {
        let complaints = read(&bad).unwrap_err();
        assert!(!complaints.errors.is_empty());
        assert!(!format!("{complaints}{complaints:?}").contains("S3cret"), "{complaints}");
    }
    let number = read(&call("headers = { x-pin-key = 424242 }")).unwrap_err();
    assert!(!number.to_string().contains("424242"), "{number}");
    let harmless = r#"headers = { authorization = "Bearer {email}", x-key = "env:KEY", accept = "text/plain", x = 1 }"#;
    let complaints = read(&call(harmless)).unwrap_err().to_string();
    assert!(complaints.contains(harmless), "{complaints}");
}
