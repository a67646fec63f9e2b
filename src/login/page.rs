//! `GET /login` and `GET /login/{provider}`: the page with every login method, and the redirect to a provider.

use std::borrow::Cow;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::{
    error::LoginError,
    logins::{Failed, Logins},
    state,
};
use crate::{
    endpoint::{Call, EndpointAnswer, Parameters},
    oidc::{self, Preset, Provider, ResponseMode},
    pages::{Asset, Brand, CodeForm, LoginPage, PasswordForm, ProviderLink},
    problem::{Denial, ProblemKind},
    session::{CookieChanges, Reach},
    text::Language,
};

/// The content of a login attempt's cookie.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LoginAttempt {
    pub(super) provider: String,
    pub(super) oidc: oidc::Attempt,
    pub(super) return_to: String,
    /// The browser's device id. A callback by `form_post` has no SameSite=Lax cookies, so the device cookie is missing
    /// there.
    pub(super) device: Option<Uuid>,
}

impl Logins {
    /// `GET /login`: a page with every configured method. If the only method is a provider, it redirects to that
    /// provider, except after an error. With a session it redirects to `return_to`.
    pub async fn page(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let query = call.query.take().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        let return_to = self.return_to.follow(query.first("return_to"));
        call.visit.ensure().await;
        if call.visit.access().is_some() {
            let (auth_status, cookies) = call.visit.head();
            return Ok(EndpointAnswer::see_other(return_to, cookies, auth_status));
        }
        let error = query.first("error");
        let has_forms = self.authority.takes_credentials() || !self.settings.codes.is_empty();
        if let ([only], false, None) = (self.providers.as_slice(), has_forms, error) {
            return self.start_at(&call, &only.settings().name, return_to).await;
        }
        let page = self.pages.login(&LoginPage {
            language: call.language(),
            message: error.and_then(|code| message(code, call.language())),
            invalid: error.and_then(ProblemKind::on_login_page).is_some_and(is_about_a_field),
            methods: self
                .providers
                .iter()
                .map(|provider| self.provider_link(provider, call.language(), return_to))
                .collect(),
            codes: self.settings.codes.iter().map(|channel| CodeForm { channel: *channel, return_to }).collect(),
            form: self.authority.takes_credentials().then(|| PasswordForm { action: self.at("login"), return_to }),
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
        let return_to = self.return_to.follow(query.first("return_to"));
        self.start_at(&call, provider, return_to).await
    }

    async fn start_at(&self, call: &Call, provider: &str, return_to: &str) -> Result<EndpointAnswer, Failed> {
        let started = self.redirect_to(call, provider, return_to).await;
        started.map_err(|error| self.failed(call, provider, error, CookieChanges::default()))
    }

    async fn redirect_to(&self, call: &Call, name: &str, return_to: &str) -> Result<EndpointAnswer, LoginError> {
        let provider = self.provider(name)?;
        let device = self.sessions.device_id(&call.headers);
        if device.is_some_and(|device| self.loops.detects_loop(device, return_to, self.clock.now())) {
            tracing::warn!(provider = name, "three logins for one path within 30 s: the login loop page is shown");
            let page = self.pages.login_loop(call.language(), &self.start_address(name, return_to));
            let (auth_status, cookies) = call.visit.head();
            return Ok(EndpointAnswer::page(StatusCode::TOO_MANY_REQUESTS, page, cookies, auth_status));
        }
        let authorization = provider.authorization(&self.redirect_uri(name), &[]).await?;
        let oidc = authorization.attempt;
        let attempt = LoginAttempt { provider: name.to_owned(), oidc, return_to: return_to.to_owned(), device };
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
                Preset::Generic => Brand::Other,
            },
            label: settings.label.as_ref().map(|label| label.of(language).as_str()),
            name: &settings.name,
        }
    }

    /// The path where the login at a provider begins, with `return_to`.
    fn start_address(&self, provider: &str, return_to: &str) -> String {
        self.with_return_to(&self.at(&format!("login/{provider}")), None, return_to)
    }

    /// The login page that explains the problem or denial with the code `error`.
    pub(super) fn login_page_with(&self, error: &'static str, return_to: &str) -> String {
        self.with_return_to(&self.login_page, Some(error), return_to)
    }

    /// An address with `error` and `return_to` in its query; without `return_to` if it is `after_login`.
    fn with_return_to(&self, address: &str, error: Option<&'static str>, return_to: &str) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(error.map(|code| ("error", code)));
        query.extend_pairs((return_to != self.settings.after_login).then_some(("return_to", return_to)));
        let query = query.finish();
        if query.is_empty() {
            return address.to_owned();
        }
        let join = if address.contains('?') { '&' } else { '?' };
        format!("{address}{join}{query}")
    }

    /// The redirect URI that is registered with the provider; built only from the configuration.
    pub(super) fn redirect_uri(&self, provider: &str) -> String {
        self.public_address(&self.at(&format!("callback/{provider}")))
    }

    /// An own path as an absolute address.
    pub(super) fn public_address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.public_url.origin().ascii_serialization())
    }

    fn at(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.settings.base_path)
    }
}

/// Whether a problem is about what was typed.
const fn is_about_a_field(problem: ProblemKind) -> bool {
    matches!(problem, ProblemKind::BadCredentials | ProblemKind::AccountRefused | ProblemKind::CredentialsMissing)
}

/// The message for the query's `error`, from the tables of problems and denials: a link cannot make the page show other
/// text.
fn message(code: &str, language: Language) -> Option<Cow<'static, str>> {
    let denial = Denial::of_code(code).map(|denial| denial.text().say(language).into());
    denial.or_else(|| Some(ProblemKind::on_login_page(code)?.text(language, None)))
}
