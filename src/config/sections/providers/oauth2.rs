//! `[providers.NAME]` with `kind = "oauth2"`: endpoints and a profile request where there is no discovery document.

use url::Url;

use super::{
    address::{complain_of_missing, url},
    profile::profile,
    table::ProviderTable,
};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Key},
        section::Section,
    },
    oidc::{OAuth2, ResponseMode, presets::OAuth2Defaults},
};

/// The keys that only `kind = "oauth2"` has.
const KEYS: [&dyn AnyKey<Table = ProviderTable>; 3] =
    [&ProviderTable::TOKEN_AUTH, &ProviderTable::PKCE, &ProviderTable::PROFILE];

/// The keys that only `kind = "oidc"` has.
const OIDC_KEYS: [&dyn AnyKey<Table = ProviderTable>; 4] =
    [&ProviderTable::DISCOVERY_URL, &ProviderTable::JWKS_URL, &ProviderTable::USERINFO_URL, &ProviderTable::TENANTS];

/// Complains of [`OIDC_KEYS`] at a provider without OpenID Connect.
pub(super) fn complain_of_oidc_keys(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) {
    for key in OIDC_KEYS.into_iter().filter(|key| section.has(*key)) {
        let message = format!("`{}` is for OpenID Connect, and the provider is of `kind = \"oauth2\"`", key.name());
        cx.complain(section.place_of_key(key), message, "leave it out, or write `kind = \"oidc\"`");
    }
}

/// Whether the file has any of [`KEYS`].
pub(super) fn has_keys(section: &Section<'_, ProviderTable>) -> bool {
    KEYS.iter().any(|key| section.has(*key))
}

/// Complains of [`KEYS`] at a provider with OpenID Connect.
pub(super) fn complain_of_keys(section: &Section<'_, ProviderTable>, cx: &mut Context<'_>) {
    for key in KEYS.into_iter().filter(|key| section.has(*key)) {
        let message = format!(
            "`{}` is for `kind = \"oauth2\"`; an OpenID provider says this in its discovery document",
            key.name()
        );
        let help = "write `kind = \"oauth2\"`, or leave it out and write `issuer = \"https://…\"`";
        cx.complain(section.place_of_key(key), message, help);
    }
}

/// Reads the settings of a provider of `kind = "oauth2"`.
pub(super) fn oauth2(
    section: &Section<'_, ProviderTable>,
    known: Option<OAuth2Defaults>,
    cx: &mut Context<'_>,
) -> Option<OAuth2> {
    let asks_for_form = section.is_malformed(&ProviderTable::RESPONSE_MODE)
        || section.read(&ProviderTable::RESPONSE_MODE) == ResponseMode::FormPost;
    let needless: [(&dyn AnyKey<Table = ProviderTable>, _, _); 2] = [
        (
            &ProviderTable::ID_TOKEN_LOGIN,
            section.has(&ProviderTable::ID_TOKEN_LOGIN),
            "`id_token_login` is for ID tokens, and with `kind = \"oauth2\"` there are none",
        ),
        (&ProviderTable::RESPONSE_MODE, asks_for_form, "with `kind = \"oauth2\"` answers come in the address"),
    ];
    for (key, _, message) in needless.into_iter().filter(|(_, is_there, _)| *is_there) {
        cx.complain(section.place_of_key(key), message, "leave it out, or write `kind = \"oidc\"`");
    }
    let pkce = section.read(&ProviderTable::PKCE);
    if !pkce && !section.has(&ProviderTable::CLIENT_SECRET) {
        let message = "with neither PKCE nor a client secret, a stolen authorization code can be redeemed by anyone";
        cx.warn(section.place(&ProviderTable::PKCE), message, "leave `pkce` out, or write `client_secret`");
    }
    let authorize_url = endpoint(section, &ProviderTable::AUTHORIZE_URL, known.map(|known| known.authorize_url), cx);
    if authorize_url.as_ref().is_some_and(|url| url.fragment().is_some()) {
        cx.complain(
            section.place(&ProviderTable::AUTHORIZE_URL),
            "the authorization endpoint has no fragment",
            "leave out what begins with `#`",
        );
    }
    let token_url = endpoint(section, &ProviderTable::TOKEN_URL, known.map(|known| known.token_url), cx);
    let revoke_url = url(section, &ProviderTable::REVOKE_URL, cx);
    let profile = profile(&section.section(&ProviderTable::PROFILE), known.map(|known| known.profile), cx);
    Some(OAuth2 {
        authorize_url: authorize_url?,
        token_url: token_url?,
        revoke_url,
        issuer_is_given: section.has(&ProviderTable::ISSUER),
        token_auth: section.read(&ProviderTable::TOKEN_AUTH),
        pkce,
        profile: profile?,
    })
}

/// A required address, from the file or from the defaults of a known provider.
fn endpoint(
    section: &Section<'_, ProviderTable>,
    key: &Key<ProviderTable, form::Url>,
    known: Option<&str>,
    cx: &mut Context<'_>,
) -> Option<Url> {
    if section.has(key) {
        return url(section, key, cx);
    }
    if known.is_none() {
        let name = key.row.name;
        let help = format!("write `{name} = \"https://…\"`; github, kakao and naver are known by their names");
        complain_of_missing(section.own_place(), name, &format!("providers.{}", section.name), help, cx);
    }
    form::url(known?).ok()
}
