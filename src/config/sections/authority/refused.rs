//! `refused_when` of `[authority.refresh]`: values in the answer's JSON that end the session.

use super::call::RefreshTable;
use crate::{
    authority::RefusedWhen,
    config::schema::{
        context::Context,
        form::{Pointer, TextForm as _},
        section::Section,
        tree::{Entry, Value},
    },
};

const EXAMPLE: &str = "write e.g. `refused_when = { \"/errors/0/extensions/code\" = [\"invalid-jwt\"] }`";

/// Reads `refused_when`.
pub(super) fn refused_when(refresh: &Section<'_, RefreshTable>, cx: &mut Context<'_>) -> RefusedWhen {
    let mut conditions = Vec::new();
    for Entry { name, place, node } in refresh.entries(&RefreshTable::REFUSED_WHEN) {
        // The empty pointer is the whole document (RFC 6901 section 5): an answer may be a text alone.
        if !name.is_empty() && Pointer::parse(name).is_err() {
            cx.complain(place, format!("`{name}` is no JSON pointer"), EXAMPLE);
            continue;
        }
        let nodes = match &node.value {
            Value::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        if nodes.is_empty() {
            cx.complain(&node.place, format!("`{name}` lists no value, so it refuses nothing"), EXAMPLE);
        }
        let mut values = Vec::new();
        for node in nodes {
            match node.scalar() {
                Some(value) => values.push(value),
                None => cx.complain(&node.place, "a value must be a text, a number, true or false", EXAMPLE),
            }
        }
        conditions.push((name.clone(), values));
    }
    RefusedWhen::new(conditions)
}
