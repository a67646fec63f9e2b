//! What to write instead of a value of the wrong type, made from the value itself: a number with its unit, a text in a
//! list, a name in the table that lists names. Never called with a secret.

use super::{
    kind::{KeyKind, Rows},
    tree::Value,
};

/// The key with a value that its kind accepts; `None` if none can be made from this value.
pub(super) fn instead(name: &str, kind: &KeyKind, value: &Value) -> Option<String> {
    let written = match (kind, value) {
        (KeyKind::One(form), Value::Number(number)) => {
            let spelled = ["", "s", "B"].map(|unit| format!("{number}{unit}"));
            let spelled = spelled.into_iter().chain([format!("127.0.0.1:{number}")]);
            quoted(&spelled.into_iter().find(|text| (form.check)(text).is_ok())?)
        }
        (KeyKind::List(KeyKind::One(_) | KeyKind::Choice(..)), Value::Text(_)) => listed(kind, value)?,
        (KeyKind::Either(_, rows), Value::Text(_) | Value::List(_)) => in_table(*rows, value)?,
        _ => return None,
    };
    Some(format!("write `{name} = {written}`"))
}

/// `{ roles = ["admin"] }`: the first key of the table, if it lists values of this form.
pub(super) fn in_table(rows: Rows, value: &Value) -> Option<String> {
    let first = rows.iter().next()?;
    Some(format!("{{ {} = {} }}", first.name, listed(&first.kind, value)?))
}

/// `["a", "b"]`: the words of a text, or the texts of a list.
fn listed(kind: &KeyKind, value: &Value) -> Option<String> {
    let KeyKind::List(inner) = kind else { return None };
    let words: Vec<&str> = match value {
        Value::Text(text) => text.split([',', ' ']).filter(|word| !word.is_empty()).collect(),
        Value::List(list) => list.iter().map(|element| element.text()).collect::<Option<_>>()?,
        _ => return None,
    };
    let fits = |word: &&str| match inner {
        KeyKind::One(form) => (form.check)(word).is_ok(),
        KeyKind::Choice(known, _) => known.contains(word),
        _ => false,
    };
    let is_plain = |word: &&str| !word.contains(['"', '\\']) && !word.contains(char::is_control);
    let are_good = !words.is_empty() && words.iter().all(|word| fits(word) && is_plain(word));
    are_good.then(|| format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")))
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Whether a text is a variable of a shell, of a proxy's file or of a template, which nothing here fills in:
/// `${NAME}`, `$NAME`, `$name`, `{{ .name }}`.
pub(crate) fn is_variable(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let of_shell = text.strip_prefix('$').is_some_and(|rest| {
        let braced = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        is_name(braced.map_or(rest, |name| name.split(":-").next().unwrap_or_default()))
    });
    of_shell || (text.contains("{{") && text.contains("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_shells_and_templates_are_recognised() {
        for text in ["${SECRET}", "$SECRET", "$remote_user", "${A:-x}", "{{ .claims.sub }}", "Bearer {{ token }}"] {
            assert!(is_variable(text), "{text}");
        }
        for text in ["", "$", "$5", "a$b", "pa$$word", "{claims.sub}", "env:SECRET", "$2b$10$abc"] {
            assert!(!is_variable(text), "{text}");
        }
    }
}
