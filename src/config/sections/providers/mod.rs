//! `[providers.NAME]`: identity providers.

use rustls::pki_types::CertificateDer;
use url::Url;

use super::{
    allow::{self, EMAILS},
    authorities,
    authority::Issuer,
    otp::texts::pair,
    server::ServerSettings,
};
use crate::{
    config::schema::{
        context::Context,
        form,
        section::Section,
        tree::{Node, Place, Value},
    },
    oidc::{
        Addresses, Allow, Preset, ProviderKind, Settings, Tenants,
        presets::{self, Defaults},
    },
    route,
    text::Translated,
};

mod address;
mod oauth2;
mod params;
mod profile;
mod table;

use address::warn_of_http;
use table::IdTokenLoginTable;
pub(crate) use table::{Protocol, ProviderTable};

/// Reads `[providers.NAME]`. Unless a backend issues the tokens, nothing but `allow` restricts who can log in, so it is
/// required.
pub(crate) fn provider(
    section: &Section<'_, ProviderTable>,
    server: &ServerSettings,
    tokens_of: Issuer,
    cx: &mut Context<'_>,
) -> Option<Settings> {
    let name = section.name;
    let is_oauth2 = section.read(&ProviderTable::KIND) == Protocol::OAuth2;
    let known = presets::by_name(name).filter(|_| !is_oauth2);
    let known_oauth2 = presets::oauth2_by_name(name).filter(|_| is_oauth2);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !name.chars().all(good) || name.is_empty() {
        cx.complain(
            section.own_place(),
            format!("the name `{name}` cannot stand in a path"),
            "use small letters, digits, `-` and `_`",
        );
    }
    if route::reserved_provider_name(name) {
        let message = format!("the name `{name}` is that of the gateway's own endpoint `{{base_path}}/{name}`");
        cx.complain(section.own_place(), message, format!("choose another, e.g. `[providers.my-{name}]`"));
    }
    let allow = allow::allow(section, &ProviderTable::ALLOW, EMAILS, cx);
    if tokens_of != Issuer::Backend {
        allow::complain_of_missing((section, &ProviderTable::ALLOW), name, EMAILS, server, cx);
    }
    let scopes = if is_oauth2 {
        oauth2_scopes(section, known_oauth2.map(|known| known.scopes), cx)
    } else {
        scopes(section, known, cx)
    };
    let authorize_params =
        params::authorize(section, known, (tokens_of == Issuer::Provider && !is_oauth2).then_some(&*scopes), cx);
    let token_params = params::own(section, &ProviderTable::TOKEN_PARAMS, cx);
    let refresh_params = params::own(section, &ProviderTable::REFRESH_PARAMS, cx);
    let ca = ca(section, cx);
    let label = label(section, cx);
    let tenants = tenants(section, allow.as_ref(), cx);
    let client_id = cx.indirect(section, &ProviderTable::CLIENT_ID);
    let client_secret = cx.secret(section, &ProviderTable::CLIENT_SECRET);
    let id_token_login = section.section(&ProviderTable::ID_TOKEN_LOGIN);
    let audiences = id_token_login.is_present().then(|| id_token_login.values(&IdTokenLoginTable::AUDIENCES));
    if audiences.is_some() && !is_oauth2 && id_token_login.is_empty_list(&IdTokenLoginTable::AUDIENCES) {
        cx.complain(
            id_token_login.place(&IdTokenLoginTable::AUDIENCES),
            "without audiences no ID token could be accepted",
            "list the client ids of the apps, or leave `id_token_login` out",
        );
    }
    let mut addresses = Addresses::default();
    let (kind, issued_by) = if is_oauth2 {
        oauth2::complain_of_oidc_keys(section, cx);
        let oauth2 = oauth2::oauth2(section, known_oauth2, cx);
        let given = given_issuer(section, cx);
        let oauth2 = oauth2?;
        // Without `issuer`, the origin of the authorization endpoint is the issuer of subjects.
        let origin = oauth2.authorize_url.origin().ascii_serialization();
        let issued_by = if section.has(&ProviderTable::ISSUER) { given? } else { Url::parse(&origin).ok()? };
        (ProviderKind::OAuth2(Box::new(oauth2)), issued_by)
    } else {
        if !section.is_malformed(&ProviderTable::KIND) {
            oauth2::complain_of_keys(section, cx);
        }
        addresses = self::addresses(section, cx);
        (ProviderKind::Oidc, issuer(section, known, cx)?)
    };
    let issuer_as_written = section.node(&ProviderTable::ISSUER).and_then(Node::text).map(str::to_owned);
    let issuer_as_written = issuer_as_written.or_else(|| known.map(|known| known.issuer.to_owned()));
    let preset = known.map(|known| known.preset).or(known_oauth2.map(|known| known.preset));
    Some(Settings {
        name: name.to_owned(),
        preset: preset.unwrap_or(Preset::Generic),
        kind,
        issuer_as_written: issuer_as_written.unwrap_or_else(|| issued_by.origin().ascii_serialization()),
        issuer: issued_by,
        client_id: client_id?,
        client_secret,
        scopes,
        authorize_params,
        token_params,
        refresh_params,
        addresses,
        tenants,
        ca,
        response_mode: section.read(&ProviderTable::RESPONSE_MODE),
        id_token_audiences: audiences,
        allow,
        label,
    })
}

fn issuer(section: &Section<'_, ProviderTable>, known: Option<Defaults>, cx: &mut Context<'_>) -> Option<Url> {
    if !section.has(&ProviderTable::ISSUER) {
        let known = known.and_then(|known| form::url(known.issuer).ok());
        if known.is_none() && !section.is_malformed(&ProviderTable::KIND) && !oauth2::has_keys(section) {
            let help = if presets::oauth2_by_name(section.name).is_some() {
                "write `kind = \"oauth2\"`: it has no OpenID Connect"
            } else {
                "write `issuer = \"https://…\"`; google, kakao and naver are known by their names"
            };
            cx.complain(
                section.place(&ProviderTable::ISSUER),
                format!("`issuer` is missing in `providers.{}`", section.name),
                help,
            );
        }
        return known;
    }
    given_issuer(section, cx)
}

fn given_issuer(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) -> Option<Url> {
    let issuer = section.optional(&ProviderTable::ISSUER)?;
    if issuer.query().is_some() || issuer.fragment().is_some() {
        cx.complain(
            section.place(&ProviderTable::ISSUER),
            "an issuer has no query and no fragment",
            "write it as the provider's discovery document has it",
        );
    }
    if let Some((base, _)) = issuer.as_str().split_once("/.well-known/") {
        cx.complain(
            section.place(&ProviderTable::ISSUER),
            "this is the address of a discovery document, not the issuer that the document names",
            format!("write `issuer = \"{base}\"`"),
        );
    }
    warn_of_http(&issuer, section.place(&ProviderTable::ISSUER), cx);
    Some(issuer)
}

fn scopes(section: &Section<'_, ProviderTable>, known: Option<Defaults>, cx: &mut Context<'_>) -> Vec<String> {
    if !section.has(&ProviderTable::SCOPES) {
        let scopes = known.map_or(&["openid", "email", "profile"][..], |known| known.scopes);
        return scopes.iter().map(|scope| (*scope).to_owned()).collect();
    }
    let scopes = section.values(&ProviderTable::SCOPES);
    let is_list = section.node(&ProviderTable::SCOPES).is_some_and(|node| matches!(node.value, Value::List(_)));
    if is_list && !scopes.iter().any(|scope| scope == "openid") {
        cx.complain(
            section.place(&ProviderTable::SCOPES),
            "without the scope `openid` there is no ID token",
            "write `scopes = [\"openid\", …]`",
        );
    }
    scopes
}

fn oauth2_scopes(section: &Section<'_, ProviderTable>, known: Option<&[&str]>, cx: &mut Context<'_>) -> Vec<String> {
    if !section.has(&ProviderTable::SCOPES) {
        return known.unwrap_or_default().iter().map(|scope| (*scope).to_owned()).collect();
    }
    let scopes = section.list(&ProviderTable::SCOPES);
    for (_, place) in scopes.iter().filter(|(scope, _)| scope == "openid") {
        cx.warn(
            place,
            "`openid` asks for an ID token, and with `kind = \"oauth2\"` nothing reads it",
            "leave it out, or write `kind = \"oidc\"`",
        );
    }
    scopes.into_iter().map(|(scope, _)| scope).collect()
}

/// The only authorities whose certificates are accepted.
fn ca(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let (node, place) = (section.node(&ProviderTable::CA)?, section.place(&ProviderTable::CA));
    let written = node.text().unwrap_or_default();
    if !form::is_reference(written) && !written.contains("-----BEGIN") {
        cx.complain(place, "this is the name of a file, not a certificate", "write `ca = \"file:PATH\"`");
        return None;
    }
    let pem = cx.indirect(section, &ProviderTable::CA)?;
    authorities::read(pem.as_bytes(), place, cx)
}

/// The name on the login page: one text for all languages, or one for each.
fn label(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) -> Option<Translated<String>> {
    let filled = |text: String, place: &Place, cx: &mut Context<'_>| {
        if text.trim().is_empty() {
            cx.complain(place, "a label without text shows an empty button", "leave it out for the usual name");
            return None;
        }
        Some(text.trim().to_owned())
    };
    if let Some(text) = section.optional(&ProviderTable::LABEL) {
        let text = filled(text, section.place(&ProviderTable::LABEL), cx)?;
        return Some(Translated { korean: text.clone(), english: text });
    }
    let texts = pair(section, &ProviderTable::LABEL, cx, filled)?;
    Some(Translated { korean: texts.korean, english: texts.english })
}

/// The addresses that win over those of the discovery document.
fn addresses(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) -> Addresses {
    let mut url = |key| address::url(section, key, cx);
    Addresses {
        discovery: url(&ProviderTable::DISCOVERY_URL),
        authorize: url(&ProviderTable::AUTHORIZE_URL),
        token: url(&ProviderTable::TOKEN_URL),
        jwks: url(&ProviderTable::JWKS_URL),
        userinfo: url(&ProviderTable::USERINFO_URL),
        revoke: url(&ProviderTable::REVOKE_URL),
    }
}

/// Which tenants are taken, where the issuer turns out to stand for many.
fn tenants(section: &Section<'_, ProviderTable>, allow: Option<&Allow>, cx: &mut Context<'_>) -> Tenants {
    let listed = section.list(&ProviderTable::TENANTS);
    for (tenant, place) in &listed {
        let is_id = !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_id {
            let help = "write the tenant's id, e.g. \"9188040d-6c67-4c5b-b112-36a304b66dad\"";
            cx.complain(place, format!("`{tenant}` is no tenant id (`tid`)"), help);
        }
    }
    match allow {
        Some(Allow::Anyone) if listed.is_empty() => Tenants::Any,
        _ => Tenants::Listed(listed.into_iter().map(|(tenant, _)| tenant).collect()),
    }
}
