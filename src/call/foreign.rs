//! The placeholders of other tools, and mistyped ones. As text of a template they would be sent as they are, or give
//! nothing.

/// The name of all claims in lists of allowed placeholders.
pub(super) const CLAIMS: &str = "claims.";

/// A text that looks like a placeholder and is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Foreign {
    /// As it is written.
    pub(super) written: String,
    /// The placeholder that is meant, without braces.
    pub(super) meant: String,
}

/// The first placeholder of another spelling in a message, as it is written and what is meant, without braces.
pub fn foreign_placeholder(text: &str, known: &[&str]) -> Option<(String, String)> {
    placeholder(text, known).map(|foreign| (foreign.written, foreign.meant))
}

/// The first placeholder of another spelling in `text`. `known` are the names of this call's placeholders.
///
/// Text stays text where it is common: braces of JSON and CSS, `$` without one of our names behind it.
pub(super) fn placeholder(text: &str, known: &[&str]) -> Option<Foreign> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '$', '%', '#', '<']) {
        rest = &rest[at..];
        if let Some(foreign) = begins(rest, known) {
            return Some(foreign);
        }
        rest = &rest[1..];
    }
    None
}

/// The placeholder of another spelling that `text` begins with.
fn begins(text: &str, known: &[&str]) -> Option<Foreign> {
    let (sign, rest) = text.split_at_checked(1)?;
    if sign == "{" {
        return in_braces(text, known);
    }
    if let Some(braced) = rest.strip_prefix('{').filter(|_| sign != "<") {
        // `${name}`, `%{name}`, `#{name}`
        let (inside, _) = braced.split_once('}')?;
        return Some(Foreign { written: format!("{sign}{{{inside}}}"), meant: name_in(inside, known)? });
    }
    // `$name`, `%claims.name%`, `<claims.name>`
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let closed_by = match sign {
        "$" => "",
        "%" => "%",
        "<" => ">",
        _ => return None,
    };
    // An element of XML may have the name of any other placeholder.
    let may_be_text = !closed_by.is_empty() && !name.contains('.');
    if may_be_text || !after.starts_with(closed_by) {
        return None;
    }
    Some(Foreign { written: format!("{sign}{name}{closed_by}"), meant: name_in(name, known)? })
}

/// `{ name }`, `{{name}}`, `{{ .name }}`, and claims that no token has: `{claims.*}`, `{claims['sub']}`.
fn in_braces(text: &str, known: &[&str]) -> Option<Foreign> {
    let inner = text.trim_start_matches('{');
    let (inside, after) = inner.split_once('}')?;
    let (opened, is_closed_twice) = (text.len() - inner.len(), after.starts_with('}'));
    let meant = name_in(inside, known)?;
    match opened {
        1 if meant == inside => None,
        1 => Some(Foreign { written: format!("{{{inside}}}"), meant }),
        // In `{{name}` the first brace may be that of a JSON object.
        _ => is_closed_twice.then(|| Foreign { written: format!("{{{{{inside}}}}}"), meant }),
    }
}

/// The placeholder that is meant by the text between two braces, if it begins with one of our names.
fn name_in(inside: &str, known: &[&str]) -> Option<String> {
    let clean = inside.trim_matches(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '$' | '"' | '\''));
    let clean = clean.trim_start_matches('.');
    if known.contains(&clean) && !clean.ends_with('.') {
        return Some(clean.to_owned());
    }
    let family = CLAIMS.trim_end_matches('.');
    let begins = clean.get(..family.len()).is_some_and(|head| head.eq_ignore_ascii_case(family));
    let claim = clean.get(family.len()..).filter(|_| begins && known.contains(&CLAIMS))?;
    if !claim.starts_with(['.', '[', ':', '-', '/', '|', ' ']) {
        return None;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '/' | '.' | '#' | '@');
    let name = claim.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    // Names of claims may be URLs (OpenID Connect Core section 5.1.2).
    let ends = |c: char| if name.contains("://") { c.is_whitespace() } else { !is_part(c) };
    let end = name.find(ends).unwrap_or(name.len());
    let name = name[..end].trim_end_matches('.');
    Some(format!("{CLAIMS}{}", if name.is_empty() { "NAME" } else { name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["email", "device_id", CLAIMS];

    #[test]
    fn the_placeholders_of_other_tools_and_mistyped_ones_are_found_with_what_is_meant() {
        for (text, written, meant) in [
            ("{claims.*}", "{claims.*}", "claims.NAME"),
            ("${claims.sub}", "${claims.sub}", "claims.sub"),
            ("user-${claims.sub}", "${claims.sub}", "claims.sub"),
            ("{{claims.sub}}", "{{claims.sub}}", "claims.sub"),
            ("{{ .claims.sub }}", "{{ .claims.sub }}", "claims.sub"),
            ("{{ .Claims.sub }}", "{{ .Claims.sub }}", "claims.sub"),
            ("$claims.sub", "$claims.sub", "claims.sub"),
            ("{ claims.sub }", "{ claims.sub }", "claims.sub"),
            ("{claims.sub }", "{claims.sub }", "claims.sub"),
            ("{claims.sub|lower}", "{claims.sub|lower}", "claims.sub"),
            ("{claims.groups[0]}", "{claims.groups[0]}", "claims.groups"),
            ("{claims['sub']}", "{claims['sub']}", "claims.sub"),
            ("{claims:sub}", "{claims:sub}", "claims.sub"),
            ("{claims->sub}", "{claims->sub}", "claims.sub"),
            ("{claims./role}", "{claims./role}", "claims.role"),
            ("{\"claims.sub\"}", "{\"claims.sub\"}", "claims.sub"),
            ("%{claims.sub}", "%{claims.sub}", "claims.sub"),
            ("#{email}", "#{email}", "email"),
            ("%claims.sub%", "%claims.sub%", "claims.sub"),
            ("<claims.sub>", "<claims.sub>", "claims.sub"),
            ("a {{email}} b", "{{email}}", "email"),
            ("a { email } b", "{ email }", "email"),
            ("${email}", "${email}", "email"),
            ("$email", "$email", "email"),
        ] {
            let found = Foreign { written: written.to_owned(), meant: meant.to_owned() };
            assert_eq!(placeholder(text, KNOWN), Some(found), "{text}");
        }
    }

    #[test]
    fn our_placeholders_and_texts_with_braces_and_dollar_signs_are_none() {
        for text in [
            "{claims.sub}",
            "{claims.sub}-{email}",
            "{claims.https://x.kr/role?a[b]}",
            "{claims.urn:zitadel:iam:org:project:roles}",
            "{claims.이름}",
            "{\"email\":\"{email}\"}",
            "{\"user\":{email}}",
            "{\"claims\": {\"a\": 1}}",
            "<email>{email}</email>",
            "Name <{email}>",
            "100% {email}",
            "$5 {email}",
            "{} {0} }{ {{}}",
            "a { b } c",
        ] {
            assert_eq!(placeholder(text, KNOWN), None, "{text}");
        }
        assert_eq!(placeholder("{claims.*}", &["email"]), None, "a call without claims");
    }
}
