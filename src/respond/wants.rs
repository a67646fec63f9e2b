//! The form (page or JSON) and the language of an answer.

use http::HeaderMap;

use crate::text::Language;

/// The form and the language of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Page or JSON.
    pub form: WantedForm,
    /// By `Accept-Language`.
    pub language: Language,
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
        Self { form, language: Language::of(headers) }
    }
}
