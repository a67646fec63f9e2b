//! `GET /login` and `GET /login/{provider}`: the page with every login method, and the redirect to a provider.

use std::{borrow::Cow, sync::Arc};

use http::StatusCode;

use super::{
    error::LoginError,
    fields::{are_usual, form_fields, wording},
    logins::{Failed, Logins},
    state,
};
use crate::{
    authority::CREDENTIALS_METHOD,
    endpoint::{Call, EndpointAnswer, LoginPlace, Parameters, with_return_to},
    oidc::{Preset, Provider, ProviderKind, ResponseMode},
    pages::{Asset, Brand, CodeForm, LoginPage, PasswordForm, ProviderLink},
    problem::{Denial, ProblemKind},
    session::{CookieChanges, Reach},
    text::Language,
};

/// A login method, as scripts may offer it.
pub struct Method {
    /// Its name in paths.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it is.
    pub kind: MethodKind,
}

/// What a login method is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MethodKind {
    /// An OpenID Connect provider.
    Oidc,
    /// An OAuth 2.0 provider without OpenID Connect.
    OAuth2,
    /// E-mail address and password.
    Credentials,
}
/// The host of Apple's issuer (its discovery document has `https://appleid.apple.com`).
const APPLE: &str = "appleid.apple.com";

impl Logins {
    /// `GET /login`: a page with every configured method. If the only method is a provider, it redirects to that
    /// provider, except after an error. With a session it redirects to `return_to`.
    pub async fn page(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let query = call.query.take().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        let (asked, error) = match (query.once("return_to"), query.once("error")) {
            (Ok(asked), Ok(error)) => (asked, error),
            (Err(repeated), _) | (_, Err(repeated)) => {
                return Err(Failed::new(&call, repeated.into(), CookieChanges::default()));
            }
        };
        let return_to = &*self.return_to.follow(asked, &call.origin);
        call.visit.ensure().await;
        if call.visit.access().is_some() {
            let (auth_status, cookies) = call.visit.head();
            return Ok(EndpointAnswer::see_other(return_to, cookies, auth_status));
        }
        if let (Some(only), None) = (self.only_provider(), error) {
            return self.start_at(&call, &only.settings().name, return_to).await;
        }
        let problem = error.and_then(ProblemKind::on_login_page);
        let page = self.pages.login(&LoginPage {
            language: call.language,
            message: error.and_then(|code| self.message(code, call.language)),
            invalid: problem.is_some_and(is_about_a_field),
            password_first: problem.is_some(),
            methods: self
                .providers
                .iter()
                .map(|provider| self.provider_link(provider, call.language, return_to))
                .collect(),
            codes: self
                .settings
                .codes
                .iter()
                .map(|(channel, name)| CodeForm { channel: *channel, name, return_to })
                .collect(),
            form: self.authority.credential_fields().map(|names| PasswordForm {
                action: self.at("login"),
                return_to,
                fields: form_fields(names, call.language),
            }),
        });
        let (auth_status, cookies) = call.visit.head();
        Ok(EndpointAnswer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// `GET /assets/…`: a file that the pages load.
    pub fn asset(&self, call: &Call, asset: Asset) -> Result<EndpointAnswer, Failed> {
        match self.pages.asset(asset) {
            Some((media_type, bytes)) => {
                let (auth_status, cookies) = call.visit.head();
                Ok(EndpointAnswer::file(media_type, bytes, cookies, auth_status))
            }
            None => Err(Failed::new(call, LoginError::NotConfigured, CookieChanges::default())),
        }
    }

    /// `GET /login/{provider}?return_to=`: redirects to the provider and sets the cookie of a new attempt.
    pub async fn start(&self, call: Call, provider: &str) -> Result<EndpointAnswer, Failed> {
        let query = Parameters::of(call.query.as_deref().unwrap_or_default().as_bytes());
        let asked = match query.once("return_to") {
            Ok(asked) => asked,
            Err(repeated) => return Err(Failed::new(&call, repeated.into(), CookieChanges::default())),
        };
        let return_to = self.return_to.follow(asked, &call.origin);
        self.start_at(&call, provider, &return_to).await
    }

    async fn start_at(&self, call: &Call, provider: &str, return_to: &str) -> Result<EndpointAnswer, Failed> {
        let started = self.redirect_to(call, provider, return_to).await;
        let failed = |error| self.failed(call, provider, error, CookieChanges::default());
        started.map_err(|error| failed(error).returning_to(Some(return_to)))
    }

    async fn redirect_to(&self, call: &Call, name: &str, return_to: &str) -> Result<EndpointAnswer, LoginError> {
        let provider = self.provider(name)?;
        // A part of any page, or a script: it would push out a login under way, and no person would see the provider.
        if !call.may_begin_login {
            return Err(LoginError::NotOpened);
        }
        if call.origin.logins() == LoginPlace::AtPublicUrl {
            // No provider redirects to this host: the login begins and ends at `public_url`.
            let path = return_to.strip_prefix(call.origin.as_str()).unwrap_or(return_to);
            let (auth_status, cookies) = call.visit.head();
            let start = self.origins.public().absolute(&self.start_address(name, path));
            return Ok(EndpointAnswer::see_other(start, cookies, auth_status));
        }
        let device = self.sessions.device_id(&call.headers);
        if device.is_some_and(|device| self.loops.detects_loop(device, return_to, self.clock.now())) {
            tracing::warn!(provider = name, "three logins for one path within 30 s: the login loop page is shown");
            let request_id = call.client.trace().request_id.as_ref().and_then(|id| id.to_str().ok());
            let page = self.pages.login_loop(call.language, &self.start_address(name, return_to), request_id);
            let (auth_status, cookies) = call.visit.head();
            return Ok(EndpointAnswer::page(StatusCode::TOO_MANY_REQUESTS, page, cookies, auth_status));
        }
        let authorization = provider.authorization(&self.settings.redirect_uri(&call.origin, name), &[]).await?;
        let attempt = self.attempt(call, name, authorization.attempt, return_to).await;
        let id = state::attempt_of(attempt.oidc.state.expose()).ok_or(LoginError::AttemptExpired)?;
        let reach = match provider.settings().response_mode {
            ResponseMode::Query => Reach::Lax,
            ResponseMode::FormPost => Reach::CrossSite,
        };
        let attempt_cookie = self.sessions.attempts().keep(&call.headers, id, &attempt, reach);
        let (auth_status, cookies) = call.visit.head();
        Ok(EndpointAnswer::see_other(authorization.url, cookies.and(attempt_cookie), auth_status))
    }

    fn provider_link<'a>(&self, provider: &'a Provider, language: Language, return_to: &str) -> ProviderLink<'a> {
        let settings = provider.settings();
        ProviderLink {
            href: self.start_address(&settings.name, return_to),
            brand: match settings.preset {
                Preset::Google => Brand::Google,
                Preset::Kakao => Brand::Kakao,
                Preset::Naver => Brand::Naver,
                Preset::GitHub => Brand::GitHub,
                Preset::Generic if settings.issuer.host_str() == Some(APPLE) => Brand::Apple,
                Preset::Generic => Brand::Other,
            },
            label: settings.label.as_ref().map(|label| label.of(language).as_str()),
            name: &settings.name,
        }
    }

    /// The name of a provider as its button shows it.
    pub(super) fn label_of(&self, provider: &Provider, language: Language) -> String {
        let link = self.provider_link(provider, language, "");
        link.label
            .map_or_else(|| link.brand.name().map_or(link.name, |name| name.say(language)).to_owned(), str::to_owned)
    }

    /// The login methods that scripts may offer: providers, then the login with e-mail and password.
    pub fn methods(&self, language: Language) -> Vec<Method> {
        let of_provider = |provider: &Arc<Provider>| Method {
            name: provider.settings().name.clone(),
            label: self.label_of(provider, language),
            kind: match provider.settings().kind {
                ProviderKind::Oidc => MethodKind::Oidc,
                ProviderKind::OAuth2(_) => MethodKind::OAuth2,
            },
        };
        let credentials = || Method {
            name: CREDENTIALS_METHOD.to_owned(),
            label: "Credentials".to_owned(),
            kind: MethodKind::Credentials,
        };
        let takes_credentials = self.authority.takes_credentials();
        self.providers.iter().map(of_provider).chain(takes_credentials.then(credentials)).collect()
    }

    /// The path where the login at a provider begins, with `return_to`.
    pub fn start_address(&self, provider: &str, return_to: &str) -> String {
        with_return_to(&self.at(&format!("login/{provider}")), &[], self.in_link(return_to))
    }

    /// The login page that explains the problem or denial with the code `error`.
    pub(super) fn login_page_with(&self, error: &'static str, return_to: &str) -> String {
        self.login_page_for(&[("error", error)], return_to)
    }

    /// The login page with these parameters.
    pub fn login_page_for(&self, parameters: &[(&str, &str)], return_to: &str) -> String {
        with_return_to(&self.login_page, parameters, self.in_link(return_to))
    }

    /// `return_to` for a link; not needed if it is `after_login`.
    pub(super) fn in_link<'a>(&self, return_to: &'a str) -> Option<&'a str> {
        Some(return_to).filter(|return_to| *return_to != self.return_to.after_login())
    }

    /// The message for the query's `error`, from the tables of problems and denials: a link cannot make the page show
    /// other text.
    fn message(&self, code: &str, language: Language) -> Option<Cow<'static, str>> {
        if let Some(denial) = Denial::of_code(code) {
            return Some(denial.text().say(language).into());
        }
        let kind = ProblemKind::on_login_page(code)?;
        let of_others = self.authority.credential_fields().is_some_and(|names| !are_usual(names));
        match wording(kind).filter(|_| of_others) {
            Some(wording) => Some(wording.say(language).into()),
            None => Some(kind.text(language, None)),
        }
    }

    /// The path of an own endpoint.
    pub(super) fn at(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.settings.base_path)
    }
}

/// Whether a problem is about what was typed.
const fn is_about_a_field(problem: ProblemKind) -> bool {
    matches!(problem, ProblemKind::BadCredentials | ProblemKind::AccountRefused | ProblemKind::CredentialsMissing)
}
