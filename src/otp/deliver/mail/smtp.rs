//! One mail server by SMTP (RFC 5321): encrypted, authenticated, over a few connections that are kept for a while.

use std::{
    error::Error as _,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder},
        extension::ClientId,
    },
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::secret::Secret;

/// More at once would look like an attack to most mail servers; the rest wait for their turn.
const MOST_CONNECTIONS: usize = 4;
/// Servers end idle connections, some after a minute or two.
const IDLE: Duration = Duration::from_secs(60);
/// Of a server's words this much is logged.
const MOST_SAID: usize = 200;

/// `[otp.email.smtp]`, validated.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// A name, or an IP address without brackets; the certificate must be its.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: Security,
    /// Authorities that the server's certificate may come from besides the system's.
    pub authorities: Vec<Certificate>,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// What the gateway calls itself.
    pub hello: ClientId,
    /// For a message, from connecting to the server's word that it has it.
    pub timeout: Duration,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// By STARTTLS (RFC 3207), without which nothing is said.
    StartTls,
    /// From the start (RFC 8314).
    FromStart,
    /// Not at all: loopback.
    None,
}

/// Why a message was not taken. The words of the server in it are fit for a log.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// No connection, or one that ended.
    #[error("no connection: {}", fit(.0))]
    Connection(smtp::Error),
    /// No encrypted connection: a certificate of someone else, for example.
    #[error("no TLS: {}", fit(.0))]
    Tls(smtp::Error),
    /// A server that does not encrypt, or someone between who hides that it does.
    #[error("no TLS: the server offers no STARTTLS")]
    NoStartTls,
    /// User name and password were not accepted.
    #[error("no login: {}", fit(.0))]
    Login(smtp::Error),
    /// Said no for good (5xx).
    #[error("refused: {}", fit(.0))]
    Refused(smtp::Error),
    /// Said not now (4xx).
    #[error("put off: {}", fit(.0))]
    PutOff(smtp::Error),
    /// Nothing came of it in time.
    #[error("no end within {0:?}")]
    Late(Duration),
}

/// A mail server. Its own few lines of pool, for two reasons: a message that is given up half-way must take its connection along,
/// and one that a kept connection does not get through must go by a new one.
pub(super) struct Smtp {
    settings: SmtpSettings,
    tls: Option<TlsParameters>,
    kept: Mutex<Vec<Kept>>,
    turns: Semaphore,
}

struct Kept {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    /// The server of `settings`; fails where the system's trust store cannot be read.
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, smtp::Error> {
        let tls = || {
            let builder = TlsParameters::builder(settings.host.clone());
            let authorities = settings.authorities.iter().cloned();
            authorities.fold(builder, TlsParametersBuilder::add_root_certificate).build()
        };
        let tls = if settings.security == Security::None { None } else { Some(tls()?) };
        Ok(Self { settings, tls, kept: Mutex::default(), turns: Semaphore::new(MOST_CONNECTIONS) })
    }

    /// `host:port`, for logs.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    /// Gives the server a message.
    pub(super) async fn send(&self, envelope: &Envelope, message: &[u8]) -> Result<(), SmtpError> {
        self.in_time(async {
            let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
            if let Some(connection) = self.kept().await {
                match self.send_by(connection, envelope, message).await {
                    // It may have had enough of this connection, or ended it. At worst the message comes twice.
                    Err(error) if !matches!(error, SmtpError::Refused(_)) => {
                        tracing::debug!(server = self.address(), %error, "otp: a kept connection was of no use");
                    }
                    result => return result,
                }
            }
            self.send_by(self.connect().await?, envelope, message).await
        })
        .await
    }

    /// Tries all that comes before a message: connection, certificate, login.
    pub(super) async fn probe(&self) -> Result<(), SmtpError> {
        self.in_time(async {
            // What becomes of a goodbye says nothing.
            let _ = self.connect().await?.quit().await;
            Ok(())
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, SmtpError> {
        let limit = self.settings.timeout;
        timeout(limit, work).await.unwrap_or(Err(SmtpError::Late(limit)))
    }

    async fn send_by(
        &self,
        mut connection: AsyncSmtpConnection,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SmtpError> {
        connection.send(envelope, message).await.map_err(SmtpError::of)?;
        self.lock().push(Kept { connection, since: Instant::now() });
        Ok(())
    }

    /// A kept connection on which the server answers.
    async fn kept(&self) -> Option<AsyncSmtpConnection> {
        let look = async {
            loop {
                let Kept { mut connection, since } = self.lock().pop()?;
                if since.elapsed() < IDLE && connection.test_connected().await {
                    return Some(connection);
                }
            }
        };
        // Where a firewall forgot one silently it forgot them all, and there must be time for a new one.
        timeout(self.settings.timeout / 4, look).await.unwrap_or_else(|_| {
            self.lock().clear();
            None
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let SmtpSettings { host, port, security, login, hello, timeout, .. } = &self.settings;
        let from_start = self.tls.clone().filter(|_| *security == Security::FromStart);
        // Each of a name's addresses gets its chance.
        let patience = Some(*timeout / 3);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), patience, hello, from_start, None)
                .await
                .map_err(SmtpError::of)?;
        if let (Security::StartTls, Some(tls)) = (security, &self.tls) {
            if !connection.can_starttls() {
                return Err(SmtpError::NoStartTls);
            }
            connection.starttls(tls.clone(), hello).await.map_err(SmtpError::of)?;
        }
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(SmtpError::of_login)?;
        }
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmtpError {
    fn of(error: smtp::Error) -> Self {
        if error.is_permanent() {
            Self::Refused(error)
        } else if error.is_transient() {
            Self::PutOff(error)
        } else if is_tls(&error) {
            Self::Tls(error)
        } else {
            Self::Connection(error)
        }
    }

    fn of_login(error: smtp::Error) -> Self {
        // No mechanism in common is the client's own finding.
        if error.status().is_some() || error.is_client() { Self::Login(error) } else { Self::of(error) }
    }
}

fn is_tls(error: &smtp::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What is at the bottom of it, fit for a log: without addresses and codes, on one line, and short. A server may answer with anything.
fn fit(error: &smtp::Error) -> String {
    let mut bottom: &dyn std::error::Error = error;
    while let Some(cause) = bottom.source() {
        bottom = cause;
    }
    let said = without_content(&bottom.to_string());
    error.status().map_or_else(|| said.clone(), |code| format!("{code} {said}"))
}

fn without_content(said: &str) -> String {
    let words = said.split(|c: char| c.is_whitespace() || is_invisible(c)).filter(|word| !word.is_empty());
    let words = words.map(|word| if word.contains('@') { "***".to_owned() } else { without_code(word) });
    words.collect::<Vec<_>>().join(" ").chars().take(MOST_SAID).collect()
}

/// Control characters, and those that change how others are shown.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A server may quote a subject or a line that it dislikes.
fn without_code(word: &str) -> String {
    let digits = |run: &&str| run.len() == 6;
    let codes: Vec<_> = word.split(|c: char| !c.is_ascii_digit()).filter(digits).collect();
    codes.into_iter().fold(word.to_owned(), |word, code| word.replace(code, "******"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_logged_without_addresses_codes_and_tricks() {
        for (said, logged) in [
            ("5.1.1 <mina@example.com>: user unknown", "5.1.1 *** user unknown"),
            (
                "rejected: \"[site] 012345\"\r\nERROR  x\u{1b}[31m\u{202e}y",
                "rejected: \"[site] ******\" ERROR x [31m y",
            ),
            ("id 1234567 of 20261120T", "id 1234567 of 20261120T"),
        ] {
            assert_eq!(without_content(said), logged);
        }
        assert_eq!(without_content(&"가".repeat(1000)).chars().count(), 200);
    }
}
