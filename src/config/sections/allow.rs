//! `allow` and roles: who may log in, by e-mail address, domain or claims.

use serde_json::Value as Json;

use super::server::ServerSettings;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Any, AnyKey, Choice, Either, Entries, Includes, Key, List, table, words},
        section::Section,
        tree::{Entry, Node, Value},
    },
    oidc::Allow,
};

table! {
    /// The lists of `allow` or of a role, of which every one that is given must be met.
    pub(crate) struct AllowTable {
        /// Domains of e-mail addresses, e.g. `["example.com"]`. Only addresses that the provider marks as verified
        /// match.
        EMAIL_DOMAINS: List<form::Text> = default("email_domains", "[]");
        /// E-mail addresses. Only addresses that the provider marks as verified match.
        EMAILS: List<form::Text> = default("emails", "[]");
        /// Claims and the values that are accepted, e.g. `{ department = ["sales", "support"] }`.
        CLAIMS: Entries<Any> = optional("claims");
    }
}

/// `allow = "anyone"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Anyone;

words! { Anyone: "anyone" => Self }

/// The key `allow` of a table.
pub(crate) type AllowKey<S> = Key<S, Either<Choice<Anyone>, AllowTable>>;

/// Help for logins with an e-mail address.
pub(crate) const EMAILS: &str = "write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`";
/// Help for logins with a phone number only.
pub(crate) const PHONES: &str =
    "write `allow = \"anyone\"`, or `allow = { claims = { phone_number = [\"+821012345678\"] } }`";

/// Reads `allow` of a provider or a channel of one-time codes; `help` is the help text if it is empty.
pub(crate) fn allow<S, B>(
    section: &Section<'_, S>,
    key: &AllowKey<B>,
    help: &str,
    cx: &mut Context<'_>,
) -> Option<Allow>
where
    S: Includes<B>,
{
    if section.node(key)?.text().is_some() {
        return Some(Allow::Anyone);
    }
    let listed = listed(&section.section(key), cx);
    // The shape check has complained about an unknown key, or about what is no table.
    let keys: [&dyn AnyKey<Table = AllowTable>; 3] =
        [&AllowTable::EMAIL_DOMAINS, &AllowTable::EMAILS, &AllowTable::CLAIMS];
    let is_known = |entry: &Entry| keys.iter().any(|key| key.name() == entry.name);
    let is_read = section.node(key)?.table().is_some_and(|table| table.0.iter().all(is_known));
    if is_read && is_empty(&listed) {
        cx.complain(section.place_of_key(key), "an empty `allow` does not say who may come in", help);
    }
    Some(listed)
}

/// Complains that `allow` is missing for the login `name`, unless `public_url` is on loopback.
pub(crate) fn complain_of_missing<S, B>(
    (section, key): (&Section<'_, S>, &AllowKey<B>),
    name: &str,
    help: &str,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) where
    S: Includes<B>,
{
    if !server.local_url && !section.has(key) {
        let message = format!("who may come in through `{name}`? `public_url` is open to everyone");
        cx.complain(section.place(key), message, help);
    }
}

/// Whether no list has an element.
pub(crate) fn is_empty(allow: &Allow) -> bool {
    matches!(allow, Allow::Listed { email_domains, emails, claims } if email_domains.is_empty() && emails.is_empty() && claims.is_empty())
}

/// Reads the lists of `allow`, or of a role.
pub(crate) fn listed(lists: &Section<'_, AllowTable>, cx: &mut Context<'_>) -> Allow {
    let domains = lists.values(&AllowTable::EMAIL_DOMAINS).into_iter();
    let email_domains = domains.map(|domain| domain.to_lowercase().trim_start_matches('@').to_owned()).collect();
    let emails = lists.values(&AllowTable::EMAILS).into_iter().map(|email| email.to_lowercase()).collect();
    let claims: Vec<_> = lists
        .entries(&AllowTable::CLAIMS)
        .iter()
        .map(|Entry { name, node, .. }| (name.clone(), accepted(node)))
        .collect();
    for (domain, place) in lists.list(&AllowTable::EMAIL_DOMAINS) {
        if domain.contains('*') {
            cx.complain(
                &place,
                format!("`{domain}` would be taken as text: there are no wildcards here"),
                "list each domain; `allow = \"anyone\"` is for everybody",
            );
        }
    }
    for (domain, place) in lists.list(&AllowTable::EMAIL_DOMAINS) {
        let name = domain.trim_start_matches('@');
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '/' | ':')) {
            cx.complain(
                &place,
                format!("`{domain}` is no domain"),
                "write what follows the `@` of an address: `example.com`",
            );
        }
    }
    for Entry { name, node, place } in lists.entries(&AllowTable::CLAIMS) {
        let values = accepted(node);
        if values.is_empty() {
            cx.complain(
                place,
                format!("no value of `{name}` is accepted, so this admits nobody"),
                "list the accepted values",
            );
        }
        let texts = values.iter().filter_map(Json::as_str).chain([&**name]);
        if let Some(text) = texts.clone().find(|text| text.contains('*')) {
            cx.complain(
                place,
                format!("`{text}` would be taken as text: there are no wildcards here"),
                "list each accepted value",
            );
        }
    }
    for (email, place) in lists.list(&AllowTable::EMAILS) {
        if !email.contains('@') || email.contains('*') {
            cx.complain(
                &place,
                format!("`{email}` is not an e-mail address"),
                "domains are listed under `email_domains`",
            );
        }
    }
    Allow::Listed { email_domains, emails, claims }
}

/// The accepted values of a claim: the elements of a list, or the one value.
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
