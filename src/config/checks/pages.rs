//! Checks of the addresses in `[session]`: the login page, and where a login and a logout lead.

use http::Method;

use super::{
    super::{
        schema::{
            context::Context,
            form,
            key::{Always, Key},
            tree::Place,
        },
        sections::{RootTable, authority::AuthorityTable, session::SessionTable},
    },
    Checks,
};
use crate::{
    endpoint::{OriginSettings, Origins, VisitorOrigin, without_query},
    hygiene::{EncodedSlash, canonical_path},
    route::{Decision, LaxPath, OwnEndpoint, OwnService, Requester, Rules, Table, TableMatch, has_wildcard},
};

impl Checks<'_, '_> {
    /// Runs the checks that need the table of routes.
    pub(super) fn pages(&self, table: &Table, cx: &mut Context<'_>) {
        let Some(origins) = self.origins() else { return };
        let session = self.root.section(&RootTable::SESSION);
        if !session.is_faulty(&SessionTable::LOGIN_PAGE, &cx.problems) {
            self.login_page(table, &origins, cx);
        }
        if !session.is_faulty(&SessionTable::AFTER_LOGIN, &cx.problems) {
            self.after_login(table, &origins, cx);
        }
        if !session.is_faulty(&SessionTable::AFTER_LOGOUT, &cx.problems) {
            self.after_logout(table, &origins, cx);
        }
    }

    fn origins(&self) -> Option<Origins> {
        let hosts = self.hosts();
        let public_url = self.server.public_url.as_ref()?;
        Some(Origins::new(&OriginSettings { public_url, hosts: &hosts }))
    }

    /// The addresses of pages are no patterns.
    pub(super) fn pages_with_wildcards(&self, cx: &mut Context<'_>) {
        let session = self.root.section(&RootTable::SESSION);
        let (login, after_login, after_logout) =
            (SessionTable::LOGIN_PAGE, SessionTable::AFTER_LOGIN, SessionTable::AFTER_LOGOUT);
        let pages = [
            (session.place(&login), session.read(&login)),
            (session.place(&after_login), session.read(&after_login)),
            (session.place(&after_logout), session.read(&after_logout)),
        ];
        for (place, page) in pages {
            let path = page.split(['?', '#']).next().unwrap_or_default();
            if path.starts_with('/') && has_wildcard(path) {
                cx.complain(
                    place,
                    format!("`{path}` would be taken as text: this is the address of one page, without placeholders"),
                    "write the address as a browser shows it; a literal `*` is `%2A`",
                );
            }
        }
    }

    /// The app's own login page has to be reachable without a login, on each host where people are sent to it.
    fn login_page(&self, table: &Table, origins: &Origins, cx: &mut Context<'_>) {
        let session = self.root.section(&RootTable::SESSION);
        let page = session.read(&SessionTable::LOGIN_PAGE);
        if form::path(&page).is_err() {
            return;
        }
        let place = session.place(&SessionTable::LOGIN_PAGE);
        let path = match canonical_path(without_query(&page), EncodedSlash::Refuse) {
            Ok(path) => path,
            Err(problem) => {
                cx.complain(place, format!("no request has the path `{}`", without_query(&page)), problem);
                return;
            }
        };
        if table.is_own(&path) {
            let message = format!("`{path}` is the gateway's own");
            cx.complain(place, message, "write \"built-in\", or a path of the app");
            return;
        }
        let fault_on = |host: &str| match table.find(&Method::GET, host, &path) {
            TableMatch::Route(found) => {
                let rules = table.rules(found, &Method::GET, host, &LaxPath::new(&path));
                let line = self.line_of(&rules);
                (rules.decide(Requester::Anonymous) != Decision::Allow).then(|| {
                    format!("the login page `{path}` itself needs a login: its route on line {line} is not open")
                })
            }
            _ => Some(format!("no route serves the login page `{path}`")),
        };
        let help = "write a route for it, with `access = \"anonymous\"`";
        if let Some(fault) = fault_on(origins.public().host()) {
            cx.complain(place, fault, help);
            return;
        }
        let mut elsewhere = self.hosts().into_iter().skip(1).filter(|host| self.needs_login_on(host));
        if let Some((fault, host)) = elsewhere.find_map(|host| Some((fault_on(&host)?, host))) {
            cx.warn(place, format!("{fault}, on the host `{host}`"), help);
        }
    }

    /// A person who has just logged in must not be sent to a page that sends people on to `after_login`.
    fn after_login(&self, table: &Table, origins: &Origins, cx: &mut Context<'_>) {
        let key = &SessionTable::AFTER_LOGIN;
        let Some((place, host, path)) = self.page(key, origins, origins.public()) else { return };
        let help = "name a page of the app that people who are logged in may see";
        match table.find(&Method::GET, &host, &path) {
            TableMatch::Route(found) => {
                let rules = table.rules(found, &Method::GET, &host, &LaxPath::new(&path));
                if rules.decide(Requester::User { roles: &[] }) == Decision::AlreadyLoggedIn {
                    let line = self.line_of(&rules);
                    let message = format!(
                        "after a login `{path}` redirects to itself without end: its route on line {line} is `anonymous`, which sends people who are logged in to `after_login`"
                    );
                    cx.complain(place, message, help);
                }
            }
            TableMatch::Own(own) if begins_or_ends(own.service) => {
                let message =
                    format!("`{path}` begins or ends a login or a logout, so nobody can be sent there after a login");
                cx.complain(place, message, help);
            }
            TableMatch::Own(_) => {}
            TableMatch::WrongMethod(_) | TableMatch::NoEndpoint | TableMatch::None => {
                if self.root.section(&RootTable::SESSION).has(key) {
                    let message = format!("after a login people get an error: no browser can open `{path}` here");
                    cx.warn(place, message, help);
                }
            }
        }
    }

    /// An `after_logout` that the file names must not lead to a login again. Without one the gateway has a page.
    fn after_logout(&self, table: &Table, origins: &Origins, cx: &mut Context<'_>) {
        let key = &SessionTable::AFTER_LOGOUT;
        if !self.root.section(&RootTable::SESSION).has(key) {
            return;
        }
        for origin in origins.of_logins() {
            let Some((place, host, path)) = self.page(key, origins, &origin) else { continue };
            let on_host = if origin == *origins.public() { String::new() } else { format!(" on the host `{host}`") };
            let begins_login = table.begins_login(&host, &path, self.has_one_login());
            let elsewhere = "so a logout does not end there, but on the gateway's own page";
            let fault = match table.find(&Method::GET, &host, &path) {
                TableMatch::Route(found) if begins_login => {
                    let line = self.line_of(&table.rules(found, &Method::GET, &host, &LaxPath::new(&path)));
                    format!("`{path}`{on_host} needs a login (line {line}), {elsewhere}")
                }
                TableMatch::Own(_) if begins_login => format!("`{path}`{on_host} begins a login at once, {elsewhere}"),
                TableMatch::Route(_) | TableMatch::Own(_) => continue,
                TableMatch::WrongMethod(_) | TableMatch::NoEndpoint | TableMatch::None => {
                    format!("after a logout people get an error: no browser can open `{path}`{on_host}")
                }
            };
            cx.warn(place, fault, "name a page that everybody may see, or leave `after_logout` out");
            return;
        }
    }

    /// The line of the route whose rule decides.
    fn line_of(&self, rules: &Rules<'_>) -> usize {
        rules.routes().last().map_or(0, |route| self.routes[route.index].1.line)
    }

    /// Whether the built-in login page goes on to the only provider at once.
    fn has_one_login(&self) -> bool {
        self.root.named(&RootTable::PROVIDERS).count() == 1
            && !self.authority().has(&AuthorityTable::CREDENTIALS)
            && self.logins.is_empty()
    }

    /// The place of a page's key in the file, and the host and the canonical path that the page has for a visitor of
    /// `origin`; `None` if it is on another site.
    fn page(
        &self,
        key: &Key<SessionTable, form::PathOrUrl, Always>,
        origins: &Origins,
        origin: &VisitorOrigin,
    ) -> Option<(&Place, String, String)> {
        let session = self.root.section(&RootTable::SESSION);
        let (host, path) = origins.locate(&session.read(key), origin)?;
        let path = canonical_path(&path, EncodedSlash::Refuse).ok()?.into_owned();
        Some((session.place(key), host, path))
    }
}

/// Whether an endpoint begins or ends a login, or ends a logout.
fn begins_or_ends(service: OwnService) -> bool {
    match service {
        OwnService::Call { endpoint, .. } => matches!(
            endpoint,
            OwnEndpoint::LoginPage
                | OwnEndpoint::Start(_)
                | OwnEndpoint::Callback(_)
                | OwnEndpoint::CodePage(_)
                | OwnEndpoint::LoggedOut
        ),
        OwnService::PublicKeys => false,
    }
}
