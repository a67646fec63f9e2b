//! `[providers.NAME]` with `kind = "oauth2"`: endpoints and a profile request where there is no discovery document.

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::config::{
    form,
    providers::warn_of_http,
    secrets::Surroundings,
    section::Section,
    tree::{Entry, Node, Place, Value},
};
use crate::oidc::{
    OAuth2, Profile, Success, TokenAuth,
    presets::{OAuth2Defaults, ProfileDefaults},
};

/// The keys that mean something with `kind = "oauth2"` alone.
const KEYS: [&str; 7] = ["authorize_url", "token_url", "revoke_url", "token_auth", "token_params", "pkce", "profile"];

/// Whether there is any of them.
pub(crate) fn is_meant(section: &Section<'_>) -> bool {
    KEYS.iter().any(|key| section.has(key))
}

/// Complains of them where the provider speaks OpenID Connect.
pub(crate) fn complain_of_keys(section: &Section<'_>, around: &mut Surroundings<'_>) {
    for key in KEYS.into_iter().filter(|key| section.has(key)) {
        let message =
            format!("`{key}` is for `kind = \"oauth2\"`; an OpenID provider says this in its discovery document");
        let help = "write `kind = \"oauth2\"`, or leave it out and write `issuer = \"https://…\"`";
        around.problems.complain(section.place_of_key(key), message, help);
    }
}

/// Reads what is particular to such a provider.
pub(crate) fn oauth2(
    section: &Section<'_>,
    known: Option<OAuth2Defaults>,
    around: &mut Surroundings<'_>,
) -> Option<OAuth2> {
    for (key, message) in [
        ("id_token_login", "`id_token_login` is for ID tokens, and with `kind = \"oauth2\"` there are none"),
        ("response_mode", "with `kind = \"oauth2\"` answers come in the address"),
    ] {
        if section.has(key) && section.optional(key, form::text).as_deref() != Some("query") {
            around.problems.complain(section.place_of_key(key), message, "leave it out, or write `kind = \"oidc\"`");
        }
    }
    let pkce = section.flag("pkce");
    if !pkce && !section.has("client_secret") {
        let message = "with neither PKCE nor a client secret, whoever gets hold of a code can use it";
        around.problems.warn(section.place("pkce"), message, "leave `pkce` out, or write `client_secret`");
    }
    let authorize_url = endpoint(section, "authorize_url", known.map(|known| known.authorize_url), around);
    if authorize_url.as_ref().is_some_and(|url| url.fragment().is_some()) {
        around.problems.complain(
            section.place("authorize_url"),
            "the authorization endpoint has no fragment",
            "leave out what begins with `#`",
        );
    }
    let token_url = endpoint(section, "token_url", known.map(|known| known.token_url), around);
    let revoke_url = url(section, "revoke_url", around);
    let token_params = token_params(section, around);
    let profile = profile(section, known.map(|known| known.profile), around);
    Some(OAuth2 {
        authorize_url: authorize_url?,
        token_url: token_url?,
        revoke_url,
        issuer_is_given: section.has("issuer"),
        token_auth: if section.read("token_auth", form::text) == "basic" { TokenAuth::Basic } else { TokenAuth::Post },
        pkce,
        token_params,
        profile: profile?,
    })
}

/// An address that must be there: in the file, or in what is known of the provider.
fn endpoint(section: &Section<'_>, key: &str, known: Option<&str>, around: &mut Surroundings<'_>) -> Option<Url> {
    if section.has(key) {
        return url(section, key, around);
    }
    if known.is_none() {
        let help = format!("write `{key} = \"https://…\"`; github, kakao and naver are known by their names");
        complain_of_missing(section.own_place(), key, &format!("providers.{}", section.name), help, around);
    }
    form::url(known?).ok()
}

fn url(section: &Section<'_>, key: &str, around: &mut Surroundings<'_>) -> Option<Url> {
    let url = section.optional(key, form::url)?;
    warn_of_http(&url, section.place(key), around);
    Some(url)
}

fn complain_of_missing(place: &Place, key: &str, table: &str, help: String, around: &mut Surroundings<'_>) {
    around.problems.complain(place, format!("`{key}` is missing in `{table}`"), help);
}

fn token_params(section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<(String, String)> {
    const OURS: &[&str] = &[
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "state",
    ];
    let mut params = Vec::new();
    for Entry { name, place, node } in section.entries("token_params") {
        if OURS.contains(&name.as_str()) {
            around.problems.complain(place, format!("the gateway sets `{name}` itself"), "leave it out");
        }
        params.extend(node.text().map(|value| (name.clone(), value.to_owned())));
    }
    params
}

fn profile(section: &Section<'_>, known: Option<ProfileDefaults>, around: &mut Surroundings<'_>) -> Option<Profile> {
    if !section.has("profile") && known.is_none() {
        let help = "write `profile = { url = \"https://…\", subject = \"/id\" }`: where the person's profile is, and where in it the id stands";
        let table = format!("providers.{}", section.name);
        complain_of_missing(section.own_place(), "profile", &table, help.to_owned(), around);
        return None;
    }
    let profile = section.section("profile");
    let own = |key: &str| profile.optional(key, form::pointer);
    let place = |key: &str, known: Option<&str>| own(key).or_else(|| known.map(str::to_owned));
    let known_url = known.and_then(|known| form::url(known.url).ok());
    let address = if profile.has("url") { url(&profile, "url", around) } else { known_url.clone() };
    for (key, is_there, example) in [
        ("url", profile.has("url") || known.is_some(), "https://api.example.com/me"),
        ("subject", profile.has("subject") || known.is_some(), "/id"),
    ] {
        if !is_there {
            let table = format!("providers.{}.profile", section.name);
            complain_of_missing(profile.own_place(), key, &table, format!("write `{key} = \"{example}\"`"), around);
        }
    }
    // Neither the token nor a word on another address goes where the file does not say: what is known belongs to the known profile alone.
    let is_known_profile = address == known_url;
    let known_emails = known.and_then(|known| known.emails_url).filter(|_| is_known_profile);
    let email_verified = match own("email_verified") {
        Some(own) => vec![own],
        None if profile.has("email") => vec![],
        None => known.map_or(&[][..], |known| known.email_verified).iter().map(|&at| at.to_owned()).collect(),
    };
    let emails_url = if profile.has("emails_url") {
        url(&profile, "emails_url", around)
    } else {
        known_emails.and_then(|url| form::url(url).ok())
    };
    let headers = headers(&profile, around);
    let success = if profile.has("success") {
        success(&profile.section("success"), around)
    } else {
        let known = known.and_then(|known| known.success);
        known.map(|(pointer, equals)| Success { pointer: pointer.to_owned(), equals: equals.to_owned() })
    };
    Some(Profile {
        url: address?,
        headers,
        success,
        subject: place("subject", known.map(|known| known.subject))?,
        email: place("email", known.map(|known| known.email)),
        email_verified,
        name: place("name", known.map(|known| known.name)),
        picture: place("picture", known.map(|known| known.picture)),
        emails_url,
    })
}

fn success(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Success> {
    let scalar = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Flag(flag) => Some(flag.to_string()),
        _ => None,
    };
    let equals = section.node("equals")?;
    let text = scalar(&equals);
    if text.is_none() {
        around.problems.complain(
            &equals.place,
            "`equals` must be a text, a number, true or false",
            "write `equals = \"00\"`",
        );
    }
    Some(Success { pointer: section.optional("pointer", form::pointer)?, equals: text? })
}

fn headers(profile: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<(HeaderName, HeaderValue)> {
    const OURS: &[&str] =
        &["authorization", "connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];
    let mut headers = Vec::new();
    for Entry { name, place, node } in profile.entries("headers") {
        let Some(text) = node.text() else { continue };
        match (form::header(name), HeaderValue::from_str(text)) {
            (Ok(name), Ok(value)) if !OURS.contains(&name.as_str()) => headers.push((name, value)),
            (Ok(name), Ok(_)) => {
                around.problems.complain(place, format!("the gateway sets `{name}` itself"), "leave it out");
            }
            (Ok(_), Err(_)) => {
                around.problems.complain(
                    &node.place,
                    format!("no header can have the value of `{name}`"),
                    "leave out control characters",
                );
            }
            (Err(help), _) => around.problems.complain(place, format!("`{name}` is no header's name"), help),
        }
    }
    headers
}
