//! The form (page or JSON) and the language of an answer.

use http::{HeaderMap, header, request::Parts};

use crate::text::Language;

/// The form and the language of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Page or JSON.
    pub form: WantedForm,
    /// By `Accept-Language`.
    pub language: Language,
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
    /// An answer in this form, in the language that `Accept-Language` prefers.
    pub fn new(form: WantedForm, headers: &HeaderMap) -> Self {
        Self { form, language: Language::of(headers), can_reload: form == WantedForm::Page }
    }

    /// For a request to an own endpoint: a navigation, a POST of a form too, gets a page; without `Sec-Fetch-Mode`, a
    /// request that accepts HTML.
    pub fn of_endpoint(parts: &Parts) -> Self {
        let mode = parts.headers.get("sec-fetch-mode");
        let accepts_pages = parts
            .headers
            .get(header::ACCEPT)
            .is_some_and(|a| memchr::memmem::find(a.as_bytes(), b"text/html").is_some());
        let form =
            if mode.map_or(accepts_pages, |mode| mode == "navigate") { WantedForm::Page } else { WantedForm::Problem };
        Self { can_reload: false, ..Self::new(form, &parts.headers) }
    }
}
