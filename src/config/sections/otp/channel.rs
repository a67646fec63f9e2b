//! What `[otp.sms]` and `[otp.email]` share: the order of their ways, their texts in two languages, and the outbox.

use crate::config::{
    form,
    key::{closest, quoted},
    secrets::Surroundings,
    section::Section,
    server::Server,
    tree::Place,
};
use crate::{
    hygiene::is_loopback,
    otp::deliver::{OutboxSettings, Texts, placeholders},
};

/// The ways of a channel that are configured, in the order in which they are tried. `names` are the tables that can be ways.
pub(crate) fn order(section: &Section<'_>, names: &[&'static str], around: &mut Surroundings<'_>) -> Vec<&'static str> {
    let start = |name: &&&'static str| match section.place_of_key(name) {
        Place::File(range) => range.start,
        Place::Environment(_) | Place::Nowhere => usize::MAX,
    };
    let mut configured: Vec<_> = names.iter().filter(|name| section.section(name).is_present()).collect();
    configured.sort_by_key(start);
    if configured.is_empty() && names.iter().all(|name| !section.has(name)) {
        let message = "there is nothing that could send the codes";
        let tables: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let help = format!("write one of the tables {} below this one", tables.join(", "));
        around.problems.complain(section.own_place(), message, help);
    }
    if !section.has("order") {
        return configured.into_iter().copied().collect();
    }
    let mut ordered: Vec<&'static str> = Vec::new();
    for (name, place) in section.list("order", form::text) {
        let help = match closest(&name, names.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("there are {}", quoted(names)),
        };
        match names.iter().find(|known| **known == name) {
            None => around.problems.complain(&place, format!("nothing is called `{name}` here"), help),
            Some(known) if ordered.contains(known) => {
                around.problems.complain(&place, format!("`{name}` is listed twice"), "leave one of the two out");
            }
            Some(known) if !section.has(known) => {
                let help = format!("write its table, or leave \"{name}\" out");
                around.problems.complain(&place, format!("`{name}` is not configured"), help);
            }
            Some(known) => ordered.push(known),
        }
    }
    for unused in configured.iter().filter(|name| !ordered.contains(*name)) {
        let message = format!("`{unused}` is never used: it is not in `order`");
        around.problems.complain(section.place_of_key(unused), message, "add it to `order`, or leave it out");
    }
    ordered
}

/// Reads an `outbox`, which both channels have.
pub(crate) fn outbox(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<OutboxSettings> {
    if !server.local {
        around.problems.complain(
            section.own_place(),
            "an outbox shows codes to whoever can read it: it is for development, with `public_url` and every listen address on loopback",
            "leave it out, and write how messages are really sent",
        );
        return None;
    }
    if !section.has("url") {
        return Some(OutboxSettings::File(around.path(&section.read("path", form::text))));
    }
    if section.has("path") {
        around.problems.complain(
            section.place_of_key("path"),
            "an outbox is a file (`path`) or a server (`url`)",
            "leave one of the two out",
        );
    }
    let url = section.optional("url", form::url)?;
    if !is_loopback(&url) {
        around.problems.complain(
            section.place("url"),
            "an outbox is on this machine",
            "write an address on loopback, e.g. \"http://127.0.0.1:8025/\"",
        );
        return None;
    }
    Some(OutboxSettings::Url(url))
}

/// Reads a text in Korean and English under `key`; one that is given alone is for everybody. `must` is a placeholder that has to be in it.
/// `None` where there is none, too.
pub(crate) fn texts(
    section: &Section<'_>,
    key: &str,
    known: &[&str],
    must: Option<&str>,
    around: &mut Surroundings<'_>,
) -> Option<Texts> {
    pair(section, key, around, |text, place, around| {
        check_template(&text, place, known, must, around)?;
        Some(text)
    })
}

/// The texts under `key`, each made of what the file says by `read`.
pub(crate) fn pair(
    section: &Section<'_>,
    key: &str,
    around: &mut Surroundings<'_>,
    mut read: impl FnMut(String, &Place, &mut Surroundings<'_>) -> Option<String>,
) -> Option<Texts> {
    let section = section.section(key);
    if !section.is_present() {
        return None;
    }
    if !section.has("ko") && !section.has("en") {
        around.problems.complain(
            section.own_place(),
            format!("`{key}` has no text"),
            format!("write `{key} = {{ ko = \"…\", en = \"…\" }}`, or one of the two, or leave it out"),
        );
        return None;
    }
    let mut language = |language| {
        let text = section.optional(language, form::text)?;
        read(text, section.place(language), around)
    };
    let (korean, english) = (language("ko"), language("en"));
    if korean.is_none() && section.has("ko") || english.is_none() && section.has("en") {
        return None;
    }
    let first = korean.clone().or_else(|| english.clone())?;
    Some(Texts { korean: korean.unwrap_or_else(|| first.clone()), english: english.unwrap_or(first) })
}

/// Checks that the placeholders of a template are `known`, and that `must` is among them.
pub(crate) fn check_template(
    template: &str,
    place: &Place,
    known: &[&str],
    must: Option<&str>,
    around: &mut Surroundings<'_>,
) -> Option<()> {
    let mut good = true;
    let mut complain = |message: String, help: String| {
        good = false;
        around.problems.complain(place, message, help);
    };
    for name in placeholders(template).filter(|name| !known.contains(name)) {
        let all: Vec<_> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
        let help = match closest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => format!("here there are {}", all.join(", ")),
        };
        complain(format!("there is no `{{{name}}}` here"), help);
    }
    if let Some(must) = must.filter(|must| placeholders(template).all(|name| name != *must)) {
        complain(
            format!("this message does not have the {must} in it"),
            format!("write `{{{must}}}` where it belongs"),
        );
    }
    good.then_some(())
}
