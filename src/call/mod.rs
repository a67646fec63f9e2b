//! Configured HTTP calls to backends, for `authority` and `otp`: a method, a path, headers and a body with
//! `{placeholders}`. Each value is encoded for its place, so that it cannot change the syntax of the request.

mod assertion;
mod caller;
mod fill;
mod foreign;
mod parse;
mod placeholders;
mod template;
#[cfg(test)]
mod tests;

pub use assertion::AssertionSigner;
pub use caller::{Backend, BackendAnswer, CallError, Caller};
pub use fill::{BadValue, Values};
pub use foreign::foreign_placeholder;
pub use parse::{TemplateError, Texts};
pub use template::{Body, Json, Piece, Placeholder, Template, Text};
