//! The own endpoints that the clients of Auth.js call (`session.compat`), one row each.

use super::own::{
    AnswerForm, AuthJsEndpoint, CrossSite, Exists, GuessCheck, OwnEndpoint, OwnMethods, OwnPath, OwnRow, OwnService,
    ServedBy,
};

/// The endpoints of Auth.js. `GET /session` is the gateway's own, in another shape.
pub(super) static AUTH_JS_ROWS: [OwnRow; 12] = [
    OwnRow {
        path: OwnPath::BelowBasePath("/csrf"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Json,
        explain: "the CSRF token of Auth.js",
        served_by: ServedBy::One(call(AuthJsEndpoint::Csrf, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/providers"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Json,
        explain: "the login methods, for Auth.js",
        served_by: ServedBy::One(call(AuthJsEndpoint::Providers, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/session"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Json,
        explain: "`update` of Auth.js: refreshes the session",
        served_by: ServedBy::One(call(AuthJsEndpoint::Update, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signin"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Page,
        explain: "leads to the login page",
        served_by: ServedBy::One(call(AuthJsEndpoint::SignInPage(None), None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signin"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "tells Auth.js where logins begin",
        served_by: ServedBy::One(call(AuthJsEndpoint::SignIn(None), None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signin/{provider}"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Page,
        explain: "leads to the login at `{provider}`",
        served_by: ServedBy::EachProvider(|provider| call(AuthJsEndpoint::SignInPage(Some(provider)), None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signin/{provider}"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "tells Auth.js where the login at `{provider}` begins",
        served_by: ServedBy::EachProvider(|provider| call(AuthJsEndpoint::SignIn(Some(provider)), None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/callback/credentials"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJsAndCredentials,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the login of Auth.js with e-mail and password",
        served_by: ServedBy::One(call(AuthJsEndpoint::Credentials, Some(GuessCheck::AuthJsPassword))),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signout"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Page,
        explain: "asks whether to log out",
        served_by: ServedBy::One(call(AuthJsEndpoint::SignOutPage, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/signout"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::AsAsked,
        explain: "the logout of Auth.js",
        served_by: ServedBy::One(call(AuthJsEndpoint::SignOut, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/error"),
        methods: OwnMethods::GET,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Page,
        explain: "leads to the login page, which explains a failed login",
        served_by: ServedBy::One(call(AuthJsEndpoint::Error, None)),
    },
    OwnRow {
        path: OwnPath::BelowBasePath("/_log"),
        methods: OwnMethods::POST,
        exists: Exists::WithAuthJs,
        cross_site: CrossSite::Refused,
        answers: AnswerForm::Json,
        explain: "takes what a page of Auth.js would log",
        served_by: ServedBy::One(call(AuthJsEndpoint::Log, None)),
    },
];

const fn call(endpoint: AuthJsEndpoint, checks: Option<GuessCheck>) -> OwnService {
    OwnService::Call { endpoint: OwnEndpoint::AuthJs(endpoint), checks }
}
