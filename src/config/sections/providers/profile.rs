//! `[providers.NAME.profile]`: the request for a person's profile, if there is no ID token.

use http::{HeaderName, HeaderValue};

use super::address::{complain_of_missing, url};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Any, Entries, Key, Table, table},
        section::Section,
        tree::Entry,
    },
    oidc::{Profile, ProfileSuccess, presets::ProfileDefaults},
};

table! {
    /// `profile` of a provider.
    pub(crate) struct ProfileTable {
        /// Where the profile is: asked for by GET with `Authorization: Bearer`.
        URL: form::Url = optional("url");
        /// The place of the person's id at the provider: a text, or a whole number, which becomes a text. The id must
        /// never change and never be assigned to another person, so it is not a name or an e-mail address.
        SUBJECT: form::Pointer = optional("subject");
        /// The place of the e-mail address.
        EMAIL: form::Pointer = optional("email");
        /// The place of a value that is `true` if the address is verified. Absent: no address counts as verified, so
        /// `allow` by e-mail matches no person; `kakao` has a default, unless `email` is set.
        EMAIL_VERIFIED: form::Pointer = optional("email_verified");
        /// The place of the name.
        NAME: form::Pointer = optional("name");
        /// The place of a picture's URL.
        PICTURE: form::Pointer = optional("picture");
        /// A list of addresses as GitHub has it (`[{"email", "primary", "verified"}]`), fetched besides the profile:
        /// its primary address takes precedence over `email`. `github` has a default, unless `url` is set to another.
        EMAILS_URL: form::Url = optional("emails_url");
        /// Extra headers of these requests, e.g. `{ accept = "application/vnd.api+json" }`.
        HEADERS: Entries<form::Text> = optional("headers");
        /// How a profile differs from a failure with status 200, e.g. `{ pointer = "/resultcode", equals = "00" }`.
        SUCCESS: Table<SuccessTable> = optional("success");
    }
}

table! {
    /// `success` of a profile.
    pub(crate) struct SuccessTable {
        /// The place of the value to compare.
        POINTER: form::Pointer = required("pointer");
        /// The value there: a text, a number or a flag; `1` and `"1"` are equal.
        EQUALS: Any = required("equals");
    }
}

/// Reads `profile`; `known` has the defaults of a known provider.
pub(super) fn profile(
    section: &Section<'_, ProfileTable>,
    known: Option<ProfileDefaults>,
    cx: &mut Context<'_>,
) -> Option<Profile> {
    if !section.is_present() && known.is_none() {
        let help = "write `profile = { url = \"https://…\", subject = \"/id\" }`: where the person's profile is, and where in it the id stands";
        let table = format!("providers.{}", section.name);
        complain_of_missing(section.own_place(), "profile", &table, help.to_owned(), cx);
        return None;
    }
    let own = |key: &Key<_, _>| section.optional(key);
    let place = |key: &Key<_, _>, known: Option<&str>| own(key).or_else(|| known.map(str::to_owned));
    let known_url = known.and_then(|known| form::url(known.url).ok());
    let address =
        if section.has(&ProfileTable::URL) { url(section, &ProfileTable::URL, cx) } else { known_url.clone() };
    for (key, is_there, example) in [
        ("url", section.has(&ProfileTable::URL) || known.is_some(), "https://api.example.com/me"),
        ("subject", section.has(&ProfileTable::SUBJECT) || known.is_some(), "/id"),
    ] {
        if !is_there {
            let table = format!("providers.{}.profile", section.name);
            complain_of_missing(section.own_place(), key, &table, format!("write `{key} = \"{example}\"`"), cx);
        }
    }
    // With another `url`, the defaults of the known profile do not apply: the token must not be sent to an address that
    // the file does not name.
    let is_known_profile = address == known_url;
    let known_emails = known.and_then(|known| known.emails_url).filter(|_| is_known_profile);
    let email_verified = match own(&ProfileTable::EMAIL_VERIFIED) {
        Some(own) => vec![own],
        None if section.has(&ProfileTable::EMAIL) => vec![],
        None => known.map_or(&[][..], |known| known.email_verified).iter().map(|&at| at.to_owned()).collect(),
    };
    let emails_url = if section.has(&ProfileTable::EMAILS_URL) {
        url(section, &ProfileTable::EMAILS_URL, cx)
    } else {
        known_emails.and_then(|url| form::url(url).ok())
    };
    let headers = headers(section, cx);
    let success = if section.has(&ProfileTable::SUCCESS) {
        success(&section.section(&ProfileTable::SUCCESS), cx)
    } else {
        let known = known.and_then(|known| known.success);
        known.map(|(pointer, equals)| ProfileSuccess { pointer: pointer.to_owned(), equals: equals.to_owned() })
    };
    Some(Profile {
        url: address?,
        headers,
        success,
        subject: place(&ProfileTable::SUBJECT, known.map(|known| known.subject))?,
        email: place(&ProfileTable::EMAIL, known.map(|known| known.email)),
        email_verified,
        name: place(&ProfileTable::NAME, known.map(|known| known.name)),
        picture: place(&ProfileTable::PICTURE, known.map(|known| known.picture)),
        emails_url,
    })
}

fn success(section: &Section<'_, SuccessTable>, cx: &mut Context<'_>) -> Option<ProfileSuccess> {
    let equals = section.node(&SuccessTable::EQUALS)?;
    let text = equals.scalar();
    if text.is_none() {
        cx.complain(&equals.place, "`equals` must be a text, a number, true or false", "write `equals = \"00\"`");
    }
    Some(ProfileSuccess { pointer: section.optional(&SuccessTable::POINTER)?, equals: text? })
}

fn headers(profile: &Section<'_, ProfileTable>, cx: &mut Context<'_>) -> Vec<(HeaderName, HeaderValue)> {
    const OURS: &[&str] =
        &["authorization", "connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];
    let mut headers = Vec::new();
    for Entry { name, place, node } in profile.entries(&ProfileTable::HEADERS) {
        let Some(text) = node.text() else { continue };
        match (form::header(name), HeaderValue::from_str(text)) {
            (Ok(name), Ok(value)) if !OURS.contains(&name.as_str()) => headers.push((name, value)),
            (Ok(name), Ok(_)) => {
                cx.complain(place, format!("the gateway sets `{name}` itself"), "leave it out");
            }
            (Ok(_), Err(_)) => {
                cx.complain(
                    &node.place,
                    format!("no header can have the value of `{name}`"),
                    "leave out control characters",
                );
            }
            (Err(help), _) => cx.complain(place, format!("`{name}` is no header's name"), help),
        }
    }
    headers
}
