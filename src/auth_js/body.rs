//! The body of a call: a form of `next-auth/react`, or JSON.

use crate::endpoint::{BodyFormat, Call, Fields, Parameters, Unreadable};

/// The fields of a body. One of another format has none, so that its CSRF token counts as missing.
pub(super) enum Body<'b> {
    Form(Parameters<'b>),
    Json(Fields),
}

impl Default for Body<'_> {
    fn default() -> Self {
        Self::Form(Parameters::default())
    }
}

impl<'b> Body<'b> {
    /// Reads the body of `call`, which is a copy for calls that change meanwhile.
    pub(super) fn of(call: &Call, body: &'b [u8]) -> Result<Self, Unreadable> {
        Ok(match call.body_format() {
            BodyFormat::Form => Self::Form(Parameters::of(body)),
            BodyFormat::Json => Self::Json(Fields::of(call)?),
            BodyFormat::Empty | BodyFormat::Other => Self::default(),
        })
    }

    /// A text; `None` if the field is absent, empty, or no text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self {
            Self::Form(form) => form.once(name).ok().flatten(),
            Self::Json(fields) => fields.text(name),
        }
    }
}
