//! The command line: one file for each command. [`start`] runs all but `run`, `demo`, `dev` and `init`, which `main`
//! runs.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};

use crate::{
    config::{self, Environment},
    secret::Random,
};

mod check;
mod demo;
mod dev;
mod exit;
mod explain;
mod explain_request;
mod init;
mod keygen;
mod plain_http;
mod probe;
mod reload;
mod run;
mod schema;
mod systemd;
mod try_out;

use self::exit::with_config;
pub use self::{
    demo::demo,
    dev::{DevOptions, dev},
    exit::Exit,
    init::{InitOptions, init},
    run::run,
};

/// An edge authentication gateway: logs people in, keeps their session, proxies with a fresh Bearer token.
#[derive(Parser, Debug)]
#[command(name = "vestibule", version)]
pub struct Cli {
    /// The configuration file; for `check` and `explain` also `-`, standard input.
    #[arg(long, global = true, value_name = "PATH", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// The command; without one: run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Runs the gateway.
    Run,
    /// Runs everything on loopback without any setup: a provider, a backend, and a page that shows the session working.
    Demo {
        /// Where to listen instead of a free port on loopback; in a container 0.0.0.0:8080, with that port published.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
    },
    /// Runs the gateway in front of your own app, on loopback: with people to log in as, codes on a page, and a panel
    /// that lets tokens expire.
    Dev(DevOptions),
    /// Reads the configuration as `run` would and prints every problem, key fingerprints, the worst-case size of the
    /// Cookie header, and the addresses to register with providers.
    Check(check::CheckOptions),
    /// Shows which route a request matches, who may use it, and what the upstream gets.
    Explain(explain_request::ExplainRequest),
    /// Writes a commented gateway.toml and its session key for one of four cases. Existing files stay as they are.
    Init(InitOptions),
    /// Prints a new session key, or a signing key.
    Keygen {
        /// Print a private key in PEM for `[signing] keys` instead: ES256 if no algorithm is given.
        #[arg(long, value_name = "ALGORITHM", num_args = 0..=1, default_missing_value = "es256")]
        signing: Option<keygen::Algorithm>,
    },
    /// Prints the JSON Schema of the configuration.
    Schema {
        /// Print the reference in Markdown instead.
        #[arg(long)]
        reference: bool,
        /// Print the table of problems in Markdown instead.
        #[arg(long, conflicts_with = "reference")]
        problems: bool,
    },
}

/// What `main` does next.
#[derive(PartialEq, Eq, Debug)]
pub enum Next {
    /// Run the gateway with the configuration at this path.
    Run(PathBuf),
    /// Ask and write a configuration.
    Init(InitOptions),
    /// Run the gateway in front of an app that is being developed.
    Dev(DevOptions),
    /// Run the demo at this address.
    Demo(Option<SocketAddr>),
    /// End with this exit code.
    Exit(Exit),
}

/// Runs every command except `run`, `demo`, `dev` and `init`, with its output to `out`. `input` is read for
/// `--config -`.
pub fn start(
    cli: Cli,
    environment: &Environment,
    random: &Random,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> io::Result<Next> {
    let is_input = cli.config.as_path() == Path::new("-");
    let mut load = || {
        if is_input {
            config::load_input(input, environment, random)
        } else {
            config::load(&cli.config, environment, random)
        }
    };
    let exit = match cli.command.unwrap_or(Command::Run) {
        // A reload could not read it again.
        Command::Run if is_input => {
            return Err(io::Error::other("`run` reads its file again at each change: name a file, not `--config -`"));
        }
        Command::Run => return Ok(Next::Run(cli.config)),
        Command::Dev(options) => return Ok(Next::Dev(options)),
        Command::Demo { listen } => return Ok(Next::Demo(listen)),
        Command::Init(options) => return Ok(Next::Init(options)),
        Command::Check(options) => check::check(&cli.config, load(), options, out)?,
        Command::Explain(request) => {
            with_config(&cli.config, load(), out, |loaded, out| explain::explain(&request, &loaded.config, out))?
        }
        Command::Keygen { signing } => keygen::keygen(signing, random, out)?,
        Command::Schema { problems: true, .. } => schema::problems(out)?,
        Command::Schema { reference, .. } => schema::schema(reference, out)?,
    };
    Ok(Next::Exit(exit))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECURE: &str = r#"
[server]
listen = "0.0.0.0:8080"
public_url = "https://app.example"
[session]
keys = ["env:KEY"]
roles_claim = "/hd"
[providers.google]
client_id = "x"
allow = "anyone"
[upstreams.app]
targets = ["http://[::1]:3000", "unix:/run/app.sock"]
bearer = "id"
[[routes]]
path = "/admin/{*rest}"
strip = "/admin"
upstream = "app"
access = { roles = ["admin", "boss"] }
headers = { set = { x-user-id = "u-{claims.sub}" }, remove = ["server"] }
"#;

    /// The output of `vestibule` with these arguments for a configuration file, and what `main` does next.
    fn vestibule(file: &str, arguments: &[&str]) -> (Next, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        fs::write(&path, file).unwrap();
        let config = ["vestibule", "--config", path.to_str().unwrap()];
        let cli = Cli::try_parse_from(config.iter().chain(arguments)).unwrap();
        let environment = [("KEY".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned())].into();
        let mut out = Vec::new();
        let next = start(cli, &environment, &Random::system(), &mut io::empty(), &mut out).unwrap();
        let folder = format!("{}/", folder.path().display());
        (next, String::from_utf8(out).unwrap().replace(&folder, ""))
    }

    #[test]
    fn without_a_command_the_gateway_runs() {
        for arguments in [&["vestibule"][..], &["vestibule", "run"], &["vestibule", "run", "--config", "gateway.toml"]]
        {
            let cli = Cli::try_parse_from(arguments).unwrap();
            let next = start(cli, &Environment::new(), &Random::system(), &mut io::empty(), &mut Vec::new()).unwrap();
            assert_eq!(next, Next::Run("gateway.toml".into()));
        }
    }

    #[test]
    fn check_of_a_valid_file_prints_keys_and_cookie_sizes_and_succeeds() {
        let (next, output) = vestibule(SECURE, &["check"]);
        assert_eq!(next, Next::Exit(Exit::Success));
        assert_eq!(
            output,
            "key 630dcd29: seals and opens\n\
             Cookie header at its worst: 16497 bytes, and 32507 while 5 logins are under way (a header block may have 32768, those of many backends 8192)\n\
             register at google: redirect_uri https://app.example/auth/callback/google\n\
             register at google, if it has a logout: post_logout_redirect_uri https://app.example/\n\
             hint: one host is served by https: `host_prefix = true` keeps other hosts of the domain from setting the cookies\n\
             gateway.toml: no problems, no warnings\n"
        );
    }

    #[test]
    fn check_hints_at_another_base_path_than_that_of_the_clients_of_auth_js() {
        let hints = |session: &str| {
            let (_, output) = vestibule(&SECURE.replacen("[session]", session, 1), &["check"]);
            output.contains("hint: `next-auth/react` asks under `/api/auth`")
        };
        assert!(hints("[session]\ncompat = [\"authjs-5\"]"));
        assert!(!hints("[session]\nbase_path = \"/api/auth\"\ncompat = [\"authjs-5\"]") && !hints("[session]"));
    }

    #[test]
    fn check_and_explain_read_standard_input_and_run_does_not() {
        let environment = [("KEY".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned())].into();
        let read = |file: &str, arguments: &[&str]| {
            let cli = Cli::try_parse_from(["vestibule", "--config", "-"].iter().chain(arguments)).unwrap();
            let mut out = Vec::new();
            let next = start(cli, &environment, &Random::system(), &mut file.as_bytes(), &mut out);
            (next.ok(), String::from_utf8(out).unwrap())
        };
        let (next, output) = read(SECURE, &["check"]);
        assert_eq!(next, Some(Next::Exit(Exit::Success)), "{output}");
        let (next, output) = read(&SECURE.replace("bearer", "baerer"), &["check"]);
        assert_eq!(next, Some(Next::Exit(Exit::BadConfig)));
        assert!(output.contains(" --> standard input:13:1\n"), "{output}");
        assert!(read(SECURE, &["explain", "GET", "/admin/x"]).1.contains("route     /admin/{*rest}"));
        assert_eq!(read(SECURE, &["run"]).0, None);
        assert_eq!(read(SECURE, &[]).0, None);
    }

    #[test]
    fn check_prints_every_problem_and_fails() {
        let (next, output) = vestibule(&SECURE.replace("bearer", "baerer").replace("/admin\"", "/adm\""), &["check"]);
        assert_eq!(next, Next::Exit(Exit::BadConfig));
        assert!(output.contains("did you mean `bearer`?") && output.contains(" --> gateway.toml:16:9\n"), "{output}");
        assert!(output.ends_with("gateway.toml: 2 problems, 1 warning\n"), "{output}");
    }

    #[test]
    fn check_ends_with_an_error_for_warnings_only_where_they_are_denied() {
        let warned = SECURE.replace("bearer = \"id\"", "");
        let (next, output) = vestibule(&warned, &["check"]);
        assert_eq!(next, Next::Exit(Exit::Success));
        assert!(output.ends_with("gateway.toml: no problems, 1 warning\n"), "{output}");
        assert_eq!(vestibule(&warned, &["check", "--deny-warnings"]).0, Next::Exit(Exit::BadConfig));
        assert_eq!(vestibule(SECURE, &["check", "--deny-warnings"]).0, Next::Exit(Exit::Success));
    }

    #[test]
    fn check_in_json_has_everything_that_the_text_has() {
        let file = SECURE.replace("[session]", "hosts = [\"b.example\", \"vestibule:8080\"]\n[session]");
        let json = |file: &str, more: &[&str]| {
            let (next, output) = vestibule(file, &[&["check", "--format", "json"], more].concat());
            (next, serde_json::from_str::<serde_json::Value>(&output).unwrap_or_else(|_| panic!("{output}")))
        };
        let (next, good) = json(&file, &[]);
        assert_eq!((next, &good["ok"]), (Next::Exit(Exit::Success), &true.into()));
        assert_eq!(good["errors"], serde_json::json!([]));
        let [warning] = good["warnings"].as_array().unwrap().as_slice() else { panic!("{good}") };
        assert_eq!((&warning["line"], &warning["column"]), (&5.into(), &23.into()));
        assert!(warning["message"].as_str().unwrap().contains("never ends on `vestibule:8080`"), "{warning}");
        assert_eq!(good["keys"], serde_json::json!([{ "id": "630dcd29", "seals": true }]));
        assert_eq!(good["cookie_header"]["limit"], 32768);
        assert_eq!(
            good["register"],
            serde_json::json!([{
                "provider": "google",
                "redirect_uris":
                    ["https://app.example/auth/callback/google", "https://b.example/auth/callback/google"],
                "post_logout_redirect_uris": ["https://app.example/", "https://b.example/"],
            }]),
            "no provider redirects to a name without a dot"
        );
        assert_eq!(good["probes"], serde_json::Value::Null);

        let (next, bad) = json(&file.replace("bearer", "baerer"), &[]);
        assert_eq!(
            (next, &bad["ok"], &bad["keys"]),
            (Next::Exit(Exit::BadConfig), &false.into(), &serde_json::Value::Null)
        );
        let error = &bad["errors"][0];
        assert_eq!((&error["line"], &error["column"]), (&14.into(), &1.into()));
        assert_eq!(error["help"], "did you mean `bearer`?");
        assert!(error["message"].as_str().unwrap().contains("`baerer`"), "{error}");

        let warned = file.replace("bearer = \"id\"", "");
        assert_eq!(json(&warned, &[]).1["ok"], true);
        let (next, denied) = json(&warned, &["--deny-warnings"]);
        assert_eq!((next, &denied["ok"]), (Next::Exit(Exit::BadConfig), &false.into()));
        assert_eq!(denied["warnings"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_probe_warns_of_a_port_that_is_in_use() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let file = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"{address}\"\npublic_url = \"http://localhost:8080\"\n\
             [session]\nkeys = [\"env:KEY\"]\n[authority]\nkind = \"provider\"\n[otp.sms]\npurpose = \"prove\"\n\
             [otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{{text}}\"\n"
        );
        let (_, output) = vestibule(&file, &["check", "--probe"]);
        assert!(
            output.contains(&format!("`server.health_listen` cannot be listened on: {address}: address in use")),
            "{output}"
        );
        drop(taken);
        let (_, output) = vestibule(&file, &["check", "--probe"]);
        assert!(!output.contains("cannot be listened on"), "{output}");
    }

    #[test]
    fn explain_shows_the_stricter_rule_and_an_open_call() {
        let file = SECURE.replace(
            "[[routes]]",
            "[[routes]]\npath = \"/{*rest}\"\nupstream = \"app\"\naccess = \"public\"\n[[routes]]",
        );
        let output = vestibule(&file, &["explain", "GET", "/ADMIN./x"]).1;
        assert!(
            output.contains(
                "route     /{*rest} (line 14)\n\
                 access    roles: every person who has one of admin, boss (--role tries one)\n          \
                 by the stricter rule of /admin/{*rest} (line 18): a lenient backend reads the path as one of that route\n\
                 upstream  app: http://[::1]:3000, unix:/run/app.sock\n\
                 path      /ADMIN./x\n\
                 headers   of a visitor at 192.0.2.1 with a session:\n          \
                 authorization: Bearer {ID token}\n"
            ),
            "{output}"
        );
    }

    #[test]
    fn explain_prints_route_access_target_and_headers_of_a_request() {
        let output = |arguments: &[&str]| vestibule(SECURE, arguments).1;
        assert_eq!(
            output(&["explain", "GET", "/admin/users?x=1", "--role", "boss"]),
            "GET app.example/admin/users?x=1\n\
             route     /admin/{*rest} (line 14)\n\
             access    roles: every person who has one of admin, boss (boss: these may)\n\
             upstream  app: http://[::1]:3000, unix:/run/app.sock\n\
             path      /users?x=1\n\
             headers   of a visitor at 192.0.2.1 with a session:\n          \
             authorization: Bearer {ID token}\n          \
             x-user-id: u-{claims.sub}\n          \
             x-request-id: {request id}\n          \
             host: app.example\n          \
             x-forwarded-for: 192.0.2.1\n          \
             x-forwarded-proto: https\n          \
             x-forwarded-host: app.example\n          \
             x-real-ip: 192.0.2.1\n          \
             forwarded: for=192.0.2.1;proto=https\n          \
             cdn-loop: vestibule\n          \
             no server (the visitor does not get the upstream's either)\n"
        );
        assert!(
            output(&["explain", "get", "/admin"]).starts_with("GET app.example/admin\nroute "),
            "lower case is accepted"
        );
        for (arguments, answer) in [
            (&["/admin", "--role", "x"][..], "(x: 403 for these)\n"),
            (&["/auth/login"], "answer    the gateway's own: the login page\n"),
            (&["/auth/login/google"], "answer    the gateway's own: a login begins at `google`\n"),
            (&["/auth/logout"], "answer    405: this endpoint of the gateway takes POST\n"),
            (&["/auth/x"], "answer    404: everything under `/auth` is the gateway's own"),
            (&["/other"], "answer    404: no route matches\n"),
            (&["/admin", "--host", "evil.example"], "answer    421: "),
            (&["/admin/%2e%2e/x"], "answer    400: ambiguous request: an escaped slash, backslash or dot\n"),
            (&["admin"], "GET app.example/admin\nnote      read as the path `/admin`; a host is named by `--host`"),
            (&["http://app.example/admin#x"], "GET app.example/admin\nnote      without what follows `#`"),
            (&["https://evil.example/admin"], "GET evil.example/admin\nanswer    421: "),
            (&["ftp://app.example/admin"], "answer    400: write an address with http:// or https://"),
            (
                &["/x/../admin/%7ea"],
                "path      /admin/~a, as routes and upstream see it\nroute     /admin/{*rest} (line 14)\n",
            ),
        ] {
            let output = output(&[&["explain", "GET"], arguments].concat());
            assert!(output.contains(answer), "{output}");
        }
    }

    #[test]
    fn explain_says_why_other_routes_lose_and_refuses_the_gateways_own_calls() {
        let file = r#"
[server]
listen = "127.0.0.1:8080"
public_url = "http://localhost:8080"
[authority]
kind = "backend"
upstream = "api"
[authority.credentials]
path = "/login"
json = "{email}"
[upstreams.api]
targets = ["http://127.0.0.1:3000"]
[[routes]]
path = "/api/{*rest}"
strip = "/api"
methods = ["POST", "GET"]
upstream = "api"
[[routes]]
path = "/{*rest}"
upstream = "api"
access = "public"
"#;
        let output = |arguments: &[&str]| vestibule(file, arguments).1;
        let matched = output(&["explain", "POST", "/api/x"]);
        assert!(
            matched.contains(
                "route     POST,GET /api/{*rest} (line 13)\n          not /{*rest} (line 18): loses: the winner's path is more specific\n"
            ),
            "{matched}"
        );
        let public = output(&["explain", "PUT", "/api/x"]);
        assert!(public.contains("not POST,GET /api/{*rest} (line 13): is for other methods\n"), "{public}");
        assert!(public.contains("\n          authorization: as the visitor sent it\n"), "{public}");
        let own_call = output(&["explain", "POST", "/api/login"]);
        assert!(
            own_call.contains("answer    404: `POST /login` at `api` is a call that the gateway itself makes"),
            "{own_call}"
        );
    }

    #[test]
    fn keygen_prints_a_key_that_the_configuration_accepts() {
        let (_, first) = vestibule("", &["keygen"]);
        let (_, second) = vestibule("", &["keygen"]);
        assert_ne!(first, second);
        let (next, output) = vestibule(&SECURE.replace("env:KEY", first.trim()), &["check"]);
        assert_eq!(next, Next::Exit(Exit::Success));
        assert!(!output.contains(first.trim()), "{output}");
    }

    #[test]
    fn keygen_prints_signing_keys_that_the_configuration_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let (es256, ed25519) = (folder.path().join("a.pem"), folder.path().join("b.pem"));
        fs::write(&es256, vestibule("", &["keygen", "--signing"]).1).unwrap();
        fs::write(&ed25519, vestibule("", &["keygen", "--signing", "ed25519"]).1).unwrap();
        let (_, key) = vestibule("", &["keygen"]);
        let (a, b) = (es256.display(), ed25519.display());
        let file = SECURE.replace("env:KEY", key.trim()) + &format!("[signing]\nkeys = [\"file:{a}\", \"file:{b}\"]\n");
        let (next, output) = vestibule(&file, &["check"]);
        assert_eq!(next, Next::Exit(Exit::Success), "{output}");
        assert!(!output.contains("PRIVATE"), "{output}");
    }

    #[test]
    fn schema_prints_the_keys_with_defaults_and_types() {
        let (next, output) = vestibule("", &["schema"]);
        let schema: serde_json::Value = serde_json::from_str(&output).unwrap();
        let ahead = &schema["properties"]["session"]["properties"]["refresh_ahead"];
        assert_eq!((&ahead["default"], &ahead["type"]), (&"60s".into(), &"string".into()));
        assert_eq!(schema["properties"]["verify"], serde_json::Value::Null);
        assert_eq!(next, Next::Exit(Exit::Success));
        assert!(vestibule("", &["schema", "--reference"]).1.starts_with("# gateway.toml\n"));
        assert!(vestibule("", &["schema", "--problems"]).1.starts_with("# Problems\n"));
    }
}
