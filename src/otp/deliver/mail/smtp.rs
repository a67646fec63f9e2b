//! The client of a mail server (SMTP, RFC 5321), with a pool of at most four connections.

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

use crate::{endpoint::is_invisible, secret::Secret};

/// Connections that send at the same time; further messages wait. Many mail servers treat more as an attack.
const MAX_CONNECTIONS: usize = 4;
/// An idle connection is not used again after this time: some servers close it after a minute or two.
const IDLE: Duration = Duration::from_secs(60);
/// Longest error text of a server in the log, in characters.
const MAX_ERROR_TEXT: usize = 200;

/// `[otp.email.smtp]`, validated.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// A host name, or an IP address without brackets; the server's certificate must be for it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: Security,
    /// Certificate authorities trusted besides the system's.
    pub authorities: Vec<Certificate>,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// The name in `EHLO`.
    pub hello: ClientId,
    /// Deadline for one message, from the connection to the server's acceptance.
    pub timeout: Duration,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// STARTTLS (RFC 3207); a server that does not offer it gets no message.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    FromStart,
    /// No encryption; only for a server on loopback.
    None,
}

/// Why a message was not accepted. `Display` masks addresses and codes in the server's text, so that it can be logged.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The connection failed or ended.
    #[error("no connection: {}", for_log(.0))]
    Connection(smtp::Error),
    /// The TLS handshake failed, for example because the certificate is for another name.
    #[error("no TLS: {}", for_log(.0))]
    Tls(smtp::Error),
    /// The server does not offer STARTTLS, or an attacker on the network removed the offer.
    #[error("no TLS: the server offers no STARTTLS")]
    NoStartTls,
    /// User name and password were not accepted.
    #[error("no login: {}", for_log(.0))]
    Login(smtp::Error),
    /// A permanent refusal (5xx).
    #[error("refused: {}", for_log(.0))]
    Refused(smtp::Error),
    /// A temporary refusal (4xx).
    #[error("put off: {}", for_log(.0))]
    Temporary(smtp::Error),
    /// [`SmtpSettings::timeout`] has passed.
    #[error("no end within {0:?}")]
    TimedOut(Duration),
}

/// The client of one mail server. The pool is ours, not lettre's, for two reasons: when sending is cancelled in the
/// middle of a message, the connection must be closed; and a message that fails on an idle connection must be sent
/// again on a new one.
pub(super) struct Smtp {
    settings: SmtpSettings,
    tls: Option<TlsParameters>,
    idle: Mutex<Vec<IdleConnection>>,
    permits: Semaphore,
}

struct IdleConnection {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    /// The server of `settings`. Fails if the system's trust store cannot be read.
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, smtp::Error> {
        let tls = || {
            let builder = TlsParameters::builder(settings.host.clone());
            let authorities = settings.authorities.iter().cloned();
            authorities.fold(builder, TlsParametersBuilder::add_root_certificate).build()
        };
        let tls = if settings.security == Security::None { None } else { Some(tls()?) };
        Ok(Self { settings, tls, idle: Mutex::default(), permits: Semaphore::new(MAX_CONNECTIONS) })
    }

    /// `host:port`, for logs.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    /// Sends a message.
    pub(super) async fn send(&self, envelope: &Envelope, message: &[u8]) -> Result<(), SmtpError> {
        self.with_deadline(async {
            let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
            if let Some(connection) = self.idle_connection().await {
                match self.send_over(connection, envelope, message).await {
                    // The server may have closed the connection, or may limit messages per connection. At worst the
                    // message arrives twice.
                    Err(error) if !matches!(error, SmtpError::Refused(_)) => {
                        tracing::debug!(server = self.address(), %error, "otp: an idle connection failed, trying a new one");
                    }
                    result => return result,
                }
            }
            self.send_over(self.connect().await?, envelope, message).await
        })
        .await
    }

    /// Tests what precedes a message: connection, certificate, login.
    pub(super) async fn probe(&self) -> Result<(), SmtpError> {
        self.with_deadline(async {
            // Whether the server answers QUIT does not matter.
            let _ = self.connect().await?.quit().await;
            Ok(())
        })
        .await
    }

    async fn with_deadline<T>(&self, work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, SmtpError> {
        let limit = self.settings.timeout;
        timeout(limit, work).await.unwrap_or(Err(SmtpError::TimedOut(limit)))
    }

    async fn send_over(
        &self,
        mut connection: AsyncSmtpConnection,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SmtpError> {
        connection.send(envelope, message).await.map_err(SmtpError::of)?;
        self.lock().push(IdleConnection { connection, since: Instant::now() });
        Ok(())
    }

    /// An idle connection on which the server answered NOOP just now.
    async fn idle_connection(&self) -> Option<AsyncSmtpConnection> {
        let search = async {
            loop {
                let IdleConnection { mut connection, since } = self.lock().pop()?;
                if since.elapsed() < IDLE && connection.test_connected().await {
                    return Some(connection);
                }
            }
        };
        // A firewall that silently drops one idle connection drops all of them; a new one needs the rest of the time.
        timeout(self.settings.timeout / 4, search).await.unwrap_or_else(|_| {
            self.lock().clear();
            None
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let SmtpSettings { host, port, security, login, hello, timeout, .. } = &self.settings;
        let from_start = self.tls.clone().filter(|_| *security == Security::FromStart);
        // A name may have several addresses; each is tried this long.
        let for_each_address = Some(*timeout / 3);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), for_each_address, hello, from_start, None)
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<IdleConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmtpError {
    fn of(error: smtp::Error) -> Self {
        if error.is_permanent() {
            Self::Refused(error)
        } else if error.is_transient() {
            Self::Temporary(error)
        } else if is_tls(&error) {
            Self::Tls(error)
        } else {
            Self::Connection(error)
        }
    }

    fn of_login(error: smtp::Error) -> Self {
        // lettre's client error: client and server have no authentication mechanism in common.
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

/// The root cause, for the log: addresses and codes masked, on one line, at most 200 characters.
fn for_log(error: &smtp::Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let text = without_content(&root.to_string());
    error.status().map_or_else(|| text.clone(), |code| format!("{code} {text}"))
}

fn without_content(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)).filter(|word| !word.is_empty());
    let words = words.map(|word| if word.contains('@') { "***".to_owned() } else { without_code(word) });
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_ERROR_TEXT).collect()
}

/// Masks runs of six digits: a server may quote the subject or a line of the message.
fn without_code(word: &str) -> String {
    let digits = |run: &&str| run.len() == 6;
    let codes: Vec<_> = word.split(|c: char| !c.is_ascii_digit()).filter(digits).collect();
    codes.into_iter().fold(word.to_owned(), |word, code| word.replace(code, "******"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_errors_are_logged_without_addresses_codes_and_control_characters() {
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
