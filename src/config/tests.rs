//! Whole files, good and bad.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use super::{
    key::{Key, Need},
    *,
};
use crate::{
    authority::{CodeLogin, VerifyKeys},
    call::{Body, Json, Piece, Placeholder, Text},
    oidc::{self, Allow, Preset, TokenAuth},
    secret::Secret,
    session::StoreDown,
    store,
};

mod bad;
mod otp;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const SMALLEST: &str = r#"[server]
listen = "127.0.0.1:8080"
public_url = "http://localhost:8080"
[session]
[providers.google]
client_id = "id"
client_secret = "env:SECRET"
[upstreams.app]
targets = ["http://127.0.0.1:3000"]
[[routes]]
path = "/{*rest}"
upstream = "app"
access = "user"
"#;

const BACKEND: &str = r#"[server]
listen = "0.0.0.0:8080"
public_url = "https://app.example"
[session]
keys = ["env:KEY"]
[authority]
kind = "backend"
upstream = "api"
[authority.credentials]
path = "/auth/login"
json = { email = "{email}", password = "{password}" }
[authority.refresh]
path = "/auth/refresh"
json = { refreshToken = "{refresh_token}" }
[upstreams.api]
targets = ["http://10.0.0.1:3000"]
[[routes]]
path = "/api/{*rest}"
upstream = "api"
access = "user"
"#;

const GATEWAY: &str = r#"[server]
listen = "0.0.0.0:8080"
public_url = "https://app.example"
[session]
keys = ["env:KEY"]
[authority]
kind = "gateway"
[authority.gateway]
roles.admin = { emails = ["boss@example.com"] }
[providers.google]
client_id = "id"
allow = "anyone"
[otp.sms]
purpose = "login"
allow = { claims = { phone_number = ["+821012345678"] } }
[upstreams.api]
targets = ["http://10.0.0.1:3000"]
[[routes]]
path = "/{*rest}"
upstream = "api"
access = { roles = ["admin"] }
[otp.sms.http]
url = "https://sms.example/send"
json = "{text}"
"#;

fn environment(settings: &[(&str, &str)]) -> Environment {
    let known = [("SECRET", "hunter2"), ("KEY", KEY)];
    known.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read_with(text: &str, settings: &[(&str, &str)]) -> Result<Loaded, Complaints> {
    parse(text, "gateway.toml", Path::new("/nowhere"), &environment(settings), &Random::system())
}

fn read(text: &str) -> Result<Loaded, Complaints> {
    read_with(text, &[])
}

/// Each complaint on a line: place, message, help.
fn said(complaints: &[Complaint]) -> String {
    complaints.iter().fold(String::new(), |mut said, c| {
        let _ = writeln!(said, "{}:{} {} → {}", c.line, c.column, c.message, c.help);
        said
    })
}

#[test]
fn the_smallest_file_loads_with_every_default() {
    let Loaded { config, warnings } = read(SMALLEST).unwrap();
    assert_eq!(
        said(&warnings),
        "4:2 no `session.keys`: one was made, and everybody is logged out at the next start → write `keys = [\"env:VESTIBULE_KEY\"]`; `vestibule keygen` prints a key\n\
         8:12 the upstream `app` gets no token → write `bearer = \"access\"` or `\"id\"` for it to get one, or `\"none\"` if it needs none\n"
    );
    assert_eq!(config.login.base_path, "/auth");
    assert_eq!(config.login.login_page, None);
    assert_eq!((config.login.after_login.as_str(), config.login.after_logout.as_str()), ("/", "/"));
    let session = config.session;
    assert_eq!(
        (session.cookie_prefix.as_str(), session.host_prefix, session.seal, session.keys.len()),
        ("sb_", false, true, 1)
    );
    assert_eq!((session.refresh_ahead, session.refresh_grace), (Duration::from_mins(1), Duration::from_mins(1)));
    assert_eq!((session.refresh_token_lifetime, session.idle), (Duration::from_hours(720), Duration::from_hours(720)));
    assert_eq!((session.absolute, session.leeway), (Duration::from_hours(2160), Duration::from_secs(5)));
    assert_eq!((session.roles_claim.as_str(), session.longest_timeout), ("/role", Duration::from_secs(30)));
    assert_eq!(session.expose_claims, ["sub", "email", "name", "role"]);
    assert_eq!(config.replay_body, 65536);
    assert_eq!((config.listen.drain, config.listen.drain_delay), (Duration::from_secs(30), Duration::ZERO));
    assert!(matches!(config.authority.kind, Kind::Provider));
    let google = &config.providers[0];
    assert_eq!((google.preset, google.issuer.as_str()), (Preset::Google, "https://accounts.google.com/"));
    assert_eq!(google.authorize_params[0], ("access_type".to_owned(), "offline".to_owned()));
    assert_eq!(config.upstreams[0].bearer, Bearer::None);
    assert_eq!((config.routes[0].line, &config.routes[0].access), (10, &Access::User));
}

#[test]
fn the_sample_of_the_repository_loads_without_a_warning() {
    let names = [
        "VESTIBULE_KEY",
        "GOOGLE_CLIENT_ID",
        "GOOGLE_CLIENT_SECRET",
        "KAKAO_REST_API_KEY",
        "KAKAO_CLIENT_SECRET",
        "NAVER_CLIENT_ID",
        "NAVER_CLIENT_SECRET",
        "CORP_SECRET",
    ];
    let environment = names.iter().map(|name| ((*name).to_owned(), KEY.to_owned())).collect();
    let loaded =
        load(&top("gateway.toml"), &environment, &Random::system()).unwrap_or_else(|complaints| panic!("{complaints}"));
    assert_eq!(said(&loaded.warnings), "");
    let config = loaded.config;
    assert_eq!(config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect::<Vec<_>>(), ["api", "web"]);
    assert_eq!(
        config.providers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["google", "kakao", "naver", "corp"]
    );
    assert_eq!(config.routes[1].access, Access::Roles(vec!["admin".to_owned()]));
    assert_eq!(config.session.longest_timeout, Duration::from_mins(5));
    assert_eq!(config.hygiene.hosts, ["app.example.kr"]);
    assert!(config.hygiene.own_headers.iter().any(|name| name == "x-user-id"));
    let Kind::Backend(backend) = config.authority.kind else { panic!("the sample has a backend") };
    let exchange = backend.exchange.unwrap();
    assert_eq!(exchange.path, Text(vec![Piece::Literal("/auth/".into()), Piece::Placeholder(Placeholder::Provider)]));
    let Body::Json(Json::Object(fields)) = exchange.body else { panic!("the sample sends an object") };
    assert_eq!(
        fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["id_token", "deviceId", "deviceName"]
    );
    assert!(matches!(fields[0].1, Json::Value(Placeholder::IdToken)));
}

#[test]
fn the_file_of_the_benchmark_loads() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
    fs::write(folder.path().join("es.pub.pem"), &key).unwrap();
    let text = r#"
[server]
listen = "127.0.0.1:18080"
public_url = "http://127.0.0.1:18080"

[session]
seal = false

[authority]
kind = "backend"
upstream = "backend"
[authority.refresh]
path = "/auth/refresh"
json = { refreshToken = "{refresh_token}" }
[authority.credentials]
path = "/auth/login"
json = { email = "{email}", password = "{password}" }
[authority.answer]
access_token = "/accessToken"
refresh_token = "/refreshToken"
[authority.verify]
public_key = "file:TOK/es.pub.pem"

[upstreams.backend]
targets = ["http://127.0.0.1:19001"]

[upstreams.big]
targets = ["http://127.0.0.1:19002"]

[[routes]]
path = "/big"
upstream = "big"
access = "user"

[[routes]]
path = "/{*rest}"
upstream = "backend"
access = "user"
"#
    .replace("TOK", folder.path().to_str().unwrap());
    let config = read(&text).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    assert!(matches!(config.authority.verify.unwrap().keys, VerifyKeys::PublicKey(pem) if pem == key.trim_end()));
    assert_eq!(config.upstreams[1].bearer, Bearer::Access);
}

#[test]
fn the_reference_is_current() {
    let written = fs::read_to_string(top("docs/config.md")).unwrap();
    assert!(written == reference(), "run `vestibule schema --reference > docs/config.md`");
}

#[test]
fn each_store_is_read_with_its_address_or_path() {
    let folder = tempfile::tempdir().unwrap();
    let read_store = |table: &str| {
        let text = BACKEND.replace("[session]", &format!("[store]\n{table}\n[session]"));
        let settings = environment(&[("STORE_URL", "rediss-sentinel://:hunter2@a,b/main/0")]);
        let loaded = parse(&text, "gateway.toml", folder.path(), &settings, &Random::system());
        let loaded = loaded.unwrap_or_else(|complaints| panic!("{complaints}"));
        (loaded.config.store, loaded.config.session.store_down, said(&loaded.warnings))
    };
    let none = String::new;
    assert_eq!(read_store("kind = \"memory\""), (store::Settings::Memory, StoreDown::Wait, none()));
    let path = folder.path().join("vestibule.redb");
    assert_eq!(read_store("kind = \"file\""), (store::Settings::File { path }, StoreDown::Wait, none()));
    let path = folder.path().join("x");
    assert_eq!(read_store("kind = \"file\"\npath = \"x\"").0, store::Settings::File { path });
    let url = Secret::new("rediss-sentinel://:hunter2@a,b/main/0");
    assert_eq!(
        read_store("kind = \"redis\"\nurl = \"env:STORE_URL\"\nstore_down = \"refresh\""),
        (store::Settings::Redis { url }, StoreDown::Refresh, none())
    );
    let url = Secret::new("postgresql://gate@db:5432/gate");
    assert_eq!(
        read_store("kind = \"postgres\"\nurl = \"postgresql://gate@db:5432/gate\""),
        (store::Settings::Postgres { url }, StoreDown::Wait, none())
    );
    assert_eq!(
        read_store("kind = \"postgres\"\nurl = \"postgres://gate:hunter2@db/gate\"").2,
        "6:7 a secret stands in the file itself → write \"env:NAME\" or \"file:PATH\", and keep the secret there\n"
    );
}

#[test]
fn a_store_that_could_never_be_opened_is_complained_about_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, url, reason) in [
        ("redis", "redis://u:hunter2@h:notaport/0", "a port that is not a number"),
        ("redis", "REDIS://u:hunter2@h/0", "the scheme of its url is not"),
        ("redis", "redis://u:hunter2@h/zero", "is not a number"),
        ("redis", "rediss://u:hunter2@h?ca=/nowhere/ca.pem", "the ca file /nowhere/ca.pem: "),
        ("postgres", "postgres://u:hunter2@h:70000/x", "not a PostgreSQL URL"),
        ("postgres", "postgres://u:hunter2@h/x?sslmode=bogus", "sslmode must be"),
        ("postgres", "postgres://h/x?sslmode=bogus&password=hunter2", "sslmode must be"),
        ("postgres", "postgres://u:hunter2@h/x?sslmode=require&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem: "),
    ] {
        for written in [url, "env:STORE_URL"] {
            let text =
                BACKEND.replace("[session]", &format!("[store]\nkind = \"{kind}\"\nurl = \"{written}\"\n[session]"));
            let complaints = read_with(&text, &[("STORE_URL", url)]).unwrap_err();
            let [error] = &complaints.errors[..] else { panic!("{complaints}") };
            assert!((error.line, error.column) == (6, 7) && error.message.contains(reason), "{complaints}");
            assert!(!format!("{complaints}{complaints:?}").contains("hunter2"), "{complaints}");
        }
    }
    let text = BACKEND.replace("[session]", "[store]\nkind = \"file\"\npath = \".\"\n[session]");
    let complaints = parse(&text, "gateway.toml", folder.path(), &environment(&[]), &Random::system()).unwrap_err();
    assert!(said(&complaints.errors).starts_with("6:8 the store's file is a folder"), "{complaints}");
}

#[test]
fn instances_that_share_a_store_share_keys() {
    let text = SMALLEST.replace("[session]", "[store]\nkind = \"redis\"\nurl = \"redis://localhost\"\n[session]");
    let said = said(&read(&text).unwrap().warnings);
    assert!(said.contains("5:8 several instances share a store, but without `session.keys` none can read"), "{said}");
}

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
fn a_setting_of_the_environment_that_is_wrong_is_complained_about() {
    let complaints = read_with(
        SMALLEST,
        &[
            ("VESTIBULE_SERVER__LISTN", "x"),
            ("VESTIBULE_SERVER__LISTEN", "x"),
            ("VESTIBULE_SERVER__HOSTS", "x"),
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
            "error: VESTIBULE_PROVIDERS__KAKAO__CLIENT_ID: sets no key\n |\n = help: the file has no `[providers.kakao]`",
            "error: VESTIBULE_SERVER__HOSTS: sets no key\n |\n = help: `hosts` is not a single value: write it in the file",
            "error: VESTIBULE_SERVER__LISTEN__PORT: sets no key\n |\n = help: `listen` has no keys of its own",
            "error: VESTIBULE_SERVER__LISTN: sets no key\n |\n = help: did you mean `VESTIBULE_SERVER__LISTEN`?",
            "error: VESTIBULE_VERIFY__CONNECTIONS: sets no key\n |\n = help: `verify` is not available yet in this version",
            "error: VESTIBULE_SERVER__LISTEN: `listen` must be an address with a port, not `x`\n |\n = help: write an IP address and a port, e.g. \"0.0.0.0:8080\" or \"[::1]:8080\"",
            "error: VESTIBULE_SESSION__SEAL: `seal` must be true or false, not the text `maybe`\n |\n = help: write `seal = true` or `seal = false`, without quotes",
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

proptest::proptest! {
    #[test]
    fn a_damaged_file_is_read_or_complained_about(at in 0..BACKEND.len(), cut in 0..12_usize, put in "[ -~é가\\n\\[\\]{}\"=.]{0,6}") {
        for base in [BACKEND, SMALLEST] {
            let at = at.min(base.len());
            let text = [&base[..at], &put, &base[(at + cut).min(base.len())..]].concat();
            for text in [&text, &text.replace('\n', "\r\n"), &base[at..].to_owned(), &base[..at].to_owned()] {
                if let Err(complaints) = read(text) {
                    proptest::prop_assert!(!complaints.errors.is_empty() && !complaints.to_string().is_empty());
                }
            }
        }
    }
}

#[test]
fn complaints_of_one_run_are_shown_together_with_their_lines() {
    let text = SMALLEST
        .replace("8080\"\npublic", "port\"\npublic")
        .replace("[session]", "[session]\nrefresh_ahed = \"60s\"")
        .replace("\"app\"\n", "\"ap\"\n");
    let complaints = read(&text).unwrap_err();
    let errors: Vec<_> = complaints.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors.join("\n") + "\n",
        r#"error: `listen` must be an address with a port, not `127.0.0.1:port`
 --> gateway.toml:2:10
  |
2 | listen = "127.0.0.1:port"
  |          ^^^^^^^^^^^^^^^^
  |
  = help: write an IP address and a port, e.g. "0.0.0.0:8080" or "[::1]:8080"
error: unknown key `refresh_ahed` in `session`
 --> gateway.toml:5:1
  |
5 | refresh_ahed = "60s"
  | ^^^^^^^^^^^^
  |
  = help: did you mean `refresh_ahead`?
error: there is no upstream `ap`
  --> gateway.toml:13:12
   |
13 | upstream = "ap"
   |            ^^^^
   |
   = help: did you mean "app"?
"#
    );
}

#[test]
fn a_certificate_and_the_key_of_another_are_complained_about() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["app.example".to_owned()]).unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), made.cert.pem()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    };
    write("a");
    write("b");
    let read = |cert: &str, key: &str| {
        let text =
            BACKEND.replace("[session]", &format!("[server.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n[session]"));
        let read = parse(&text, "gateway.toml", folder.path(), &environment(&[]), &Random::system());
        read.err().map_or_else(String::new, |complaints| said(&complaints.errors))
    };
    assert_eq!(read("a.pem", "a.key"), "");
    let wrong = read("a.pem", "b.key");
    assert!(wrong.starts_with("6:7 certificate and key do not work together: "), "{wrong}");
    assert_eq!(
        read("a.key", "a.pem"),
        "5:8 there is no certificate in this file → the file holds the certificate in PEM (`-----BEGIN …`)\n\
         6:7 there is no private key in this file → the file holds the private key in PEM (`-----BEGIN …`)\n"
    );
}

#[test]
fn routes_on_one_line_are_told_apart() {
    let text = SMALLEST.split("[[routes]]").next().unwrap().to_owned();
    let text = format!(
        "routes = [{{ path = \"/a/{{x}}\", upstream = \"app\" }}, {{ path = \"/a/{{y}}\", upstream = \"app\" }}]\n{text}"
    );
    let complaints = read(&text).unwrap_err();
    assert_eq!(
        said(&complaints.errors),
        "1:59 nothing separates this route from `/a/{x}` on line 1 → give one of them another path, `hosts` or `methods`, or leave it out\n"
    );
}

#[test]
fn a_session_keeps_the_claims_that_headers_and_its_refresh_ask_for() {
    let text = BACKEND
        .replace("\"{refresh_token}\" }", "\"{refresh_token}\", a = [{ b = \"{claims.tenant}\", c = \"is {claims.unit}\" }] }\nheaders = { x-t = \"{claims.tier}\" }")
        .replace("access = \"user\"", "headers = { set = { x-id = \"{claims.sub}\" } }");
    assert_eq!(read(&text).unwrap().config.session.template_claims, ["sub", "tenant", "tier", "unit"]);
}

#[test]
fn cookies_of_https_by_http_are_warned_of_on_loopback() {
    let text = SMALLEST.replace("[session]", "[session]\nhost_prefix = true");
    let warnings = said(&read(&text).unwrap().warnings);
    let expected = "5:15 not every browser accepts `__Host-` cookies from localhost by http → leave it out while `public_url` is http\n";
    assert!(warnings.contains(expected), "{warnings}");
}

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
        let oidc::Kind::OAuth2(oauth2) = settings.kind.clone() else { panic!("{provider}") };
        (settings, *oauth2, said(&warnings))
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
    assert_eq!((own.profile.subject.as_str(), own.profile.emails_url), ("/id", None), "no token for another's address");

    let (settings, naver, _) = named("naver", "authorize_params = { auth_type = \"reprompt\" }\n");
    assert_eq!((settings.preset, settings.scopes.len(), settings.authorize_params.len()), (Preset::Naver, 0, 1));
    let success = Some(oidc::Success { pointer: "/resultcode".to_owned(), equals: "00".to_owned() });
    assert_eq!((naver.profile.success, naver.profile.email_verified.len()), (success, 0));
    let (_, kakao, _) = named("kakao", "");
    assert_eq!(kakao.profile.email_verified.len(), 2);
    let (_, kakao, _) = named("kakao", "profile = { email = \"/kakao_account/other\" }\n");
    assert!(kakao.profile.email_verified.is_empty(), "what is said of one address is not said of another");

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
fn who_may_come_in_is_read_with_care() {
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
fn a_gateway_that_issues_needs_to_be_told_little() {
    let Loaded { config, warnings } = read(GATEWAY).unwrap_or_else(|complaints| panic!("{complaints}"));
    assert_eq!(
        said(&warnings),
        "7:8 the gateway's own refresh tokens are in `store.kind = \"memory\"`: a restart ends every session → write `[store]` with a `kind` that outlives the process\n"
    );
    let Kind::Gateway(gateway) = &config.authority.kind else { panic!("{:?}", config.authority.kind) };
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
    let Kind::Gateway(gateway) = config.authority.kind else { panic!("a gateway") };
    assert_eq!((&*gateway.issuer, &*gateway.audience, &*gateway.default_role), ("i", "a", "guest"));
    assert_eq!(gateway.claims.unwrap()[0], ("mail".to_owned(), Json::Value(Placeholder::Claim("email".into()))));
}

#[test]
fn what_a_gateways_tokens_cannot_be_is_said() {
    for (line, expected) in [
        ("issuer = \"\"", "`issuer` is empty"),
        ("audience = \" \"", "`audience` is empty"),
        ("default_role = \"\"", "`default_role` is empty"),
        ("roles.\"\" = { emails = [\"a@b.kr\"] }", "a role needs a name"),
    ] {
        let text = GATEWAY.replace("[authority.gateway]", &format!("[authority.gateway]\n{line}"));
        let said = said(&read(&text).unwrap_err().errors);
        assert!(said.contains(expected) && said.lines().count() == 1, "{line}\n{said}");
    }
    let warned = |line: &str| {
        let text = GATEWAY.replace("[authority.gateway]", &format!("[authority.gateway]\n{line}"));
        said(&read(&text).unwrap().warnings).contains("9:25 an access token cannot be called back")
    };
    assert!(warned("access_token_lifetime = \"25h\"") && !warned("access_token_lifetime = \"24h\""));
}

#[test]
fn an_upstream_that_waits_for_id_tokens_of_nobody_is_warned_of() {
    let text = GATEWAY.replace("[[routes]]", "bearer = \"id\"\n[[routes]]");
    assert!(!said(&read(&text).unwrap().warnings).contains("ID token"));
    let google = "[providers.google]\nclient_id = \"id\"\nallow = \"anyone\"\n";
    let github = google.replace("google]", "github]\nkind = \"oauth2\"\nclient_secret = \"env:SECRET\"");
    for providers in [github.as_str(), ""] {
        let said = said(&read(&text.replace(google, providers)).unwrap().warnings);
        assert!(said.contains("the upstream `api` gets no token: no provider here gives ID tokens"), "{said}");
    }
}

#[test]
fn what_rests_on_the_gateways_word_carries_an_assertion_and_is_out_of_reach() {
    let exchange = "[authority.exchange]\npath = \"/social\"\njson = { p = \"{profile}\" }\n[authority.otp]\npath = \"/auth/otp\"\n[authority.refresh]";
    let text = BACKEND
        .replace("[authority.refresh]", exchange)
        .replace("[upstreams", "[providers.google]\nclient_id = \"x\"\n[otp.sms]\npurpose = \"login\"\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[upstreams");
    let config = read(&text).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let own_calls = config.own_calls();
    assert!(["/social", "/auth/otp", "/auth/login"].iter().all(|path| own_calls.meets(0, &http::Method::POST, path)));
    let backend = |text: &str| match read(text).unwrap().config.authority.kind {
        Kind::Backend(backend) => backend,
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
    assert!(config.own_calls().meets(0, &http::Method::POST, "/joined"));
    assert_eq!(config.authority.notify.unwrap().assertion, Some("login.notify"));
}

#[test]
fn signing_keys_are_read_and_tried() {
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
    let wrong = |keys: &str| said(&read(keys).unwrap_err().errors);
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

#[test]
fn a_file_that_is_not_there_is_complained_about() {
    let complaints = load(Path::new("/nowhere/gateway.toml"), &environment(&[]), &Random::system()).unwrap_err();
    assert!(complaints.to_string().starts_with("error: /nowhere/gateway.toml cannot be read: "), "{complaints}");
}

#[test]
fn every_declared_default_is_one_that_the_file_could_have() {
    fn check(keys: &'static [Key]) {
        for key in keys {
            if let Need::Default(text) = key.need {
                let node = tree::read_value(text).unwrap_or_else(|| panic!("{}: {text}", key.name));
                let entry = tree::Entry { name: key.name.to_owned(), place: Place::Nowhere, node };
                let mut problems = Problems::default();
                let table = Table(vec![entry]);
                let only: &'static [Key] = std::slice::from_ref(key);
                shape::check(&table, only, "test", &Place::Nowhere, &mut problems);
                assert_eq!(said(&problems.finish("", "").errors), "");
            }
            check(key.kind.keys());
        }
    }
    check(keys::ROOT);
}

#[test]
fn every_declared_key_is_read() {
    const READERS: &[&str] = &[
        include_str!("authority.rs"),
        include_str!("gateway.rs"),
        include_str!("mod.rs"),
        include_str!("limits.rs"),
        include_str!("mail.rs"),
        include_str!("messages.rs"),
        include_str!("oauth2.rs"),
        include_str!("otp.rs"),
        include_str!("pages.rs"),
        include_str!("providers.rs"),
        include_str!("server.rs"),
        include_str!("session.rs"),
        include_str!("sms.rs"),
        include_str!("sms_http.rs"),
        include_str!("store.rs"),
        include_str!("signing.rs"),
        include_str!("template.rs"),
        include_str!("upstreams.rs"),
    ];
    fn check(keys: &[Key]) {
        use key::Kind;
        for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Later)) {
            // One word alone is no choice: `shape` sees to it that no other stands there.
            let no_choice =
                matches!(key.kind, Kind::Choice([_], _) | Kind::Table([Key { kind: Kind::Choice([_], _), .. }, ..]));
            let literal = format!("\"{}\"", key.name);
            assert!(
                no_choice || READERS.iter().any(|source| source.contains(&literal)),
                "nothing reads `{}`",
                key.name
            );
            check(key.kind.keys());
        }
    }
    check(keys::ROOT);
}

fn top(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
