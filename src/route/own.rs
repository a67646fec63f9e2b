//! The gateway's own endpoints, one row each. A new endpoint is a row here and its function in `handle/own.rs`. The
//! rows of Auth.js are in `own_auth_js.rs`.

use http::Method;

use crate::channel::Channel;

/// Where the gateway's public keys are, under every host (RFC 8615).
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// Below `session.base_path`: where `vestibule demo` and `vestibule dev` have pages of their own, behind routes like
/// those of an app. Without [`DevPages::Routed`] nothing is there.
pub const DEV_PATH: &str = "/dev";

/// Whether requests below [`DEV_PATH`] are routed. No key of the file says so: only the two commands do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DevPages {
    /// They are 404, as everything below `session.base_path` that is no own endpoint.
    #[default]
    None,
    /// They go to the route that they match.
    Routed,
}

/// One own endpoint: its requests, the rules for them, and how it is served.
#[derive(Debug)]
pub struct OwnRow {
    /// Its path.
    pub path: OwnPath,
    /// Its methods; any other method is answered 405.
    pub methods: OwnMethods,
    /// When it exists; otherwise its path is answered 404.
    pub exists: Exists,
    /// Whether pages of other sites may call it.
    pub cross_site: CrossSite,
    /// The form of its answers, failures included.
    pub answers: AnswerForm,
    /// Its description in `vestibule explain`; `{provider}` stands for the provider's name.
    pub explain: &'static str,
    /// How it is served, for each value of the placeholder in its path.
    pub served_by: ServedBy,
}

/// The path of an own endpoint. One segment may be `{provider}` or `{channel}`: the endpoint exists for each of them.
#[derive(Clone, Copy, Debug)]
pub enum OwnPath {
    /// Below `session.base_path`.
    BelowBasePath(&'static str),
    /// The whole path, under every host.
    AtRoot(&'static str),
}

/// The methods of an own endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnMethods(u8);

/// When an own endpoint exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exists {
    /// Always; with a placeholder in its path, for every configured provider or channel.
    Always,
    /// Where logins with e-mail and password are configured (`authority.credentials`).
    WithCredentials,
    /// For the channels with `purpose = "login"`.
    WithCodePage,
    /// Where `session.compat` names a version of Auth.js.
    WithAuthJs,
    /// The same, where logins with e-mail and password are configured.
    WithAuthJsAndCredentials,
}

/// Whether pages of other sites may call an own endpoint with a method that may change something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrossSite {
    /// No: such a call gets 403 `cross_origin`.
    Refused,
    /// Yes: the endpoint is public, or has another protection (`state` of OAuth).
    Allowed,
}

/// The form of an own endpoint's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerForm {
    /// A page for a navigation, JSON for everything else.
    AsAsked,
    /// A page, whatever the request's headers ask for.
    Page,
    /// JSON.
    Json,
}

/// The service of a row, by the placeholder in its path.
#[derive(Clone, Copy, Debug)]
pub enum ServedBy {
    /// The path has no placeholder.
    One(OwnService),
    /// The path has `{provider}`.
    EachProvider(fn(ProviderIndex) -> OwnService),
    /// The path has `{channel}`.
    EachChannel(fn(Channel) -> OwnService),
}

/// How an own endpoint is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnService {
    /// The JWKS; no session is read.
    PublicKeys,
    /// A function that gets the request with its whole body and its session.
    Call {
        /// Names the function.
        endpoint: OwnEndpoint,
        /// What it checks that a client could guess.
        checks: Option<GuessCheck>,
    },
}

/// The own endpoints that are functions; `handle/own.rs` calls the function of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnEndpoint {
    /// The login page.
    LoginPage,
    /// Starts a login: redirects to the provider.
    Start(ProviderIndex),
    /// Ends a login: the redirect back from the provider.
    Callback(ProviderIndex),
    /// The login of an app with an ID token.
    IdToken(ProviderIndex),
    /// The nonce for an ID token.
    Nonce(ProviderIndex),
    /// The login with e-mail and password.
    Credentials,
    /// Refreshes the session's tokens.
    Refresh,
    /// Describes the session to scripts.
    Session,
    /// The logout.
    Logout,
    /// The page after a logout.
    LoggedOut,
    /// The script of our pages.
    Script,
    /// The logo of our pages.
    Logo,
    /// Sends a one-time code.
    SendCode(Channel),
    /// Sends a one-time code again.
    ResendCode(Channel),
    /// Checks a one-time code.
    VerifyCode(Channel),
    /// The page for one-time codes.
    CodePage(Channel),
    /// What the clients of Auth.js call.
    AuthJs(AuthJsEndpoint),
}

/// The endpoints of Auth.js (`session.compat`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthJsEndpoint {
    /// The CSRF token.
    Csrf,
    /// The login methods.
    Providers,
    /// Refreshes the session's tokens and describes the session.
    Update,
    /// Leads to the login page, or to the beginning of a login at that provider.
    SignInPage(Option<ProviderIndex>),
    /// Tells where a login begins.
    SignIn(Option<ProviderIndex>),
    /// The login with e-mail and password.
    Credentials,
    /// Asks whether to log out.
    SignOutPage,
    /// The logout.
    SignOut,
    /// Leads to the login page, which explains a failed login.
    Error,
    /// Takes what a page would log.
    Log,
}

/// What an endpoint checks that a client could guess or forge. Wrong guesses count against the client (`[limits]
/// failures_…`), and a client that may not guess any more gets the refusal of that check.
///
/// Session cookies are not among them: they cannot be forged without the gateway's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuessCheck {
    /// A password.
    Password,
    /// A password, in the form of Auth.js.
    AuthJsPassword,
    /// A one-time code.
    Code(Channel),
    /// An ID token of a provider.
    ProviderProof(ProviderIndex),
}

/// A configured provider, by its place in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProviderIndex(pub(super) usize);

/// The gateway's own endpoints, without those of Auth.js.
pub(super) static OWN_ROWS: [OwnRow; 17] = [
    OwnRow {
        path: OwnPath::BelowBasePath("/login"),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the login page",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::LoginPage, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/login"),
        methods: OwnMethods::POST,
        exists: Exists::WithCredentials,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the login with e-mail and password",
        served_by: ServedBy::One(OwnService::Call {
            endpoint: OwnEndpoint::Credentials,
            checks: Some(GuessCheck::Password),
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/login/{provider}"),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "a login begins at `{provider}`",
        served_by: ServedBy::EachProvider(|provider| OwnService::Call {
            endpoint: OwnEndpoint::Start(provider),
            checks: None,
        }),
    },
    // A provider may answer by a POST of its own page (OAuth 2.0 Form Post Response Mode); `state` protects the login.
    // A HEAD that some scanner sends must not use up the login attempt.
    OwnRow {
        path: OwnPath::BelowBasePath("/callback/{provider}"),
        methods: OwnMethods::GET_WITHOUT_HEAD.and(OwnMethods::POST),
        exists: Exists::Always,
        cross_site: CrossSite::Allowed,
        answers: AnswerForm::Page,
        explain: "a login comes back from `{provider}`",
        served_by: ServedBy::EachProvider(|provider| OwnService::Call {
            endpoint: OwnEndpoint::Callback(provider),
            // Only a wrong state beside the cookie of its attempt is a guess, and the callback counts it: a page of
            // another site can load this address.
            checks: None,
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/{provider}"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the login of an app with an ID token of `{provider}`",
        served_by: ServedBy::EachProvider(|provider| OwnService::Call {
            endpoint: OwnEndpoint::IdToken(provider),
            checks: Some(GuessCheck::ProviderProof(provider)),
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/{provider}/nonce"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the nonce for an ID token of `{provider}`",
        served_by: ServedBy::EachProvider(|provider| OwnService::Call {
            endpoint: OwnEndpoint::Nonce(provider),
            checks: None,
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/login/{channel}"),
        methods: OwnMethods::GET,
        exists: Exists::WithCodePage,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the page for one-time codes",
        served_by: ServedBy::EachChannel(|channel| OwnService::Call {
            endpoint: OwnEndpoint::CodePage(channel),
            checks: None,
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/{channel}/send"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "sends a one-time code",
        served_by: ServedBy::EachChannel(|channel| OwnService::Call {
            endpoint: OwnEndpoint::SendCode(channel),
            checks: None,
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/{channel}/resend"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "sends a one-time code again",
        served_by: ServedBy::EachChannel(|channel| OwnService::Call {
            endpoint: OwnEndpoint::ResendCode(channel),
            checks: None,
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/{channel}/verify"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "takes a one-time code",
        served_by: ServedBy::EachChannel(|channel| OwnService::Call {
            endpoint: OwnEndpoint::VerifyCode(channel),
            checks: Some(GuessCheck::Code(channel)),
        }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/refresh"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the refresh",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::Refresh, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/session"),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "what scripts may know of the session",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::Session, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/logout"),
        methods: OwnMethods::POST,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the logout",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::Logout, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/logged-out"),
        // A HEAD must not use up the address that leads to a provider's logout.
        methods: OwnMethods::GET_WITHOUT_HEAD,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Page,
        explain: "the page after a logout",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::LoggedOut, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/assets/page.js"),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the script of the pages",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::Script, checks: None }),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/assets/logo"),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the logo of the pages",
        served_by: ServedBy::One(OwnService::Call { endpoint: OwnEndpoint::Logo, checks: None }),
    },
    OwnRow {
        path: OwnPath::AtRoot(JWKS_PATH),
        methods: OwnMethods::GET,
        exists: Exists::Always,
        cross_site: CrossSite::Allowed,
        answers: AnswerForm::Json,
        explain: "its public keys",
        served_by: ServedBy::One(OwnService::PublicKeys),
    },
];

impl OwnMethods {
    /// GET and HEAD.
    pub const GET: Self = Self(0b011);
    /// GET without HEAD, for an endpoint whose GET changes something.
    pub const GET_WITHOUT_HEAD: Self = Self(0b001);
    /// POST.
    pub const POST: Self = Self(0b100);

    /// The methods of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `method` is one of them.
    pub(super) fn contain(self, method: &Method) -> bool {
        let bit = match *method {
            Method::GET => 0b001,
            Method::HEAD => 0b010,
            Method::POST => 0b100,
            _ => 0,
        };
        self.0 & bit != 0
    }

    /// The value of `Allow` (RFC 9110 section 10.2.1).
    pub(super) fn allow(self) -> &'static str {
        const ALLOW: [&str; 8] = ["", "GET", "HEAD", "GET, HEAD", "POST", "GET, POST", "HEAD, POST", "GET, HEAD, POST"];
        ALLOW[usize::from(self.0)]
    }
}
