//! `[store]`: where it is, and what happens while it is away.

use crate::config::{form, secrets::Surroundings, section::Section};
use crate::{
    secret::Secret,
    session::StoreDown,
    store::{self, Settings},
};

/// A kind of server, with the beginnings of its addresses.
struct Server {
    kind: &'static str,
    schemes: &'static [&'static str],
    example: &'static str,
}

const REDIS: Server = Server {
    kind: "redis",
    schemes: &["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"],
    example: "redis://127.0.0.1:6379/0",
};
const POSTGRES: Server = Server {
    kind: "postgres",
    schemes: &["postgres", "postgresql"],
    example: "postgres://vestibule@127.0.0.1:5432/vestibule",
};

impl Server {
    fn help(&self) -> String {
        format!("write `url = \"{}\"`; with a password in it, `url = \"env:NAME\"`", self.example)
    }
}

/// Reads `[store]`; `lacks_keys` says that each instance would make a session key of its own.
pub(crate) fn store(section: &Section<'_>, lacks_keys: bool, around: &mut Surroundings<'_>) -> Option<Settings> {
    let kind = section.read("kind", form::text);
    if !["memory", "file", "redis", "postgres"].contains(&kind.as_str()) {
        return None;
    }
    let is_server = [REDIS, POSTGRES].iter().any(|server| server.kind == kind);
    for (key, is_used, whose) in
        [("path", kind == "file", "\"file\""), ("url", is_server, "\"redis\" and \"postgres\"")]
    {
        if section.has(key) && !is_used {
            let message = format!("a store of `kind = \"{kind}\"` has no `{key}`");
            around.problems.complain(
                section.place_of_key(key),
                message,
                format!("leave it out; `{key}` is for {whose}"),
            );
        }
    }
    if is_server && lacks_keys {
        around.problems.warn(
            section.place("kind"),
            "several instances share a store, but without `session.keys` none can read the cookies of another",
            "write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`, with the same key for all of them",
        );
    }
    let (settings, key, help) = match kind.as_str() {
        "file" => (file(section, around)?, "path", "write another `path`".to_owned()),
        "redis" => (Settings::Redis { url: url(&REDIS, section, around)? }, "url", REDIS.help()),
        "postgres" => (Settings::Postgres { url: url(&POSTGRES, section, around)? }, "url", POSTGRES.help()),
        _ => return Some(Settings::Memory),
    };
    if let Err(error) = store::judge(&settings) {
        around.problems.complain(section.place(key), error.to_string(), help);
    }
    Some(settings)
}

/// What happens to refreshes while the store is away.
pub(crate) fn store_down(section: &Section<'_>) -> StoreDown {
    if section.read("store_down", form::text) == "refresh" { StoreDown::Refresh } else { StoreDown::Wait }
}

fn file(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Settings> {
    let path = around.path(&section.read("path", form::text));
    let fault = if path.is_dir() {
        Some("the store's file is a folder")
    } else if path.parent().is_none_or(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some("the folder of the store's file does not exist")
    } else {
        None
    };
    if let Some(fault) = fault {
        around.problems.complain(
            section.place("path"),
            fault,
            "make the folder, or write another `path`; relative paths start at the folder of this file",
        );
        return None;
    }
    Some(Settings::File { path })
}

fn url(server: &Server, section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Secret> {
    let Some(text) = section.optional("url", form::text) else {
        let message = format!("a store of `kind = \"{}\"` needs a `url`", server.kind);
        around.problems.complain(section.place("kind"), message, server.help());
        return None;
    };
    let place = section.place("url");
    let url = if has_password(&text) {
        around.resolve_secret(&text, place)?
    } else {
        Secret::new(around.indirect(section, "url")?)
    };
    let is_known = url.expose().split_once("://").is_some_and(|(scheme, rest)| {
        !rest.is_empty() && server.schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme))
    });
    if !is_known {
        let message = format!("`url` is no address that a store of `kind = \"{}\"` can have", server.kind);
        let help = format!("it begins with {}; {}", listed(server.schemes), server.help());
        around.problems.complain(place, message, help);
        return None;
    }
    Some(url)
}

/// Whether an address has a password in it: behind its user, or as a parameter.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let behind_user = rest.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
    behind_user.is_some_and(|(_, password)| !password.is_empty())
        || parameters.split('&').any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| name.ends_with("password") && !value.is_empty())
        })
}

fn listed(schemes: &[&str]) -> String {
    schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_noticed() {
        for with in [
            "redis://:hunter2@h",
            "redis://u:hunter2@h/0",
            "postgres://u:p%40ss@h:5432/d",
            "redis-sentinel://a,b/main?sentinel_password=hunter2",
            "postgres://h/d?x=y&password=hunter2",
        ] {
            assert!(has_password(with), "{with}");
        }
        for without in [REDIS.example, POSTGRES.example, "redis-cluster://a:1,b:2/", "env:STORE_URL", "redis://u:@h"] {
            assert!(!has_password(without), "{without}");
        }
    }
}
