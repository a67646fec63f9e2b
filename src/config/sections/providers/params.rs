//! `authorize_params`, `token_params` and `refresh_params` of a provider.

use super::table::ProviderTable;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Entries, Key},
        section::Section,
        tree::Entry,
    },
    oidc::{RESERVED_PARAMS, presets::Defaults},
};

/// Extra parameters of the authorization request. `lasting`: the scopes, if the session uses this provider's refresh
/// token.
pub(super) fn authorize(
    section: &Section<'_, ProviderTable>,
    known: Option<Defaults>,
    lasting: Option<&[String]>,
    cx: &mut Context<'_>,
) -> Vec<(String, String)> {
    let for_refresh = match (known, lasting) {
        (_, None) => &[][..],
        (Some(known), _) => known.for_refresh,
        // OpenID Connect Core section 11: without a prompt for consent, `offline_access` is ignored and there is no
        // refresh token.
        (None, Some(scopes)) if scopes.iter().any(|scope| scope == "offline_access") => &[("prompt", "consent")],
        (None, Some(_)) => &[],
    };
    let own = own(section, &ProviderTable::AUTHORIZE_PARAMS, cx);
    for Entry { place, .. } in section.entries(&ProviderTable::AUTHORIZE_PARAMS).iter().filter(|e| e.name == "scope") {
        cx.complain(place, "the scopes have a key of their own", "write `scopes = [\"openid\", …]`");
    }
    let is_replaced = |name: &str| own.iter().any(|(own, _)| own == name);
    let needed = for_refresh.iter().filter(|(name, _)| !is_replaced(name));
    let mut params: Vec<_> = needed.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    params.extend(own);
    params
}

/// The parameters under `key`. Those that the gateway sets itself are an error.
pub(super) fn own(
    section: &Section<'_, ProviderTable>,
    key: &Key<ProviderTable, Entries<form::Text>>,
    cx: &mut Context<'_>,
) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for Entry { name, place, node } in section.entries(key) {
        if RESERVED_PARAMS.contains(&name.as_str()) {
            cx.complain(place, format!("the gateway sets `{name}` itself"), "leave it out");
        }
        params.extend(node.text().map(|value| (name.clone(), value.to_owned())));
    }
    params
}
