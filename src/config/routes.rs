//! The table of routes that the settings make: the checks, `explain` and the running gateway look into the same one.

use super::{
    Config,
    complaint::Problems,
    section::Section,
    tree::{Node, Place},
};
use crate::{
    authority::{Backend, Kind},
    call::{Piece, Template},
    channel::Channel,
    otp::{ChannelSettings, CodePurpose},
    route::{CallPiece, Conflict, HasPage, JWKS_PATH, OwnCall, OwnCalls, OwnSettings, Settings, Table},
};

impl Config {
    /// All routes and the gateway's own endpoints, as requests meet them.
    pub fn table(&self) -> Result<Table, Vec<Conflict>> {
        let providers = self.providers.iter().map(|provider| provider.name.clone()).collect();
        let credentials = self.backend().is_some_and(|backend| backend.credentials.is_some());
        let code = |(channel, settings): (Channel, &ChannelSettings)| {
            (channel, if settings.purpose == CodePurpose::Login { HasPage::Yes } else { HasPage::No })
        };
        let codes = self.otp.channels().map(code).collect();
        let base_path = self.login.base_path.clone();
        Table::build(self.routes.clone(), OwnSettings { base_path, providers, credentials, codes })
    }

    /// The calls that no visitor may make in the gateway's name.
    pub fn own_calls(&self) -> OwnCalls {
        OwnCalls::new(&self.upstreams, self.calls().map(own_call).collect())
    }

    /// Every call of the file, under `authority`, `otp` and `login`.
    fn calls(&self) -> impl Iterator<Item = &Template> {
        let issuing = self.backend().map(|b| [&b.exchange, &b.credentials, &b.otp, &b.refresh, &b.signout]);
        let notify = self.otp.channels().filter_map(|(_, channel)| channel.notify.as_ref());
        issuing.into_iter().flatten().flatten().chain(&self.authority.notify).chain(notify)
    }

    fn backend(&self) -> Option<&Backend> {
        match &self.authority.kind {
            Kind::Backend(backend) => Some(backend),
            Kind::Provider | Kind::Gateway(_) => None,
        }
    }
}

/// The table of the routes that are well-formed, each with the section that it was read from; `None` where something was complained about.
pub(super) fn table(routes: &[(Section<'_>, Settings)], base_path: &str, problems: &mut Problems) -> Option<Table> {
    // Two routes may stand on one line of the file: here they are told apart by their number.
    let numbered = routes.iter().enumerate().map(|(line, (_, route))| Settings { line, ..route.clone() }).collect();
    let own =
        OwnSettings { base_path: base_path.to_owned(), providers: Vec::new(), credentials: false, codes: Vec::new() };
    Table::build(numbered, own)
        .inspect_err(|conflicts| {
            for conflict in conflicts {
                complain(conflict, routes, problems);
            }
        })
        .ok()
}

fn complain(conflict: &Conflict, routes: &[(Section<'_>, Settings)], problems: &mut Problems) {
    let (section, _) = &routes[conflict.line()];
    match conflict {
        Conflict::Same { other, .. } => {
            let (_, other) = &routes[*other];
            problems.complain(
                section.place("path"),
                format!("nothing separates this route from `{}` on line {}", other.path, other.line),
                "give one of them another path, `hosts` or `methods`, or leave it out",
            );
        }
        Conflict::UnderBasePath { base_path, .. } => problems.complain(
            section.place("path"),
            format!("this route can never match: `{base_path}` is the gateway's own (`session.base_path`)"),
            "choose another path, or another `base_path`",
        ),
        Conflict::Jwks { .. } => problems.complain(
            section.place("path"),
            format!("this route can never match: the gateway's public keys are at `{JWKS_PATH}`"),
            "choose another path for the backend's own",
        ),
        Conflict::Path { path, problem, .. } => {
            problems.complain(section.place("path"), format!("`{path}` is not a path pattern"), *problem);
        }
        Conflict::Strip { strip, path, .. } => problems.complain(
            section.place("strip"),
            format!("`{strip}` is not the beginning of `{path}`, up to a slash"),
            "strip whole segments with which every path of this route begins",
        ),
        Conflict::Method { method, .. } => problems.complain(
            &place_of(section, "methods", method.as_str()),
            format!("a request with the method {method} is refused before routes are looked at"),
            "leave it out",
        ),
    }
}

/// Where `word` stands in the list under `key`.
fn place_of(section: &Section<'_>, key: &str, word: &str) -> Place {
    let list = section.node(key);
    let element = list.as_deref().map_or(&[][..], Node::list).iter().find(|element| element.text() == Some(word));
    element.map_or_else(|| section.place(key).clone(), |element| element.place.clone())
}

fn own_call(template: &Template) -> OwnCall {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => CallPiece::Literal(text.clone()),
        Piece::Placeholder(_) => CallPiece::Placeholder,
    };
    OwnCall {
        upstream: template.upstream,
        method: template.method.clone(),
        path: template.path.0.iter().map(piece).collect(),
    }
}
