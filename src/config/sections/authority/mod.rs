//! `[authority]`: who issues the tokens, and the calls to a backend that issues them.

use super::{
    call::{self, PlainCallTable, RefreshTable, Upstreams},
    server::ServerSettings,
    session::Lifetimes,
    upstreams,
};
use crate::{
    authority::{AuthorityKind, BackendSettings, CodeLogin, EXCHANGE, OTP, REFRESH, SIGN_OUT, Settings},
    call::Template,
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, Key, Table, Word as _, table, words},
        section::Section,
    },
};

mod answer;
mod credentials;
mod gateway;
mod refused;
mod verify;

pub(crate) use answer::AnswerTable;
pub(crate) use credentials::CredentialsTable;
pub(crate) use gateway::GatewayTable;
pub(crate) use verify::VerifyTable;

table! {
    /// `[authority]`
    pub(crate) struct AuthorityTable {
        /// Who issues the tokens of sessions. `provider`: the identity provider. `backend`: a backend, in exchange for
        /// the provider's tokens, for e-mail and password, or for a one-time code. `gateway`: the gateway itself, for a
        /// backend that has no logins.
        KIND: Choice<Issuer> = default("kind", "\"provider\"");
        /// With `backend`, required: the name of the upstream that issues the tokens.
        UPSTREAM: form::Text = optional("upstream");
        /// The call after a login at a provider; it carries `vestibule-assertion`. Placeholders: `{provider}`,
        /// `{id_token}`, `{access_token}`, `{refresh_token}` (the provider's), `{profile}`, `{email}`,
        /// `{provider_sub}`, `{method}`, `{device_id}`, `{device_name}`, `{claims.NAME}` (the provider's).
        EXCHANGE: Table<PlainCallTable> = optional("exchange");
        /// The call of `POST {base_path}/login`, the login with e-mail and password, or with other `fields`. Absent:
        /// there is none. Placeholders: `{field.NAME}` for each field, `{email}` and `{password}` if they are fields,
        /// `{method}`, `{device_id}`, `{device_name}`.
        CREDENTIALS: Table<CredentialsTable> = optional("credentials");
        /// The call that gets a new access token. Absent: a session ends with its access token. Placeholders:
        /// `{refresh_token}`, `{access_token}`, `{provider}`, `{method}`, `{sub}`, `{provider_sub}`, `{device_id}`,
        /// `{device_name}`, `{claims.NAME}` (of the identity provider, at the login, and of `answer.claims`).
        REFRESH: Table<RefreshTable> = optional("refresh");
        /// The call that reports a logout to the backend. Absent: logouts are not reported. Placeholders: as for
        /// `refresh`, without the claims and subjects.
        SIGNOUT: Table<PlainCallTable> = optional("signout");
        /// The place of each field in the backend's answers: a JSON pointer such as `"/data/token"`, or `"cookie:NAME"`
        /// for the value of a `Set-Cookie`; and what they say of the person.
        ANSWER: Table<AnswerTable> = optional("answer");
        /// How the access token (a JWT) is verified: needed for `seal = false`, and for roles from it. Exactly one of
        /// `jwks_url`, `secret` and `public_key`.
        VERIFY: Table<VerifyTable> = optional("verify");
        /// The call after a one-time code with `purpose = "login"`; it carries `vestibule-assertion`. Placeholders:
        /// `{channel}` (`sms` or `email`), `{address}`, `{address_e164}`, `{method}`, `{device_id}`, `{device_name}`.
        OTP: Table<PlainCallTable> = optional("otp");
        /// With `kind = "gateway"`: the tokens that the gateway issues.
        GATEWAY: Table<GatewayTable> = optional("gateway");
    }
}

/// Who issues the tokens of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Issuer {
    Provider,
    Backend,
    Gateway,
}

words! { Issuer: "provider" => Self::Provider, "backend" => Self::Backend, "gateway" => Self::Gateway }

/// The values from other tables that the reader needs.
pub(crate) struct AuthorityInputs<'c> {
    pub(crate) server: &'c ServerSettings,
    pub(crate) lifetimes: Lifetimes,
    /// The names that calls can use.
    pub(crate) upstreams: &'c [&'c str],
    /// The channels whose codes log in.
    pub(crate) codes: Vec<CodeLogin>,
    /// The call of `[login.notify]`.
    pub(crate) notify: Option<Template>,
}

/// Reads `[authority]`.
pub(crate) fn authority(
    section: &Section<'_, AuthorityTable>,
    inputs: AuthorityInputs<'_>,
    cx: &mut Context<'_>,
) -> Option<Settings> {
    let issuer = issuer(section);
    complain_of_needless_keys(section, issuer, cx);
    let verify = section.section(&AuthorityTable::VERIFY);
    let verify = if verify.is_present() && issuer != Issuer::Gateway { verify::verify(&verify, cx) } else { None };
    let kind = match issuer {
        Issuer::Provider => AuthorityKind::Provider,
        Issuer::Backend => AuthorityKind::Backend(Box::new(backend(section, inputs.upstreams, cx)?)),
        Issuer::Gateway => {
            let gateway = section.section(&AuthorityTable::GATEWAY);
            AuthorityKind::Gateway(Box::new(gateway::gateway(
                &gateway,
                inputs.lifetimes,
                inputs.server,
                inputs.codes,
                cx,
            )?))
        }
    };
    Some(Settings { kind, verify, notify: inputs.notify })
}

/// The index of the upstream that issues the tokens; `None` where there is none of that name.
pub(crate) fn upstream(section: &Section<'_, AuthorityTable>, upstreams: &[&str]) -> Option<usize> {
    let name = section.optional(&AuthorityTable::UPSTREAM)?;
    upstreams.iter().position(|upstream| *upstream == name)
}

fn backend(section: &Section<'_, AuthorityTable>, upstreams: &[&str], cx: &mut Context<'_>) -> Option<BackendSettings> {
    let upstream = upstreams::index(section, &AuthorityTable::UPSTREAM, upstreams, cx);
    if !section.has(&AuthorityTable::UPSTREAM) {
        cx.complain(
            section.place(&AuthorityTable::KIND),
            "`upstream` is missing in `authority`",
            "write `upstream = \"NAME\"`: the backend that issues the tokens",
        );
    }
    let targets = Upstreams { names: upstreams, own: upstream };
    let mut call = |key: &Key<AuthorityTable, Table<PlainCallTable>>, known: &[&str]| {
        let call = section.section(key);
        if call.is_present() { call::plain(&call, targets, known, cx) } else { None }
    };
    // The assertion is also sent with `{id_token}` in the call: a provider of `kind = "oauth2"` returns no ID token,
    // and then only the assertion proves that the gateway calls.
    let exchange =
        call(&AuthorityTable::EXCHANGE, EXCHANGE).map(|call| Template { assertion: Some("exchange"), ..call });
    let otp = call(&AuthorityTable::OTP, OTP).map(|call| Template { assertion: Some("otp.login"), ..call });
    let signout = call(&AuthorityTable::SIGNOUT, SIGN_OUT);
    let credentials = section.section(&AuthorityTable::CREDENTIALS);
    let fields = credentials::fields(&credentials, cx);
    let credentials =
        if credentials.is_present() { credentials::call(&credentials, &fields, targets, cx) } else { None };
    let refresh = section.section(&AuthorityTable::REFRESH);
    let timeout = refresh.read(&RefreshTable::TIMEOUT);
    let refused = refresh.values(&RefreshTable::REFUSED);
    let refused_when = refused::refused_when(&refresh, cx);
    let refresh = if refresh.is_present() { call::call(&refresh, timeout, targets, REFRESH, cx) } else { None };
    let answer = answer::answer(&section.section(&AuthorityTable::ANSWER), cx);
    Some(BackendSettings {
        upstream: upstream?,
        exchange,
        credentials,
        fields,
        otp,
        refresh,
        refused,
        refused_when,
        signout,
        answer,
    })
}

/// The kind of the authority. Where the file has no valid one, it is the kind that the other keys are for, so that
/// nothing else is complained of.
pub(crate) fn issuer(section: &Section<'_, AuthorityTable>) -> Issuer {
    if !section.is_malformed(&AuthorityTable::KIND) {
        return section.read(&AuthorityTable::KIND);
    }
    if section.has(&AuthorityTable::GATEWAY) {
        Issuer::Gateway
    } else if OF_BACKEND.iter().any(|key| section.has(*key)) {
        Issuer::Backend
    } else {
        Issuer::Provider
    }
}

/// The keys that only `kind = "backend"` has.
const OF_BACKEND: [&dyn AnyKey<Table = AuthorityTable>; 7] = [
    &AuthorityTable::UPSTREAM,
    &AuthorityTable::EXCHANGE,
    &AuthorityTable::CREDENTIALS,
    &AuthorityTable::REFRESH,
    &AuthorityTable::SIGNOUT,
    &AuthorityTable::ANSWER,
    &AuthorityTable::OTP,
];

/// Complains of keys that only another kind of authority has.
fn complain_of_needless_keys(section: &Section<'_, AuthorityTable>, issuer: Issuer, cx: &mut Context<'_>) {
    if section.is_malformed(&AuthorityTable::KIND) {
        return;
    }
    let kind = issuer.word();
    for key in OF_BACKEND.into_iter().filter(|key| issuer != Issuer::Backend && section.has(*key)) {
        cx.complain(
            section.place_of_key(key),
            format!("`{}` is for a backend that issues tokens, and the authority is `{kind}`", key.name()),
            "write `kind = \"backend\"` under `[authority]`, or leave this out",
        );
    }
    if issuer != Issuer::Gateway && section.has(&AuthorityTable::GATEWAY) {
        cx.complain(
            section.place_of_key(&AuthorityTable::GATEWAY),
            format!("`gateway` is for tokens that the gateway issues, and the authority is `{kind}`"),
            "write `kind = \"gateway\"` under `[authority]`, or leave this out",
        );
    }
    if issuer == Issuer::Gateway && section.has(&AuthorityTable::VERIFY) {
        cx.complain(
            section.place_of_key(&AuthorityTable::VERIFY),
            "the gateway knows the tokens that it issues itself",
            "leave `[authority.verify]` out",
        );
    }
}
