//! Whether a call has a parameter twice: in its query, in its body, or once in each.

use std::collections::HashSet;

use super::{
    call::{BodyFormat, Call},
    fields::Fields,
    parameters::Parameters,
};

impl Call {
    /// Whether the name of a parameter occurs twice: in the query, in the body, or once in each. Two parsers could use
    /// different values.
    pub fn repeats_a_parameter(&self) -> bool {
        let query = Parameters::of(self.query.as_deref().unwrap_or_default().as_bytes());
        let (form, json) = match self.body_format() {
            BodyFormat::Form => (Parameters::of(&self.body), Vec::new()),
            BodyFormat::Json => (Parameters::default(), Fields::names(&self.body)),
            BodyFormat::Empty | BodyFormat::Other => (Parameters::default(), Vec::new()),
        };
        let mut seen = HashSet::new();
        let mut names = query.names().chain(form.names()).chain(json.iter().map(String::as_str));
        query.has_more() || form.has_more() || !names.all(|name| seen.insert(name))
    }
}
