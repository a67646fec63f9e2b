//! `vestibule check --probe`: whether the services that the configuration names can be reached, all tried at once.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};

use crate::{
    assemble,
    authority::{AuthorityKind, VerifyKeys},
    clock::Clock,
    config::Config,
    oidc::{self, KeySource, ProbeError, Provider, Unavailable},
    otp::deliver::{self, MailSender, SmtpError},
    secret::Random,
    store,
    telemetry::UpstreamCounters,
    upstream::Upstream,
};

/// Longest time for all probes together: a deployment waits for them.
const LIMIT: Duration = Duration::from_secs(15);

/// A service to try: its name, and the result in words (empty: nothing to add to "ok").
struct Probe {
    what: String,
    tried: BoxFuture<'static, Result<String, String>>,
}

/// The result for one service.
pub(super) struct Probed {
    /// Its name.
    pub(super) what: String,
    /// What there is to say: nothing to add to "ok" if it is empty; `Err`: why it cannot be reached.
    pub(super) result: Result<String, String>,
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(about) if about.is_empty() => write!(f, "probe {}: ok", self.what),
            Ok(about) => write!(f, "probe {}: ok ({about})", self.what),
            Err(problem) => write!(f, "probe {}: {problem}", self.what),
        }
    }
}

/// Tries each service that `config` names.
pub(super) fn probe(config: &Config) -> io::Result<Vec<Probed>> {
    assemble::install_cryptography();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(try_all(config, LIMIT));
    // Does not wait for a DNS resolver that is still busy.
    runtime.shutdown_background();
    Ok(results?.into_iter().map(|(what, result)| Probed { what, result }).collect())
}

/// The result of each probe, in the order of [`probes`].
async fn try_all(config: &Config, limit: Duration) -> io::Result<Vec<(String, Result<String, String>)>> {
    let tried = probes(config)?.into_iter().map(async |Probe { what, tried }| {
        let late = || Err(format!("no answer within {limit:?}"));
        (what, tokio::time::timeout(limit, tried).await.unwrap_or_else(|_| late()))
    });
    Ok(join_all(tried).await)
}

fn probes(config: &Config) -> io::Result<Vec<Probe>> {
    let http = oidc::http_client(config.answers).map_err(io::Error::other)?;
    let mail_http = deliver::http_client().map_err(io::Error::other)?;
    let clock = Clock::system();
    let store = store::open(&config.store, &tokio::runtime::Handle::current(), &Random::system(), &clock);
    let reached = async move {
        let store = store.map_err(|error| error.to_string())?;
        store.health.probe().await.map(|()| String::new()).map_err(|error| error.to_string())
    };
    let mut probes = vec![Probe { what: format!("store {}", config.store.kind()), tried: reached.boxed() }];
    if let Some(email) = &config.otp.email {
        let sender = MailSender::new(email.delivery.clone(), &mail_http, clock.clone(), Random::system());
        probes.push(Probe {
            what: "e-mail".to_owned(),
            tried: async move { accepted(sender.map_err(|error| error.to_string())?.probe().await) }.boxed(),
        });
    }
    for settings in &config.providers {
        let what = format!("provider {}", settings.name);
        let provider = Provider::new(settings.clone(), http.clone(), clock.clone(), Random::system());
        let provider = provider.map_err(io::Error::other)?;
        let redirect_uri = config.login.redirect_uri(config.login.origins().public(), &settings.name);
        let of_tokens = match config.authority.kind {
            AuthorityKind::Provider => config.authority.verify.as_ref().and_then(|verify| verify.issuer.clone()),
            AuthorityKind::Backend(_) | AuthorityKind::Gateway(_) => None,
        };
        let tried = async move {
            let found = provider.probe(&redirect_uri).await.map_err(|error| told(&error))?;
            let named = provider.named_issuer().await;
            of_tokens.zip(named).and_then(differ_by_a_slash).map_or(Ok(found), Err)
        };
        probes.push(Probe { what, tried: tried.boxed() });
    }
    if let Some(VerifyKeys::Jwks(url)) = config.authority.verify.as_ref().map(|verify| &verify.keys) {
        let keys = KeySource::at("authority keys".to_owned(), url.clone(), http, clock, Random::system());
        probes.push(Probe {
            what: format!("authority.verify {url}"),
            tried: async move { counted(keys.count().await) }.boxed(),
        });
    }
    let tls = Arc::new(assemble::upstream_tls().map_err(io::Error::other)?);
    for settings in &config.upstreams {
        let counters = UpstreamCounters::default();
        let upstream = Arc::new(Upstream::new(settings.clone(), tls.clone(), Random::system(), counters));
        for (index, target) in settings.targets.iter().enumerate() {
            let what = format!("upstream {} {}", settings.name, super::explain::address(target));
            let upstream = upstream.clone();
            probes.push(Probe { what, tried: async move { connected(&upstream, index).await }.boxed() });
        }
    }
    Ok(probes)
}

/// The mail servers that accepted the connection and the login; `Err`: the first that did not.
fn accepted(tried: Vec<(String, Result<(), SmtpError>)>) -> Result<String, String> {
    let servers: Result<Vec<_>, _> = tried
        .into_iter()
        .map(|(server, tried)| tried.map(|()| server.clone()).map_err(|error| format!("{server}: {error}")))
        .collect();
    servers.map(|servers| servers.join(", "))
}

/// The number of usable keys; none is an error.
fn counted(keys: Result<usize, Arc<Unavailable>>) -> Result<String, String> {
    match keys {
        Ok(0) => Err("there is no key that could verify a token".to_owned()),
        Ok(1) => Ok("1 key".to_owned()),
        Ok(number) => Ok(format!("{number} keys")),
        Err(error) => Err(reason(&error)),
    }
}

async fn connected(upstream: &Upstream, index: usize) -> Result<String, String> {
    match upstream.try_target(&upstream.targets()[index]).await {
        Ok(()) => match super::plain_http::fault_of(&upstream.settings().targets[index]).await {
            Some(fault) => Err(fault),
            None => Ok(String::new()),
        },
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("no connection within {:?} (`connect_timeout`)", upstream.settings().connect_timeout))
        }
        Err(error) => Err(plain(&error)),
    }
}

/// What is wrong if `authority.verify.issuer` is the issuer of the provider's document except for a final slash. An
/// issuer that differs more may be right: a provider's access tokens may be of another one than its ID tokens.
fn differ_by_a_slash((written, named): (String, String)) -> Option<String> {
    let is_slip = written != named && written.trim_end_matches('/') == named.trim_end_matches('/');
    is_slip.then(|| format!("its document says `issuer` is `{named}`, and `authority.verify.issuer` is `{written}`"))
}

fn told(error: &ProbeError) -> String {
    error.unavailable().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", reason(cause)))
}

/// The error, and its deepest cause.
fn reason(error: &Unavailable) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {}", plain(cause)))
}

/// The text of an error without the operating system's error number, its first letter in lower case.
fn plain(error: &dyn Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, UnixListener},
    };

    use super::*;
    use crate::{
        config,
        oidc::fake::{Fake, METADATA},
        scripted::{Reply, dead_address},
    };

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(60);

    /// The results for a file with this provider, `[authority.verify]` and these upstreams, one line each.
    async fn lines(issuer: &str, jwks: &str, upstreams: &str, limit: Duration) -> String {
        let text = format!(
            r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://localhost:8080"
[authority.verify]
jwks_url = "{jwks}"
[providers.corp]
issuer = "{issuer}"
client_id = "x"
{upstreams}
[[routes]]
path = "/{{*rest}}"
upstream = "app"
"#
        );
        let loaded = config::parse(&text, "gateway.toml", Path::new(""), &[].into(), &Random::system());
        let config = loaded.unwrap_or_else(|complaints| panic!("{complaints}")).config;
        try_all(&config, limit).await.unwrap().into_iter().fold(String::new(), |mut lines, (what, result)| {
            let _ = writeln!(lines, "{what}: {result:?}");
            lines
        })
    }

    fn app(targets: &[String]) -> String {
        format!("[upstreams.app]\nconnect_timeout = \"50ms\"\ntargets = {targets:?}")
    }

    #[tokio::test]
    async fn reachable_store_provider_keys_and_upstreams_are_ok() {
        let fake = Fake::start().await;
        fake.answer("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("app.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let (issuer, socket) = (fake.issuer(), format!("unix:{}", socket.display()));
        let upstream = app(&[issuer.clone(), socket.clone()]).replace("50ms", "60s");
        assert_eq!(
            lines(&issuer, &format!("{issuer}/jwks"), &upstream, LONG).await,
            format!(
                "store memory: Ok(\"\")\n\
                 provider corp: Ok(\"discovery, 1 key, client known\")\n\
                 authority.verify {issuer}/jwks: Ok(\"1 key\")\n\
                 upstream app {issuer}: Ok(\"\")\n\
                 upstream app {socket}: Ok(\"\")\n"
            )
        );
    }

    #[tokio::test]
    async fn an_issuer_to_verify_that_differs_by_a_slash_is_told_with_both_values() {
        let fake = Fake::start().await;
        fake.answer("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
        let issuer = fake.issuer();
        for (written, told) in [
            (issuer.clone(), "Ok(".to_owned()),
            ("https://tokens.example".to_owned(), "Ok(".to_owned()),
            (
                format!("{issuer}/"),
                format!("Err(\"its document says `issuer` is `{issuer}`, and `authority.verify.issuer` is `{issuer}/`"),
            ),
        ] {
            let verify = format!("{issuer}/jwks\"\nissuer = \"{written}");
            let output =
                lines(&issuer, &verify, &app(std::slice::from_ref(&issuer)).replace("50ms", "60s"), LONG).await;
            assert!(output.contains(&format!("provider corp: {told}")), "{output}");
        }
    }

    #[tokio::test]
    async fn an_oauth2_provider_is_ok_if_its_token_endpoint_refuses_a_made_up_code() {
        let (fake, dead) = (Fake::start().await, format!("http://{}", dead_address().await));
        fake.answer("/token", Reply::json(200, &json!({"error": "bad_verification_code"})));
        for (address, expected) in [
            (fake.issuer(), "Ok(\"client known\")"),
            (dead, "Err(\"token endpoint: the provider could not be reached: connection refused\")"),
        ] {
            let github = format!(
                "[providers.github]\nkind = \"oauth2\"\nclient_id = \"x\"\ntoken_url = \"{address}/token\"\n{}",
                app(&[fake.issuer()]).replace("50ms", "60s")
            );
            let output = lines(&fake.issuer(), &format!("{}/jwks", fake.issuer()), &github, LONG).await;
            assert!(output.contains(&format!("provider github: {expected}\n")), "{output}");
        }
        assert_eq!(fake.server.count("/token"), 3, "corp twice, github once");
    }

    #[tokio::test]
    async fn unreachable_services_are_reported_with_the_reason() {
        let fake = Fake::start().await;
        let dead = format!("http://{}", dead_address().await);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("https://{}", silent.local_addr().unwrap());
        fake.answer("/jwks", Reply::json(200, &json!({"keys": []})));
        let upstream = app(&[dead.clone(), silent.clone(), "unix:/nowhere/app.sock".to_owned()]);
        assert_eq!(
            lines(&fake.issuer(), &format!("{dead}/jwks"), &upstream, LONG).await,
            format!(
                "store memory: Ok(\"\")\n\
                 provider corp: Err(\"keys: there is no key that could verify a token\")\n\
                 authority.verify {dead}/jwks: Err(\"the provider could not be reached: connection refused\")\n\
                 upstream app {dead}: Err(\"connection refused\")\n\
                 upstream app {silent}: Err(\"no connection within 50ms (`connect_timeout`)\")\n\
                 upstream app unix:/nowhere/app.sock: Err(\"no such file or directory\")\n"
            )
        );
    }

    #[tokio::test]
    async fn a_target_of_another_protocol_is_told_with_what_to_write() {
        let fake = Fake::start().await;
        for (scheme, answer, expected) in [
            ("https", "HTTP/1.1 400 Bad Request\r\n\r\n", "it does not answer with TLS: is its address `http://`?"),
            ("http", "\x15\x03\x03\x00\x02\x02\x46", "it speaks TLS: write `https://`"),
            ("http", "SSH-2.0-OpenSSH_9.6\r\n", "it does not speak HTTP: it says `SSH-2.0-OpenSSH_9.6`"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = format!("{scheme}://{}", listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    let _ = socket.write_all(answer.as_bytes()).await;
                    let _ = socket.shutdown().await;
                    let _ = socket.read_to_end(&mut Vec::new()).await;
                }
            });
            let upstream = app(std::slice::from_ref(&target)).replace("50ms", "60s");
            let output = lines(&fake.issuer(), &format!("{}/jwks", fake.issuer()), &upstream, LONG).await;
            assert!(output.contains(&format!("upstream app {target}: Err(\"{expected}\")")), "{output}");
        }
    }

    #[tokio::test]
    async fn a_service_that_hangs_is_reported_at_the_limit() {
        let fake = Fake::start().await;
        fake.answer(METADATA, Reply::Hang);
        let issuer = fake.issuer();
        let output =
            lines(&issuer, &format!("{issuer}/none"), &app(std::slice::from_ref(&issuer)), Duration::from_millis(50))
                .await;
        assert!(output.contains("provider corp: Err(\"no answer within 50ms\")\n"), "{output}");
    }
}
