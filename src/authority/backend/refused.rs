//! Which answers to a refresh refuse the refresh token for good.

use serde_json::Value;

use crate::{call::BackendAnswer, received};

/// `authority.refresh.refused_when`: values in the answer's JSON that refuse the refresh token, whatever the status.
/// For GraphQL, and for APIs that answer errors with status 200.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RefusedWhen(Vec<(String, Vec<String>)>);

impl RefusedWhen {
    /// JSON pointers (RFC 6901), each with the values as text: `401` and `"401"` are equal.
    pub fn new(conditions: Vec<(String, Vec<String>)>) -> Self {
        Self(conditions)
    }

    /// Whether one of the places has one of its values.
    pub(super) fn applies_to(&self, answer: &BackendAnswer) -> bool {
        let Some(json) = answer.json.as_ref() else { return false };
        let at = |pointer: &str| json.pointer(pointer).and_then(|value: &Value| received::scalar_text(value));
        self.0.iter().any(|(pointer, values)| at(pointer).is_some_and(|found| values.contains(&found)))
    }
}
