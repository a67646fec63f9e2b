//! `[authority.gateway]`: the tokens that the gateway issues itself, and the channels whose codes log in.

use std::time::Duration;

use super::{authority::Issuer, form, providers, secrets::Surroundings, section::Section, server::Server, template};
use crate::{
    authority::{CLAIMS, CodeLogin, Gateway, OWN_CLAIMS},
    channel::Channel,
};

/// Access tokens that live longer are warned of.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// The channels whose codes log in, with who may come in by them.
pub(super) fn code_logins(
    root: &Section<'_>,
    issuer: Issuer,
    server: &Server,
    around: &mut Surroundings<'_>,
) -> Vec<CodeLogin> {
    let mut logins = Vec::new();
    for channel in Channel::ALL {
        let section = root.section("otp").section(channel.as_str());
        if !section.is_present() || section.read("purpose", form::text) != "login" {
            continue;
        }
        let help = match channel {
            Channel::Sms => providers::PHONES,
            Channel::Email => providers::EMAILS,
        };
        let allow = providers::allow(&section, help, around);
        match issuer {
            Issuer::Backend => {}
            Issuer::Gateway => {
                providers::complain_of_unsaid_allow(&section.named_as(channel.as_str()), help, server, around);
            }
            Issuer::Provider => around.problems.complain(
                section.place("purpose"),
                "the authority `provider` has no tokens for a code",
                "write `[authority]` with `kind = \"backend\"` or `kind = \"gateway\"`, or another `purpose`",
            ),
        }
        logins.push(CodeLogin { channel, allow });
    }
    logins
}

/// Reads `[authority.gateway]`.
pub(super) fn gateway(
    section: &Section<'_>,
    session: &Section<'_>,
    server: &Server,
    codes: Vec<CodeLogin>,
    around: &mut Surroundings<'_>,
) -> Option<Gateway> {
    let public_url = server.public_url.as_ref()?.origin().ascii_serialization();
    let access_token_lifetime = section.read("access_token_lifetime", form::duration);
    if access_token_lifetime < Duration::from_secs(1) {
        around.problems.complain(
            section.place("access_token_lifetime"),
            "a token's times are whole seconds",
            "write `access_token_lifetime = \"10m\"`",
        );
    }
    if access_token_lifetime > LONG {
        around.problems.warn(
            section.place("access_token_lifetime"),
            "an access token cannot be called back: whoever has one keeps it this long, logged out or not",
            "write `access_token_lifetime = \"10m\"`; it is refreshed by itself",
        );
    }
    for key in ["issuer", "audience", "default_role"] {
        if section.has(key) && section.optional(key, form::text).is_some_and(|text| text.trim().is_empty()) {
            around.problems.complain(section.place(key), format!("`{key}` is empty"), "leave it out for the default");
        }
    }
    Some(Gateway {
        issuer: section.optional("issuer", form::text).unwrap_or_else(|| public_url.clone()),
        audience: section.optional("audience", form::text).unwrap_or(public_url),
        access_token_lifetime,
        default_role: section.read("default_role", form::text),
        roles: section.named("roles").map(|role| (role.name.to_owned(), self::role(&role, around))).collect(),
        claims: section.has("claims").then(|| claims(section, around)),
        codes,
        refresh_grace: session.read("refresh_grace", form::delay),
        idle: session.read("idle", form::duration),
        absolute: session.read("absolute", form::duration),
    })
}

fn role(role: &Section<'_>, around: &mut Surroundings<'_>) -> crate::oidc::Allow {
    if role.name.trim().is_empty() {
        let help = "write `roles.admin = { emails = [\"boss@example.com\"] }`";
        around.problems.complain(role.own_place(), "a role needs a name", help);
    }
    let who = providers::listed(role, around);
    if providers::is_empty(&who) {
        let help = format!("write `roles.{} = {{ emails = [\"boss@example.com\"] }}`", role.name);
        around.problems.complain(role.own_place(), format!("nobody has the role `{}`", role.name), help);
    }
    who
}

fn claims(section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<(String, crate::call::Json)> {
    let mut claims = Vec::new();
    for entry in section.entries("claims") {
        if OWN_CLAIMS.contains(&entry.name.as_str()) {
            let message = format!("the gateway sets the claim `{}` itself", entry.name);
            let help = if entry.name.starts_with("role") { "roles are given under `roles`" } else { "leave it out" };
            around.problems.complain(&entry.place, message, help);
        }
        let template = template::json(&entry.node, CLAIMS, around);
        claims.extend(template.map(|template| (entry.name.clone(), template)));
    }
    claims
}
