//! Every text that visitors read, in all languages side by side, and the choice of a visitor's language.

mod language;
mod texts;

pub use language::{Language, Languages, Translated};
pub use texts::Text;
