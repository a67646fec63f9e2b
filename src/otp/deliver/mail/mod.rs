//! Sends e-mail, each message to one address, through the configured transports in their order.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport,
};

use super::{
    message::{Mail, Undelivered},
    outbox::{Outbox, OutboxSettings},
};
use crate::{channel::Channel, clock::Clock, otp::address::Email, outbound::Outbound, secret::Random};

pub(super) mod letter;
pub(super) mod smtp;

use letter::Letter;
use smtp::{Smtp, SmtpError, SmtpSettings};

/// How e-mail is sent, and its text.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The header `From`, and the envelope's sender.
    pub from: Mailbox,
    /// Subject and text.
    pub letter: Letter,
    /// The transports, in the order in which they are tried; at least one.
    pub transports: Vec<MailTransport>,
}

/// A transport of e-mail.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// A mail server.
    Smtp(SmtpSettings),
    /// For development: stores messages instead of sending them.
    Outbox(OutboxSettings),
}

/// The system's trust store could not be read, so certificates of mail servers cannot be checked.
#[derive(Debug, thiserror::Error)]
#[error("certificates of mail servers cannot be checked")]
pub struct MailSetupError(#[from] transport::smtp::Error);

/// Sends e-mail.
pub struct MailSender {
    from: Mailbox,
    letter: Letter,
    transports: Vec<Transport>,
    clock: Clock,
    random: Random,
}

enum Transport {
    Smtp(Smtp),
    Outbox(Outbox),
}

impl MailSender {
    /// A sender with these settings; only an outbox uses `http`.
    pub fn new(settings: MailSettings, http: &Outbound, clock: Clock, random: Random) -> Result<Self, MailSetupError> {
        let MailSettings { from, letter, transports } = settings;
        let transport = |transport| {
            Ok(match transport {
                MailTransport::Smtp(settings) => Transport::Smtp(Smtp::new(settings)?),
                MailTransport::Outbox(settings) => Transport::Outbox(Outbox::new(settings, http.clone())),
            })
        };
        let transports = transports.into_iter().map(transport).collect::<Result<_, MailSetupError>>()?;
        Ok(Self { from, letter, transports, clock, random })
    }

    /// Subject and text of the messages.
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    /// Sends `mail` through the first transport that accepts it.
    pub async fn send(&self, mail: &Mail) -> Result<(), Undelivered> {
        for transport in &self.transports {
            match transport {
                Transport::Smtp(server) => {
                    let message = self.message(mail)?;
                    match server.send(message.envelope(), &message.formatted()).await {
                        Ok(()) => return Ok(()),
                        Err(error) => tracing::warn!(server = server.address(), %error, "otp: an e-mail was not taken"),
                    }
                }
                Transport::Outbox(outbox) => {
                    if outbox.put(Channel::Email, &mail.to, Some(&mail.subject), &mail.text).await.is_ok() {
                        return Ok(());
                    }
                }
            }
        }
        Err(Undelivered)
    }

    /// Tests connection, certificate and login of each mail server; returns `host:port` and the result of each.
    pub async fn probe(&self) -> Vec<(String, Result<(), SmtpError>)> {
        let mut tried = Vec::new();
        for transport in &self.transports {
            if let Transport::Smtp(server) = transport {
                tried.push((server.address(), server.probe().await));
            }
        }
        tried
    }

    fn message(&self, mail: &Mail) -> Result<Message, Undelivered> {
        let Some(to) = parse_address(&mail.to) else {
            tracing::warn!("otp: an e-mail was not sent, its address is not valid");
            return Err(Undelivered);
        };
        // The id does not reveal the name of this machine: its domain is the sender's.
        let id = format!("<{}@{}>", self.random.uuid(), self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.replace(char::is_control, " "))
            .date(self.clock.now().system_time())
            .message_id(Some(id))
            // RFC 3834 section 5: prevents automatic replies.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
        message.map_err(|error| {
            tracing::warn!(%error, "otp: an e-mail was not sent, it cannot be written as a message");
            Undelivered
        })
    }
}

/// Parses an address of a message: exactly one plain address, as [`Email`] defines it, in ASCII already.
pub fn parse_address(text: &str) -> Option<Address> {
    Email::parse(text, true).filter(|email| email.is_written_as(text))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> MailSender {
        let settings = MailSettings {
            from: "식방 <no-reply@example.kr>".parse().unwrap(),
            letter: Letter::default(),
            transports: Vec::new(),
        };
        MailSender::new(settings, &crate::otp::deliver::http_client().unwrap(), Clock::system(), Random::system())
            .unwrap()
    }

    fn mail(to: &str) -> Mail {
        Mail {
            to: to.to_owned(), subject: "인증번호".to_owned(), text: "012345".to_owned(), html: "<p>".to_owned()
        }
    }

    #[test]
    fn an_address_is_exactly_one_in_plain_ascii_at_a_domain_name() {
        for good in ["mina@example.com", "m.i+n-a_1'!#$%&*/=?^`{|}~@mail.example.co.kr", "a@b.c"] {
            assert_eq!(parse_address(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "mina",
            "@example.com",
            "mina@",
            "mina@example.com,eve@evil.example",
            "mina@example.com;eve@evil.example",
            "\"mina@example.com\"@evil.example",
            "\"mi na\"@example.com",
            "mina\u{ff20}example.com",
            "mina\u{ff20}example.com@evil.example",
            "mina@example.com@evil.example",
            "<mina@example.com>",
            "Mina <mina@example.com>",
            "mina(x)@example.com",
            "mina@[127.0.0.1]",
            "mina@127.0.0.1",
            "mina@exam ple.com",
            "mina@example.com\r\nRCPT TO:<eve@evil.example>",
            "mina@example.com\n",
            "mina@example.com\0",
            "민아@example.com",
            ".mina@example.com",
            "mina..x@example.com",
            "mina@-example.com",
        ] {
            assert_eq!(parse_address(bad), None, "{bad:?}");
        }
        assert_eq!(parse_address(&format!("{}@{}.example.com", "a".repeat(64), "b".repeat(200))), None);
    }

    #[test]
    fn a_message_has_the_headers_that_mail_servers_ask_for() {
        let message = sender().message(&mail("mina@example.com")).unwrap();
        assert_eq!(message.envelope().to(), [parse_address("mina@example.com").unwrap()]);
        let text = String::from_utf8(message.formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let headers: Vec<_> = head.split("\r\n").filter(|line| !line.starts_with(' ')).collect();
        let named = |name: &str| headers.iter().find(|line| line.starts_with(name)).copied().unwrap_or_default();
        assert!(named("From: ").ends_with(" <no-reply@example.kr>"), "{head}");
        assert_eq!(named("To: "), "To: mina@example.com");
        assert!(named("Message-ID: ").ends_with("@example.kr>"), "{head}");
        assert!(named("Date: ").ends_with(" +0000"), "{head}");
        assert_eq!(named("Auto-Submitted: "), "Auto-Submitted: auto-generated");
        assert!(named("Content-Type: ").starts_with("Content-Type: multipart/alternative;"), "{head}");
        assert!(head.is_ascii() && body.is_ascii());
    }

    #[test]
    fn no_value_can_add_a_header_or_a_recipient() {
        let evil = "x\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<eve@evil.example>";
        let mail =
            Mail { subject: evil.to_owned(), text: evil.to_owned(), html: evil.to_owned(), ..mail("mina@example.com") };
        let message = sender().message(&mail).unwrap();
        assert_eq!(message.envelope().to().len(), 1);
        let text = String::from_utf8(message.formatted()).unwrap();
        let head = text.split_once("\r\n\r\n").unwrap().0;
        assert!(!head.split("\r\n").any(|line| line.starts_with("Bcc") || line.starts_with('.')), "{head}");
        assert!(sender().message(&self::mail(evil)).is_err());
    }
}
