//! `[authority.gateway]`: the tokens that the gateway issues itself.

use std::time::Duration;

use super::super::{
    allow::{self, AllowTable},
    call,
    server::ServerSettings,
    session::Lifetimes,
};
use crate::{
    authority::{CLAIMS, CodeLogin, GatewaySettings, OWN_CLAIMS},
    call::Texts,
    config::schema::{
        context::Context,
        form,
        key::{Any, AnyKey, Entries, Named, table},
        section::Section,
    },
};

table! {
    /// `[authority.gateway]`
    pub(crate) struct GatewayTable {
        /// The claim `iss` of the tokens. Default: `server.public_url`, without a slash at its end.
        ISSUER: form::Text = optional("issuer");
        /// The claim `aud` of the tokens. Default: as for `issuer`.
        AUDIENCE: form::Text = optional("audience");
        /// How long an access token is valid. It cannot be revoked: keep this short.
        ACCESS_TOKEN_LIFETIME: form::Duration = default("access_token_lifetime", "\"10m\"");
        /// The role of a person who has none of `roles`.
        DEFAULT_ROLE: form::Text = default("default_role", "\"user\"");
        /// The conditions of each role, e.g. `roles.admin = { emails = ["boss@example.com"] }`, checked again at each
        /// refresh. The claim `roles` lists all roles that a person has, `role` the first of them in the order of the
        /// file.
        ROLES: Named<AllowTable> = optional("roles");
        /// Further claims of the access token: any text with placeholders, lists and tables, e.g. `{
        /// "https://hasura.io/jwt/claims" = { "x-hasura-user-id" = "{sub}" } }`; without it `email`, `email_verified`,
        /// `name`, `phone_number` and `phone_number_verified` are included. Values that are not known are left out.
        /// Placeholders: `{sub}`, `{provider_sub}`, `{provider}`, `{method}`, `{email}`, `{channel}`, `{address}`,
        /// `{address_e164}`, `{claims.NAME}`.
        CLAIMS: Entries<Any> = optional("claims");
    }
}

/// Lifetimes of access tokens above this cause a warning.
const LONG_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Reads `[authority.gateway]`.
pub(super) fn gateway(
    section: &Section<'_, GatewayTable>,
    lifetimes: Lifetimes,
    server: &ServerSettings,
    codes: Vec<CodeLogin>,
    cx: &mut Context<'_>,
) -> Option<GatewaySettings> {
    let public_url = server.public_url.as_ref()?.origin().ascii_serialization();
    let access_token_lifetime = section.read(&GatewayTable::ACCESS_TOKEN_LIFETIME);
    if access_token_lifetime < Duration::from_secs(1) {
        cx.complain(
            section.place(&GatewayTable::ACCESS_TOKEN_LIFETIME),
            "a token's times are whole seconds",
            "write `access_token_lifetime = \"10m\"`",
        );
    }
    if access_token_lifetime > LONG_LIFETIME {
        cx.warn(
            section.place(&GatewayTable::ACCESS_TOKEN_LIFETIME),
            "an access token cannot be called back: it stays valid for this long, also after a logout",
            "write `access_token_lifetime = \"10m\"`; it is refreshed automatically",
        );
    }
    let texts = [
        section.optional(&GatewayTable::ISSUER),
        section.optional(&GatewayTable::AUDIENCE),
        section.has(&GatewayTable::DEFAULT_ROLE).then(|| section.read(&GatewayTable::DEFAULT_ROLE)),
    ];
    let keys: [&dyn AnyKey<Table = GatewayTable>; 3] =
        [&GatewayTable::ISSUER, &GatewayTable::AUDIENCE, &GatewayTable::DEFAULT_ROLE];
    for (key, text) in keys.into_iter().zip(texts) {
        if text.is_some_and(|text| text.trim().is_empty()) {
            cx.complain(section.place(key), format!("`{}` is empty", key.name()), "leave it out for the default");
        }
    }
    Some(GatewaySettings {
        issuer: section.optional(&GatewayTable::ISSUER).unwrap_or_else(|| public_url.clone()),
        audience: section.optional(&GatewayTable::AUDIENCE).unwrap_or(public_url),
        access_token_lifetime,
        default_role: section.read(&GatewayTable::DEFAULT_ROLE),
        roles: section.named(&GatewayTable::ROLES).map(|role| (role.name.to_owned(), self::role(&role, cx))).collect(),
        claims: section.has(&GatewayTable::CLAIMS).then(|| claims(section, cx)),
        codes,
        refresh_grace: lifetimes.refresh_grace,
        idle: lifetimes.idle,
        absolute: lifetimes.absolute,
    })
}

fn role(role: &Section<'_, AllowTable>, cx: &mut Context<'_>) -> crate::oidc::Allow {
    if role.name.trim().is_empty() {
        let help = "write `roles.admin = { emails = [\"boss@example.com\"] }`";
        cx.complain(role.own_place(), "a role needs a name", help);
    }
    let who = allow::listed(role, cx);
    if allow::is_empty(&who) {
        let help = format!("write `roles.{} = {{ emails = [\"boss@example.com\"] }}`", role.name);
        cx.complain(role.own_place(), format!("nobody has the role `{}`", role.name), help);
    }
    who
}

fn claims(section: &Section<'_, GatewayTable>, cx: &mut Context<'_>) -> Vec<(String, crate::call::Json)> {
    let mut claims = Vec::new();
    for entry in section.entries(&GatewayTable::CLAIMS) {
        if OWN_CLAIMS.contains(&entry.name.as_str()) {
            let message = format!("the gateway sets the claim `{}` itself", entry.name);
            let help = if entry.name.starts_with("role") { "roles are given under `roles`" } else { "leave it out" };
            cx.complain(&entry.place, message, help);
        }
        let template = call::json(&entry.node, Texts::AreValues, CLAIMS, cx);
        claims.extend(template.map(|template| (entry.name.clone(), template)));
    }
    claims
}
