//! The keys of `[providers.NAME]` and its tables.

use super::{
    super::{
        allow::{AllowTable, Anyone},
        otp::texts::TextTable,
    },
    profile::ProfileTable,
};
use crate::{
    config::schema::{
        form,
        key::{Choice, Either, Entries, Flag, List, Table, table, words},
    },
    oidc::{ResponseMode, TokenAuth},
};

table! {
    /// `[providers.NAME]`
    pub(crate) struct ProviderTable {
        /// `oidc`: OpenID Connect, with addresses from the discovery document. `oauth2`: OAuth 2.0 without it, with the
        /// addresses and the profile request below; for `github`, `kakao` and `naver` they have defaults.
        KIND: Choice<Protocol> = default("kind", "\"oidc\"");
        /// The issuer, exactly as its discovery document (`ISSUER/.well-known/openid-configuration`) says. Required
        /// unless the name is `google`, `kakao` or `naver`. With `oauth2` it becomes the claim `iss`, and an `iss` in
        /// the callback must be it (RFC 9207); default: the origin of `authorize_url`, and `iss` is not checked.
        ISSUER: form::Url = optional("issuer");
        /// The client id that the provider gave for this app.
        CLIENT_ID: form::Indirect = required("client_id");
        /// The client secret. Absent: a public client, which has none.
        CLIENT_SECRET: form::Secret = optional("client_secret");
        /// Requested scopes; `openid` must be one. Default: `["openid", "email", "profile"]`; `kakao` `["openid",
        /// "profile_nickname"]`, `naver` `["openid"]`. With `oauth2` none is needed, and the default is none; `github`
        /// `["user:email"]`.
        SCOPES: List<form::Text> = optional("scopes");
        /// Extra parameters of the authorization request, e.g. `{ prompt = "select_account" }`. What the gateway sets
        /// itself (`state`, `redirect_uri`, `code_challenge` …) is an error. With authority `provider`, the parameters
        /// that make the provider issue a refresh token are added unless they are set here: `prompt=consent` with the
        /// scope `offline_access`, for `google` `access_type=offline` and `prompt=consent`.
        AUTHORIZE_PARAMS: Entries<form::Text> = optional("authorize_params");
        /// How the provider's answer comes back: in the address, or in a form that the browser posts (for providers
        /// that insist; needs https).
        RESPONSE_MODE: Choice<ResponseMode> = default("response_mode", "\"query\"");
        /// Extra fields of the code exchange, e.g. `{ audience = "api" }`.
        TOKEN_PARAMS: Entries<form::Text> = optional("token_params");
        /// Extra fields of a refresh, e.g. `{ scope = "api://app/use" }` for Entra, which issues no token for an API of
        /// one's own without it.
        REFRESH_PARAMS: Entries<form::Text> = optional("refresh_params");
        /// The provider's name on the built-in login page: one text, or one for each language (`{ ko = "사내 계정", en =
        /// "Staff" }`). Default: the usual name of a known provider, else NAME.
        LABEL: Either<form::Text, TextTable> = optional("label");
        /// The authorities of the provider's certificates in PEM, e.g. `"file:corp-ca.pem"`, instead of the system's:
        /// for a provider with a certificate of a company's own authority.
        CA: form::Indirect = optional("ca");
        /// Where the discovery document is, if not under `issuer`.
        DISCOVERY_URL: form::Url = optional("discovery_url");
        /// Lets an app log in with an ID token that it has, at `POST {base_path}/NAME`. Absent: off.
        ID_TOKEN_LOGIN: Table<IdTokenLoginTable> = optional("id_token_login");
        /// Who may log in: `"anyone"`, or lists, of which a person must meet every one that is given. Required with the
        /// authorities `provider` and `gateway` as soon as `public_url` is not on loopback.
        ALLOW: Either<Choice<Anyone>, AllowTable> = optional("allow");
        /// The authorization endpoint, where people are sent to. Required with `oauth2`. With `oidc`, this and the
        /// other addresses win over those of the discovery document, for a provider that has another address inside
        /// than outside (a container network, a router without hairpin).
        AUTHORIZE_URL: form::Url = optional("authorize_url");
        /// The token endpoint. JSON and form answers are read, and an `error` with status 200 is treated as an error.
        /// Required with `oauth2`.
        TOKEN_URL: form::Url = optional("token_url");
        /// `oidc`: the key set. With this, `authorize_url` and `token_url`, logins also work without the discovery
        /// document.
        JWKS_URL: form::Url = optional("jwks_url");
        /// `oidc`: the userinfo endpoint.
        USERINFO_URL: form::Url = optional("userinfo_url");
        /// The revocation endpoint (RFC 7009), for logouts with authority `provider`. `oauth2`, absent: nothing is
        /// revoked, except at `naver`, which has its own request for it.
        REVOKE_URL: form::Url = optional("revoke_url");
        /// `oidc`: which tenants (`tid`) may log in, for a discovery document whose issuer holds `{tenantid}` (Entra's
        /// `/common` and `/organizations`). Empty: there, with `allow = "anyone"` all, else none.
        TENANTS: List<form::Text> = default("tenants", "[]");
        /// `oauth2`: whether the client's id and secret go to the token endpoint as fields of the form, or as
        /// `Authorization: Basic`.
        TOKEN_AUTH: Choice<TokenAuth> = default("token_auth", "\"post\"");
        /// `oauth2`: whether logins carry a PKCE challenge (S256). `false` only for a provider that refuses it.
        PKCE: Flag = default("pkce", "true");
        /// `oauth2`: the request for the profile of the person who logged in.
        PROFILE: Table<ProfileTable> = optional("profile");
    }
}

table! {
    /// `id_token_login` of a provider.
    pub(crate) struct IdTokenLoginTable {
        /// Values of `aud` that are accepted: the client ids of the apps.
        AUDIENCES: List<form::Text> = required("audiences");
    }
}

/// The protocol of a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Oidc,
    OAuth2,
}

words! { Protocol: "oidc" => Self::Oidc, "oauth2" => Self::OAuth2 }

words! { ResponseMode: "query" => Self::Query, "form_post" => Self::FormPost }

words! { TokenAuth: "post" => Self::Post, "basic" => Self::Basic }
