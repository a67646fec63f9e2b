//! Texts of messages in Korean and English, with placeholders.

use crate::{
    call::foreign_placeholder,
    config::schema::{
        context::Context,
        form,
        key::{HasTable, Includes, Key, Table, table},
        kind::closest,
        section::Section,
        tree::Place,
    },
    otp::deliver::{Texts, placeholders},
};

table! {
    /// A text in Korean and English.
    pub(crate) struct TextTable {
        /// Korean.
        KO: form::Text = optional("ko");
        /// English.
        EN: form::Text = optional("en");
    }
}

/// Reads the texts under `key`; if only one language is given, it is used for both. `must` is a required placeholder.
/// `None` also where the table is absent.
pub(crate) fn texts<S: Includes<S>>(
    section: &Section<'_, S>,
    key: &Key<S, Table<TextTable>>,
    known: &[&str],
    must: Option<&str>,
    cx: &mut Context<'_>,
) -> Option<Texts> {
    pair(section, key, cx, |text, place, cx| {
        check_template(&text, place, known, must, cx)?;
        Some(text)
    })
}

/// Reads the texts under `key`, each through `read`.
pub(crate) fn pair<S: Includes<S>, F: HasTable<Table = TextTable>>(
    section: &Section<'_, S>,
    key: &Key<S, F>,
    cx: &mut Context<'_>,
    mut read: impl FnMut(String, &Place, &mut Context<'_>) -> Option<String>,
) -> Option<Texts> {
    let (name, section) = (key.row.name, section.section(key));
    if !section.is_present() {
        return None;
    }
    if !section.has(&TextTable::KO) && !section.has(&TextTable::EN) {
        cx.complain(
            section.own_place(),
            format!("`{name}` has no text"),
            format!("write `{name} = {{ ko = \"…\", en = \"…\" }}`, or one of the two, or leave it out"),
        );
        return None;
    }
    let mut language = |language: &Key<_, _>| {
        let text = section.optional(language)?;
        read(text, section.place(language), cx)
    };
    let (korean, english) = (language(&TextTable::KO), language(&TextTable::EN));
    if korean.is_none() && section.has(&TextTable::KO) || english.is_none() && section.has(&TextTable::EN) {
        return None;
    }
    let first = korean.clone().or_else(|| english.clone())?;
    Some(Texts { korean: korean.unwrap_or_else(|| first.clone()), english: english.unwrap_or(first) })
}

/// Complains of placeholders that are not `known`, and if `must` is missing.
pub(crate) fn check_template(
    template: &str,
    place: &Place,
    known: &[&str],
    must: Option<&str>,
    cx: &mut Context<'_>,
) -> Option<()> {
    let mut good = true;
    let mut complain = |message: String, help: String| {
        good = false;
        cx.complain(place, message, help);
    };
    for name in placeholders(template).filter(|name| !known.contains(name)) {
        let all: Vec<_> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
        let help = match closest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => format!("here there are {}", all.join(", ")),
        };
        complain(format!("there is no `{{{name}}}` here"), help);
    }
    if let Some((written, meant)) = foreign_placeholder(template, known) {
        let message = format!("`{written}` is no placeholder: its signs would stand in the message");
        complain(message, format!("write `{{{meant}}}`"));
        return None;
    }
    if let Some(must) = must.filter(|must| placeholders(template).all(|name| name != *must)) {
        complain(
            format!("this message does not have the {must} in it"),
            format!("write `{{{must}}}` where it belongs"),
        );
    }
    good.then_some(())
}
