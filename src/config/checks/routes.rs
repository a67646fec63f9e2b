//! Checks of `[[routes]]` against each other and against what leads to them.

use super::{
    super::{
        schema::{
            START,
            context::Context,
            section::Section,
            tree::{Node, Place},
        },
        sections::{
            RootTable,
            authority::{AuthorityTable, GatewayTable, Issuer},
            otp::channels,
            providers::{Protocol, ProviderTable},
            routes::RouteTable,
            session::{self, SessionTable},
        },
    },
    Checks, ReadRoute,
};
use crate::route::{self, Access, Conflict, Gap, GapKind, HasPage, JWKS_PATH, OwnSettings, SharedTargets};

impl Checks<'_, '_> {
    pub(super) fn route_table(&self, cx: &mut Context<'_>) {
        // Two routes may be on one line of the file, so the table gets their index as the line.
        let routes = self.routes.iter().enumerate();
        let numbered = routes.map(|(line, (_, route))| route::Settings { line, ..route.clone() }).collect();
        let own = self.own_settings();
        let shared = SharedTargets::new(self.upstreams);
        let table = route::Table::build(numbered, own, &shared);
        for conflict in table.as_ref().err().into_iter().flatten() {
            complain_of_conflict(conflict, self.routes, cx);
        }
        if self.routes.is_empty() && self.all_routes {
            cx.warn(&START, "there are no routes: everything but the gateway's own pages is 404", "write `[[routes]]`");
        }
        if let (Ok(table), true) = (table, self.all_routes) {
            self.pages(&table, cx);
            for gap in table.gaps(&self.hosts(), &shared) {
                self.warn_of_gap(&gap, cx);
            }
        }
    }

    /// The gateway's own endpoints.
    fn own_settings(&self) -> OwnSettings {
        let codes = channels(&self.root.section(&RootTable::OTP)).into_iter();
        OwnSettings {
            base_path: self.root.section(&RootTable::SESSION).read(&SessionTable::BASE_PATH),
            providers: self.root.named(&RootTable::PROVIDERS).map(|provider| provider.name.to_owned()).collect(),
            credentials: self.authority().has(&AuthorityTable::CREDENTIALS),
            auth_js: session::auth_js(&self.root.section(&RootTable::SESSION)).is_some(),
            codes: codes
                .filter(|(_, section)| section.is_present())
                .map(|(channel, _)| {
                    let has_page = self.logins.iter().any(|login| login.channel == channel);
                    (channel, if has_page { HasPage::Yes } else { HasPage::No })
                })
                .collect(),
            dev_pages: self.dev_pages,
        }
    }

    /// Warns at the laxer route.
    fn warn_of_gap(&self, gap: &Gap, cx: &mut Context<'_>) {
        let (section, laxer) = &self.routes[gap.laxer];
        let (_, stricter) = &self.routes[gap.stricter];
        let (request, line) = (&gap.request, stricter.line);
        let (message, help) = match gap.kind {
            GapKind::Methods => (
                format!(
                    "`{request}` comes here, past the stricter `access` of line {line}: its `methods` leave it out"
                ),
                format!(
                    "leave `methods` out on line {line}, or write a route for `{}` with the other methods",
                    stricter.path
                ),
            ),
            GapKind::Hosts => (
                format!("`{request}` comes here, past the stricter `access` of line {line}: its `hosts` leave it out"),
                format!(
                    "leave `hosts` out on line {line}, or write a route for `{}` and the other hosts",
                    stricter.path
                ),
            ),
            GapKind::Subtree => (
                format!(
                    "`{request}` comes here: `{}` on line {line}, with the stricter `access`, is that one path",
                    stricter.path
                ),
                format!("write a route for `{}/{{*rest}}` too", stricter.path.trim_end_matches('/')),
            ),
            GapKind::Strip => (
                format!(
                    "`{request}` comes here, and the upstream sees the path that line {line} protects with a stricter `access`"
                ),
                format!("give this path a route with the `access` of line {line}"),
            ),
            GapKind::Overruled => (
                format!(
                    "`{}` can be read as `{}`, so the stricter `access` of line {line} applies here",
                    laxer.path, stricter.path
                ),
                format!("write the same `access` as on line {line}, or another path"),
            ),
        };
        cx.warn(section.place(&RouteTable::PATH), message, help);
    }

    /// Roles are read from the claims of an access token that can be verified, or of an ID token.
    pub(super) fn roles(&self, cx: &mut Context<'_>) {
        let wanting = || {
            self.routes.iter().filter(|(_, route)| matches!(&route.access, Access::Roles(roles) if !roles.is_empty()))
        };
        let pointer = self.root.section(&RootTable::SESSION).read(&SessionTable::ROLES_CLAIM);
        let claim = pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
        if self.is_answered(&claim) {
            return;
        }
        if self.issuer == Issuer::Backend && !self.verifies() && !self.has_providers() {
            for (section, _) in wanting() {
                cx.complain(
                    section.place(&RouteTable::ACCESS),
                    "there is nothing that roles could be read from",
                    "write `[authority.verify]`, so that the roles in the backend's access token can be believed, or `[authority.answer]` with `claims = { role = \"/user/role\" }`",
                );
            }
            return;
        }
        if self.root.section(&RootTable::SESSION).is_faulty(&SessionTable::ROLES_CLAIM, &cx.problems) {
            return;
        }
        for (section, route) in wanting() {
            let Access::Roles(roles) = &route.access else { continue };
            if let Some((message, help)) = self.unknown_roles(roles, &pointer, &claim) {
                cx.warn(section.place(&RouteTable::ACCESS), message, help);
            }
        }
    }

    /// Why no configured source can give any of these roles; `None` where one may.
    fn unknown_roles(&self, roles: &[String], pointer: &str, claim: &str) -> Option<(String, String)> {
        if self.issuer == Issuer::Gateway {
            let gateway = self.root.section(&RootTable::AUTHORITY).section(&AuthorityTable::GATEWAY);
            let default = gateway.read(&GatewayTable::DEFAULT_ROLE);
            let given: Vec<&str> =
                gateway.named(&GatewayTable::ROLES).map(|role| role.name).chain([default.as_str()]).collect();
            if !GATEWAY_CLAIMS.contains(&claim)
                && !gateway.entries(&GatewayTable::CLAIMS).iter().any(|entry| entry.name == claim)
            {
                return Some((
                    format!(
                        "nobody can have one of these roles: the gateway's tokens have nothing at `{pointer}` (`session.roles_claim`)"
                    ),
                    "write `roles_claim = \"/roles\"`, or give the claim under `[authority.gateway]`".to_owned(),
                ));
            }
            let is_role = matches!(pointer, "/role" | "/roles");
            if !is_role || roles.iter().any(|role| given.contains(&&**role)) {
                return None;
            }
            return Some((
                format!("nobody can have one of these roles: the gateway gives {}", given.join(", ")),
                format!("write `[authority.gateway.roles.{}]` with the conditions for it", roles[0]),
            ));
        }
        if self.verifies() {
            return None;
        }
        let providers: Vec<_> = self.root.named(&RootTable::PROVIDERS).collect();
        let gives = |provider: &Section<'_, ProviderTable>| {
            if provider.is_malformed(&ProviderTable::KIND) {
                return true;
            }
            match (provider.read(&ProviderTable::KIND), provider.name) {
                // The profile of an OAuth 2.0 provider is mapped to claims by name.
                (Protocol::OAuth2, _) => PROFILE_CLAIMS.contains(&claim),
                (Protocol::Oidc, "google" | "kakao" | "naver") if !provider.has(&ProviderTable::ISSUER) => {
                    ID_TOKEN_CLAIMS.contains(&claim)
                }
                (Protocol::Oidc, _) => true,
            }
        };
        if providers.is_empty() || providers.iter().any(gives) {
            return None;
        }
        let names: Vec<_> = providers.iter().map(|provider| format!("`{}`", provider.name)).collect();
        Some((
            format!(
                "nobody can have one of these roles: {} says nothing at `{pointer}` (`session.roles_claim`)",
                names.join(", ")
            ),
            "name a claim that the provider has, or use the authority `gateway`, which gives roles by e-mail address"
                .to_owned(),
        ))
    }
}

/// The claims in ID tokens of Google, Kakao and Naver (their documentation, October 2026; OpenID Connect Core 1.0,
/// sections 2 and 5.1).
const ID_TOKEN_CLAIMS: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "hd",
    "email",
    "email_verified",
    "name",
    "given_name",
    "family_name",
    "picture",
    "locale",
    "nickname",
    "profile",
    "phone_number",
    "gender",
];
/// The claims in the gateway's own access tokens without `[authority.gateway] claims`.
const GATEWAY_CLAIMS: [&str; 10] =
    ["iss", "sub", "aud", "role", "roles", "email", "email_verified", "name", "phone_number", "phone_number_verified"];
/// The claims that a profile of `kind = "oauth2"` is mapped to.
const PROFILE_CLAIMS: [&str; 6] = ["iss", "sub", "email", "email_verified", "name", "picture"];

fn complain_of_conflict(conflict: &Conflict, routes: &[ReadRoute<'_>], cx: &mut Context<'_>) {
    let (section, _) = &routes[conflict.line()];
    match conflict {
        Conflict::Same { other, .. } => {
            let (_, other) = &routes[*other];
            cx.complain(
                section.place(&RouteTable::PATH),
                format!("nothing separates this route from `{}` on line {}", other.path, other.line),
                "give one of them another path, `hosts` or `methods`, or leave it out",
            );
        }
        Conflict::UnderBasePath { base_path, .. } => cx.complain(
            section.place(&RouteTable::PATH),
            format!("this route can never match: `{base_path}` is the gateway's own (`session.base_path`)"),
            "choose another path, or another `base_path`",
        ),
        Conflict::Jwks { .. } => cx.complain(
            section.place(&RouteTable::PATH),
            format!("this route can never match: the gateway's public keys are at `{JWKS_PATH}`"),
            "choose another path for the backend's own",
        ),
        Conflict::Path { path, problem, .. } => {
            cx.complain(section.place(&RouteTable::PATH), format!("`{path}` is not a path pattern"), problem.clone());
        }
        Conflict::Strip { strip, path, .. } => cx.complain(
            section.place(&RouteTable::STRIP),
            format!("`{strip}` is not the beginning of `{path}`, up to a slash"),
            "strip whole segments with which every path of this route begins",
        ),
        Conflict::Method { method, .. } => cx.complain(
            place_of_method(section, method.as_str()),
            format!("a request with the method {method} is refused before routes are looked at"),
            "leave it out",
        ),
    }
}

/// The place of `method` in the list `methods`.
fn place_of_method<'t>(section: &Section<'t, RouteTable>, method: &str) -> &'t Place {
    let list = section.node(&RouteTable::METHODS).map_or(&[][..], Node::list);
    let element = list.iter().find(|element| element.text() == Some(method));
    element.map_or_else(|| section.place(&RouteTable::METHODS), |element| &element.place)
}
