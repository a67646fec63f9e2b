//! `[providers.NAME]`: identity providers, and who may come in through them.

use serde_json::Value as Json;
use url::Url;

use crate::config::{
    authority::Issuer,
    form,
    secrets::Surroundings,
    section::Section,
    server::Server,
    tree::{Entry, Node, Place, Value},
};
use crate::{
    hygiene::is_loopback,
    oidc::{
        Allow, Kind, Preset, ResponseMode, Settings,
        presets::{self, Defaults},
    },
    route,
};

pub(crate) mod oauth2;

/// How `allow` is written where people have e-mail addresses.
pub(crate) const EMAILS: &str = "write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`";
/// The same where all that is known of them is a phone number.
pub(crate) const PHONES: &str =
    "write `allow = \"anyone\"`, or `allow = { claims = { phone_number = [\"+821012345678\"] } }`";

/// Reads `[providers.NAME]`. Unless the tokens are a backend's, what the provider says is all that stands between a stranger and the app.
pub(crate) fn provider(
    section: &Section<'_>,
    server: &Server,
    tokens_of: Issuer,
    around: &mut Surroundings<'_>,
) -> Option<Settings> {
    let name = section.name;
    let kind = section.read("kind", form::text);
    let is_oauth2 = kind == "oauth2";
    let known = presets::by_name(name).filter(|_| !is_oauth2);
    let known_oauth2 = presets::oauth2_by_name(name).filter(|_| is_oauth2);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !name.chars().all(good) || name.is_empty() {
        around.problems.complain(
            section.own_place(),
            format!("the name `{name}` cannot stand in a path"),
            "use small letters, digits, `-` and `_`",
        );
    }
    if route::reserved_provider_name(name) {
        let message = format!("the name `{name}` is that of the gateway's own endpoint `{{base_path}}/{name}`");
        around.problems.complain(section.own_place(), message, format!("choose another, e.g. `[providers.my-{name}]`"));
    }
    let allow = allow(section, EMAILS, around);
    if tokens_of != Issuer::Backend {
        complain_of_unsaid_allow(section, EMAILS, server, around);
    }
    let scopes = if is_oauth2 {
        oauth2_scopes(section, known_oauth2.map(|known| known.scopes), around)
    } else {
        scopes(section, known, around)
    };
    let authorize_params =
        authorize_params(section, known, (tokens_of == Issuer::Provider && !is_oauth2).then_some(&*scopes), around);
    let client_id = around.indirect(section, "client_id");
    let client_secret = around.secret(section, "client_secret");
    let id_token_login = section.section("id_token_login");
    let audiences = id_token_login.is_present().then(|| id_token_login.values("audiences", form::text));
    if audiences.is_some() && !is_oauth2 && id_token_login.is_empty_list("audiences") {
        around.problems.complain(
            id_token_login.place("audiences"),
            "without audiences no ID token could be accepted",
            "list the client ids of the apps, or leave `id_token_login` out",
        );
    }
    let (kind, issued_by) = if is_oauth2 {
        let oauth2 = oauth2::oauth2(section, known_oauth2, around);
        let given = given_issuer(section, around);
        let oauth2 = oauth2?;
        // Where nobody says otherwise, subjects belong to whoever asks people who they are.
        let origin = oauth2.authorize_url.origin().ascii_serialization();
        let issued_by = if section.has("issuer") { given? } else { Url::parse(&origin).ok()? };
        (Kind::OAuth2(Box::new(oauth2)), issued_by)
    } else {
        if kind == "oidc" {
            oauth2::complain_of_keys(section, around);
        }
        (Kind::Oidc, issuer(section, known, around)?)
    };
    let preset = known.map(|known| known.preset).or(known_oauth2.map(|known| known.preset));
    let label = known.map(|known| known.label).or(known_oauth2.map(|known| known.label));
    Some(Settings {
        name: name.to_owned(),
        preset: preset.unwrap_or(Preset::Generic),
        kind,
        issuer: issued_by,
        client_id: client_id?,
        client_secret,
        scopes,
        authorize_params,
        response_mode: if section.read("response_mode", form::text) == "form_post" {
            ResponseMode::FormPost
        } else {
            ResponseMode::Query
        },
        id_token_audiences: audiences,
        allow,
        label: section.optional("label", form::text).or_else(|| label.map(str::to_owned)),
    })
}

fn issuer(section: &Section<'_>, known: Option<Defaults>, around: &mut Surroundings<'_>) -> Option<Url> {
    if !section.has("issuer") {
        let known = known.and_then(|known| form::url(known.issuer).ok());
        if known.is_none() && section.read("kind", form::text) == "oidc" && !oauth2::is_meant(section) {
            let help = if presets::oauth2_by_name(section.name).is_some() {
                "write `kind = \"oauth2\"`: it has no OpenID Connect"
            } else {
                "write `issuer = \"https://…\"`; google, kakao and naver are known by their names"
            };
            around.problems.complain(
                section.place("issuer"),
                format!("`issuer` is missing in `providers.{}`", section.name),
                help,
            );
        }
        return known;
    }
    given_issuer(section, around)
}

fn given_issuer(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Url> {
    let issuer = section.optional("issuer", form::url)?;
    if issuer.query().is_some() || issuer.fragment().is_some() {
        around.problems.complain(
            section.place("issuer"),
            "an issuer has no query and no fragment",
            "write it as the provider's discovery document has it",
        );
    }
    warn_of_http(&issuer, section.place("issuer"), around);
    Some(issuer)
}

/// Of a provider's address that anybody in between can read and change.
pub(crate) fn warn_of_http(url: &Url, place: &Place, around: &mut Surroundings<'_>) {
    if url.scheme() == "http" && !is_loopback(url) {
        around.problems.warn(
            place,
            "what a provider says by http can be replaced on the way",
            "write an https address",
        );
    }
}

fn scopes(section: &Section<'_>, known: Option<Defaults>, around: &mut Surroundings<'_>) -> Vec<String> {
    if !section.has("scopes") {
        let scopes = known.map_or(&["openid", "email", "profile"][..], |known| known.scopes);
        return scopes.iter().map(|scope| (*scope).to_owned()).collect();
    }
    let scopes = section.values("scopes", form::text);
    if !scopes.iter().any(|scope| scope == "openid") {
        around.problems.complain(
            section.place("scopes"),
            "without the scope `openid` there is no ID token",
            "write `scopes = [\"openid\", …]`",
        );
    }
    scopes
}

fn oauth2_scopes(section: &Section<'_>, known: Option<&[&str]>, around: &mut Surroundings<'_>) -> Vec<String> {
    if !section.has("scopes") {
        return known.unwrap_or_default().iter().map(|scope| (*scope).to_owned()).collect();
    }
    let scopes = section.list("scopes", form::text);
    for (_, place) in scopes.iter().filter(|(scope, _)| scope == "openid") {
        around.problems.warn(
            place,
            "`openid` asks for an ID token, and with `kind = \"oauth2\"` nothing reads it",
            "leave it out, or write `kind = \"oidc\"`",
        );
    }
    scopes.into_iter().map(|(scope, _)| scope).collect()
}

/// `lasting` are the scopes of a session that lives on this provider's refresh token.
fn authorize_params(
    section: &Section<'_>,
    known: Option<Defaults>,
    lasting: Option<&[String]>,
    around: &mut Surroundings<'_>,
) -> Vec<(String, String)> {
    const OURS: &[&str] = &[
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    ];
    let for_refresh = match (known, lasting) {
        (_, None) => &[][..],
        (Some(known), _) => known.for_refresh,
        // OpenID Connect Core section 11: `offline_access` is ignored unless consent is asked for, and then no refresh token comes.
        (None, Some(scopes)) if scopes.iter().any(|scope| scope == "offline_access") => &[("prompt", "consent")],
        (None, Some(_)) => &[],
    };
    let mut params: Vec<_> =
        for_refresh.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for Entry { name, place, node } in section.entries("authorize_params") {
        if OURS.contains(&name.as_str()) {
            around.problems.complain(place, format!("the gateway sets `{name}` itself"), "leave it out");
        }
        let Some(value) = node.text() else { continue };
        params.retain(|(known, _)| known != name);
        params.push((name.clone(), value.to_owned()));
    }
    params
}

/// Reads `allow` of a provider, or of a channel of one-time codes; `help` is what to write where it lists nobody.
pub(crate) fn allow(section: &Section<'_>, help: &str, around: &mut Surroundings<'_>) -> Option<Allow> {
    let node = section.node("allow")?;
    if node.text().is_some() {
        return Some(Allow::Anyone);
    }
    let listed = listed(&section.section("allow"), around);
    if is_empty(&listed) {
        around.problems.complain(section.place_of_key("allow"), "an empty `allow` does not say who may come in", help);
    }
    Some(listed)
}

/// Where strangers reach the login, the file must say who may come in; `help` is how.
pub(crate) fn complain_of_unsaid_allow(
    section: &Section<'_>,
    help: &str,
    server: &Server,
    around: &mut Surroundings<'_>,
) {
    if !server.local_url && !section.has("allow") {
        let message = format!("who may come in through `{}`? `public_url` is open to everyone", section.name);
        around.problems.complain(section.place("allow"), message, help);
    }
}

/// Whether it lists nobody.
pub(crate) fn is_empty(allow: &Allow) -> bool {
    matches!(allow, Allow::Listed { email_domains, emails, claims } if email_domains.is_empty() && emails.is_empty() && claims.is_empty())
}

/// Reads the lists of `allow`, or of a role.
pub(crate) fn listed(lists: &Section<'_>, around: &mut Surroundings<'_>) -> Allow {
    let lower = |text: &str| form::text(text).map(|text| text.to_lowercase());
    let domain = |text: &str| lower(text).map(|text| text.trim_start_matches('@').to_owned());
    let (email_domains, emails) = (lists.values("email_domains", domain), lists.values("emails", lower));
    let claims: Vec<_> =
        lists.entries("claims").iter().map(|Entry { name, node, .. }| (name.clone(), accepted(node))).collect();
    for (email, place) in lists.list("emails", form::text) {
        if !email.contains('@') {
            around.problems.complain(
                &place,
                format!("`{email}` is not an e-mail address"),
                "domains are listed under `email_domains`",
            );
        }
    }
    Allow::Listed { email_domains, emails, claims }
}

/// The values that a claim may have: those of a list, or the one that stands there.
fn accepted(node: &Node) -> Vec<Json> {
    match &node.value {
        Value::List(list) => list.iter().map(plain).collect(),
        _ => vec![plain(node)],
    }
}

fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Flag(flag) => Json::Bool(*flag),
        Value::List(list) => Json::Array(list.iter().map(plain).collect()),
        Value::Table(table) => {
            Json::Object(table.0.iter().map(|entry| (entry.name.clone(), plain(&entry.node))).collect())
        }
        Value::Other(_) => Json::Null,
    }
}
