//! The keys of `[providers.NAME]` and its tables.

use super::{
    super::allow::{AllowTable, Anyone},
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
        /// Extra parameters of the authorization request, e.g. `{ prompt = "select_account" }`. With authority
        /// `provider`, the parameters that make the provider issue a refresh token are added unless they are set here:
        /// `prompt=consent` with the scope `offline_access`, for `google` `access_type=offline` and `prompt=consent`.
        AUTHORIZE_PARAMS: Entries<form::Text> = optional("authorize_params");
        /// How the provider's answer comes back: in the address, or in a form that the browser posts (for providers
        /// that insist; needs https).
        RESPONSE_MODE: Choice<ResponseMode> = default("response_mode", "\"query\"");
        /// The provider's name on the built-in login page. Default: the usual name of a known provider, else NAME.
        LABEL: form::Text = optional("label");
        /// Lets an app log in with an ID token that it has, at `POST {base_path}/NAME`. Absent: off.
        ID_TOKEN_LOGIN: Table<IdTokenLoginTable> = optional("id_token_login");
        /// Who may log in: `"anyone"`, or lists, of which a person must meet every one that is given. Required with the
        /// authorities `provider` and `gateway` as soon as `public_url` is not on loopback.
        ALLOW: Either<Choice<Anyone>, AllowTable> = optional("allow");
        /// `oauth2`: the authorization endpoint, where people are sent to.
        AUTHORIZE_URL: form::Url = optional("authorize_url");
        /// `oauth2`: the token endpoint. JSON and form answers are read, and an `error` with status 200 is treated as
        /// an error.
        TOKEN_URL: form::Url = optional("token_url");
        /// `oauth2`: the revocation endpoint (RFC 7009), for logouts with authority `provider`. Absent: nothing is
        /// revoked, except at `naver`, which has its own request for it.
        REVOKE_URL: form::Url = optional("revoke_url");
        /// `oauth2`: whether the client's id and secret go to the token endpoint as fields of the form, or as
        /// `Authorization: Basic`.
        TOKEN_AUTH: Choice<TokenAuth> = default("token_auth", "\"post\"");
        /// `oauth2`: extra fields of the requests for tokens, e.g. `{ audience = "api" }`.
        TOKEN_PARAMS: Entries<form::Text> = optional("token_params");
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
