//! E-mails with codes, against a real mail server and read by a real mail parser.

use std::time::Duration;

use lettre::transport::smtp::{client::Certificate, extension::ClientId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vestibule::{
    clock::Clock,
    otp::deliver::{
        Letter, Mail, MailSender, MailSettings, MailTransport, OutboxSettings, Security, SmtpError, SmtpSettings,
        Undelivered, http_client,
    },
    secret::{Random, Secret},
    text::Language,
};

use crate::harness::{MailServer, TIME_LIMIT};

fn settings(port: u16, authority: Vec<u8>) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".to_owned(),
        port,
        security: Security::StartTls,
        authorities: vec![Certificate::from_der(authority).unwrap()],
        login: Some(("vestibule".to_owned(), Secret::new("비밀 pass word"))),
        hello: ClientId::Domain("app.example.kr".to_owned()),
        timeout: TIME_LIMIT / 2,
    }
}

fn sender(ways: Vec<MailTransport>) -> MailSender {
    vestibule::assemble::install_cryptography();
    let from = "식방 <no-reply@example.kr>".parse().unwrap();
    let settings = MailSettings { from, letter: Letter::default(), transports: ways };
    MailSender::new(settings, &http_client().unwrap(), Clock::system(), Random::system()).unwrap()
}

fn smtp(settings: SmtpSettings) -> MailSender {
    sender(vec![MailTransport::Smtp(settings)])
}

fn letter(sender: &MailSender, code: &str) -> Mail {
    sender.letter().compose("mina@example.com", Language::Korean, "식방", code, 3)
}

/// A server that requires the login of [`settings`].
async fn server_with(more: Value) -> MailServer {
    let mut options = json!({"user": "vestibule", "password": "비밀 pass word"});
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    MailServer::start("localhost", options).await
}

/// On the wire, lines end with CR LF.
fn lines(part: &Value) -> String {
    part.as_str().unwrap().replace("\r\n", "\n").trim_end().to_owned()
}

async fn probed(sender: &MailSender) -> Result<(), SmtpError> {
    let mut tried = sender.probe().await;
    assert_eq!(tried.len(), 1);
    tried.remove(0).1
}

#[tokio::test]
async fn a_message_arrives_encrypted_at_one_recipient_and_both_parts_can_be_read() {
    let mut server = server_with(json!({})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    let letter = letter(&sender, "012345");
    sender.send(&letter).await.unwrap();
    let (message, before) = server.until("message").await;
    assert_eq!(before, ["connect", "secure", "auth"]);
    assert_eq!(message["secure"], true);
    assert_eq!(message["hello"], "app.example.kr");
    assert_eq!(message["sender"], "no-reply@example.kr");
    assert_eq!(message["recipients"], json!(["mina@example.com"]));
    assert_eq!(message["subject"], "[식방] 인증번호 안내");
    assert_eq!(message["from"], json!({"address": "no-reply@example.kr", "name": "식방"}));
    assert_eq!(lines(&message["text"]), letter.text.trim_end());
    assert_eq!(lines(&message["html"]), letter.html.trim_end());
    let headers = &message["headers"];
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert!(headers["message-id"].as_str().unwrap().ends_with("@example.kr>"), "{headers}");
    assert!(headers["date"].is_string() && headers["mime-version"] == "1.0", "{headers}");
}

#[tokio::test]
async fn tls_from_the_start_and_the_older_login_work_too() {
    let mut server = server_with(json!({"secure": true, "methods": ["LOGIN"]})).await;
    let sender = smtp(SmtpSettings { security: Security::FromStart, ..settings(server.port(), server.certificate()) });
    sender.send(&letter(&sender, "012345")).await.unwrap();
    let auth = server.event("auth").await;
    assert_eq!((&auth["method"], &auth["secure"], &auth["good"]), (&json!("LOGIN"), &json!(true), &json!(true)));
    server.event("message").await;
}

/// RUSTSEC-2026-0141 of lettre: one of its TLS backends did not check the host name.
#[tokio::test]
async fn rustsec_2026_0141_nothing_is_sent_to_a_server_with_the_certificate_of_another() {
    let mut server =
        MailServer::start("mail.example", json!({"user": "vestibule", "password": "비밀 pass word"})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    assert_eq!(sender.send(&letter(&sender, "012345")).await, Err(Undelivered));
    let (_, before) = server.until("close").await;
    assert!(!before.iter().any(|event| matches!(event.as_str(), "secure" | "auth" | "message")), "{before:?}");
    let error = probed(&sender).await.unwrap_err();
    assert!(matches!(error, SmtpError::Tls(_)), "{error:?}");
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let mut server = server_with(json!({})).await;
    let sender = smtp(SmtpSettings { authorities: Vec::new(), ..settings(server.port(), server.certificate()) });
    assert!(matches!(probed(&sender).await, Err(SmtpError::Tls(_))));
    let (_, before) = server.until("close").await;
    assert!(!before.iter().any(|event| event == "auth"), "{before:?}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_code() {
    let mut server = server_with(json!({"startTls": false})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    assert_eq!(sender.send(&letter(&sender, "012345")).await, Err(Undelivered));
    let (_, before) = server.until("close").await;
    assert_eq!(before, ["connect"]);
    assert!(matches!(probed(&sender).await, Err(SmtpError::NoStartTls)));
}

#[tokio::test]
async fn a_wrong_smtp_password_is_reported_without_the_password() {
    let mut server = server_with(json!({})).await;
    let settings = settings(server.port(), server.certificate());
    let sender = smtp(SmtpSettings { login: Some(("vestibule".to_owned(), Secret::new("hunter2"))), ..settings });
    assert_eq!(sender.send(&letter(&sender, "012345")).await, Err(Undelivered));
    assert_eq!(server.event("auth").await["good"], false);
    let error = probed(&sender).await.unwrap_err();
    assert_eq!(error.to_string(), "no login: 535 5.7.8 not ***");
}

#[tokio::test]
async fn a_refused_recipient_is_an_undelivered_message() {
    for refuse in [550, 450] {
        let mut server = server_with(json!({"refuse": refuse})).await;
        let sender = smtp(settings(server.port(), server.certificate()));
        assert_eq!(sender.send(&letter(&sender, "012345")).await, Err(Undelivered));
        let (_, before) = server.until("close").await;
        assert_eq!(before, ["connect", "secure", "auth"]);
    }
}

#[tokio::test]
async fn sending_to_a_silent_server_fails_after_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.der().to_vec();
    let settings = SmtpSettings { timeout: Duration::from_millis(100), ..settings(port, certificate) };
    let sender = smtp(settings);
    assert_eq!(sender.send(&letter(&sender, "012345")).await, Err(Undelivered));
    assert_eq!(probed(&sender).await.unwrap_err().to_string(), "no end within 100ms");
}

#[tokio::test]
async fn an_idle_connection_is_used_again_and_replaced_if_it_no_longer_works() {
    let mut server = server_with(json!({})).await;
    let sender = smtp(SmtpSettings { timeout: TIME_LIMIT / 10, ..settings(server.port(), server.certificate()) });
    sender.send(&letter(&sender, "000001")).await.unwrap();
    server.event("message").await;
    sender.send(&letter(&sender, "000002")).await.unwrap();
    let (_, before) = server.until("message").await;
    assert_eq!(before, Vec::<String>::new(), "no second connection");
    for fault in ["drop", "freeze"] {
        server.command(fault).await;
        sender.send(&letter(&sender, "000003")).await.unwrap();
        let (message, before) = server.until("message").await;
        assert!(before.contains(&"connect".to_owned()), "{fault}: {before:?}");
        assert!(message["text"].as_str().unwrap().contains("000003"));
    }
}

#[tokio::test]
async fn a_server_that_wants_a_new_connection_for_each_message_gets_it() {
    let mut server = server_with(json!({"messages": 1})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    for code in ["000001", "000002", "000003"] {
        sender.send(&letter(&sender, code)).await.unwrap();
        let message = server.event("message").await;
        assert!(message["text"].as_str().unwrap().contains(code));
    }
}

#[tokio::test]
async fn many_messages_at_once_go_over_a_few_connections() {
    let mut server = server_with(json!({})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    let codes: Vec<_> = (0..24).map(|code| format!("{code:06}")).collect();
    let sent = codes.iter().map(async |code| sender.send(&letter(&sender, code)).await);
    assert!(futures_util::future::join_all(sent).await.iter().all(Result::is_ok));
    let mut connections = 0;
    for _ in &codes {
        let (_, before) = server.until("message").await;
        connections += before.iter().filter(|event| *event == "connect").count();
    }
    assert!((1..=4).contains(&connections), "{connections}");
}

/// RUSTSEC-2021-0069 of lettre: message text was read as SMTP commands.
#[tokio::test]
async fn rustsec_2021_0069_lines_that_smtp_or_headers_would_understand_stay_text() {
    let mut server = server_with(json!({})).await;
    let sender = smtp(settings(server.port(), server.certificate()));
    let evil = "x\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\nBcc: eve@evil.example\r\n\r\n..\r\n.";
    let mail = Mail {
        to: "mina@example.com".to_owned(),
        subject: format!("{evil}\r\nBcc: eve@evil.example"),
        text: evil.to_owned(),
        html: evil.to_owned(),
    };
    sender.send(&mail).await.unwrap();
    let message = server.event("message").await;
    assert_eq!(message["recipients"], json!(["mina@example.com"]));
    assert_eq!(message["headers"]["bcc"], Value::Null);
    assert_eq!(lines(&message["text"]), evil.replace("\r\n", "\n"));
    sender.send(&letter(&sender, "012345")).await.unwrap();
    let (message, before) = server.until("message").await;
    assert_eq!(before, Vec::<String>::new(), "one message, and the connection is as good as before");
    assert_eq!(message["sender"], "no-reply@example.kr");
    for to in
        ["eve@evil.example\r\nRCPT TO:<mina@example.com>", "mina@example.com,eve@evil.example", "mina＠example.com"]
    {
        assert_eq!(sender.send(&Mail { to: to.to_owned(), ..mail.clone() }).await, Err(Undelivered));
    }
}

#[tokio::test]
async fn the_next_sender_takes_over_when_the_first_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.jsonl");
    let server = server_with(json!({"refuse": 550})).await;
    let ways = vec![
        MailTransport::Smtp(settings(server.port(), server.certificate())),
        MailTransport::Outbox(OutboxSettings::File(path.clone())),
    ];
    let sender = sender(ways);
    sender.send(&letter(&sender, "012345")).await.unwrap();
    let line: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((&line["channel"], &line["to"]), (&json!("email"), &json!("mina@example.com")));
    assert!(line["text"].as_str().unwrap().contains("012345"));
}
