//! The form (page or JSON) and the language of an answer.

use http::{HeaderMap, header};

use crate::text::{Language, Languages};

/// The form and the language of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Page or JSON.
    pub form: WantedForm,
    /// By `Accept-Language`.
    pub language: Language,
    /// Whether the request came with a bearer token (RFC 6750 section 2.1): its 401 then says that it is not valid.
    pub has_bearer: bool,
    /// Whether the page can be loaded again by itself: it answers a navigation to a route, not a step of a login.
    pub can_reload: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WantedForm {
    /// A page, for a person at a browser.
    Page,
    /// `application/problem+json`, for a program.
    Problem,
}

impl Wants {
    /// An answer in this form, in the language of `languages` that `Accept-Language` prefers.
    pub fn new(form: WantedForm, headers: &HeaderMap, languages: Languages) -> Self {
        let authorization = headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let scheme = authorization.and_then(|value| value.get(..b"Bearer ".len()));
        let has_bearer = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer "));
        Self { form, language: languages.of(headers), has_bearer, can_reload: form == WantedForm::Page }
    }
}
