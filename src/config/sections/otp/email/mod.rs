//! `[otp.email]`: the sender, the letter, and the ways that e-mail goes.

use std::fs;

use lettre::{
    message::Mailbox,
    transport::smtp::{client::Certificate, extension::ClientId},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use url::{Host, Url};

use crate::config::{
    form,
    messages::{check_template, order, outbox, pair, texts},
    secrets::Surroundings,
    section::Section,
    server::Server,
};
use crate::{
    otp::deliver::{Letter, MailSettings, MailWay, PLACEHOLDERS, Security, SmtpSettings, parse_address},
    secret::Secret,
};

/// Reads `[otp.email]`. `None` where there is none, too.
pub(crate) fn mail(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<MailSettings> {
    if !section.is_present() {
        return None;
    }
    let from = from(section, around);
    let letter = letter(section, around);
    let ways = order(section, &["smtp", "outbox"], around)
        .into_iter()
        .map(|way| match way {
            "smtp" => smtp(&section.section("smtp"), server, around).map(MailWay::Smtp),
            _ => outbox(&section.section("outbox"), server, around).map(MailWay::Outbox),
        })
        // All are read before any is missed.
        .collect::<Vec<_>>();
    Some(MailSettings { from: from?, letter: letter?, ways: ways.into_iter().collect::<Option<_>>()? })
}

fn from(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Mailbox> {
    const HELP: &str = "write `from = \"Example <no-reply@example.com>\"`, or the address alone";
    let text = section.optional("from", form::text)?;
    let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| {
        let name = mailbox.name.as_deref().unwrap_or_default();
        parse_address(mailbox.email.as_ref()).is_some() && !name.contains(char::is_control)
    });
    if mailbox.is_none() {
        around.problems.complain(
            section.place("from"),
            "`from` must be one e-mail address, with or without a name",
            HELP,
        );
    }
    mailbox
}

fn letter(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Letter> {
    let subject = texts(section, "subject", PLACEHOLDERS, None, around);
    let text = texts(section, "text", PLACEHOLDERS, Some("code"), around);
    let html = pair(section, "html", around, |path, place, around| {
        let html = match fs::read_to_string(around.path(&path)) {
            Ok(html) => html,
            Err(error) => {
                around.problems.complain(
                    place,
                    format!("the file `{path}` cannot be read: {}", error.kind()),
                    "relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as",
                );
                return None;
            }
        };
        check_template(&html, place, PLACEHOLDERS, Some("code"), around)?;
        Some(html)
    });
    let whole = |key, read: &Option<_>| read.is_some() || !section.has(key);
    (whole("subject", &subject) && whole("text", &text) && whole("html", &html))
        .then(|| Letter::new(subject, text, html))
}

fn smtp(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<SmtpSettings> {
    let reached = address(section, around);
    let encrypted = section.read("tls", form::text) == "required";
    if !encrypted {
        check_unencrypted(section, reached.as_ref(), server, around);
    }
    let authorities = section.optional("ca", form::text).map(|path| authorities(section, &path, encrypted, around));
    let login = login(section, around);
    let hello = match server.public_url.as_ref()?.host()? {
        Host::Domain(name) => ClientId::Domain(name.to_owned()),
        Host::Ipv4(address) => ClientId::Ipv4(address),
        Host::Ipv6(address) => ClientId::Ipv6(address),
    };
    let (host, port, security) = reached?;
    Some(SmtpSettings {
        host: match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        },
        port,
        security: if encrypted { security } else { Security::None },
        authorities: match authorities {
            Some(authorities) => authorities?,
            None => Vec::new(),
        },
        login: login?,
        hello,
        timeout: section.read("timeout", form::duration),
    })
}

type Reached = (Host, u16, Security);

/// Where the server is: by `preset`, or by `url`.
fn address(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Reached> {
    let preset = section.optional("preset", form::text);
    if preset.as_deref() != Some("ses") && section.has("region") {
        around.problems.complain(section.place_of_key("region"), "`region` is for `preset = \"ses\"`", "leave it out");
    }
    match (preset.as_deref(), section.optional("url", form::text)) {
        (Some(_), Some(_)) => {
            around.problems.complain(
                section.place_of_key("preset"),
                "the mail server is said twice: by `preset` and by `url`",
                "leave one of the two out",
            );
            None
        }
        (None, None) => {
            if !section.has("preset") && !section.has("url") {
                around.problems.complain(
                    section.own_place(),
                    "where is the mail server?",
                    "write `url = \"smtp://mail.example.com:587\"`, or `preset = \"naver\"`, \"gmail\" or \"ses\"",
                );
            }
            None
        }
        (Some(name), None) => {
            let host = match name {
                "naver" => "smtp.naver.com".to_owned(),
                "gmail" => "smtp.gmail.com".to_owned(),
                "ses" => format!("email-smtp.{}.amazonaws.com", region(section, around)?),
                // Complained about where the words of the key are checked.
                _ => return None,
            };
            Some((Host::Domain(host), 587, Security::StartTls))
        }
        (None, Some(url)) => match mail_server(&url) {
            Ok(reached) => Some(reached),
            Err(help) => {
                around.problems.complain(section.place("url"), "`url` must be the address of a mail server", help);
                None
            }
        },
    }
}

fn region(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<String> {
    let region = section.read("region", form::text);
    if !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some(region);
    }
    around.problems.complain(
        section.place("region"),
        format!("`{region}` is not a region"),
        "write `region = \"ap-northeast-2\"`",
    );
    None
}

fn mail_server(text: &str) -> Result<Reached, &'static str> {
    const HELP: &str = "write \"smtp://host:587\" (STARTTLS) or \"smtps://host:465\" (TLS from the start)";
    let url = Url::parse(text).map_err(|_| HELP)?;
    let (security, usual) = match url.scheme() {
        "smtp" => (Security::StartTls, 587),
        "smtps" => (Security::FromStart, 465),
        _ => return Err(HELP),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave out the user name and the password: they are `user` and `password`");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("leave out what stands behind the port");
    }
    let port = url.port().unwrap_or(usual);
    // An address of an unknown scheme keeps its host as it was written.
    let host = url.host_str().and_then(|host| Host::parse(host).ok()).ok_or(HELP)?;
    match (security, port) {
        (_, 0) => Err(HELP),
        (Security::StartTls, 465) => Err("on port 465 TLS begins from the start: write \"smtps://\""),
        (Security::FromStart, 25 | 587) => Err("on this port TLS begins with STARTTLS: write \"smtp://\""),
        _ => Ok((host, port, security)),
    }
}

fn check_unencrypted(section: &Section<'_>, reached: Option<&Reached>, server: &Server, around: &mut Surroundings<'_>) {
    let near = |host: &Host| match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let mut complain = |message: &str, help: &str| around.problems.complain(section.place("tls"), message, help);
    match reached {
        Some((_, _, Security::FromStart)) => {
            complain("`smtps` is TLS from the start, and `tls` says none", "write \"smtp://\", or leave `tls` out");
        }
        Some((host, ..)) if !near(host) => {
            complain(
                "codes and the password would go through the network for all to read",
                "leave `tls` out: \"none\" is for a mail server on loopback",
            );
        }
        _ if !server.local => {
            complain(
                "mail without TLS is for development, with `public_url` and every listen address on loopback",
                "leave `tls` out",
            );
        }
        _ => {}
    }
}

fn authorities(
    section: &Section<'_>,
    path: &str,
    encrypted: bool,
    around: &mut Surroundings<'_>,
) -> Option<Vec<Certificate>> {
    let place = section.place("ca");
    if !encrypted {
        around.problems.complain(place, "without TLS there is no certificate to check", "leave `ca` out");
        return None;
    }
    let pem = match fs::read(around.path(path)) {
        Ok(pem) => pem,
        Err(error) => {
            around.problems.complain(
                place,
                format!("the file `{path}` cannot be read: {}", error.kind()),
                "relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as",
            );
            return None;
        }
    };
    let read = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    let usable = |der: &CertificateDer<'_>| RootCertStore::empty().add(der.clone().into_owned()).is_ok();
    if read.is_empty() || !read.iter().all(usable) {
        around.problems.complain(
            place,
            "there is no certificate in this file",
            "the file holds the authority's certificate in PEM (`-----BEGIN CERTIFICATE-----`)",
        );
        return None;
    }
    read.into_iter().map(|der| Certificate::from_der(der.to_vec()).ok()).collect()
}

/// User name and password, both or neither; the outer `None` where something was complained about.
#[expect(clippy::option_option, reason = "no login is a setting, and not the same as a bad one")]
fn login(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Option<(String, Secret)>> {
    let missing = |one: &str, other: &str, around: &mut Surroundings<'_>| {
        let message = format!("`{one}` without `{other}`");
        around.problems.complain(section.place_of_key(one), message, format!("write `{other}` too, or leave both out"));
    };
    match (section.has("user"), section.has("password")) {
        (true, true) => {
            let (user, password) = (around.indirect(section, "user"), around.secret(section, "password"));
            Some(Some((user?, password?)))
        }
        (false, false) if section.has("preset") => {
            let help = "write `user = \"env:SMTP_USER\"` and `password = \"env:SMTP_PASSWORD\"`";
            around.problems.complain(section.own_place(), "this mail server wants a user name and a password", help);
            None
        }
        (false, false) => Some(None),
        (true, false) => {
            missing("user", "password", around);
            None
        }
        (false, true) => {
            missing("password", "user", around);
            None
        }
    }
}

#[cfg(test)]
mod tests;
