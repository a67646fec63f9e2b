//! The wildcards of other tools. As text of a pattern they would match no request, and the requests that were meant
//! would fall to another route.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What is wrong with a path pattern that has a wildcard of another tool, and what to write; `None` if it has none.
///
/// Text stays text where products have such paths: a colon behind a letter (`/v1/users:batch`), a leading dollar sign
/// (`/odata/$metadata`), parentheses and brackets inside a segment.
pub(super) fn problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(without_slash(path));
    }
    let visible = path.trim_end_matches(is_blank);
    if visible != path {
        return Some(format!("the blank at its end would be taken as text: write `{visible}`"));
    }
    let look = look_alikes(path);
    let parts: Vec<&str> = look.split('/').collect();
    let found = places(&parts).find_map(|(part, last)| Some((part, sign(part, last)?)));
    let instead = match in_our_words(&parts) {
        Some(path) => format!("write `{path}`"),
        None => format!("write {OURS}"),
    };
    let within = found.map_or("{}", |(part, _)| part);
    let other = path.chars().find(|other| ascii_like(*other).is_some_and(|like| within.contains(like)));
    if let Some(other) = other {
        let octets = utf8_percent_encode(other.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string();
        return Some(format!("`{other}` would be taken as text here: {instead}; a literal `{other}` is `{octets}`"));
    }
    let (part, (sign, escape)) = found?;
    Some(match escape {
        Some(escape) => format!("`{part}` would be taken as text here: {instead}; a literal `{sign}` is `{escape}`"),
        None => format!("`{part}` would be taken as text here: {instead}"),
    })
}

const OURS: &str = "`{name}` for one whole segment, or `{*rest}` at the end for all that follows";

/// What to write instead of a pattern that begins with something else than a slash.
fn without_slash(path: &str) -> String {
    // `^/x` of regular expressions; `~ ^/x` and `= /x` of nginx.
    let path_of_rule = path.trim_start_matches(['^', '~', '*', '=', ' ']).trim_end();
    let rooted = path_of_rule.strip_prefix('/').unwrap_or(path_of_rule);
    let (exact, is_open) = match rooted.strip_suffix('$') {
        Some(exact) => (exact, false),
        None => (rooted, path.contains('^')),
    };
    let look = look_alikes(exact);
    let mut parts: Vec<&str> = vec![""];
    parts.extend(look.split('/'));
    // A regular expression without `$` matches all that begins so.
    if is_open && places(&parts).all(|(part, last)| sign(part, last).is_none()) && parts.last() != Some(&"{*rest}") {
        if parts.last() == Some(&"") {
            parts.pop();
        }
        parts.push("{*rest}");
    }
    let is_plain = |part: &str| {
        let text = part.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(part);
        is_name(text.strip_prefix('*').unwrap_or(text)) || text.is_empty()
    };
    let meant = in_our_words(&parts).filter(|path| path.split('/').all(is_plain));
    let meant = meant.as_deref().unwrap_or("/api/{*rest}");
    format!(
        "it must start with a slash: write e.g. `{meant}`; there are no regular expressions, modifiers or rules of other tools here"
    )
}

/// Whether a person who reads the file does not see this character at the end of a path.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn places<'p>(parts: &[&'p str]) -> impl Iterator<Item = (&'p str, bool)> {
    let all: Vec<_> = parts.iter().enumerate().map(|(at, part)| (*part, at + 1 == parts.len())).collect();
    all.into_iter()
}

/// The whole pattern as it is written here; `None` where a segment has no counterpart.
fn in_our_words(parts: &[&str]) -> Option<String> {
    let ours = |(part, last)| if sign(part, last).is_some() { ours(part, last) } else { Some(part.to_owned()) };
    Some(places(parts).map(ours).collect::<Option<Vec<_>>>()?.join("/"))
}

/// The path with characters in ASCII that look like a sign of a pattern: `＊`, `｛`, `∗`.
fn look_alikes(path: &str) -> Cow<'_, str> {
    if path.is_ascii() {
        return Cow::Borrowed(path);
    }
    path.chars().map(|c| ascii_like(c).map_or_else(|| c.to_string(), str::to_owned)).collect::<String>().into()
}

/// What a character outside ASCII looks like, if that is a sign of a pattern.
fn ascii_like(character: char) -> Option<&'static str> {
    Some(match character {
        '＊' | '﹡' | '∗' | '⁎' | '∙' | '✱' | '٭' => "*",
        '｛' | '﹛' => "{",
        '｝' | '﹜' => "}",
        '＜' | '﹤' | '〈' | '‹' => "<",
        '＞' | '﹥' | '〉' | '›' => ">",
        '：' | '﹕' => ":",
        '／' | '⁄' | '∕' => "/",
        '＄' | '﹩' => "$",
        '＾' => "^",
        '｜' => "|",
        '［' => "[",
        '］' => "]",
        '＋' => "+",
        '…' => "...",
        _ => return None,
    })
}

/// Whether a text that is no pattern (a page's address, say) has a wildcard or placeholder of any tool.
pub fn has_wildcard(path: &str) -> bool {
    look_alikes(path).split('/').any(|part| part.contains(['*', '{', '}']) || sign(part, false).is_some())
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
        _ if has_range(part) => ('[', Some("%5B")),
        _ if part.contains('|') => ('|', Some("%7C")),
        _ if part.contains('^') => ('^', Some("%5E")),
        _ if last && part.ends_with('$') => ('$', Some("%24")),
        _ if part == "#" => ('#', Some("%23")),
        _ if part.ends_with('?') => ('?', Some("%3F")),
        _ if part.contains('\\') => ('\\', None),
        _ => return None,
    })
}

/// Whether a segment has a range of characters, such as `[0-9]`.
fn has_range(part: &str) -> bool {
    part.split('[').skip(1).any(|rest| {
        let range = rest.split(']').next().unwrap_or_default().as_bytes();
        range.windows(3).any(|three| {
            matches!(
                three,
                [b'0'..=b'9', b'-', b'0'..=b'9'] | [b'a'..=b'z', b'-', b'a'..=b'z'] | [b'A'..=b'Z', b'-', b'A'..=b'Z']
            )
        })
    })
}

/// Our pattern for a segment of another tool; `None` where there is none.
fn ours(part: &str, last: bool) -> Option<String> {
    let all = |name: &str| {
        let name = if is_name(name) { name } else { "rest" };
        Some(if last { format!("{{*{name}}}") } else { "{name}".to_owned() })
    };
    let one = |name: &str| is_name(name).then(|| format!("{{{name}}}"));
    // Go's: the path ends here.
    if part == "{$}" && last {
        return Some(String::new());
    }
    // `$` ends a regular expression; alone it is the rest in Remix. `#` is the rest in MQTT.
    let part = if last && part.len() > 1 { part.strip_suffix('$').unwrap_or(part) } else { part };
    if matches!(part, "*" | "**" | "(.*)" | "(.+)" | ".*" | ".+" | "..." | "{*}" | "{**}" | "+" | "$" | "#" | "?") {
        return all("");
    }
    if sign(part, last).is_none() {
        return Some(part.to_owned());
    }
    // A final slash, or a last character, that may be absent.
    let optional = part.strip_suffix('?').filter(|kept| !kept.is_empty() && sign(kept, last).is_none());
    if let Some(kept) = optional.filter(|kept| is_name(kept) && last) {
        return Some(kept.to_owned());
    }
    let within = |open: char, close: char| part.strip_prefix(open)?.strip_suffix(close);
    if let Some(name) = within('{', '}') {
        let name = name.trim_matches(['{', '}', ' ', '$']).trim_start_matches('.');
        let name = match name.split_once(':') {
            // `{rest:.*}` and `{rest:path}` are all that follows.
            Some((name, "path" | ".*" | ".+" | "**" | "*")) => return all(name),
            Some((name, _)) => name,
            None => name,
        };
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
            ("/a/#", "`/a/{*rest}`"),
            ("/a/$", "`/a/{*rest}`"),
            ("/$", "`/{*rest}`"),
            ("/a/{$}", "`/a/`"),
            ("/admin$", "`/admin`"),
            ("/admin/?", "`/admin/{*rest}`"),
            ("/admin?", "`/admin`"),
            ("/admin/.*$", "`/admin/{*rest}`"),
            ("/f/{rest:.*}", "`/f/{*rest}`"),
            ("/f/{rest:path}", "`/f/{*rest}`"),
            ("/u/{ id }", "`/u/{id}`"),
            ("/u/{{id}}", "`/u/{id}`"),
            ("/u/{{ .id }}", "`/u/{id}`"),
            ("/admin/＊", "`/admin/{*rest}`"),
            ("/admin/∗∗", "`/admin/{*rest}`"),
            ("/admin/…", "`/admin/{*rest}`"),
            ("/u/｛id｝", "`/u/{id}`"),
            ("/u/：id", "`/u/{id}`"),
            ("/u/＜id＞", "`/u/{id}`"),
            ("/admin ", "`/admin`"),
            ("/admin/{*rest}\u{a0}", "`/admin/{*rest}`"),
            ("/admin\u{200b}", "`/admin`"),
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
            ("/\\d+", "would be taken as text"),
            ("/v[12a-f]/x", "`[` is `%5B`"),
            ("/[0-9]+", "`[` is `%5B`"),
            ("/a>b", "`>` is `%3E`"),
        ] {
            let problem = problem(path).unwrap_or_else(|| panic!("{path}"));
            assert!(problem.contains(literal) && problem.contains("`{*rest}` at the end"), "{path}: {problem}");
        }
    }

    #[test]
    fn a_rule_of_another_tool_is_an_error_with_the_pattern_that_is_meant() {
        for (path, instead) in [
            ("^/admin", "`/admin/{*rest}`"),
            ("^/admin/", "`/admin/{*rest}`"),
            ("^/admin$", "`/admin`"),
            ("^/$", "`/`"),
            ("^/admin/.*$", "`/admin/{*rest}`"),
            ("^/admin(/.*)?$", "`/api/{*rest}`"),
            ("^/v[0-9]+/x", "`/api/{*rest}`"),
            ("~ ^/admin", "`/admin/{*rest}`"),
            ("~* ^/admin/(.*)$", "`/admin/{*rest}`"),
            ("= /admin", "`/admin`"),
            ("admin/*", "`/admin/{*rest}`"),
            ("PathPrefix(`/admin`)", "`/api/{*rest}`"),
            ("<id>", "`/{id}`"),
        ] {
            let problem = problem(path).unwrap_or_else(|| panic!("{path}"));
            assert!(problem.contains(&format!("write e.g. {instead}; there are no")), "{path}: {problem}");
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
            "/admin/%2A%2A",
            "/공지（사항）：하나",
            "/a b",
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
