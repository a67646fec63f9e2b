//! The own endpoints that a configuration has, indexed by path.

use std::collections::HashMap;

use http::Method;

use super::{
    own::{DEV_PATH, DevPages, Exists, OWN_ROWS, OwnMethods, OwnPath, OwnRow, OwnService, ProviderIndex, ServedBy},
    own_auth_js::AUTH_JS_ROWS,
};
use crate::channel::Channel;

/// First segments of the paths of future endpoints: no provider can have such a name.
const RESERVED_FOR_LATER: [&str; 5] = ["magic", "passkey", "devices", "verify", "backchannel-logout"];
/// The name of the login with e-mail and password, in sessions, logs and `/callback/credentials`.
const NAME_OF_CREDENTIALS: &str = "credentials";

/// The settings that decide which own endpoints exist.
#[derive(Clone, Debug)]
pub struct OwnSettings {
    /// `session.base_path`, e.g. `/auth`; every path below it is the gateway's.
    pub base_path: String,
    /// The names of the providers, in the order of the file.
    pub providers: Vec<String>,
    /// Whether logins with e-mail and password are configured (`authority.credentials`).
    pub credentials: bool,
    /// The channels of one-time codes, and whether each has a page (with `purpose = "login"`).
    pub codes: Vec<(Channel, HasPage)>,
    /// Whether `session.compat` names a version of Auth.js.
    pub auth_js: bool,
    /// Whether the pages of `vestibule demo` and `vestibule dev` are routed.
    pub dev_pages: DevPages,
}

/// Whether a channel of one-time codes has a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HasPage {
    /// `GET /login/{channel}`.
    Yes,
    /// None: the app shows its own.
    No,
}

/// The own endpoint of a request.
#[derive(Clone, Copy, Debug)]
pub struct OwnMatch {
    /// Its row, with its rules.
    pub row: &'static OwnRow,
    /// How it is served, with the provider or channel of the path.
    pub service: OwnService,
    /// The provider that its path names.
    pub provider: Option<ProviderIndex>,
}

/// The result for a path that is the gateway's.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnFound {
    Endpoint(OwnMatch),
    /// The path has endpoints for other methods; the value of `Allow`.
    WrongMethod(&'static str),
    NoEndpoint,
}

/// The own endpoints of one configuration.
#[derive(Debug)]
pub(super) struct OwnTable {
    base_path: String,
    providers: Vec<String>,
    dev_pages: DevPages,
    paths: Paths,
}

/// The own endpoints by path.
#[derive(Debug, Default)]
struct Paths {
    /// By the path below `base_path`, its slash included.
    below_base_path: HashMap<String, AtPath>,
    at_root: Vec<(&'static str, AtPath)>,
}

/// The own endpoints at one path.
#[derive(Debug, Default)]
struct AtPath(Vec<OwnMatch>);

impl OwnTable {
    pub(super) fn new(settings: OwnSettings) -> Self {
        let mut paths = Paths::default();
        for row in all_rows() {
            match row.served_by {
                ServedBy::One(service) => {
                    if exists(row, &settings, None) {
                        paths.insert("", "", OwnMatch { row, service, provider: None });
                    }
                }
                ServedBy::EachProvider(service) => {
                    for (index, name) in settings.providers.iter().enumerate() {
                        if exists(row, &settings, None) && !reserved_provider_name(name) {
                            let provider = ProviderIndex(index);
                            let own = OwnMatch { row, service: service(provider), provider: Some(provider) };
                            paths.insert("{provider}", name, own);
                        }
                    }
                }
                ServedBy::EachChannel(service) => {
                    for (channel, page) in settings.codes.iter().copied() {
                        if exists(row, &settings, Some(page)) {
                            let own = OwnMatch { row, service: service(channel), provider: None };
                            paths.insert("{channel}", channel.as_str(), own);
                        }
                    }
                }
            }
        }
        let OwnSettings { base_path, providers, dev_pages, .. } = settings;
        Self { base_path, providers, dev_pages, paths }
    }

    /// `None`: the path is not the gateway's.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<OwnFound> {
        let at_path = match self.at_root(path) {
            Some(at_path) => Some(at_path),
            None => self.paths.below_base_path.get(self.below(path)?),
        };
        Some(at_path.map_or(OwnFound::NoEndpoint, |at_path| at_path.find(method)))
    }

    /// Whether a path is the gateway's, with or without an endpoint there.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.at_root(path).is_some() || self.owns_all_below(path)
    }

    /// Whether a path is under `base_path`.
    pub(super) fn owns_all_below(&self, path: &str) -> bool {
        self.below(path).is_some()
    }

    pub(super) fn base_path(&self) -> &str {
        &self.base_path
    }

    pub(super) fn provider_name(&self, provider: ProviderIndex) -> &str {
        &self.providers[provider.0]
    }

    fn at_root(&self, path: &str) -> Option<&AtPath> {
        self.paths.at_root.iter().find(|(own, _)| *own == path).map(|(_, at_path)| at_path)
    }

    /// What follows `base_path`: empty, or with its slash.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.base_path.trim_end_matches('/'))
            .filter(|below| below.is_empty() || below.starts_with('/'))
            .filter(|below| self.dev_pages == DevPages::None || !is_dev_page(below))
    }
}

/// Whether a path below `base_path` is at or below [`DEV_PATH`].
fn is_dev_page(below: &str) -> bool {
    below.strip_prefix(DEV_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Paths {
    /// Adds an endpoint at its row's path, with `value` for `placeholder`.
    fn insert(&mut self, placeholder: &str, value: &str, own: OwnMatch) {
        let at_path = match own.row.path {
            OwnPath::BelowBasePath(path) if placeholder.is_empty() => {
                self.below_base_path.entry(path.to_owned()).or_default()
            }
            OwnPath::BelowBasePath(path) => self.below_base_path.entry(path.replace(placeholder, value)).or_default(),
            OwnPath::AtRoot(path) => {
                let existing = self.at_root.iter().position(|(at, _)| *at == path);
                let index = existing.unwrap_or_else(|| {
                    self.at_root.push((path, AtPath::default()));
                    self.at_root.len() - 1
                });
                &mut self.at_root[index].1
            }
        };
        at_path.0.push(own);
    }
}

impl AtPath {
    fn find(&self, method: &Method) -> OwnFound {
        if let Some(own) = self.0.iter().find(|own| own.row.methods.contain(method)) {
            return OwnFound::Endpoint(*own);
        }
        let all = self.0.iter().map(|own| own.row.methods).reduce(OwnMethods::and);
        OwnFound::WrongMethod(all.map_or("", OwnMethods::allow))
    }
}

fn exists(row: &OwnRow, settings: &OwnSettings, page: Option<HasPage>) -> bool {
    match row.exists {
        Exists::Always => true,
        Exists::WithCredentials => settings.credentials,
        Exists::WithCodePage => page == Some(HasPage::Yes),
        Exists::WithAuthJs => settings.auth_js,
        Exists::WithAuthJsAndCredentials => settings.auth_js && settings.credentials,
    }
}

/// Every row.
pub(super) fn all_rows() -> impl Iterator<Item = &'static OwnRow> {
    OWN_ROWS.iter().chain(&AUTH_JS_ROWS)
}

/// Whether a provider of this name would collide with the path of an own endpoint, of this version or a later one.
pub fn reserved_provider_name(name: &str) -> bool {
    let is_first_segment = |row: &OwnRow| {
        let (OwnPath::BelowBasePath(path) | OwnPath::AtRoot(path)) = row.path;
        match path.trim_start_matches('/').split('/').next() {
            Some("{channel}") => Channel::ALL.iter().any(|channel| channel.as_str() == name),
            first => first == Some(name),
        }
    };
    name == NAME_OF_CREDENTIALS || RESERVED_FOR_LATER.contains(&name) || all_rows().any(is_first_segment)
}
