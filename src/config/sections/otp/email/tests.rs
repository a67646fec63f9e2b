//! Valid and invalid tables `[otp.email]`.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use lettre::transport::smtp::extension::ClientId;

use super::*;
use crate::{
    config::{
        Environment,
        sections::{RootTable, limits, otp::OtpTable, server},
        tests::read_tables,
    },
    otp::deliver::{OutboxSettings, Security, SmtpSettings},
    text::Language,
};

const LOCAL: &str = "127.0.0.1:8080\"\npublic_url = \"http://localhost:8080";
const PUBLIC: &str = "0.0.0.0:8080\"\npublic_url = \"https://app.example";

/// The settings of `[otp.email]` with this body, and the complaints: line (of the body), message, help.
fn read_at(address: &str, folder: &Path, body: &str) -> (Option<MailSettings>, String) {
    let text = format!("[server]\nlisten = \"{address}\"\n[otp.email]\n{body}");
    let environment: Environment =
        [("USER", "id"), ("PASSWORD", "hunter2")].map(|(a, b)| (a.to_owned(), b.to_owned())).into_iter().collect();
    let (settings, complaints) = read_tables(&text, folder, &environment, |root, cx| {
        let sockets = limits::of_sockets(&root.section(&RootTable::LIMITS), cx);
        let server = server::server(&root.section(&RootTable::SERVER), sockets, cx);
        mail(&root.section(&RootTable::OTP).section(&OtpTable::EMAIL), &server, cx)
    });
    let printed = complaints.errors.iter().chain(&complaints.warnings).fold(String::new(), |mut printed, c| {
        let _ = writeln!(printed, "{}: {} → {}", c.line - 4, c.message, c.help);
        printed
    });
    (settings, printed)
}

fn good(address: &str, body: &str) -> MailSettings {
    match read_at(address, Path::new("/nowhere"), body) {
        (Some(settings), printed) if printed.is_empty() => settings,
        (_, printed) => panic!("{printed}"),
    }
}

fn printed(address: &str, body: &str) -> String {
    let (settings, printed) = read_at(address, Path::new("/nowhere"), body);
    assert!(settings.is_none() || !printed.is_empty(), "accepted: {body}");
    printed
}

/// The body of a table that is valid except for `smtp`.
fn smtp_is(smtp: &str) -> String {
    format!("from = \"no-reply@example.com\"\n[otp.email.smtp]\n{smtp}")
}

fn server_of(settings: &MailSettings) -> &SmtpSettings {
    match &settings.transports[..] {
        [MailTransport::Smtp(server)] => server,
        transports => panic!("{transports:?}"),
    }
}

#[test]
fn the_example_of_the_reference_is_read() {
    let settings = good(
        PUBLIC,
        r#"purpose = "login"
from = "식방 <no-reply@example.kr>"
subject = { ko = "인증번호 안내", en = "Your code" }
[otp.email.smtp]
url = "smtp://smtp.naver.com:587"
user = "env:USER"
password = "env:PASSWORD"
"#,
    );
    assert_eq!(settings.from.name.as_deref(), Some("식방"));
    assert_eq!(settings.from.email.to_string(), "no-reply@example.kr");
    let letter = settings.letter.compose("a@b.c", Language::English, "x", "012345", 3);
    assert_eq!(letter.subject, "Your code");
    let server = server_of(&settings);
    assert_eq!((server.host.as_str(), server.port, server.security), ("smtp.naver.com", 587, Security::StartTls));
    let (user, password) = server.login.as_ref().unwrap();
    assert_eq!((user.as_str(), password.expose()), ("id", "hunter2"));
    assert_eq!(server.hello, ClientId::Domain("app.example".to_owned()));
    assert_eq!(server.timeout, Duration::from_secs(10));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_mail_server_has_a_preset_or_an_address() {
    for (smtp, host, port, security) in [
        ("preset = \"naver\"", "smtp.naver.com", 587, Security::StartTls),
        ("preset = \"gmail\"", "smtp.gmail.com", 587, Security::StartTls),
        ("preset = \"ses\"", "email-smtp.ap-northeast-2.amazonaws.com", 587, Security::StartTls),
        ("preset = \"ses\"\nregion = \"us-east-1\"", "email-smtp.us-east-1.amazonaws.com", 587, Security::StartTls),
        ("url = \"smtp://Mail.Example.com\"", "mail.example.com", 587, Security::StartTls),
        ("url = \"smtp://mail.example.com:25/\"", "mail.example.com", 25, Security::StartTls),
        ("url = \"smtps://mail.example.com\"", "mail.example.com", 465, Security::FromStart),
        ("url = \"smtps://[::1]:2465\"", "::1", 2465, Security::FromStart),
    ] {
        let settings = good(PUBLIC, &smtp_is(&format!("{smtp}\nuser = \"env:USER\"\npassword = \"env:PASSWORD\"")));
        let server = server_of(&settings);
        assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security));
    }
    let settings = good(LOCAL, &smtp_is("url = \"smtp://127.0.0.1:1025\"\ntls = \"none\""));
    let server = server_of(&settings);
    assert_eq!((server.host.as_str(), server.port, server.security), ("127.0.0.1", 1025, Security::None));
    assert!(server.login.is_none());
}

#[test]
fn each_mistake_of_a_mail_server_is_a_complaint() {
    const ADDRESS: &str = "3: `url` must be the address of a mail server";
    for (smtp, expected) in [
        ("", "2: where is the mail server? → write `url = \"smtp://mail.example.com:587\"`, or `preset = \"naver\"`, \"gmail\" or \"ses\"\n".to_owned()),
        ("url = \"smtp://a\"\npreset = \"gmail\"\nuser = \"x\"\npassword = \"env:PASSWORD\"", "4: the mail server is said twice: by `preset` and by `url` → leave one of the two out\n".to_owned()),
        ("url = \"smtp://a\"\nregion = \"x\"", "4: `region` is for `preset = \"ses\"` → leave it out\n".to_owned()),
        ("preset = \"ses\"\nregion = \"a.evil.example/\"\nuser = \"x\"\npassword = \"env:PASSWORD\"", "4: `a.evil.example/` is not a region → write `region = \"ap-northeast-2\"`\n".to_owned()),
        ("preset = \"naver\"", "2: this mail server wants a user name and a password → write `user = \"env:SMTP_USER\"` and `password = \"env:SMTP_PASSWORD\"`\n".to_owned()),
        ("url = \"smtp://a\"\nuser = \"x\"", "4: `user` without `password` → write `password` too, or leave both out\n".to_owned()),
        ("url = \"smtp://a\"\npassword = \"env:PASSWORD\"", "4: `password` without `user` → write `user` too, or leave both out\n".to_owned()),
        ("url = \"smtp://a\"\nuser = \"x\"\npassword = \"hunter2\"", "5: a secret stands in the file itself → write \"env:NAME\" or \"file:PATH\", and keep the secret there\n".to_owned()),
        ("url = \"smtp://a\"\nca = \"ca.pem\"", "4: the file `ca.pem` cannot be read: entity not found → relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as\n".to_owned()),
        ("url = \"mail.example.com:587\"", format!("{ADDRESS} → write \"smtp://host:587\" (STARTTLS) or \"smtps://host:465\" (TLS from the start)\n")),
        ("url = \"smtp://a:465\"", format!("{ADDRESS} → on port 465 TLS begins from the start: write \"smtps://\"\n")),
        ("url = \"smtps://a:587\"", format!("{ADDRESS} → on this port TLS begins with STARTTLS: write \"smtp://\"\n")),
        ("url = \"smtp://u:p@a\"", format!("{ADDRESS} → leave out the user name and the password: they are `user` and `password`\n")),
        ("url = \"smtp://a/x\"", format!("{ADDRESS} → leave out what stands behind the port\n")),
        ("url = \"smtp://a b\"", format!("{ADDRESS} → write \"smtp://host:587\" (STARTTLS) or \"smtps://host:465\" (TLS from the start)\n")),
    ] {
        assert_eq!(printed(PUBLIC, &smtp_is(smtp)), expected, "{smtp}");
    }
}

#[test]
fn mail_without_tls_is_allowed_on_loopback_only() {
    const NETWORK: &str = "4: codes and the password would go through the network for all to read → leave `tls` out: \"none\" is for a mail server on loopback\n";
    let none = |url| smtp_is(&format!("url = \"{url}\"\ntls = \"none\""));
    assert_eq!(printed(LOCAL, &none("smtp://10.0.0.1")), NETWORK);
    assert_eq!(printed(LOCAL, &none("smtp://localhost.example.com")), NETWORK);
    assert_eq!(
        printed(LOCAL, &none("smtps://localhost")),
        "4: `smtps` is TLS from the start, and `tls` says none → write \"smtp://\", or leave `tls` out\n"
    );
    assert_eq!(
        printed(PUBLIC, &none("smtp://localhost")),
        "4: mail without TLS is for development, with `public_url` and every listen address on loopback → leave `tls` out\n"
    );
}

#[test]
fn an_authority_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let pem = rcgen::generate_simple_self_signed(["mail.example".to_owned()]).unwrap().cert.pem();
    fs::write(folder.path().join("ca.pem"), &pem).unwrap();
    fs::write(folder.path().join("none.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let read = |ca| read_at(PUBLIC, folder.path(), &smtp_is(&format!("url = \"smtp://a\"\nca = \"{ca}\"")));
    assert_eq!(server_of(&read("ca.pem").0.unwrap()).authorities.len(), 1);
    let (settings, printed) = read("none.pem");
    assert!(settings.is_none());
    assert_eq!(
        printed,
        "4: there is no certificate in this file → the file holds the authority's certificate in PEM (`-----BEGIN CERTIFICATE-----`)\n"
    );
}

#[test]
fn the_sender_is_one_address() {
    for from in ["no-reply@example.com", "Example <no-reply@example.com>", "\\\"A, B\\\" <a@b.c>"] {
        good(LOCAL, &format!("from = \"{from}\"\n[otp.email.outbox]"));
    }
    for from in ["", "no-reply", "a@b.c, d@e.f", "A <a@b.c> x", "A\\r\\nBcc: x <a@b.c>", "<a@b.c", "\\\"a b\\\"@b.c"] {
        assert_eq!(
            printed(LOCAL, &format!("from = \"{from}\"\n[otp.email.outbox]")),
            "1: `from` must be one e-mail address, with or without a name → write `from = \"Example <no-reply@example.com>\"`, or the address alone\n",
            "{from}"
        );
    }
}

#[test]
fn custom_letters_must_have_the_code_and_known_placeholders() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ko.html"), "<b style=\"{x:y}\">{code}</b>").unwrap();
    fs::write(folder.path().join("bad.html"), "<b>{kode}</b>").unwrap();
    let read =
        |letter: &str| read_at(LOCAL, folder.path(), &format!("from = \"a@b.c\"\n{letter}\n[otp.email.outbox]\n"));
    let (settings, printed) = read("text = { en = \"{code}, {site}\" }\nhtml = { ko = \"ko.html\" }");
    assert_eq!(printed, "");
    let letter = settings.unwrap().letter.compose("x@y.z", Language::Korean, "식방", "012345", 3);
    assert_eq!((letter.text.as_str(), letter.html.as_str()), ("012345, 식방", "<b style=\"{x:y}\">012345</b>"));
    for (letter, expected) in [
        (
            "text = { ko = \"{minutes}\" }",
            "2: this message does not have the code in it → write `{code}` where it belongs\n",
        ),
        (
            "subject = { ko = \"{sites}\", en = \"{user}\" }",
            "2: there is no `{sites}` here → did you mean `{site}`?\n2: there is no `{user}` here → here there are `{code}`, `{minutes}`, `{site}`\n",
        ),
        (
            "html = { en = \"bad.html\" }",
            "2: there is no `{kode}` here → did you mean `{code}`?\n2: this message does not have the code in it → write `{code}` where it belongs\n",
        ),
        (
            "html = { en = \"none.html\" }",
            "2: the file `none.html` cannot be read: entity not found → relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as\n",
        ),
        (
            "text = {}",
            "2: `text` has no text → write `text = { ko = \"…\", en = \"…\" }`, or one of the two, or leave it out\n",
        ),
    ] {
        let (settings, printed) = read(letter);
        assert!(settings.is_none(), "{letter}");
        assert_eq!(printed, expected, "{letter}");
    }
}

#[test]
fn senders_are_tried_in_the_order_of_the_file_or_of_order() {
    const BOTH: &str = "[otp.email.outbox]\n[otp.email.smtp]\nurl = \"smtps://a\"";
    let outbox_first =
        |settings: &MailSettings| matches!(settings.transports[..], [MailTransport::Outbox(_), MailTransport::Smtp(_)]);
    assert!(outbox_first(&good(LOCAL, &format!("from = \"a@b.c\"\n{BOTH}"))));
    let order = |order: &str| format!("from = \"a@b.c\"\norder = {order}\n{BOTH}");
    assert!(!outbox_first(&good(LOCAL, &order("[\"smtp\", \"outbox\"]"))));
    assert_eq!(
        printed(LOCAL, &order("[\"smpt\", \"smtp\", \"smtp\"]")),
        "2: nothing is called `smpt` here → did you mean \"smtp\"?\n\
         2: `smtp` is listed twice → leave one of the two out\n\
         3: `outbox` is never used: it is not in `order` → add it to `order`, or leave it out\n"
    );
    assert_eq!(
        printed(LOCAL, "from = \"a@b.c\"\norder = [\"outbox\", \"smtp\"]\n[otp.email.outbox]"),
        "2: `smtp` is not configured → write its table, or leave \"smtp\" out\n"
    );
    assert_eq!(
        printed(LOCAL, "from = \"a@b.c\""),
        "0: there is nothing that could send the codes → write one of the tables `smtp`, `outbox` below this one\n"
    );
}

#[test]
fn an_outbox_is_allowed_on_loopback_only() {
    let outbox = |outbox: &str| format!("from = \"a@b.c\"\n[otp.email.outbox]\n{outbox}");
    let transport = |body: &str| good(LOCAL, &outbox(body)).transports.remove(0);
    assert!(
        matches!(transport(""), MailTransport::Outbox(OutboxSettings::File(path)) if path == Path::new("/nowhere/outbox.jsonl"))
    );
    assert!(matches!(transport("url = \"http://127.0.0.1:8025/x\""), MailTransport::Outbox(OutboxSettings::Url(_))));
    for (address, body, expected) in [
        (
            PUBLIC,
            "",
            "2: an outbox shows codes to every program that can read it: it is for development, with `public_url` and every listen address on loopback → leave it out, and write how messages are really sent\n",
        ),
        (
            LOCAL,
            "url = \"http://10.0.0.1/\"",
            "3: an outbox is on this machine → write an address on loopback, e.g. \"http://127.0.0.1:8025/\"\n",
        ),
        (
            LOCAL,
            "url = \"http://127.0.0.1/\"\npath = \"x\"",
            "4: an outbox is a file (`path`) or a server (`url`) → leave one of the two out\n",
        ),
    ] {
        assert_eq!(printed(address, &outbox(body)), expected);
    }
}
