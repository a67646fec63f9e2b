//! Every key of `gateway.toml`, declared once: name, kind, default, meaning. The reader, the environment's overrides, the JSON Schema and `docs/config.md` follow
//! this declaration, so they cannot differ.

use crate::config::{
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
const FIRST_BYTE: &str = "How long to wait for the first byte of the answer, from the whole request sent; past it 504.";

/// The whole file.
pub(crate) const ROOT: &[Key] = &[
    key("server", Table(SERVER), Required, "Where visitors connect, and the address they know."),
    key("session", Table(SESSION), Optional, "The visitor's cookies, and how tokens are kept fresh."),
    key(
        "store",
        Table(STORE),
        Optional,
        "What requests must agree on: who refreshes, which sessions have ended, what has been used once, and what was counted.",
    ),
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
    key("otp", Table(OTP), Optional, "One-time codes by SMS and e-mail."),
    key("signing", Table(SIGNING), Optional, "The keys that the gateway signs its own JWTs with."),
    key("login", Table(LOGIN), Optional, "What happens at logins."),
    key("pages", Table(PAGES), Optional, "How the gateway's own pages look."),
    key("telemetry", Table(TELEMETRY), Optional, "Logs."),
    key("limits", Table(LIMITS), Optional, "Wrong guesses, connections, sizes and deadlines: each against an attack."),
    later("verify"),
];

const SERVER: &[Key] = &[
    key(
        "listen",
        One(Form::Address),
        Required,
        "The IP address and port where visitors, or the load balancer, connect; `0.0.0.0` and `[::]` are all interfaces.",
    ),
    key(
        "public_url",
        One(Form::Origin),
        Required,
        "The address that visitors type, without a path: links, redirects and cookies follow it. `http` on loopback only.",
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
    key(
        "health_listen",
        One(Form::Address),
        Optional,
        "`/livez` and `/readyz` alone, for a load balancer. Absent: none.",
    ),
    key(
        "trusted_proxies",
        List(&One(Form::Network)),
        Default("[]"),
        "Load balancers whose `X-Forwarded-*` is believed; the visitor is the first address from the right of `X-Forwarded-For` that is not listed. None: whoever connects is the visitor.",
    ),
    key(
        "proxy_protocol",
        Flag,
        Default("false"),
        "Whether connections from `trusted_proxies` begin with a PROXY protocol header (version 1 or 2).",
    ),
    key(
        "drain",
        One(Form::Delay),
        Default("\"30s\""),
        "How long running requests may go on after SIGTERM and `drain_delay`; then they are cut.",
    ),
    key(
        "drain_delay",
        One(Form::Delay),
        Optional,
        "How long connections are still accepted after SIGTERM, while `/readyz` says 503, so that load balancers notice. Default `\"5s\"`, and `\"0s\"` where everything is on loopback.",
    ),
    key(
        "tls",
        Table(TLS),
        Optional,
        "The certificate. Absent: plain HTTP, for loopback or behind a load balancer that has the certificate.",
    ),
];

const TLS: &[Key] = &[
    key(
        "cert",
        One(Form::File),
        Required,
        "The certificate chain in PEM, the own one first; a path relative to the folder of `gateway.toml`. A renewed file is picked up without a restart.",
    ),
    key("key", One(Form::File), Required, "The private key of the certificate, in PEM; read anew with it."),
    later("acme"),
];

const SESSION: &[Key] = &[
    key(
        "base_path",
        One(Form::Prefix),
        Default("\"/auth\""),
        "The path under which the gateway's own endpoints live (`/auth/login`, `/auth/callback/NAME`, `/auth/session` …); no route can have it.",
    ),
    key(
        "cookie_prefix",
        One(Form::Cookie),
        Default("\"sb_\""),
        "What the names of the cookies begin with: `sb_` makes `sb_at`, `sb_rt`, `sb_did`. A change logs everybody out.",
    ),
    key(
        "host_prefix",
        Flag,
        Default("false"),
        "Put `__Host-` in front of the cookies' names, so that no other host of the domain can set them. For https, where one host is served. A change logs everybody out.",
    ),
    key(
        "seal",
        Flag,
        Default("true"),
        "Whether the access token's cookie is encrypted. `false` puts the raw JWT there and needs `[authority.verify]` (with authority `gateway` its own keys verify); the refresh token is always encrypted.",
    ),
    key(
        "keys",
        List(&One(Form::Secret)),
        Default("[]"),
        "Keys that encrypt the cookies: 32 random bytes in base64 each, as `vestibule keygen` prints them. The first encrypts, all decrypt: put a new one in front to rotate. Needed as soon as something is not on loopback; on loopback one is made at each start where there is none.",
    ),
    key(
        "store",
        Choice(&["cookie"], &["server"]),
        Default("\"cookie\""),
        "Where the tokens are: encrypted in the visitor's own cookies.",
    ),
    key(
        "refresh_ahead",
        One(Form::Delay),
        Default("\"60s\""),
        "Refresh this long before the access token expires (a little longer in some sessions, so that not all come at once), at most a fifth of its life.",
    ),
    key(
        "refresh_grace",
        One(Form::Delay),
        Default("\"60s\""),
        "How long requests that still carry the cookies from before a refresh are served, counted from the first request that carries the new ones.",
    ),
    key(
        "refresh_token_lifetime",
        DURATION,
        Default("\"30d\""),
        "How long a browser keeps the refresh token's cookie; counted anew from each refresh.",
    ),
    key(
        "idle",
        DURATION,
        Default("\"30d\""),
        "A session without a refresh for this long has ended. One in use is refreshed after half of this at the latest.",
    ),
    key("absolute", DURATION, Default("\"90d\""), "A session has ended this long after its login, used or not."),
    key(
        "leeway",
        One(Form::Delay),
        Default("\"5s\""),
        "Difference of clocks that is tolerated where a token's times are checked.",
    ),
    key(
        "replay_body",
        One(Form::Size),
        Default("\"64KiB\""),
        "Largest request body that is kept, to send it again after a 401 (`retry_on_401`); a larger one is sent once.",
    ),
    key(
        "login_page",
        One(Form::Text),
        Default("\"built-in\""),
        "`\"built-in\"`, or the path of the app's own page, e.g. `\"/login\"`; that needs a route that is open without a login.",
    ),
    key(
        "after_login",
        One(Form::Place),
        Default("\"/\""),
        "Where a login leads that names no `return_to`: a path, or an address at `public_url` or `return_to_origins`.",
    ),
    key("after_logout", One(Form::Place), Default("\"/\""), "Where a logout leads; as for `after_login`."),
    key(
        "return_to_origins",
        List(&One(Form::Origin)),
        Default("[]"),
        "Origins besides `public_url` to which a login may lead (`return_to`), and `after_login` and `after_logout`.",
    ),
    key(
        "roles_claim",
        One(Form::Pointer),
        Default("\"/role\""),
        "Where the role or the list of roles stands in the claims of the access token (which counts only with `[authority.verify]`, and always with authority `gateway`), else in those of the ID token: a JSON pointer, e.g. `\"/realm_access/roles\"`.",
    ),
    key(
        "expose_claims",
        TEXTS,
        Default(r#"["sub", "email", "name", "role"]"#),
        "Claims of the person that `GET {base_path}/session` tells the app's scripts.",
    ),
];

const STORE: &[Key] = &[
    key(
        "kind",
        Choice(&["memory", "file", "redis", "postgres"], &[]),
        Default("\"memory\""),
        "`memory`: in this process alone, so for one instance; a restart forgets it. `file`: in a file of this machine, for one instance; it survives a restart and a crash. `redis` and `postgres`: on a server that all instances share; they also share `session.keys`.",
    ),
    key(
        "path",
        One(Form::File),
        Default("\"vestibule.redb\""),
        "The file, for `kind = \"file\"`: made if it is not there, in a folder that must be. One instance has it at a time.",
    ),
    key(
        "url",
        One(Form::Secret),
        Optional,
        "The server, for `kind = \"redis\"` or `\"postgres\"`: `redis://HOST:PORT/DB`, `redis-sentinel://HOST,HOST/SERVICE/DB`, `redis-cluster://HOST,HOST`, each with `rediss` for TLS; `postgres://USER@HOST:PORT/DATABASE`. With a password in it, say where it is: `env:NAME` or `file:PATH`.",
    ),
    key(
        "store_down",
        Choice(&["wait", "refresh"], &[]),
        Default("\"wait\""),
        "What happens to refreshes while the store cannot be reached. `wait`: nothing is refreshed ahead, and an expired access token gets 503 with its cookies kept. `refresh`: every instance refreshes by itself, for an authority whose refresh tokens stay the same. Codes and limits get 503 either way.",
    ),
];

/// The keys of a call to a backend.
macro_rules! call {
    ($timeout:literal $(, $more:expr)*) => {
        &[
            key("upstream", One(Form::Text), Optional, "The name of the upstream that is called. Default: `authority.upstream`; required where there is none."),
            key("method", One(Form::Method), Default("\"POST\""), "The HTTP method."),
            key("path", One(Form::Text), Required, "The path at the upstream; values of placeholders are percent-encoded in it."),
            key("headers", Entries(&One(Form::Text)), Optional, "Headers to add, e.g. `{ x-api-version = \"2\" }`. A value may be `\"env:NAME\"` or `\"file:PATH\"`; so may texts of the body."),
            key("json", Any, Optional, "The body as JSON, e.g. `{ device = \"{device_id}\" }`. A string that is only a placeholder takes the value's type. With neither `json` nor `form` there is no body."),
            key("form", Entries(&One(Form::Text)), Optional, "The body as a form, instead of `json`."),
            key("cookies", Entries(&One(Form::Text)), Optional, "Cookies to send, for a backend that reads its tokens there."),
            key("timeout", DURATION, Default($timeout), "How long the whole call may take, from connecting to the last byte of the answer."),
            $($more,)*
        ]
    };
}
const AUTHORITY: &[Key] = &[
    key(
        "kind",
        Choice(&["provider", "backend", "gateway"], &[]),
        Default("\"provider\""),
        "Whose tokens are the session. `provider`: those of the identity provider. `backend`: those that a backend gives in exchange for them, for e-mail and password, or for a one-time code. `gateway`: the gateway's own, for a backend that has no logins at all.",
    ),
    key(
        "upstream",
        One(Form::Text),
        Optional,
        "With `backend`, required: the name of the upstream that issues the tokens.",
    ),
    key(
        "exchange",
        Table(call!("\"30s\"")),
        Optional,
        "The call after a login at a provider; it carries `vestibule-assertion`. Placeholders: `{provider}`, `{id_token}`, `{access_token}`, `{refresh_token}` (the provider's), `{profile}`, `{email}`, `{device_id}`, `{device_name}`, `{claims.NAME}`.",
    ),
    key(
        "credentials",
        Table(call!("\"30s\"")),
        Optional,
        "The call of `POST {base_path}/login`, the login with e-mail and password. Absent: there is none. Placeholders: `{email}`, `{password}`, `{device_id}`, `{device_name}`.",
    ),
    key(
        "refresh",
        Table(call!(
            "\"60s\"",
            key(
                "refused",
                List(&Number(400, 499)),
                Default("[401]"),
                "Statuses of the answer that end the session; any other but 2xx, and an HTML page with any status, is an outage, in which the session is kept."
            )
        )),
        Optional,
        "The call that gets a new access token. Absent: a session ends with its access token. Placeholders: `{refresh_token}`, `{access_token}`, `{provider}`, `{device_id}`, `{device_name}`, `{claims.NAME}` (what the identity provider said at the login).",
    ),
    key(
        "signout",
        Table(call!("\"30s\"")),
        Optional,
        "The call that tells the backend of a logout. Absent: it is not told. Placeholders: as for `refresh`, without the claims.",
    ),
    key(
        "answer",
        Table(ANSWER),
        Optional,
        "Where each field stands in the backend's answers: a JSON pointer such as `\"/data/token\"`, or `\"cookie:NAME\"` for the value of a `Set-Cookie`.",
    ),
    key(
        "verify",
        Table(VERIFY),
        Optional,
        "How the access token (a JWT) is verified: needed for `seal = false`, and for roles from it. Exactly one of `jwks_url`, `secret` and `public_key`.",
    ),
    key(
        "otp",
        Table(call!("\"30s\"")),
        Optional,
        "The call after a one-time code with `purpose = \"login\"`; it carries `vestibule-assertion`. Placeholders: `{channel}` (`sms` or `email`), `{address}`, `{address_e164}`, `{device_id}`, `{device_name}`.",
    ),
    key("gateway", Table(GATEWAY), Optional, "With `kind = \"gateway\"`: the tokens that the gateway issues."),
];

const GATEWAY: &[Key] = &[
    key(
        "issuer",
        One(Form::Text),
        Optional,
        "What the tokens have as `iss`. Default: `server.public_url`, without a slash at its end.",
    ),
    key(
        "audience",
        One(Form::Text),
        Optional,
        "What the tokens have as `aud`. Default: `server.public_url`, likewise.",
    ),
    key(
        "access_token_lifetime",
        DURATION,
        Default("\"10m\""),
        "How long an access token lives. It cannot be called back: keep it short.",
    ),
    key("default_role", One(Form::Text), Default("\"user\""), "The role of whoever has none of `roles`."),
    key(
        "roles",
        Named(ALLOW),
        Optional,
        "Who has which role, e.g. `roles.admin = { emails = [\"boss@example.com\"] }`; read anew at each refresh. The claim `roles` has all that are met, `role` the first in the order of the file.",
    ),
    key(
        "claims",
        Entries(&Any),
        Optional,
        "Further claims of the access token, e.g. `{ email = \"{claims.email}\" }`; without it `email`, `email_verified`, `name`, `phone_number` and `phone_number_verified` go along where they are known. What is not known is left out. Placeholders: `{provider}`, `{email}`, `{channel}`, `{address}`, `{address_e164}`, `{claims.NAME}`.",
    ),
];

const SIGNING: &[Key] = &[key(
    "keys",
    List(&One(Form::Secret)),
    Optional,
    "Private keys in PKCS#8 PEM (P-256 for ES256, or Ed25519 for EdDSA), e.g. `[\"file:/run/secrets/signing.pem\"]`; `vestibule keygen --signing` prints one. The first signs, all are published. Absent: one key for each of `session.keys`, derived from it.",
)];

const LOGIN: &[Key] = &[key(
    "notify",
    Table(call!("\"30s\"")),
    Optional,
    "With the authorities `provider` and `gateway`: the call at a person's first login, with `vestibule-assertion`. It must be answered 2xx for the login to go on; 401 and 403 refuse it. Placeholders: `{provider}`, `{profile}`, `{email}`, `{channel}`, `{address}`, `{address_e164}`, `{device_id}`, `{device_name}`, `{claims.NAME}`.",
)];

const PAGES: &[Key] = &[
    key(
        "name",
        One(Form::Text),
        Optional,
        "What the site is called on the pages and in messages. Default: the host of `public_url`.",
    ),
    key(
        "logo",
        One(Form::File),
        Optional,
        "A picture above the pages' title: an SVG, PNG, JPEG, WebP or GIF file of at most 256 KiB.",
    ),
    key("color", One(Form::Color), Optional, "The colour of buttons and links, e.g. `\"#0b6bcb\"`."),
    key("background", One(Form::Color), Optional, "The colour behind the page."),
    key(
        "templates",
        One(Form::File),
        Optional,
        "A folder with own templates (`frame.html`, `login.html`, `code.html`, `notice.html`, `style.css`) in place of the built-in ones of the same name.",
    ),
];

/// A text in Korean and English.
const TEXT: &[Key] =
    &[key("ko", One(Form::Text), Optional, "Korean."), key("en", One(Form::Text), Optional, "English.")];

const OTP: &[Key] = &[
    key("lifetime", DURATION, Default("\"3m\""), "How long a code is valid; at most 10 minutes."),
    key(
        "cooldown",
        One(Form::Delay),
        Default("\"60s\""),
        "How long an address waits for the next code. Sending the same code again does not wait.",
    ),
    key("attempts", Number(1, 10), Default("5"), "Wrong tries that end a code."),
    key(
        "countries",
        TEXTS,
        Default("[\"KR\"]"),
        "Countries whose mobile numbers get codes (ISO 3166-1, e.g. `\"KR\"`); numbers without a country code are of the first.",
    ),
    key(
        "daily_cap",
        Number(1, 100_000_000),
        Default("1000"),
        "Messages on one day (UTC), whatever else is allowed: the most that an attack can cost.",
    ),
    key("limits", Table(OTP_LIMITS), Optional, "Messages sent: codes sent again count, verifying does not."),
    key(
        "proof_audience",
        One(Form::Text),
        Default("\"vestibule-proof\""),
        "What the `proof` of a verified address has as `aud`.",
    ),
    key("sms", Table(SMS), Optional, "Codes by SMS. Absent: none."),
    key("email", Table(EMAIL), Optional, "Codes by e-mail. Absent: none."),
];

const OTP_LIMITS: &[Key] = &[
    key("per_address", One(Form::Rate), Default("\"5/h\""), "To one address."),
    key("per_ip", One(Form::Rate), Default("\"20/h\""), "For one client (IPv6: a /64)."),
    key(
        "per_country",
        One(Form::Rate),
        Optional,
        "To the numbers of one country. Default: a tenth of `total` for each but the first of `countries`.",
    ),
    key(
        "total",
        One(Form::Rate),
        Default("\"1000/h\""),
        "In all; half of it is kept for whoever has a session, or a browser that has logged in before.",
    ),
];

/// The keys that both channels have.
macro_rules! channel {
    ($($more:expr),* $(,)?) => {
        &[
            key("purpose", Choice(&["verify", "login", "prove"], &[]), Default("\"verify\""), "`verify`: whoever is logged in proves an address, and the backend is told (`notify`). `login`: the address is who they are. `prove`: a proof for a sign-up form, without a session."),
            key("allow", Either(&Choice(&["anyone"], &[]), ALLOW), Optional, "Who may come in with `purpose = \"login\"`: `\"anyone\"`, or lists of which every one that is given must be met. Needed with authority `gateway` as soon as `public_url` is not on loopback."),
            key("notify", Table(call!("\"30s\"")), Optional, "With `purpose = \"verify\"`: the call, as the visitor, that tells the backend of the verified address; unless it is answered 2xx the code is not spent. It carries `vestibule-assertion`. Placeholders: `{channel}`, `{address}`, `{address_e164}`, `{access_token}`, `{device_id}`, `{device_name}`, `{claims.NAME}`."),
            key("order", TEXTS, Optional, "Who sends: the first, and the next one when it fails. Default: every one that is configured, in the order of the file."),
            key("outbox", Table(OUTBOX), Optional, "For development on loopback only: messages are not sent but written to a file, or posted to a server of this machine."),
            $($more,)*
        ]
    };
}

const OUTBOX: &[Key] = &[
    key(
        "path",
        One(Form::File),
        Default("\"outbox.jsonl\""),
        "The file that messages are appended to, one JSON object a line.",
    ),
    key(
        "url",
        One(Form::Url),
        Optional,
        "An address on loopback that messages are posted to as JSON, instead of the file.",
    ),
];

const SMS: &[Key] = channel![
    key(
        "text",
        Table(TEXT),
        Optional,
        "The message; `{code}` is the code, `{minutes}` its life. Default: the name of the site, the code and its life."
    ),
    key("aligo", Table(ALIGO), Optional, "Aligo."),
    key("solapi", Table(SOLAPI), Optional, "Solapi, or CoolSMS."),
    key("sens", Table(SENS), Optional, "NAVER Cloud SENS."),
    key("twilio", Table(TWILIO), Optional, "Twilio."),
    key("http", Table(SMS_HTTP), Optional, "Any other HTTP API."),
];

const SMS_TIMEOUT: Key = key(
    "timeout",
    DURATION,
    Default("\"5s\""),
    "For the whole call; then the next way takes over. All ways together have 10 seconds.",
);
const KOREAN_SENDER: &str = "The caller number, registered with the provider; hyphens may stand in it.";

const ALIGO: &[Key] = &[
    key(
        "url",
        One(Form::Url),
        Default("\"https://apis.aligo.in/send/\""),
        "Its address: another one for a relay or a test. Aligo serves only the IP addresses that are registered with it: behind NAT that is the egress address. Numbers that are not Korean go by the next way.",
    ),
    key("key", One(Form::Secret), Required, "The API key."),
    key("user_id", One(Form::Indirect), Required, "The user id."),
    key("sender", One(Form::Indirect), Required, KOREAN_SENDER),
    key("test_mode", Flag, Default("false"), "`testmode_yn=Y`: accepted and not delivered."),
    SMS_TIMEOUT,
];

const SOLAPI: &[Key] = &[
    key("url", One(Form::Url), Default("\"https://api.solapi.com/messages/v4/send\""), "Its address."),
    key("key", One(Form::Indirect), Required, "The API key."),
    key("secret", One(Form::Secret), Required, "The API secret, which signs each call."),
    key("sender", One(Form::Indirect), Required, KOREAN_SENDER),
    SMS_TIMEOUT,
];

const SENS: &[Key] = &[
    key(
        "url",
        One(Form::Url),
        Default("\"https://sens.apigw.ntruss.com\""),
        "What stands before `/sms/v2/…`; for the public sector `\"https://sens.apigw.gov-ntruss.com\"`.",
    ),
    key("service_id", One(Form::Indirect), Required, "The service id, e.g. `ncp:sms:kr:…`."),
    key("key", One(Form::Indirect), Required, "The access key id."),
    key("secret", One(Form::Secret), Required, "The secret key, which signs each call."),
    key("sender", One(Form::Indirect), Required, KOREAN_SENDER),
    SMS_TIMEOUT,
];

const TWILIO: &[Key] = &[
    key("url", One(Form::Url), Default("\"https://api.twilio.com\""), "What stands before `/2010-04-01/…`."),
    key("account_sid", One(Form::Indirect), Required, "The account (`AC…`)."),
    key("key", One(Form::Indirect), Optional, "An API key (`SK…`). Default: the account itself."),
    key("secret", One(Form::Secret), Required, "The secret of the key, or the account's auth token."),
    key("sender", One(Form::Indirect), Optional, "The number in E.164. Either this or `messaging_service_sid`."),
    key("messaging_service_sid", One(Form::Indirect), Optional, "The messaging service that chooses the number."),
    SMS_TIMEOUT,
];

const SMS_HTTP: &[Key] = &[
    key(
        "url",
        One(Form::Text),
        Required,
        "The address, which may hold placeholders in its path and query. Placeholders of all that follows: `{address}` (Korean numbers as domestic digits, others in E.164), `{address_e164}`, `{text}`, `{sender}`, `{timestamp}` (milliseconds), `{date}` (RFC 3339), `{nonce}` (22 letters, digits, `-` and `_`) and `{signature}`, all of them as text.",
    ),
    key("method", One(Form::Method), Default("\"POST\""), "The HTTP method."),
    key(
        "headers",
        Entries(&One(Form::Secret)),
        Optional,
        "Headers, e.g. `{ authorization = \"env:SMS_AUTHORIZATION\" }` where that variable is `Bearer …`. What `env:` and `file:` bring is taken as it is: placeholders stand in the file alone. The same goes for `json` and `form`.",
    ),
    key(
        "json",
        Any,
        Optional,
        "The body as JSON, e.g. `{ to = \"{address_e164}\", message = \"{text}\", apiKey = \"env:SMS_KEY\" }`. With neither `json` nor `form` there is no body.",
    ),
    key("form", Entries(&One(Form::Secret)), Optional, "The body as a form, instead of `json`."),
    key("sender", One(Form::Indirect), Optional, "What `{sender}` is."),
    key("user", One(Form::Indirect), Optional, "The user name of HTTP Basic authentication."),
    key("password", One(Form::Secret), Optional, "Its password."),
    key("hmac", Table(SMS_HMAC), Optional, "How `{signature}` is made."),
    key(
        "success",
        Table(SMS_SUCCESS),
        Optional,
        "What an answer must be for the message to count as sent. Default: any 2xx that is not an HTML page.",
    ),
    SMS_TIMEOUT,
];

const SMS_HMAC: &[Key] = &[
    key("secret", One(Form::Secret), Required, "The key of the HMAC, taken as it stands: base64 in it is not decoded."),
    key("algorithm", Choice(&["sha256", "sha1", "sha512"], &[]), Default("\"sha256\""), "Its hash."),
    key(
        "text",
        One(Form::Text),
        Required,
        "What is signed, e.g. `\"{timestamp}{nonce}\"`; the placeholders are the same ones as in the call.",
    ),
    key(
        "encoding",
        Choice(&["hex", "base64"], &[]),
        Default("\"hex\""),
        "How it is written: small hexadecimal digits, or base64 with padding.",
    ),
];

const SMS_SUCCESS: &[Key] = &[
    key("status", List(&Number(200, 599)), Optional, "Statuses. Default: 200 to 299."),
    key(
        "pointer",
        One(Form::Pointer),
        Optional,
        "A place in the JSON of the answer, e.g. `\"/result_code\"`; with `equals`. The answer's media type does not matter.",
    ),
    key(
        "equals",
        Any,
        Optional,
        "The value there, or a list of values of which it must be one. The number 1 and the text \"1\" are the same.",
    ),
];

const EMAIL: &[Key] = channel![
    key("from", One(Form::Text), Required, "The sender, e.g. `\"Example <no-reply@example.com>\"`."),
    key(
        "subject",
        Table(TEXT),
        Optional,
        "The subject; `{code}`, `{minutes}` and `{site}` may stand in it. A language that is given alone is for everybody."
    ),
    key("text", Table(TEXT), Optional, "The text part, with the same placeholders; `{code}` must be in it."),
    key(
        "html",
        Table(TEXT),
        Optional,
        "Files with the HTML part, with the same placeholders; `{code}` must be in them. Default: the text part, set as HTML."
    ),
    key("smtp", Table(SMTP), Optional, "The mail server."),
];

const SMTP: &[Key] = &[
    key(
        "preset",
        Choice(&["naver", "gmail", "ses"], &[]),
        Optional,
        "A known mail server on port 587, instead of `url`: `smtp.naver.com`, `smtp.gmail.com`, or Amazon SES in `region`.",
    ),
    key("region", One(Form::Text), Default("\"ap-northeast-2\""), "The region of `ses`."),
    key(
        "url",
        One(Form::Text),
        Optional,
        "`smtp://host:587` (STARTTLS is required) or `smtps://host:465` (TLS from the start). The certificate must be that of the host.",
    ),
    key("user", One(Form::Indirect), Optional, "The user name. Naver: the Naver id; `from` must be its address."),
    key("password", One(Form::Secret), Optional, "The password. Naver and Gmail: an application password."),
    key(
        "ca",
        One(Form::File),
        Optional,
        "A certificate authority in PEM that the server's certificate may also come from.",
    ),
    key(
        "tls",
        Choice(&["required", "none"], &[]),
        Default("\"required\""),
        "`none` is accepted only where the mail server, `public_url` and every listen address are on loopback.",
    ),
    key(
        "timeout",
        DURATION,
        Default("\"10s\""),
        "For one message, from connecting to the server's word that it has it; then it is undelivered.",
    ),
];

const ANSWER: &[Key] = &[
    key("access_token", One(Form::Answer), Default("\"/accessToken\""), "The access token."),
    key(
        "refresh_token",
        One(Form::Answer),
        Default("\"/refreshToken\""),
        "The refresh token. An answer without one leaves the old one in use.",
    ),
    key(
        "expires_in",
        One(Form::Answer),
        Default("\"/expiresIn\""),
        "Seconds until the access token expires, as a number or as text. Where the answer has none, the `exp` of a JWT counts, else an hour.",
    ),
];

const VERIFY: &[Key] = &[
    key(
        "jwks_url",
        One(Form::Url),
        Optional,
        "The address of the key set (JWKS); fetched, and renewed every hour while it is in use.",
    ),
    key(
        "secret",
        One(Form::Secret),
        Optional,
        "The shared secret of HS… tokens, taken as it stands: base64 in it is not decoded.",
    ),
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
        "Signature algorithms that are accepted. None listed: all that the key allows; for `secret` HS256.",
    ),
    key("issuer", One(Form::Text), Optional, "What the token must have as `iss`. Absent: not checked."),
    key("audience", One(Form::Text), Optional, "What the token must have in `aud`. Absent: not checked."),
];

const PROVIDER: &[Key] = &[
    key(
        "kind",
        Choice(&["oidc", "oauth2"], &[]),
        Default("\"oidc\""),
        "`oidc`: OpenID Connect, with addresses from the discovery document. `oauth2`: OAuth 2.0 without it, with the addresses and the profile request below; `github`, `kakao` and `naver` bring theirs along.",
    ),
    key(
        "issuer",
        One(Form::Url),
        Optional,
        "The issuer, exactly as its discovery document (`ISSUER/.well-known/openid-configuration`) says. Required unless the name is `google`, `kakao` or `naver`. With `oauth2` it becomes the claim `iss`, and an `iss` in the callback must be it (RFC 9207); default: the origin of `authorize_url`, and that `iss` is not looked at.",
    ),
    key("client_id", One(Form::Indirect), Required, "The client id that the provider gave for this app."),
    key("client_secret", One(Form::Secret), Optional, "The client secret. Absent: a public client, which has none."),
    key(
        "scopes",
        TEXTS,
        Optional,
        "Scopes that are asked for; `openid` must be one. Default: `[\"openid\", \"email\", \"profile\"]`; `kakao` `[\"openid\", \"profile_nickname\"]`, `naver` `[\"openid\"]`. With `oauth2` none is needed, and the default is none; `github` `[\"user:email\"]`.",
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
        "How the provider's answer comes back: in the address, or in a form that the browser posts (for providers that insist; needs https).",
    ),
    key(
        "label",
        One(Form::Text),
        Optional,
        "What the built-in login page calls it. Default: its own name where it is known, else NAME.",
    ),
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
        "Who may come in: `\"anyone\"`, or lists of which every one that is given must be met. Needed with the authorities `provider` and `gateway` as soon as `public_url` is not on loopback.",
    ),
    key("authorize_url", One(Form::Url), Optional, "`oauth2`: the authorization endpoint, where people are sent to."),
    key(
        "token_url",
        One(Form::Url),
        Optional,
        "`oauth2`: the token endpoint. JSON and form answers are read, and an `error` with status 200 is one.",
    ),
    key(
        "revoke_url",
        One(Form::Url),
        Optional,
        "`oauth2`: the revocation endpoint (RFC 7009), for logouts with authority `provider`. Absent: nothing is revoked; `naver` has its own way.",
    ),
    key(
        "token_auth",
        Choice(&["post", "basic"], &[]),
        Default("\"post\""),
        "`oauth2`: whether the client's id and secret go to the token endpoint as fields of the form, or as `Authorization: Basic`.",
    ),
    key(
        "token_params",
        Entries(&One(Form::Text)),
        Optional,
        "`oauth2`: extra fields of the requests for tokens, e.g. `{ audience = \"api\" }`.",
    ),
    key(
        "pkce",
        Flag,
        Default("true"),
        "`oauth2`: whether logins carry a PKCE challenge (S256). `false` only for a provider that refuses it.",
    ),
    key("profile", Table(PROFILE), Optional, "`oauth2`: who somebody is, as the access token's owner."),
];

const PROFILE: &[Key] = &[
    key("url", One(Form::Url), Optional, "Where the profile is: asked for by GET with `Authorization: Bearer`."),
    key(
        "subject",
        One(Form::Pointer),
        Optional,
        "Where the person's id at the provider stands: a text or a whole number, which becomes a text. It must never change, and never be given to somebody else: not a name, not an e-mail address.",
    ),
    key("email", One(Form::Pointer), Optional, "Where the e-mail address stands."),
    key(
        "email_verified",
        One(Form::Pointer),
        Optional,
        "Where it says `true` if the address is verified. Absent: no address is, and `allow` by e-mail lets nobody in; `kakao` knows its own, unless `email` is set.",
    ),
    key("name", One(Form::Pointer), Optional, "Where the name stands."),
    key("picture", One(Form::Pointer), Optional, "Where the address of a picture stands."),
    key(
        "emails_url",
        One(Form::Url),
        Optional,
        "A list of addresses as GitHub has it (`[{\"email\", \"primary\", \"verified\"}]`), asked for beside the profile: the primary one counts before `email`. `github` knows its own, unless `url` is set to another.",
    ),
    key(
        "headers",
        Entries(&One(Form::Text)),
        Optional,
        "Extra headers of these requests, e.g. `{ accept = \"application/vnd.api+json\" }`.",
    ),
    key(
        "success",
        Table(SUCCESS),
        Optional,
        "What tells a profile from a failure that comes with status 200, e.g. `{ pointer = \"/resultcode\", equals = \"00\" }`.",
    ),
];

const SUCCESS: &[Key] = &[
    key("pointer", One(Form::Pointer), Required, "The place that is looked at."),
    key("equals", Any, Required, "What stands there: a text, a number or a flag; `1` and `\"1\"` are the same."),
];

const ID_TOKEN_LOGIN: &[Key] =
    &[key("audiences", TEXTS, Required, "Values of `aud` that are accepted: the client ids of the apps.")];

const ALLOW: &[Key] = &[
    key(
        "email_domains",
        TEXTS,
        Default("[]"),
        "Domains of e-mail addresses, e.g. `[\"example.com\"]`; only an address that the provider calls verified counts.",
    ),
    key("emails", TEXTS, Default("[]"), "E-mail addresses; only one that the provider calls verified counts."),
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
        "Where it listens: `http://host:port`, `https://host:port` (by a certificate that this machine trusts) or `unix:/path`. Several take turns.",
    ),
    key(
        "bearer",
        Choice(&["access", "id", "none"], &[]),
        Optional,
        "Which token it gets in `Authorization`. Default `access` with the authorities `backend` and `gateway`; with `provider` it gets none until this says so.",
    ),
    key(
        "cookies",
        List(&One(Form::Cookie)),
        Default("[]"),
        "Cookies of the gateway that are let through to it, e.g. `[\"sb_at\"]`; never the refresh token's.",
    ),
    key(
        "connect_timeout",
        DURATION,
        Default("\"2s\""),
        "How long a connection may take to be made; then the next target is tried, and after the last it is 504.",
    ),
    key("timeout", DURATION, Default("\"30s\""), FIRST_BYTE),
    later("balance"),
    later("health"),
];

const ROUTE: &[Key] = &[
    key(
        "path",
        One(Form::Text),
        Required,
        "The paths it is for: `/users/{id}` (one segment), `/files/{*rest}` (the rest, also nothing).",
    ),
    key("hosts", List(&One(Form::Host)), Optional, "Hosts it is for. Absent: every accepted host."),
    key("methods", List(&One(Form::Method)), Optional, "Methods it is for, e.g. `[\"GET\", \"HEAD\"]`. Absent: all."),
    key(
        "strip",
        One(Form::Prefix),
        Optional,
        "The beginning of the path that is cut off for the upstream: with `\"/api\"` it sees `/users` for `/api/users`.",
    ),
    key("upstream", One(Form::Text), Required, "The name of the upstream it goes to."),
    key(
        "access",
        Either(&Choice(&["public", "optional", "user", "anonymous"], &[]), ROLES),
        Default("\"user\""),
        "`public`: anyone, no session work. `optional`: anyone, with the session where there is one. `user`: whoever is logged in. `anonymous`: whoever is not (a login page). `{ roles = […] }`: whoever has one of them.",
    ),
    key("headers", Table(HEADERS), Optional, "Headers that change on the way."),
    key(
        "body_limit",
        One(Form::Size),
        Optional,
        "Largest request body; a larger one is answered 413. Absent: no limit.",
    ),
    key(
        "timeout",
        DURATION,
        Optional,
        "How long to wait for the first byte of the answer; past it 504. Default: the upstream's.",
    ),
    key(
        "idle_timeout",
        DURATION,
        Default("\"5m\""),
        "Longest silence in a body, stream or WebSocket, either way; past it the connection is cut. There is no limit to the whole.",
    ),
    key(
        "body_rate",
        One(Form::Size),
        Optional,
        "The `body_rate` of `[limits]` for this route; `\"0B\"` where clients send a body in pieces with long pauses and the answer comes at its end.",
    ),
    key(
        "retry_on_401",
        Choice(&["all", "safe", "off"], &[]),
        Default("\"all\""),
        "Which requests are sent again, once and after a refresh, when the upstream says 401: all, those with GET, HEAD or OPTIONS, or none.",
    ),
    key(
        "on_second_401",
        Choice(&["clear", "pass"], &[]),
        Optional,
        "What a 401 to the second try means. `clear`: the session is over. `pass`: the visitor gets the 401 and stays logged in. Default `clear` where the upstream is the authority's own, else `pass`.",
    ),
    key("cors", Table(CORS), Optional, "Scripts of other origins that may call this route. Absent: none."),
];

const ROLES: &[Key] = &[key("roles", TEXTS, Required, "Whoever has one of these."), later("when")];

const HEADERS: &[Key] = &[
    key(
        "set",
        Entries(&One(Form::Text)),
        Optional,
        "Set on the request, e.g. `{ x-user-id = \"{claims.sub}\" }`. Whatever a visitor sends under these names is removed, on every route.",
    ),
    key(
        "remove",
        List(&One(Form::Header)),
        Default("[]"),
        "Headers that are removed from the request and from the answer, e.g. `[\"server\"]`.",
    ),
];

const CORS: &[Key] = &[
    key("origins", List(&One(Form::Origin)), Required, "Origins that may call, each in full."),
    key("credentials", Flag, Default("false"), "Whether their requests may carry cookies."),
];

const LIMITS: &[Key] = &[
    key(
        "failures_per_client",
        One(Form::Rate),
        Default("\"300/h\""),
        "Wrong guesses of one IPv4 address or IPv6 /64, of everything that is checked: passwords, ID tokens, codes, callbacks of no login. What is right costs nothing. Past it 429 with `Retry-After`, also for what would be right.",
    ),
    key(
        "failures_per_account",
        One(Form::Rate),
        Default("\"100/h\""),
        "Wrong passwords for one e-mail address, from wherever; whether there is such an account makes no difference. Past it 429, and the backend is not asked.",
    ),
    key(
        "connections",
        Number(1, 1_000_000),
        Default("20000"),
        "Connections of visitors at a time, at one instance; more wait in the kernel. Changes with a restart only.",
    ),
    key(
        "connections_per_client",
        Number(1, 1_000_000),
        Default("4096"),
        "Of one IPv4 address or IPv6 /64, at one instance; more are closed at once. With `proxy_protocol` the address in its header counts; connections from `trusted_proxies` themselves are not counted. Changes with a restart only.",
    ),
    key(
        "streams",
        Number(1, 10_000),
        Default("128"),
        "Requests at a time over one HTTP/2 connection; more wait. Against floods of streams that are opened and dropped. Changes with a restart only.",
    ),
    key(
        "header_bytes",
        One(Form::Size),
        Default("\"32KiB\""),
        "Largest head of a request, target included; past it 431. Against floods of headers and cookies. From 8KiB to 1MiB. Changes with a restart only.",
    ),
    key(
        "header_lines",
        Number(10, 10_000),
        Default("100"),
        "Most header lines of a request; past it 431. Over HTTP/2 all lines of `Cookie` count as one. Changes with a restart only.",
    ),
    key(
        "header_timeout",
        DURATION,
        Default("\"10s\""),
        "How long the head of a request may take, from its first byte (on a new connection from its acceptance) to its last, however steadily bytes come; past it 408. Against clients that send a header a minute (Slowloris). Changes with a restart only.",
    ),
    key(
        "body_rate",
        One(Form::Size),
        Default("\"256B\""),
        "Bytes a second that a request's body has to bring on average while it is waited for, after the first ten seconds and until the upstream's answer begins; below it 408. Against bodies that never end (R.U.D.Y.). `\"0B\"` is no minimum; a route can have its own.",
    ),
    key(
        "idle_timeout",
        DURATION,
        Default("\"75s\""),
        "How long a connection may be open between two requests. Longer than a load balancer keeps its own (60s as a rule), so that it is the balancer that closes. Changes with a restart only.",
    ),
    key(
        "write_timeout",
        DURATION,
        Default("\"60s\""),
        "How long a client may take none of the bytes that are ready for it; then the connection is cut, over HTTP/2 the stream, which has to take 16 KiB in this time. Against clients that read a byte a minute. Changes with a restart only.",
    ),
    key(
        "tls_timeout",
        DURATION,
        Default("\"5s\""),
        "How long a TLS handshake may take. Against handshakes that are begun and left. Changes with a restart only.",
    ),
    key(
        "answer_bytes",
        One(Form::Size),
        Default("\"64KiB\""),
        "Largest answer of the authority or a provider with tokens or a profile in it; a larger one is cut off and counts as none. Against answers without an end. From 1KiB to 64MiB.",
    ),
    key(
        "document_bytes",
        One(Form::Size),
        Default("\"1MiB\""),
        "The same for what a provider publishes: its metadata and keys.",
    ),
];

const TELEMETRY: &[Key] = &[key("log", Table(LOG), Optional, "The log."), later("otlp")];

const LOG: &[Key] = &[
    key("format", Choice(&["json", "text"], &[]), Default("\"json\""), "One JSON object a line, or text for people."),
    key(
        "level",
        One(Form::Level),
        Default("\"info\""),
        "What is logged: `error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,vestibule::session=debug`.",
    ),
    key(
        "output",
        One(Form::Text),
        Default("\"stdout\""),
        "`stdout`, `stderr`, or the path of a file, relative to the folder of `gateway.toml`.",
    ),
];
