//! Addresses of a provider.

use url::Url;

use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Includes, Key},
        section::Section,
        tree::Place,
    },
    hygiene::is_loopback,
};

/// Warns of a provider's address without TLS, whose answers can be read and changed on the network.
pub(super) fn warn_of_http(url: &Url, place: &Place, cx: &mut Context<'_>) {
    if url.scheme() == "http" && !is_loopback(url) {
        cx.warn(place, "what a provider says by http can be replaced on the way", "write an https address");
    }
}

/// The address under `key`; warns of one without TLS.
pub(super) fn url<S: Includes<S>>(
    section: &Section<'_, S>,
    key: &Key<S, form::Url>,
    cx: &mut Context<'_>,
) -> Option<Url> {
    let url = section.optional(key)?;
    warn_of_http(&url, section.place(key), cx);
    Some(url)
}

/// Complains that `key` of `table` is missing.
pub(super) fn complain_of_missing(place: &Place, key: &str, table: &str, help: String, cx: &mut Context<'_>) {
    cx.complain(place, format!("`{key}` is missing in `{table}`"), help);
}
