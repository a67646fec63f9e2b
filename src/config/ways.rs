//! Who sends the codes of a channel: the order of the ways, and the outbox that both channels have.

use super::{
    form,
    key::{closest, quoted},
    secrets::Surroundings,
    section::Section,
    server::Server,
    tree::Place,
};
use crate::{hygiene::is_loopback, otp::deliver::OutboxSettings};

/// The configured ones of `names`, in the order in which they are tried.
pub(super) fn order(section: &Section<'_>, names: &[&'static str], around: &mut Surroundings<'_>) -> Vec<&'static str> {
    let mut configured: Vec<_> = names.iter().copied().filter(|name| section.section(name).is_present()).collect();
    if configured.is_empty() {
        let tables: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let help = format!("write one of the tables {} below this one", tables.join(", "));
        around.problems.complain(section.own_place(), "there is nobody who sends the messages", help);
        return Vec::new();
    }
    // Those of the environment stand behind those of the file.
    configured.sort_by_key(|name| match section.place_of_key(name) {
        Place::File(range) => range.start,
        Place::Environment(_) | Place::Nowhere => usize::MAX,
    });
    if !section.has("order") {
        return configured;
    }
    if section.is_empty_list("order") {
        let help = format!("name one or more of {}, or leave `order` out", quoted(&configured));
        around.problems.complain(section.place("order"), "nobody would send the messages", help);
    }
    let mut order = Vec::new();
    for (name, place) in section.list("order", form::text) {
        match names.iter().find(|known| **known == name) {
            None => {
                let help = match closest(&name, names.iter().copied()) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("there are {}", quoted(names)),
                };
                around.problems.complain(&place, format!("nobody here is called `{name}`"), help);
            }
            Some(known) if !configured.contains(known) => {
                let help = format!("write the table `{name}` below this one, or leave \"{name}\" out");
                around.problems.complain(&place, format!("`{name}` is not configured"), help);
            }
            Some(known) if order.contains(known) => {
                around.problems.complain(&place, format!("`{name}` is listed twice"), "leave one of the two out");
            }
            Some(known) => order.push(known),
        }
    }
    for unused in configured.iter().filter(|name| !order.contains(*name)) {
        let message = format!("`{unused}` is configured, but never sends: it is not in `order`");
        around.problems.warn(section.place_of_key(unused), message, "add it to `order`, or leave it out");
    }
    order
}

/// Reads the outbox of a channel.
pub(super) fn outbox(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<OutboxSettings> {
    if !server.local {
        around.problems.complain(
            section.own_place(),
            "an outbox is allowed only where `public_url` and every listen address are on loopback",
            "leave it out: whoever reads it can log in as anybody",
        );
    }
    if !section.has("url") {
        return Some(OutboxSettings::File(around.path(&section.read("path", form::text))));
    }
    if section.has("path") {
        around.problems.complain(
            section.place_of_key("path"),
            "an outbox is a file or a server, `path` or `url`",
            "leave one of the two out",
        );
    }
    let url = section.optional("url", form::url)?;
    if !is_loopback(&url) {
        let help = "write an address of this machine, e.g. \"http://127.0.0.1:9000/outbox\"";
        around.problems.complain(section.place("url"), "an outbox is on loopback", help);
    }
    Some(OutboxSettings::Url(url))
}
