//! Tests with whole files, valid and invalid.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use super::{
    schema::{
        complaint::Lines,
        key::Keys as _,
        kind::{KeyKind, KeyRow, Need, Rows},
        shape, tree,
    },
    *,
};
use crate::{
    authority::{CodeLogin, VerifyKeys},
    call::{Body, Json, Piece, Placeholder, Text},
    channel::Channel,
    oidc::{self, Allow, Preset, TokenAuth},
    route::{Access, LaxPath},
    secret::Secret,
    session::StoreDown,
    store,
    text::{Language, Languages},
};

mod authority;
mod bad;
mod claims;
mod compat;
mod declarations;
mod environment;
mod gaps;
mod needless;
mod one_fault;
mod otp;
mod pages;
mod plausible;
mod providers;
mod stores;
mod upstreams;

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

/// The secrets of the sample of the repository.
fn sample_environment() -> Environment {
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
    names.iter().map(|name| ((*name).to_owned(), KEY.to_owned())).collect()
}

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

/// One line for each complaint: place, message, help.
fn printed(complaints: &[Complaint]) -> String {
    complaints.iter().fold(String::new(), |mut printed, c| {
        let _ = writeln!(printed, "{}:{} {} → {}", c.line, c.column, c.message, c.help);
        printed
    })
}

#[test]
fn the_smallest_file_loads_with_every_default() {
    let Loaded { config, warnings } = read(SMALLEST).unwrap();
    assert_eq!(
        printed(&warnings),
        "4:2 no `session.keys`: one was made, and every person is logged out at the next start → write `keys = [\"env:VESTIBULE_KEY\"]`; `vestibule keygen` prints a key\n\
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
    assert!(matches!(config.authority.kind, AuthorityKind::Provider));
    let google = &config.providers[0];
    assert_eq!((google.preset, google.issuer.as_str()), (Preset::Google, "https://accounts.google.com/"));
    assert_eq!(google.authorize_params[0], ("access_type".to_owned(), "offline".to_owned()));
    assert_eq!(config.upstreams[0].bearer, Bearer::None);
    assert_eq!((config.routes[0].line, &config.routes[0].access), (10, &Access::User));
}

#[test]
fn the_sample_of_the_repository_loads_without_a_warning() {
    let environment = sample_environment();
    let loaded = load(&repository_path("gateway.toml"), &environment, &Random::system())
        .unwrap_or_else(|complaints| panic!("{complaints}"));
    assert_eq!(printed(&loaded.warnings), "");
    let config = loaded.config;
    assert_eq!(config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect::<Vec<_>>(), ["api", "web"]);
    assert_eq!(
        config.providers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["google", "kakao", "naver", "corp"]
    );
    assert_eq!(config.routes[1].access, Access::Roles(vec!["admin".to_owned()]));
    assert_eq!(config.session.longest_timeout, Duration::from_mins(5));
    assert_eq!(config.hygiene.route_hosts, ["app.example.kr"]);
    assert!(config.hygiene.own_headers.iter().any(|name| name == "x-user-id"));
    let AuthorityKind::Backend(backend) = config.authority.kind else { panic!("the sample has a backend") };
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

proptest::proptest! {
    #[test]
    fn a_damaged_file_is_read_or_refused_with_complaints(at in 0..BACKEND.len(), cut in 0..12_usize, put in "[ -~é가\\n\\[\\]{}\"=.]{0,6}") {
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
        read.err().map_or_else(String::new, |complaints| printed(&complaints.errors))
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
fn routes_on_one_line_are_distinguished() {
    let text = SMALLEST.split("[[routes]]").next().unwrap().to_owned();
    let text = format!(
        "routes = [{{ path = \"/a/{{x}}\", upstream = \"app\" }}, {{ path = \"/a/{{y}}\", upstream = \"app\" }}]\n{text}"
    );
    let complaints = read(&text).unwrap_err();
    assert_eq!(
        printed(&complaints.errors),
        "1:59 nothing separates this route from `/a/{x}` on line 1 → give one of them another path, `hosts` or `methods`, or leave it out\n"
    );
}

#[test]
fn cookies_of_https_by_http_are_warned_of_on_loopback() {
    let text = SMALLEST.replace("[session]", "[session]\nhost_prefix = true");
    let warnings = printed(&read(&text).unwrap().warnings);
    let expected = "5:15 not every browser accepts `__Host-` cookies from localhost by http → leave it out while `public_url` is http\n";
    assert!(warnings.contains(expected), "{warnings}");
}

#[test]
fn development_allows_http_and_a_made_key_on_any_address_and_nothing_else() {
    let container = SMALLEST.replace("127.0.0.1:8080\"", "0.0.0.0:8080\"\ndevelopment = true");
    let loaded = read(&container).unwrap();
    assert!(loaded.config.development && loaded.config.session.key_was_made);
    let warnings = printed(&loaded.warnings);
    assert!(!warnings.contains("http") && !warnings.contains("session.keys"), "{warnings}");
    let [note] = loaded.config.notes().try_into().unwrap();
    assert!(note.contains("0.0.0.0:8080") && note.contains("logged out at the next start"), "{note}");

    let with_key = read(&container.replace("[session]", "[session]\nkeys = [\"env:KEY\"]")).unwrap().config;
    assert!(!with_key.notes()[0].contains("next start"));
    let on_loopback = SMALLEST.replace("[session]", "development = true\n[session]");
    assert_eq!(read(&on_loopback).unwrap().config.notes(), [""; 0]);

    let public = container.replace("http://localhost:8080", "https://app.example");
    let complaints = printed(&read(&public).unwrap_err().errors);
    assert!(complaints.starts_with("3:15 `development` is for a `public_url` on loopback → "), "{complaints}");
    let outbox = format!("{container}[otp.sms]\npurpose = \"prove\"\noutbox = {{ file = \"x\" }}\n");
    let complaints = printed(&read(&outbox).unwrap_err().errors);
    assert!(complaints.contains("an outbox shows codes"), "{complaints}");
}

#[test]
fn a_missing_file_is_complained_about() {
    let complaints = load(Path::new("/nowhere/gateway.toml"), &environment(&[]), &Random::system()).unwrap_err();
    assert!(complaints.to_string().starts_with("error: /nowhere/gateway.toml cannot be read: "), "{complaints}");
}

/// The result of `read` for the tables of `text`, without the shape check, and the complaints.
pub(super) fn read_tables<T>(
    text: &str,
    folder: &Path,
    environment: &Environment,
    read: impl FnOnce(&Section<'_, RootTable>, &mut Context<'_>) -> T,
) -> (T, Complaints) {
    read_prepared(text, folder, environment, |_, _| {}, read)
}

/// The same, with values of the environment and after the shape check.
pub(super) fn read_checked_tables<T>(
    text: &str,
    folder: &Path,
    environment: &Environment,
    read: impl FnOnce(&Section<'_, RootTable>, &mut Context<'_>) -> T,
) -> (T, Complaints) {
    let prepare = |table: &mut tree::Table, problems: &mut Problems| {
        FORMAT.prepare::<RootTable>(table, environment, problems);
    };
    read_prepared(text, folder, environment, prepare, read)
}

fn read_prepared<T>(
    text: &str,
    folder: &Path,
    environment: &Environment,
    prepare: impl FnOnce(&mut tree::Table, &mut Problems),
    read: impl FnOnce(&Section<'_, RootTable>, &mut Context<'_>) -> T,
) -> (T, Complaints) {
    let lines = Lines::of(text);
    let mut cx = Context::new(environment, folder, &lines, FORMAT.program);
    let mut table = tree::read(text).unwrap();
    prepare(&mut table, &mut cx.problems);
    let read = read(&Section::root(&table, &schema::START), &mut cx);
    (read, cx.problems.finish("gateway.toml", text))
}

fn repository_path(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
