//! `[store]`: kind and address of the store, and what happens while it cannot be reached.

use super::forms;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, Word as _, table, words},
        section::Section,
    },
    secret::Secret,
    session::StoreDown,
    store::{self, Settings},
};

table! {
    /// `[store]`
    pub(crate) struct StoreTable {
        /// `memory`: in this process, so for one instance; a restart loses everything. `file`: in a file of this
        /// machine, for one instance; it survives a restart and a crash. `redis` and `postgres`: on a server that all
        /// instances share; they also share `session.keys`.
        KIND: Choice<StoreKind> = default("kind", "\"memory\"");
        /// The file, for `kind = "file"`: created if it is missing; its folder must exist. One instance can open it at
        /// a time.
        PATH: forms::File = default("path", "\"vestibule.redb\"");
        /// The server, for `kind = "redis"` or `"postgres"`: `redis://HOST:PORT/DB`,
        /// `redis-sentinel://HOST,HOST/SERVICE/DB`, `redis-cluster://HOST,HOST`, each with `rediss` for TLS;
        /// `postgres://USER@HOST:PORT/DATABASE`. With a password in it, say where it is: `env:NAME` or `file:PATH`.
        URL: form::Secret = optional("url");
        /// What happens to refreshes while the store cannot be reached. `wait`: nothing is refreshed ahead, and an
        /// expired access token gets 503 with its cookies kept. `refresh`: every instance refreshes by itself, for an
        /// authority that does not rotate refresh tokens. Codes and limits get 503 either way.
        STORE_DOWN: Choice<StoreDown> = default("store_down", "\"wait\"");
    }
}

/// The kind of store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreKind {
    Memory,
    File,
    Redis,
    Postgres,
}

words! {
    StoreKind:
    "memory" => Self::Memory,
    "file" => Self::File,
    "redis" => Self::Redis,
    "postgres" => Self::Postgres,
}

words! { StoreDown: "wait" => Self::Wait, "refresh" => Self::Refresh }

impl StoreKind {
    /// Whether several instances can share this store.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::Redis | Self::Postgres)
    }
}

/// A kind of store on a server, and the schemes of its URL.
struct StoreServer {
    kind: StoreKind,
    schemes: &'static [&'static str],
    example: &'static str,
}

const REDIS: StoreServer = StoreServer {
    kind: StoreKind::Redis,
    schemes: &["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"],
    example: "redis://127.0.0.1:6379/0",
};
const POSTGRES: StoreServer = StoreServer {
    kind: StoreKind::Postgres,
    schemes: &["postgres", "postgresql"],
    example: "postgres://vestibule@127.0.0.1:5432/vestibule",
};

impl StoreServer {
    fn help(&self) -> String {
        format!("write `url = \"{}\"`; with a password in it, `url = \"env:NAME\"`", self.example)
    }
}

/// Reads `[store]`.
pub(crate) fn store(section: &Section<'_, StoreTable>, cx: &mut Context<'_>) -> Option<Settings> {
    if section.is_malformed(&StoreTable::KIND) {
        return None;
    }
    let kind = section.read(&StoreTable::KIND);
    let needless: [(&dyn AnyKey<Table = StoreTable>, _, _); 2] = [
        (&StoreTable::PATH, kind != StoreKind::File, "\"file\""),
        (&StoreTable::URL, !kind.is_shared(), "\"redis\" and \"postgres\""),
    ];
    for (key, is_needless, whose) in needless {
        if section.has(key) && is_needless {
            let name = key.name();
            let help = if section.has(&StoreTable::KIND) {
                format!("leave it out; `{name}` is for {whose}")
            } else {
                format!("write `kind` too: `{name}` is for {whose}")
            };
            let message = format!("a store of `kind = \"{}\"` has no `{name}`", kind.word());
            cx.complain(section.place_of_key(key), message, help);
        }
    }
    let (settings, place, help) = match kind {
        StoreKind::Memory => return Some(Settings::Memory),
        StoreKind::File => (file(section, cx)?, section.place(&StoreTable::PATH), "write another `path`".to_owned()),
        StoreKind::Redis => {
            (Settings::Redis { url: url(&REDIS, section, cx)? }, section.place(&StoreTable::URL), REDIS.help())
        }
        StoreKind::Postgres => {
            (Settings::Postgres { url: url(&POSTGRES, section, cx)? }, section.place(&StoreTable::URL), POSTGRES.help())
        }
    };
    if let Err(error) = store::check(&settings) {
        cx.complain(place, error.to_string(), help);
    }
    Some(settings)
}

fn file(section: &Section<'_, StoreTable>, cx: &mut Context<'_>) -> Option<Settings> {
    let path = cx.path(&section.read(&StoreTable::PATH));
    let fault = if path.is_dir() {
        Some("the store's file is a folder")
    } else if path.parent().is_none_or(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some("the folder of the store's file does not exist")
    } else {
        None
    };
    if let Some(fault) = fault {
        cx.complain(
            section.place(&StoreTable::PATH),
            fault,
            "make the folder, or write another `path`; relative paths start at the folder of this file",
        );
        return None;
    }
    Some(Settings::File { path })
}

fn url(server: &StoreServer, section: &Section<'_, StoreTable>, cx: &mut Context<'_>) -> Option<Secret> {
    let Some(source) = section.optional(&StoreTable::URL) else {
        let message = format!("a store of `kind = \"{}\"` needs a `url`", server.kind.word());
        cx.complain(section.place(&StoreTable::KIND), message, server.help());
        return None;
    };
    let place = section.place(&StoreTable::URL);
    // An address without a password is not secret and may be plain text in the file.
    let url = if has_password(&source.0) {
        cx.resolve_secret(&source.0, place)?
    } else {
        Secret::new(cx.resolve(&source.0, place)?)
    };
    let is_known = url.expose().split_once("://").is_some_and(|(scheme, rest)| {
        !rest.is_empty() && server.schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme))
    });
    if !is_known {
        let message = format!("`url` is no address that a store of `kind = \"{}\"` can have", server.kind.word());
        let help = format!("it begins with {}; {}", listed(server.schemes), server.help());
        cx.complain(place, message, help);
        return None;
    }
    Some(url)
}

/// Whether an address has a password in it, after its user or as a parameter.
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
