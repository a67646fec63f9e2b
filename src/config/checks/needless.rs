//! Keys that have no effect because of another setting. A file with such a key says more than it does, so each is a
//! warning, always in the same words.

use super::{
    super::{
        schema::{
            context::Context,
            key::{AnyKey, Includes, Word as _},
            section::Section,
        },
        sections::{
            RootTable,
            authority::{AuthorityTable, Issuer},
            limits::LimitsTable,
            otp::{OtpLimitsTable, OtpTable},
            providers::{Protocol, ProviderTable},
            routes::{HeadersTable, RouteTable},
            server::ServerTable,
            session::SessionTable,
            store::{StoreKind, StoreTable},
            upstreams::UpstreamTable,
        },
    },
    Checks, ReadRoute,
};
use crate::{
    oidc::{Preset, presets},
    route::{Access, OwnCallsRule, SharedTargets},
    upstream::Bearer,
};

const LEAVE_OUT: &str = "leave it out";

/// Warns of `key` if the file has it; `why` completes "it has no effect: …".
fn warn<S, K: AnyKey + ?Sized>(section: &Section<'_, S>, key: &K, why: &str, help: &str, cx: &mut Context<'_>)
where
    S: Includes<K::Table>,
{
    if section.has(key) {
        cx.warn(section.place_of_key(key), format!("`{}` has no effect here: {why}", key.name()), help);
    }
}

impl Checks<'_, '_> {
    pub(super) fn keys_without_effect(&self, cx: &mut Context<'_>) {
        for provider in self.root.named(&RootTable::PROVIDERS) {
            if !provider.is_malformed(&ProviderTable::KIND) {
                self.of_provider(&provider, cx);
            }
        }
        for (index, upstream) in self.root.named(&RootTable::UPSTREAMS).enumerate() {
            self.of_upstream(index, &upstream, cx);
        }
        for route in self.routes {
            self.of_route(route, cx);
        }
        self.of_single_tables(cx);
    }

    fn of_provider(&self, provider: &Section<'_, ProviderTable>, cx: &mut Context<'_>) {
        let authority = self.issuer.word();
        if self.issuer != Issuer::Provider {
            let why = format!("with the authority `{authority}` the provider's refresh tokens are not used");
            warn(provider, &ProviderTable::REFRESH_PARAMS, &why, LEAVE_OUT, cx);
            let why = format!("with the authority `{authority}` nothing is revoked at the provider");
            warn(provider, &ProviderTable::REVOKE_URL, &why, LEAVE_OUT, cx);
        }
        if provider.read(&ProviderTable::KIND) == Protocol::OAuth2 {
            if !provider.has(&ProviderTable::CLIENT_SECRET) {
                let why = "without `client_secret` there is nothing to send in either way";
                warn(provider, &ProviderTable::TOKEN_AUTH, why, LEAVE_OUT, cx);
            }
            return;
        }
        if self.issuer == Issuer::Provider {
            let why = "with the authority `provider` a login needs the provider's access token, and none comes with an ID token";
            let help = "leave it out, or write `[authority]` with `kind = \"backend\"` or `kind = \"gateway\"`";
            warn(provider, &ProviderTable::ID_TOKEN_LOGIN, why, help, cx);
        }
        let preset = presets::by_name(provider.name).map_or(Preset::Generic, |known| known.preset);
        if preset.id_token_is_complete() {
            let why = format!("all claims of `{}` are in its ID token", provider.name);
            warn(provider, &ProviderTable::USERINFO_URL, &why, LEAVE_OUT, cx);
        }
        if provider.has(&ProviderTable::TENANTS) && !may_stand_for_tenants(provider) {
            cx.warn(
                provider.place_of_key(&ProviderTable::TENANTS),
                "`tenants` is for an issuer that stands for many tenants, as Entra's `/common` and `/organizations` do: here a login without one of them in the claim `tid` is refused",
                "leave it out, and say with `allow` who may log in, or write the issuer that stands for many",
            );
        }
    }

    fn of_upstream(&self, index: usize, upstream: &Section<'_, UpstreamTable>, cx: &mut Context<'_>) {
        if upstream.values(&UpstreamTable::TARGETS).len() == 1 {
            let why = "an only target is never left out";
            warn(upstream, &UpstreamTable::EJECT, why, LEAVE_OUT, cx);
        }
        let mut routes = self.routes.iter().filter(|(_, route)| route.upstream == index).peekable();
        let sends = !matches!(upstream.optional(&UpstreamTable::BEARER), Some(Bearer::None));
        if sends
            && self.all_routes
            && routes.peek().is_some()
            && routes.all(|(_, route)| route.access == Access::Public)
        {
            let why = "all routes to this upstream are `public`, and there the visitor's own `Authorization` passes";
            warn(upstream, &UpstreamTable::BEARER, why, "leave it out, or give a route another `access`", cx);
        }
    }

    fn of_route(&self, (section, route): &ReadRoute<'_>, cx: &mut Context<'_>) {
        let of_tokens: [&dyn AnyKey<Table = RouteTable>; 2] = [&RouteTable::RETRY_ON_401, &RouteTable::ON_SECOND_401];
        let upstream = self.upstreams.get(route.upstream);
        let why = match upstream {
            _ if route.access == Access::Public => Some("a `public` route sends no token of the gateway".to_owned()),
            Some(upstream) if upstream.bearer == Bearer::None => {
                Some(format!("the upstream `{}` gets no token that it could reject", upstream.name))
            }
            _ => None,
        };
        for key in of_tokens {
            if let Some(why) = &why {
                warn(section, key, why, LEAVE_OUT, cx);
            }
        }
        if route.access == Access::Public {
            let headers = section.section(&RouteTable::HEADERS);
            for entry in headers.entries(&HeadersTable::SET) {
                let of_session = ["{claims.", "{sub}", "{provider_sub}"];
                if entry.node.text().is_some_and(|text| of_session.iter().any(|name| text.contains(name))) {
                    cx.warn(
                        &entry.place,
                        format!(
                            "`{}` has no effect here: a `public` route reads no session, so no claim is known",
                            entry.name
                        ),
                        "leave it out, or write `access = \"optional\"`",
                    );
                }
            }
        }
        if route.own_calls == OwnCallsRule::Open && upstream.is_some() && !self.has_calls_to(route.upstream) {
            let why = "the gateway itself calls nothing at this upstream";
            warn(section, &RouteTable::OWN_CALLS, why, LEAVE_OUT, cx);
        }
    }

    /// Whether a call under `authority`, `otp` or `login` goes to this upstream, or to one with a common target.
    fn has_calls_to(&self, upstream: usize) -> bool {
        let shared = SharedTargets::new(self.upstreams);
        let is_called = |called: &Vec<usize>| called.iter().any(|called| shared.have_common(*called, upstream));
        self.called.as_ref().is_none_or(is_called)
    }

    fn of_single_tables(&self, cx: &mut Context<'_>) {
        let authority = self.authority();
        if !self.has_providers() && self.has_usable_call() {
            let why = "there is no provider whose tokens it could exchange";
            warn(&authority, &AuthorityTable::EXCHANGE, why, "leave it out, or write `[providers.NAME]`", cx);
        }
        let store = self.root.section(&RootTable::STORE);
        let kind = store.read(&StoreTable::KIND);
        if !store.is_malformed(&StoreTable::KIND) && matches!(kind, StoreKind::Memory | StoreKind::File) {
            let why = format!("a store of `kind = \"{}\"` is in this process and cannot be out of reach", kind.word());
            warn(&store, &StoreTable::STORE_DOWN, &why, LEAVE_OUT, cx);
        }
        let session = self.root.section(&RootTable::SESSION);
        let is_faulty = session.is_faulty(&SessionTable::ABSOLUTE, &cx.problems);
        if !is_faulty && session.read(&SessionTable::IDLE) >= session.read(&SessionTable::ABSOLUTE) {
            let why = "a session has ended by `absolute` before";
            warn(&session, &SessionTable::IDLE, why, "write a shorter `idle`, or leave it out", cx);
        }
        let limits = self.root.section(&RootTable::LIMITS);
        if !self.root.section(&RootTable::SERVER).has(&ServerTable::TLS) {
            let why = "without `[server.tls]` there are no handshakes";
            warn(&limits, &LimitsTable::TLS_TIMEOUT, why, LEAVE_OUT, cx);
        }
        if !authority.has(&AuthorityTable::CREDENTIALS) {
            let why = "without `[authority.credentials]` there are no passwords to guess";
            warn(&limits, &LimitsTable::FAILURES_PER_ACCOUNT, why, LEAVE_OUT, cx);
        }
        let otp = self.root.section(&RootTable::OTP);
        if otp.has(&OtpTable::EMAIL) && !otp.has(&OtpTable::SMS) {
            let why = "without `[otp.sms]` no code goes to a number";
            warn(&otp, &OtpTable::COUNTRIES, why, LEAVE_OUT, cx);
            warn(&otp.section(&OtpTable::LIMITS), &OtpLimitsTable::PER_COUNTRY, why, LEAVE_OUT, cx);
        }
    }
}

/// Whether the provider's metadata may have an issuer with `{tenantid}`: Entra's has one where the configured issuer
/// names no tenant. What an own `discovery_url` has is not known here.
fn may_stand_for_tenants(provider: &Section<'_, ProviderTable>) -> bool {
    let issuer = provider.optional(&ProviderTable::ISSUER);
    let stands_for_many = |url: &url::Url| {
        url.path_segments().is_some_and(|mut segments| {
            segments.any(|segment| matches!(segment, "common" | "organizations" | "consumers"))
        })
    };
    provider.has(&ProviderTable::DISCOVERY_URL)
        || provider.is_malformed(&ProviderTable::ISSUER)
        || issuer.as_ref().is_some_and(stands_for_many)
}
