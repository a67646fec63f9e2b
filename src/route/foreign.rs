//! The wildcards of other tools. As text of a pattern they would match no request, and the requests that were meant
//! would fall to another route.

/// What is wrong with a path pattern that has a wildcard of another tool, and what to write; `None` if it has none.
///
/// Text stays text where products have such paths: a colon behind a letter (`/v1/users:batch`), a leading dollar sign
/// (`/odata/$metadata`), parentheses and brackets inside a segment.
pub(super) fn problem(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let places = || parts.iter().enumerate().map(|(at, part)| (*part, at + 1 == parts.len()));
    let (part, (sign, escape)) = places().find_map(|(part, last)| Some((part, sign(part, last)?)))?;
    let instead: Option<Vec<_>> = places()
        .map(|(part, last)| if sign_of(part, last) { ours(part, last) } else { Some(part.to_owned()) })
        .collect();
    let instead = match instead {
        Some(parts) => format!("write `{}`", parts.join("/")),
        None => "write `{name}` for one whole segment, or `{*rest}` at the end for all that follows".to_owned(),
    };
    Some(match escape {
        Some(escape) => format!("`{part}` would be taken as text here: {instead}; a literal `{sign}` is `{escape}`"),
        None => format!("`{part}` would be taken as text here: {instead}"),
    })
}

/// Whether a text that is no pattern (a page's address, say) has a wildcard or placeholder of any tool.
pub fn has_wildcard(path: &str) -> bool {
    path.split('/').any(|part| part.contains(['*', '{', '}']) || sign(part, false).is_some())
}

fn sign_of(part: &str, last: bool) -> bool {
    sign(part, last).is_some()
}

/// The character that makes this segment a wildcard elsewhere, and how to write it as text.
fn sign(part: &str, last: bool) -> Option<(char, Option<&'static str>)> {
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        // `{name}` and `{*rest}` are ours; `{id:int}`, `{id?}`, `{**rest}`, `{rest...}` and `{$}` are not.
        return (!is_name(name.strip_prefix('*').unwrap_or(name))).then_some(('{', None));
    }
    let colon = |(at, _): (usize, &str)| {
        !part[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
            && part[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    Some(match part {
        "..." => ('.', None),
        "+" | ".+" => ('+', Some("%2B")),
        _ if part.contains('*') => ('*', Some("%2A")),
        _ if part.starts_with('(') => ('(', Some("%28")),
        _ if part.match_indices(':').any(colon) => (':', Some("%3A")),
        _ if part.contains('<') => ('<', Some("%3C")),
        _ if part.contains('>') => ('>', Some("%3E")),
        _ if part.starts_with('[') => ('[', Some("%5B")),
        _ if part.contains('|') => ('|', Some("%7C")),
        _ if part.contains('^') => ('^', Some("%5E")),
        _ if last && part.len() > 1 && part.ends_with('$') => ('$', Some("%24")),
        _ => return None,
    })
}

/// Our pattern for a segment of another tool; `None` where there is none.
fn ours(part: &str, last: bool) -> Option<String> {
    let all = |name: &str| {
        let name = if is_name(name) { name } else { "rest" };
        Some(if last { format!("{{*{name}}}") } else { "{name}".to_owned() })
    };
    let one = |name: &str| is_name(name).then(|| format!("{{{name}}}"));
    if matches!(part, "*" | "**" | "(.*)" | "(.+)" | ".*" | ".+" | "..." | "{*}" | "{**}" | "+") {
        return all("");
    }
    let within = |open: char, close: char| part.strip_prefix(open)?.strip_suffix(close);
    if let Some(name) = within('{', '}') {
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        return match name.strip_prefix("**").or(name.strip_suffix("...")).or(name.strip_suffix('*')) {
            Some(name) => all(name),
            None => one(name.trim_end_matches('?')),
        };
    }
    if let Some(name) = within('[', ']') {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        return name.strip_prefix("...").map_or_else(|| one(name), all);
    }
    if let Some(name) = within('<', '>') {
        return match name.split_once(':') {
            Some(("path", name)) => all(name),
            Some((_, name)) => one(name),
            None => one(name),
        };
    }
    let name = part.strip_prefix(':')?;
    match name.strip_suffix('*').or(name.strip_suffix('+')) {
        Some(name) => all(name),
        None => one(name.trim_end_matches('?')),
    }
}

/// Whether this can be the name of a placeholder.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wildcards_of_other_tools_are_an_error_with_what_to_write() {
        for (path, instead) in [
            ("/*", "`/{*rest}`"),
            ("/**", "`/{*rest}`"),
            ("/admin/*", "`/admin/{*rest}`"),
            ("/api/**", "`/api/{*rest}`"),
            ("/a/*/b", "`/a/{name}/b`"),
            ("/:id", "`/{id}`"),
            ("/users/:id/posts/:post?", "`/users/{id}/posts/{post}`"),
            ("/files/:path*", "`/files/{*path}`"),
            ("/files/:path+", "`/files/{*path}`"),
            ("/u/<id>", "`/u/{id}`"),
            ("/u/<int:id>", "`/u/{id}`"),
            ("/f/<path:rest>", "`/f/{*rest}`"),
            ("/blog/[slug]", "`/blog/{slug}`"),
            ("/blog/[...slug]", "`/blog/{*slug}`"),
            ("/blog/[[...slug]]", "`/blog/{*slug}`"),
            ("/admin/(.*)", "`/admin/{*rest}`"),
            ("/admin/.*", "`/admin/{*rest}`"),
            ("/admin/.+", "`/admin/{*rest}`"),
            ("/admin/...", "`/admin/{*rest}`"),
            ("/f/{path...}", "`/f/{*path}`"),
            ("/f/{**path}", "`/f/{*path}`"),
            ("/f/{*}", "`/f/{*rest}`"),
            ("/u/{id:int}", "`/u/{id}`"),
            ("/u/{id:[0-9]+}", "`/u/{id}`"),
            ("/u/{id?}", "`/u/{id}`"),
            ("/a/+", "`/a/{*rest}`"),
        ] {
            let problem = problem(path).unwrap_or_else(|| panic!("{path}"));
            assert!(problem.contains(&format!("write {instead}")), "{path}: {problem}");
        }
        for (path, literal) in [
            ("/a*b", "`*` is `%2A`"),
            ("/*.js", "`*` is `%2A`"),
            ("/{x}*", "`*` is `%2A`"),
            ("/img/*.{ext}", "`*` is `%2A`"),
            ("/@:user", "`:` is `%3A`"),
            ("/flights/:from-:to", "`:` is `%3A`"),
            ("/(en|ko)/x", "`(` is `%28`"),
            ("/(?:x)", "`(` is `%28`"),
            ("/en|ko", "`|` is `%7C`"),
            ("/^admin", "`^` is `%5E`"),
            ("/admin$", "`$` is `%24`"),
            ("/[0-9]+", "`[` is `%5B`"),
            ("/a>b", "`>` is `%3E`"),
        ] {
            let problem = problem(path).unwrap_or_else(|| panic!("{path}"));
            assert!(problem.contains(literal) && problem.contains("`{*rest}` at the end"), "{path}: {problem}");
        }
    }

    #[test]
    fn our_placeholders_and_the_text_of_real_paths_are_no_wildcards() {
        for path in [
            "/",
            "/{*rest}",
            "/api/{id}/{*rest}",
            "/v1/users:batch",
            "/odata/$metadata",
            "/fhir/Patient/$validate",
            "/a%2Ab/%3Aid",
            "/file(1).pdf",
            "/_next/x[slug].js",
            "/c++",
            "/@me",
            "/a:1",
            "/12:30",
            "/.well-known/x",
            "/~user",
            "/$",
        ] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn an_address_with_a_wildcard_is_found() {
        for path in ["/login/*", "/:lang/login", "/{lang}/login", "/<lang>/login", "/[lang]/login"] {
            assert!(has_wildcard(path), "{path}");
        }
        for path in ["/", "/login", "/a:1/login", "/ko-KR/login"] {
            assert!(!has_wildcard(path), "{path}");
        }
    }
}
