//! Checks that compare tables with each other.

mod claims;
mod hosts;
mod needless;
mod network;
mod own_calls;
mod pages;
mod routes;

use super::{
    schema::{context::Context, key::Word as _, section::Section},
    sections::{
        RootTable,
        authority::{AuthorityTable, GatewayTable, Issuer, VerifyTable},
        login::LoginTable,
        otp::{ChannelTable, OtpTable, channels},
        providers::{Protocol, ProviderTable},
        routes::RouteTable,
        server::ServerSettings,
        session::SessionTable,
        store::{StoreKind, StoreTable},
        upstreams::UpstreamTable,
    },
};
use crate::{
    authority::CodeLogin,
    channel::Channel,
    otp::CodePurpose,
    route::{self, Access},
    upstream::{self, Bearer},
};

/// A route with the table that it was read from.
pub(super) type ReadRoute<'t> = (Section<'t, RouteTable>, route::Settings);

/// The settings that the checks compare, as far as they are well-formed.
pub(super) struct Checks<'c, 't> {
    pub(super) root: &'c Section<'t, RootTable>,
    pub(super) server: &'c ServerSettings,
    pub(super) issuer: Issuer,
    /// The channels whose codes log in.
    pub(super) logins: &'c [CodeLogin],
    /// The upstreams, by the index that routes use.
    pub(super) upstreams: &'c [upstream::Settings],
    /// The routes that have a path.
    pub(super) routes: &'c [ReadRoute<'t>],
    /// Whether `routes` has all routes of the file: none was malformed.
    pub(super) all_routes: bool,
    /// The upstreams of all calls under `authority`, `otp` and `login`; `None` if some could not be read.
    pub(super) called: Option<Vec<usize>>,
    /// The claims that headers, the refresh call and calls after codes use; `None` if some could not be read.
    pub(super) used_claims: Option<&'c [String]>,
    /// The longest `Cookie` header of the gateway's own cookies, in bytes.
    pub(super) longest_cookie_header: Option<usize>,
    /// Whether a session key was generated at this start, because the file has none.
    pub(super) key_was_made: bool,
    /// Whether the pages of `vestibule demo` and `vestibule dev` are routed.
    pub(super) dev_pages: route::DevPages,
}

impl Checks<'_, '_> {
    /// Runs all checks.
    pub(super) fn run(&self, cx: &mut Context<'_>) {
        self.needless_notify(cx);
        self.possible_logins(cx);
        self.gateway_tokens_in_memory(cx);
        self.unsealed_tokens(cx);
        self.proof_audience(cx);
        self.sms_as_only_login(cx);
        self.pages_with_wildcards(cx);
        self.route_table(cx);
        self.roles(cx);
        self.claims(cx);
        self.missing_bearers(cx);
        self.missing_id_tokens(cx);
        self.passing_id_tokens(cx);
        self.shared_store_without_keys(cx);
        self.own_calls(cx);
        self.network(cx);
        self.hosts_without_logins(cx);
        self.keys_without_effect(cx);
    }

    fn authority(&self) -> Section<'_, AuthorityTable> {
        self.root.section(&RootTable::AUTHORITY)
    }

    fn has_providers(&self) -> bool {
        self.root.named(&RootTable::PROVIDERS).next().is_some()
    }

    /// Whether access tokens are verified.
    fn verifies(&self) -> bool {
        self.authority().has(&AuthorityTable::VERIFY) || self.issuer == Issuer::Gateway
    }

    fn needless_notify(&self, cx: &mut Context<'_>) {
        let notify = self.root.section(&RootTable::LOGIN).section(&LoginTable::NOTIFY);
        if notify.is_present() && self.issuer == Issuer::Backend {
            cx.complain(
                notify.own_place(),
                "the authority `backend` learns of every login by its own calls",
                "leave it out, or write `kind = \"provider\"` or `kind = \"gateway\"` under `[authority]`",
            );
        }
    }

    fn possible_logins(&self, cx: &mut Context<'_>) {
        let authority = self.authority();
        let place = authority.place(&AuthorityTable::KIND);
        let is_malformed = authority.is_malformed(&AuthorityTable::KIND);
        match self.issuer {
            Issuer::Provider if !self.has_providers() && !self.proves_addresses() && !is_malformed => cx.complain(
                place,
                "authority `provider`, but there is no provider: nobody could log in",
                "write `[providers.google]` or another, or `[authority]` with `kind = \"backend\"`",
            ),
            Issuer::Backend => {
                self.calls_that_return_tokens(cx);
                self.calls_for_codes(cx);
                if !authority.has(&AuthorityTable::REFRESH) {
                    cx.warn(
                        place,
                        "without `[authority.refresh]` a session ends with its first access token",
                        "write `[authority.refresh]` with the backend's call",
                    );
                }
            }
            Issuer::Gateway if !self.has_providers() && self.logins.is_empty() => cx.complain(
                place,
                "authority `gateway`, but neither a provider nor a code that logs in: nobody could log in",
                "write `[providers.google]` or another, or `[otp.sms]` with `purpose = \"login\"`",
            ),
            Issuer::Provider | Issuer::Gateway => {}
        }
    }

    /// Whether a channel has `purpose = "prove"`, which needs no logins.
    fn proves_addresses(&self) -> bool {
        let channels = channels(&self.root.section(&RootTable::OTP));
        channels
            .iter()
            .any(|(_, channel)| channel.is_present() && channel.read(&ChannelTable::PURPOSE) == CodePurpose::Prove)
    }

    fn calls_that_return_tokens(&self, cx: &mut Context<'_>) {
        let authority = self.authority();
        let place = authority.place(&AuthorityTable::KIND);
        let (has_exchange, has_otp) = (authority.has(&AuthorityTable::EXCHANGE), authority.has(&AuthorityTable::OTP));
        let has_credentials = authority.has(&AuthorityTable::CREDENTIALS);
        if self.has_providers() && !has_exchange {
            cx.complain(
                place,
                "there are providers, but no `[authority.exchange]` that gives the backend's tokens for theirs",
                "write `[authority.exchange]` with the `path` that takes a provider's tokens",
            );
        } else if !has_exchange && !has_credentials && !has_otp && self.logins.is_empty() {
            cx.complain(
                place,
                "authority `backend`, but no call that brings tokens: nobody could log in",
                "write `[authority.exchange]` (after a login at a provider), `[authority.credentials]` (e-mail and password) or `[authority.otp]` (a one-time code)",
            );
        } else if has_exchange && !self.has_usable_call() && self.logins.is_empty() {
            cx.complain(
                place,
                "there is `[authority.exchange]`, but no provider: nobody could log in",
                "write `[providers.google]` or another, or `[authority.credentials]`",
            );
        }
    }

    /// Whether a login through one of the backend's calls is possible.
    fn has_usable_call(&self) -> bool {
        let authority = self.authority();
        authority.has(&AuthorityTable::CREDENTIALS)
            || (self.has_providers() && authority.has(&AuthorityTable::EXCHANGE))
            || (!self.logins.is_empty() && authority.has(&AuthorityTable::OTP))
    }

    fn calls_for_codes(&self, cx: &mut Context<'_>) {
        let authority = self.authority();
        if !authority.has(&AuthorityTable::OTP) {
            let channels = channels(&self.root.section(&RootTable::OTP));
            for (_, channel) in
                channels.iter().filter(|(channel, _)| self.logins.iter().any(|login| login.channel == *channel))
            {
                cx.complain(
                    channel.place(&ChannelTable::PURPOSE),
                    "a code logs in here, but there is no `[authority.otp]` that gives the backend's tokens for it",
                    "write `[authority.otp]` with the `path` that takes a proved address, or another `purpose`",
                );
            }
        } else if self.logins.is_empty() {
            let place = authority.place_of_key(&AuthorityTable::OTP);
            let message = "there is `[authority.otp]`, but no code that logs in";
            let help = "write `[otp.sms]` or `[otp.email]` with `purpose = \"login\"`";
            if self.has_usable_call() {
                cx.warn(place, message, help);
            } else if !authority.has(&AuthorityTable::EXCHANGE) {
                cx.complain(place, format!("{message}: nobody could log in"), help);
            }
        }
    }

    fn gateway_tokens_in_memory(&self, cx: &mut Context<'_>) {
        let store = self.root.section(&RootTable::STORE).read(&StoreTable::KIND);
        if self.issuer == Issuer::Gateway
            && store == StoreKind::Memory
            && !self.server.local
            && !self.server.development
        {
            cx.warn(
                self.authority().place(&AuthorityTable::KIND),
                "the gateway's own refresh tokens are in `store.kind = \"memory\"`: a restart ends every session",
                "write `[store]` with a `kind` that outlives the process",
            );
        }
    }

    fn unsealed_tokens(&self, cx: &mut Context<'_>) {
        let session = self.root.section(&RootTable::SESSION);
        if !session.read(&SessionTable::SEAL) && !self.verifies() {
            cx.complain(
                session.place(&SessionTable::SEAL),
                "`seal = false` needs `[authority.verify]`",
                "say there how the access token is verified, or write `seal = true`",
            );
        }
    }

    /// A proof must not be accepted as an access token: their audiences have to differ.
    fn proof_audience(&self, cx: &mut Context<'_>) {
        let otp = self.root.section(&RootTable::OTP);
        let audience = otp.read(&OtpTable::PROOF_AUDIENCE);
        let authority = self.authority();
        let verified = authority.section(&AuthorityTable::VERIFY).optional(&VerifyTable::AUDIENCE);
        let issued = authority.section(&AuthorityTable::GATEWAY).optional(&GatewayTable::AUDIENCE);
        let public_url = self.server.public_url.as_ref().map(|url| url.origin().ascii_serialization());
        if [verified, issued, public_url].iter().flatten().any(|other| *other == audience) {
            cx.complain(
                otp.place(&OtpTable::PROOF_AUDIENCE),
                "access tokens have this audience: a proof could pass for one",
                "write another, e.g. `proof_audience = \"example-proof\"`",
            );
        }
    }

    /// NIST SP 800-63B section 3.1.3.3 restricts codes over the telephone network: there has to be an alternative.
    fn sms_as_only_login(&self, cx: &mut Context<'_>) {
        let by_code = matches!(self.logins, [login] if login.channel == Channel::Sms);
        if by_code && !self.has_providers() && !self.authority().has(&AuthorityTable::CREDENTIALS) {
            let sms = self.root.section(&RootTable::OTP).section(&OtpTable::SMS);
            cx.warn(
                sms.place(&ChannelTable::PURPOSE),
                "codes by SMS are the only way to log in: a person who takes over a number can log in, and one who loses it cannot",
                "offer another login too: `[providers.NAME]`, `[authority.credentials]`, or `[otp.email]` with `purpose = \"login\"`",
            );
        }
    }

    /// A provider's tokens are for its own APIs, so `bearer` must be set for an upstream to get them.
    fn missing_bearers(&self, cx: &mut Context<'_>) {
        if self.issuer != Issuer::Provider {
            return;
        }
        for (index, section) in self.root.named(&RootTable::UPSTREAMS).enumerate() {
            let is_used =
                self.routes.iter().any(|(_, route)| route.upstream == index && route.access != Access::Public);
            if is_used && !section.has(&UpstreamTable::BEARER) {
                cx.warn(
                    section.own_place(),
                    format!("the upstream `{}` gets no token", section.name),
                    "write `bearer = \"access\"` or `\"id\"` for it to get one, or `\"none\"` if it needs none",
                );
            }
        }
    }

    /// Without OpenID Connect there is no ID token that an upstream could get.
    fn missing_id_tokens(&self, cx: &mut Context<'_>) {
        let speaks_oidc = |provider: Section<'_, ProviderTable>| {
            provider.is_malformed(&ProviderTable::KIND) || provider.read(&ProviderTable::KIND) == Protocol::Oidc
        };
        if self.root.named(&RootTable::PROVIDERS).any(speaks_oidc) {
            return;
        }
        for section in self.root.named(&RootTable::UPSTREAMS) {
            if section.optional(&UpstreamTable::BEARER) == Some(Bearer::Id) {
                cx.warn(
                    section.place(&UpstreamTable::BEARER),
                    format!("the upstream `{}` gets no token: no provider here gives ID tokens", section.name),
                    "write `bearer = \"access\"` or `\"none\"`",
                );
            }
        }
    }

    /// The refreshes of a backend and of the gateway bring no ID token, so that of the login is all there is.
    fn passing_id_tokens(&self, cx: &mut Context<'_>) {
        if self.issuer == Issuer::Provider {
            return;
        }
        for section in self.root.named(&RootTable::UPSTREAMS) {
            if section.optional(&UpstreamTable::BEARER) == Some(Bearer::Id) {
                cx.warn(
                    section.place(&UpstreamTable::BEARER),
                    format!(
                        "the upstream `{}` gets no token once the ID token of a login at a provider has expired: with the authority `{}` no refresh brings another",
                        section.name,
                        self.issuer.word()
                    ),
                    "write `bearer = \"access\"`",
                );
            }
        }
    }

    fn shared_store_without_keys(&self, cx: &mut Context<'_>) {
        let store = self.root.section(&RootTable::STORE);
        if store.read(&StoreTable::KIND).is_shared() && self.server.local && self.key_was_made {
            cx.warn(
                store.place(&StoreTable::KIND),
                "several instances share a store, but without `session.keys` none can read the cookies of another",
                "write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`, with the same key for all of them",
            );
        }
    }
}
