//! Every text that people read, in all languages side by side, and how a visitor's language is chosen.

mod language;
mod texts;

pub use language::{Language, Translated};
pub use texts::Text;
