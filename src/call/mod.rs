//! The templated HTTP call to a backend that `authority`, `otp` and `login` share: a method, a path, headers and a body
//! with `{placeholders}`, filled with values that stay data and never become syntax.

mod assertion;
mod caller;
mod fill;
mod parse;
mod placeholders;
mod template;
#[cfg(test)]
mod tests;

pub use assertion::AssertionSigner;
pub use caller::{Backend, BackendAnswer, CallError, Caller};
pub use fill::{BadValue, Values};
pub use parse::TemplateError;
pub use template::{Body, Json, Piece, Placeholder, Template, Text};
