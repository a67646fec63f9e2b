//! `[authority.answer]`: where each field stands in the backend's answers.

use super::super::forms;
use crate::{
    authority::{AnswerFields, Pointer},
    config::schema::{
        context::Context,
        form,
        key::{Entries, table},
        section::Section,
    },
};

table! {
    /// `[authority.answer]`
    pub(crate) struct AnswerTable {
        /// The access token.
        ACCESS_TOKEN: forms::AnswerPlace = default("access_token", "\"/accessToken\"");
        /// The refresh token. If an answer has none, the old one stays in use.
        REFRESH_TOKEN: forms::AnswerPlace = default("refresh_token", "\"/refreshToken\"");
        /// When an access token expires that is no JWT with `iat` and `exp`: seconds as a number or as text, a duration
        /// like `15m`, or a time (RFC 3339, or seconds or milliseconds since 1970). 400 days at most. If the answer has
        /// none, or zero: the `exp` of a JWT, else 1 hour.
        EXPIRES_IN: forms::AnswerPlace = default("expires_in", "\"/expiresIn\"");
        /// What the backend says of the person, by JSON pointer, e.g. `{ sub = "/user/id", role = "/user/role" }`: for
        /// headers, calls, roles (`session.roles_claim`) and `GET {base_path}/session`. Each replaces the claim of this
        /// name in the access token, also with null. They are read from every answer that brings tokens; one that a
        /// refresh does not have stays. At most 32 claims, together 4 KiB.
        CLAIMS: Entries<form::Pointer> = optional("claims");
    }
}

/// Most claims.
const MOST_CLAIMS: usize = 32;
/// Longest name of a claim, in octets.
const LONGEST_NAME: usize = 64;

/// Reads `[authority.answer]`.
pub(super) fn answer(section: &Section<'_, AnswerTable>, cx: &mut Context<'_>) -> AnswerFields {
    let access_token = section.read(&AnswerTable::ACCESS_TOKEN);
    let refresh_token = section.read(&AnswerTable::REFRESH_TOKEN);
    let claims = claims(section, [&access_token, &refresh_token], cx);
    AnswerFields { access_token, refresh_token, expires_in: section.read(&AnswerTable::EXPIRES_IN), claims }
}

fn claims(section: &Section<'_, AnswerTable>, tokens: [&Pointer; 2], cx: &mut Context<'_>) -> Vec<(String, String)> {
    let entries = section.entries(&AnswerTable::CLAIMS);
    if entries.len() > MOST_CLAIMS {
        let message = format!("{} claims: a session keeps {MOST_CLAIMS} at most", entries.len());
        cx.complain(section.place_of_key(&AnswerTable::CLAIMS), message, "leave out those that nothing uses");
    }
    let mut claims = Vec::new();
    for entry in entries {
        if entry.name.trim().is_empty() || entry.name.len() > LONGEST_NAME || entry.name.contains(char::is_control) {
            let message = format!("`{}` cannot be the name of a claim", entry.name.escape_debug());
            cx.complain(&entry.place, message, "write a name of 1 to 64 characters, e.g. `sub`");
            continue;
        }
        // The shape check has complained of what is no pointer.
        let Some(pointer) = entry.node.text().filter(|text| form::pointer(text).is_ok()) else { continue };
        let holds = |token: &&Pointer| matches!(token, Pointer::Json(place) if place == pointer || place.starts_with(&format!("{pointer}/")));
        if tokens.iter().any(holds) {
            let message = format!("`{pointer}` has a token in it, which must not become a claim");
            cx.complain(&entry.node.place, message, "point to the value itself, e.g. \"/user/id\"");
            continue;
        }
        claims.push((entry.name.clone(), pointer.to_owned()));
    }
    claims
}
