//! Names of fields in the bodies of the gateway's own endpoints, where the file chooses them.

use crate::config::schema::{context::Context, tree::Place};

/// Longest name of a field, in octets.
const LONGEST_NAME: usize = 64;

/// Whether `name` can be the name of a field, with a complaint if not. `own` are the names that the endpoint itself
/// has, `before` those that the file gave to other fields.
pub(super) fn is_field(name: &str, own: &[&str], before: &[String], place: &Place, cx: &mut Context<'_>) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let (message, help) = if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_word) {
        (
            format!("`{}` cannot be the name of a field", name.escape_debug()),
            "write 1 to 64 letters, digits, `_`, `-` and `.`, e.g. \"login_id\"".to_owned(),
        )
    } else if own.contains(&name) {
        (
            format!("`{name}` is a field of the gateway's own here"),
            format!("write another name; taken are {}", own.join(", ")),
        )
    } else if before.iter().any(|other| other == name) {
        (format!("two fields are called `{name}`"), "give one of them another name".to_owned())
    } else {
        return true;
    };
    cx.complain(place, message, help);
    false
}
