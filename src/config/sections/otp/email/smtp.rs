//! `[otp.email.smtp]`: the mail server.

use std::fs;

use lettre::transport::smtp::{client::Certificate, extension::ClientId};
use url::{Host, Url};

use super::super::super::{authorities, forms, server::ServerSettings};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, table, words},
        section::Section,
    },
    otp::deliver::{Security, SmtpSettings},
    secret::Secret,
};

table! {
    /// `[otp.email.smtp]`
    pub(crate) struct SmtpTable {
        /// A known mail server on port 587, instead of `url`: `smtp.naver.com`, `smtp.gmail.com`, or Amazon SES in
        /// `region`.
        PRESET: Choice<Preset> = optional("preset");
        /// The region of `ses`.
        REGION: form::Text = default("region", "\"ap-northeast-2\"");
        /// `smtp://host:587` (STARTTLS is required) or `smtps://host:465` (TLS from the start). The certificate must be
        /// that of the host.
        URL: form::Text = optional("url");
        /// The user name. Naver: the Naver id; `from` must be its address.
        USER: form::Indirect = optional("user");
        /// The password. Naver and Gmail: an application password.
        PASSWORD: form::Secret = optional("password");
        /// A further certificate authority, in PEM, that is trusted for this server.
        CA: forms::File = optional("ca");
        /// `none` is accepted only where the mail server, `public_url` and every listen address are on loopback.
        TLS: Choice<Encryption> = default("tls", "\"required\"");
        /// How long one message may take, from connecting until the server accepts it; after that it counts as
        /// undelivered.
        TIMEOUT: form::Duration = default("timeout", "\"10s\"");
    }
}

/// A mail server whose address is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Preset {
    Naver,
    Gmail,
    Ses,
}

words! { Preset: "naver" => Self::Naver, "gmail" => Self::Gmail, "ses" => Self::Ses }

/// Whether TLS is required for mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encryption {
    Required,
    None,
}

words! { Encryption: "required" => Self::Required, "none" => Self::None }

/// Reads `[otp.email.smtp]`.
pub(super) fn smtp(
    section: &Section<'_, SmtpTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<SmtpSettings> {
    let reached = address(section, cx);
    let encrypted = section.read(&SmtpTable::TLS) == Encryption::Required;
    if !encrypted {
        check_unencrypted(section, reached.as_ref(), server, cx);
    }
    let authorities = section.optional(&SmtpTable::CA).map(|path| authorities(section, &path, encrypted, cx));
    let login = login(section, cx);
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
        timeout: section.read(&SmtpTable::TIMEOUT),
    })
}

/// Host, port, and how TLS begins.
type Reached = (Host, u16, Security);

/// The address of the server, from `preset` or `url`.
fn address(section: &Section<'_, SmtpTable>, cx: &mut Context<'_>) -> Option<Reached> {
    let preset = section.optional(&SmtpTable::PRESET);
    if preset != Some(Preset::Ses) && section.has(&SmtpTable::REGION) {
        cx.complain(section.place_of_key(&SmtpTable::REGION), "`region` is for `preset = \"ses\"`", "leave it out");
    }
    match (section.has(&SmtpTable::PRESET), section.has(&SmtpTable::URL)) {
        (true, true) => {
            cx.complain(
                section.place_of_key(&SmtpTable::PRESET),
                "the mail server is said twice: by `preset` and by `url`",
                "leave one of the two out",
            );
            None
        }
        (false, false) => {
            cx.complain(
                section.own_place(),
                "where is the mail server?",
                "write `url = \"smtp://mail.example.com:587\"`, or `preset = \"naver\"`, \"gmail\" or \"ses\"",
            );
            None
        }
        (true, false) => {
            let host = match preset? {
                Preset::Naver => "smtp.naver.com".to_owned(),
                Preset::Gmail => "smtp.gmail.com".to_owned(),
                Preset::Ses => format!("email-smtp.{}.amazonaws.com", region(section, cx)?),
            };
            Some((Host::Domain(host), 587, Security::StartTls))
        }
        (false, true) => match mail_server(&section.optional(&SmtpTable::URL)?) {
            Ok(reached) => Some(reached),
            Err(help) => {
                cx.complain(section.place(&SmtpTable::URL), "`url` must be the address of a mail server", help);
                None
            }
        },
    }
}

fn region(section: &Section<'_, SmtpTable>, cx: &mut Context<'_>) -> Option<String> {
    let region = section.read(&SmtpTable::REGION);
    if !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some(region);
    }
    cx.complain(
        section.place(&SmtpTable::REGION),
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
    // `url` parses IP addresses in http and https URLs only, so the host is parsed here.
    let host = url.host_str().and_then(|host| Host::parse(host).ok()).ok_or(HELP)?;
    match (security, port) {
        (_, 0) => Err(HELP),
        (Security::StartTls, 465) => Err("on port 465 TLS begins from the start: write \"smtps://\""),
        (Security::FromStart, 25 | 587) => Err("on this port TLS begins with STARTTLS: write \"smtp://\""),
        _ => Ok((host, port, security)),
    }
}

fn check_unencrypted(
    section: &Section<'_, SmtpTable>,
    reached: Option<&Reached>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) {
    let near = |host: &Host| match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let mut complain = |message: &str, help: &str| cx.complain(section.place(&SmtpTable::TLS), message, help);
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
    section: &Section<'_, SmtpTable>,
    path: &str,
    encrypted: bool,
    cx: &mut Context<'_>,
) -> Option<Vec<Certificate>> {
    let place = section.place(&SmtpTable::CA);
    if !encrypted {
        cx.complain(place, "without TLS there is no certificate to check", "leave `ca` out");
        return None;
    }
    let pem = match fs::read(cx.path(path)) {
        Ok(pem) => pem,
        Err(error) => {
            cx.complain_of_unreadable(place, &format!("the file `{path}`"), &error);
            return None;
        }
    };
    let read = authorities::read(&pem, place, cx)?;
    read.into_iter().map(|der| Certificate::from_der(der.to_vec()).ok()).collect()
}

/// Reads user name and password, both or neither; the outer `None` means a mistake.
#[expect(clippy::option_option, reason = "no login is a setting, and not the same as a bad one")]
fn login(section: &Section<'_, SmtpTable>, cx: &mut Context<'_>) -> Option<Option<(String, Secret)>> {
    let missing = |one: &dyn AnyKey<Table = SmtpTable>, other: &dyn AnyKey<Table = SmtpTable>, cx: &mut Context<'_>| {
        let (place, one, other) = (section.place_of_key(one), one.name(), other.name());
        cx.complain(place, format!("`{one}` without `{other}`"), format!("write `{other}` too, or leave both out"));
    };
    match (section.has(&SmtpTable::USER), section.has(&SmtpTable::PASSWORD)) {
        (true, true) => {
            let (user, password) = (cx.indirect(section, &SmtpTable::USER), cx.secret(section, &SmtpTable::PASSWORD));
            Some(Some((user?, password?)))
        }
        (false, false) if section.has(&SmtpTable::PRESET) => {
            let help = "write `user = \"env:SMTP_USER\"` and `password = \"env:SMTP_PASSWORD\"`";
            cx.complain(section.own_place(), "this mail server wants a user name and a password", help);
            None
        }
        (false, false) => Some(None),
        (true, false) => {
            missing(&SmtpTable::USER, &SmtpTable::PASSWORD, cx);
            None
        }
        (false, true) => {
            missing(&SmtpTable::PASSWORD, &SmtpTable::USER, cx);
            None
        }
    }
}
