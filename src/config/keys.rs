//! Every key of `gateway.toml`, declared once: name, kind, default, meaning. The reader, the environment's overrides, the JSON Schema and `docs/config.md` follow
//! this declaration, so they cannot differ.

use super::{
    form::Form,
    key::{
        Key,
        Kind::{self, Any, Choice, Either, Entries, Flag, Later, List, Named, Number, One, Table, Tables},
        Need::{self, Default, Optional, Required},
    },
};

const fn key(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Key {
    Key { name, kind, need, doc }
}

const fn later(name: &'static str) -> Key {
    key(name, Later, Optional, "")
}

const TEXTS: Kind = List(&One(Form::Text));
const DURATION: Kind = One(Form::Duration);
const FIRST_BYTE: &str = "How long to wait for the first byte of the answer.";

/// The whole file.
pub(super) const ROOT: &[Key] = &[
    key("server", Table(SERVER), Required, "Where visitors connect, and the address they know."),
    key("session", Table(SESSION), Optional, "The visitor's cookies, and how tokens are kept fresh."),
    key("store", Table(STORE), Optional, "What requests and instances must agree on."),
    key("authority", Table(AUTHORITY), Optional, "Who issues the access and refresh tokens."),
    key(
        "providers",
        Named(PROVIDER),
        Optional,
        "Identity providers. The name stands in paths (`{base_path}/login/NAME`); `google`, `kakao` and `naver` bring their issuer and scopes along.",
    ),
    key("upstreams", Named(UPSTREAM), Optional, "The backends that are protected; routes and calls name them."),
    key(
        "routes",
        Tables(ROUTE),
        Optional,
        "What is proxied; the most specific match wins, and what no route names is 404.",
    ),
    key("telemetry", Table(TELEMETRY), Optional, "Logs."),
    later("limits"),
    later("login"),
    later("otp"),
    later("signing"),
    later("verify"),
];

const SERVER: &[Key] = &[
    key("listen", One(Form::Address), Required, "Where visitors connect."),
    key(
        "public_url",
        One(Form::Origin),
        Required,
        "The address that visitors use, without a path. `http` on loopback only.",
    ),
    key(
        "hosts",
        List(&One(Form::Host)),
        Default("[]"),
        "Further hosts that are accepted, e.g. `\"vestibule:8080\"`; any other is answered 421.",
    ),
    key(
        "admin_listen",
        One(Form::Address),
        Optional,
        "`/livez`, `/readyz` and `/metrics`, by http and without a login; loopback as a rule. Absent: none.",
    ),
    key("health_listen", One(Form::Address), Optional, "`/livez` and `/readyz` alone, under any host. Absent: none."),
    key(
        "trusted_proxies",
        List(&One(Form::Network)),
        Default("[]"),
        "Load balancers whose `X-Forwarded-*` is believed; the client is the first address from the right of `X-Forwarded-For` that is not listed.",
    ),
    key(
        "proxy_protocol",
        Flag,
        Default("false"),
        "Connections from `trusted_proxies` begin with a PROXY protocol header.",
    ),
    key("drain", One(Form::Delay), Default("\"30s\""), "How long running requests may take after SIGTERM."),
    key(
        "drain_delay",
        One(Form::Delay),
        Optional,
        "How long connections are still accepted after SIGTERM. Default `\"5s\"`, and `\"0s\"` where everything is on loopback.",
    ),
    key("tls", Table(TLS), Optional, "The certificate. Absent: plain HTTP, behind a load balancer."),
];

const TLS: &[Key] = &[
    key(
        "cert",
        One(Form::File),
        Required,
        "The certificate chain, in PEM; relative to the folder of the file. Watched: a renewed file is picked up.",
    ),
    key("key", One(Form::File), Required, "The private key, in PEM."),
    later("acme"),
];

const SESSION: &[Key] = &[
    key("base_path", One(Form::Prefix), Default("\"/auth\""), "Where the gateway's own endpoints live."),
    key("cookie_prefix", One(Form::Cookie), Default("\"sb_\""), "What the names of the cookies begin with."),
    key(
        "host_prefix",
        Flag,
        Default("false"),
        "Put `__Host-` in front of the names; for https, where one host is served.",
    ),
    key(
        "seal",
        Flag,
        Default("true"),
        "Whether the access token's cookie is sealed. `false` puts the raw JWT there and needs `[authority.verify]`.",
    ),
    key(
        "keys",
        List(&One(Form::Secret)),
        Default("[]"),
        "Keys that seal the cookies: 32 random bytes in base64 each, as `vestibule keygen` prints them. The first seals, all open. Needed as soon as something is not on loopback.",
    ),
    key("store", Choice(&["cookie"], &["server"]), Default("\"cookie\""), "Where the tokens are."),
    key(
        "refresh_ahead",
        One(Form::Delay),
        Default("\"60s\""),
        "Refresh this long before the access token expires, at most a fifth of its life.",
    ),
    key(
        "refresh_grace",
        One(Form::Delay),
        Default("\"60s\""),
        "How long the result of a refresh is kept after its successor was seen.",
    ),
    key(
        "refresh_token_lifetime",
        DURATION,
        Default("\"30d\""),
        "Lifetime of the refresh token's cookie, renewed at each refresh.",
    ),
    key("idle", DURATION, Default("\"30d\""), "A session without a refresh for this long has ended."),
    key("absolute", DURATION, Default("\"90d\""), "A session this old has ended."),
    key(
        "leeway",
        One(Form::Delay),
        Default("\"5s\""),
        "Clock difference that is tolerated where a token's times are checked.",
    ),
    key(
        "replay_body",
        One(Form::Size),
        Default("\"64KiB\""),
        "Most bytes of a request's body that are kept to send it again after a 401.",
    ),
    key(
        "login_page",
        One(Form::Text),
        Default("\"built-in\""),
        "`\"built-in\"`, or a path of the app's own, e.g. `\"/login\"`.",
    ),
    key("after_login", One(Form::Place), Default("\"/\""), "Where a login goes that was not on the way anywhere."),
    key("after_logout", One(Form::Place), Default("\"/\""), "Where a logout goes."),
    key(
        "return_to_origins",
        List(&One(Form::Origin)),
        Default("[]"),
        "Origins besides `public_url` that `return_to` may name.",
    ),
    key(
        "roles_claim",
        One(Form::Pointer),
        Default("\"/role\""),
        "JSON pointer to the role or roles in the claims of the access token (or ID token).",
    ),
    key(
        "expose_claims",
        TEXTS,
        Default(r#"["sub", "email", "name", "role"]"#),
        "Claims that `GET {base_path}/session` lets out.",
    ),
];

const STORE: &[Key] = &[
    key(
        "kind",
        Choice(&["memory"], &["file", "redis", "postgres"]),
        Default("\"memory\""),
        "`memory`: one instance, and nothing survives it.",
    ),
    later("path"),
    later("store_down"),
    later("url"),
];

/// The keys of a call to a backend.
macro_rules! call {
    ($timeout:literal $(, $more:expr)*) => {
        &[
            key("upstream", One(Form::Text), Optional, "The upstream that is called. Default: the authority's."),
            key("method", One(Form::Method), Default("\"POST\""), "The method."),
            key("path", One(Form::Text), Required, "The path; values are percent-encoded."),
            key("headers", Entries(&One(Form::Text)), Optional, "Extra headers."),
            key("json", Any, Optional, "A JSON body. A string that is only a placeholder takes the value's type."),
            key("form", Entries(&One(Form::Text)), Optional, "A form as body, instead of `json`."),
            key("cookies", Entries(&One(Form::Text)), Optional, "Cookies for a backend that wants them."),
            key("timeout", DURATION, Default($timeout), "For the whole call."),
            $($more,)*
        ]
    };
}
const AUTHORITY: &[Key] = &[
    key(
        "kind",
        Choice(&["provider", "backend"], &["gateway"]),
        Default("\"provider\""),
        "`provider`: the identity provider's own tokens. `backend`: those that the backend gives in exchange.",
    ),
    key("upstream", One(Form::Text), Optional, "With `backend`: the upstream that issues the tokens."),
    key(
        "exchange",
        Table(call!("\"30s\"")),
        Optional,
        "The call after a login at a provider. Placeholders: `{provider}`, `{id_token}`, `{access_token}`, `{refresh_token}` (the provider's), `{profile}`, `{email}`, `{device_id}`, `{device_name}`, `{claims.NAME}`.",
    ),
    key(
        "credentials",
        Table(call!("\"30s\"")),
        Optional,
        "The call of `POST {base_path}/login`. Placeholders: `{email}`, `{password}`, `{device_id}`, `{device_name}`.",
    ),
    key(
        "refresh",
        Table(call!(
            "\"60s\"",
            key(
                "refused",
                List(&Number(400, 499)),
                Default("[401]"),
                "Statuses that end the session; anything else that is not 2xx is an outage."
            )
        )),
        Optional,
        "The call that refreshes. Placeholders: `{refresh_token}`, `{access_token}`, `{provider}`, `{device_id}`, `{device_name}`, `{claims.NAME}` (what the identity provider said at the login).",
    ),
    key(
        "signout",
        Table(call!("\"30s\"")),
        Optional,
        "The call of a logout. Placeholders: as for `refresh`, without the claims.",
    ),
    key(
        "answer",
        Table(ANSWER),
        Optional,
        "Where each field stands in the backend's answers: a JSON pointer, or `cookie:NAME` of a `Set-Cookie`.",
    ),
    key(
        "verify",
        Table(VERIFY),
        Optional,
        "How the access token (a JWT) is verified: for `seal = false`, and for roles from it. One of the three kinds of key.",
    ),
    later("gateway"),
    later("otp"),
];

const ANSWER: &[Key] = &[
    key("access_token", One(Form::Answer), Default("\"/accessToken\""), "The access token."),
    key("refresh_token", One(Form::Answer), Default("\"/refreshToken\""), "The refresh token."),
    key(
        "expires_in",
        One(Form::Answer),
        Default("\"/expiresIn\""),
        "Seconds until the access token expires, as a number or as text.",
    ),
];

const VERIFY: &[Key] = &[
    key("jwks_url", One(Form::Url), Optional, "A JWKS (RFC 7517) that is fetched."),
    key("secret", One(Form::Secret), Optional, "A shared secret; its UTF-8 bytes count, nothing is decoded."),
    key("public_key", One(Form::Indirect), Optional, "A public key in PEM, e.g. `\"file:keys/es256.pub.pem\"`."),
    key(
        "algorithms",
        List(&Choice(
            &[
                "HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                "EdDSA",
            ],
            &[],
        )),
        Default("[]"),
        "Algorithms that are accepted. None: those that the key allows, HS256 for a secret.",
    ),
    key("issuer", One(Form::Text), Optional, "`iss`, checked where given."),
    key("audience", One(Form::Text), Optional, "`aud`, checked where given."),
];

const PROVIDER: &[Key] = &[
    key("kind", Choice(&["oidc"], &["oauth2"]), Default("\"oidc\""), "OpenID Connect, by discovery."),
    key(
        "issuer",
        One(Form::Url),
        Optional,
        "The issuer; its discovery document is read. Needed where the name is none of the known ones.",
    ),
    key("client_id", One(Form::Indirect), Required, "OAuth client id."),
    key("client_secret", One(Form::Secret), Optional, "OAuth client secret. Absent: a public client."),
    key(
        "scopes",
        TEXTS,
        Optional,
        "Scopes that are asked for. Default: `[\"openid\", \"email\", \"profile\"]`, or what the known provider wants.",
    ),
    key(
        "authorize_params",
        Entries(&One(Form::Text)),
        Optional,
        "Extra parameters of the authorization request, e.g. `{ prompt = \"select_account\" }`. With authority `provider`, what makes the provider give a refresh token is there already unless it is set here: `prompt=consent` with the scope `offline_access`, for `google` `access_type=offline` and `prompt=consent`.",
    ),
    key(
        "response_mode",
        Choice(&["query", "form_post"], &[]),
        Default("\"query\""),
        "How the provider's answer comes back.",
    ),
    key("label", One(Form::Text), Optional, "What the login page calls it."),
    key(
        "id_token_login",
        Table(ID_TOKEN_LOGIN),
        Optional,
        "Lets an app log in with an ID token that it holds, at `POST {base_path}/NAME`. Absent: off.",
    ),
    key(
        "allow",
        Either(&Choice(&["anyone"], &[]), ALLOW),
        Optional,
        "Who may come in: `\"anyone\"`, or lists that must all be met. Needed with authority `provider` as soon as `public_url` is not on loopback.",
    ),
    later("authorize_url"),
    later("profile"),
    later("token_url"),
];

const ID_TOKEN_LOGIN: &[Key] =
    &[key("audiences", TEXTS, Required, "Values of `aud` that are accepted: the client ids of the apps.")];

const ALLOW: &[Key] = &[
    key("email_domains", TEXTS, Default("[]"), "Domains of verified e-mail addresses."),
    key("emails", TEXTS, Default("[]"), "Verified e-mail addresses."),
    key(
        "claims",
        Entries(&Any),
        Optional,
        "Claims and the values that are accepted, e.g. `{ department = [\"sales\", \"support\"] }`.",
    ),
];

const UPSTREAM: &[Key] = &[
    key(
        "targets",
        List(&One(Form::Target)),
        Required,
        "Where it listens: `http://host:port`, `https://host:port` or `unix:/path`.",
    ),
    key(
        "bearer",
        Choice(&["access", "id", "none"], &[]),
        Optional,
        "Which token it gets in `Authorization`. Default `access` with authority `backend`; with `provider` it gets none until this says so.",
    ),
    key(
        "cookies",
        List(&One(Form::Cookie)),
        Default("[]"),
        "Cookies of ours that are let through to it, e.g. `[\"sb_at\"]`; never the refresh token's.",
    ),
    key("connect_timeout", DURATION, Default("\"2s\""), "For the connection to be made."),
    key("timeout", DURATION, Default("\"30s\""), FIRST_BYTE),
    later("balance"),
    later("health"),
];

const ROUTE: &[Key] = &[
    key(
        "path",
        One(Form::Text),
        Required,
        "The pattern: `/users/{id}` (one segment), `/files/{*rest}` (the rest, also nothing).",
    ),
    key("hosts", List(&One(Form::Host)), Default("[]"), "Hosts it is for. None: every accepted host."),
    key("methods", List(&One(Form::Method)), Default("[]"), "Methods it is for. None: all."),
    key("strip", One(Form::Prefix), Optional, "The beginning of the path that the upstream does not see."),
    key("upstream", One(Form::Text), Required, "The upstream it goes to."),
    key(
        "access",
        Either(&Choice(&["public", "optional", "user", "anonymous"], &[]), ROLES),
        Default("\"user\""),
        "`public`: anyone, no session work. `optional`: anyone, with the session where there is one. `user`: whoever is logged in. `anonymous`: whoever is not (a login page). `{ roles = […] }`: whoever has one of them.",
    ),
    key("headers", Table(HEADERS), Optional, "Headers that change on the way."),
    key("body_limit", One(Form::Size), Optional, "Largest request body; past it 413. Absent: no limit."),
    key("timeout", DURATION, Optional, "How long to wait for the first byte of the answer. Default: the upstream's."),
    key("idle_timeout", DURATION, Default("\"5m\""), "Longest silence in a stream or body, either way."),
    key(
        "retry_on_401",
        Choice(&["all", "safe", "off"], &[]),
        Default("\"all\""),
        "Which requests are sent again, after a refresh, when the upstream says 401: all, GET/HEAD/OPTIONS, none.",
    ),
    key(
        "on_second_401",
        Choice(&["clear", "pass"], &[]),
        Optional,
        "What a 401 to the second try means: the session is over, or the 401 passes. Default `clear` where the upstream is the authority's own, else `pass`.",
    ),
    key("cors", Table(CORS), Optional, "Cross-origin callers."),
];

const ROLES: &[Key] = &[key("roles", TEXTS, Required, "Whoever has one of these."), later("when")];

const HEADERS: &[Key] = &[
    key(
        "set",
        Entries(&One(Form::Text)),
        Optional,
        "Set on the request, e.g. `{ x-user-id = \"{claims.sub}\" }`. Whatever a visitor sends under these names is removed, on every route.",
    ),
    key("remove", List(&One(Form::Header)), Default("[]"), "Removed from the request and from the answer."),
];

const CORS: &[Key] = &[
    key("origins", List(&One(Form::Origin)), Required, "Exact origins that may call."),
    key("credentials", Flag, Default("false"), "Whether their requests may carry cookies."),
];

const TELEMETRY: &[Key] = &[key("log", Table(LOG), Optional, "The log."), later("otlp")];

const LOG: &[Key] = &[
    key("format", Choice(&["json", "text"], &[]), Default("\"json\""), "One JSON object a line, or text for people."),
    key(
        "level",
        One(Form::Level),
        Default("\"info\""),
        "A level, or tracing directives such as `info,vestibule::session=debug`.",
    ),
    key(
        "output",
        One(Form::Text),
        Default("\"stdout\""),
        "`stdout`, `stderr`, or a file; relative to the folder of the configuration.",
    ),
];
