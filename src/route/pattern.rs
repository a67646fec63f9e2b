//! Path patterns: `/api/{id}/{*rest}`, compared segment by segment.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    foreign::{self, is_name},
    lax,
};

/// A pattern. Its literal text is canonical, as the paths of requests are after hygiene.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern(Vec<Segment>);

/// One segment of a pattern, the most specific kind first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Segment {
    /// Exactly this text.
    Literal(Box<str>),
    /// `{name}`: one segment, not empty.
    Name,
    /// `{*rest}`: the rest of the path, which may be empty.
    Rest,
}

impl Pattern {
    /// The error says what is wrong and what to write.
    pub(super) fn parse(path: &str) -> Result<Self, Cow<'static, str>> {
        if let Some(problem) = foreign::problem(path) {
            return Err(problem.into());
        }
        let rest = path.strip_prefix('/').unwrap_or(path);
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            segments.push(match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => match name.strip_prefix('*') {
                    Some(name) if !last && is_name(name) => return Err("{*rest} can only be its end".into()),
                    Some(name) if is_name(name) => Segment::Rest,
                    None if is_name(name) => Segment::Name,
                    _ => return Err("a placeholder is {name}, or {*rest} at the end".into()),
                },
                None if part.is_empty() && !last => {
                    return Err("it has an empty segment, and requests with `//` match no such route".into());
                }
                None => Segment::Literal(literal(part)?.into()),
            });
        }
        Ok(Self(segments))
    }

    /// The same pattern with `*`, `:` and others as browsers send them, unescaped; `None` if it has none of them. As
    /// text of a pattern they have to be escaped, because other tools have them as wildcards.
    pub(super) fn unescaped(&self) -> Option<Self> {
        let raw = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(unescaped(text).into()),
            other => other.clone(),
        };
        Some(Self(self.0.iter().map(raw).collect())).filter(|raw| raw != self)
    }

    /// The pattern for the laxest readings of paths.
    pub(super) fn lax(&self) -> Self {
        self.with_literals(lax::segments)
    }

    /// The pattern for the readings that drop no segment and split none; `None` if it is [`Self::lax`].
    pub(super) fn lax_with_all_segments(&self) -> Option<Self> {
        let all = self.with_literals(|text| lax::kept_segment(text).into_iter().collect());
        Some(all).filter(|all| *all != self.lax())
    }

    fn with_literals(&self, read: impl Fn(&str) -> Vec<String>) -> Self {
        let mut segments = Vec::new();
        for segment in &self.0 {
            match segment {
                Segment::Literal(text) => {
                    segments.extend(read(text).into_iter().map(|text| Segment::Literal(text.into())));
                }
                other => segments.push(other.clone()),
            }
        }
        Self(segments)
    }

    /// Whether a path that is its own lax reading matches this pattern and [`Self::lax`] alike.
    pub(super) fn agrees_with_lax(&self) -> bool {
        let is_plain = |segment: &Segment| match segment {
            Segment::Literal(text) => {
                let lax = lax::segments(text);
                lax == [&**text] || lax.iter().any(|text| !lax::is_own_reading(text))
            }
            Segment::Name | Segment::Rest => true,
        };
        matches!(&*self.0, [Segment::Literal(root)] if root.is_empty()) || self.0.iter().all(is_plain)
    }

    /// Whether this pattern begins with all segments of `other` and goes on.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        let own = other.0.strip_suffix(&[Segment::Rest]).unwrap_or(&other.0);
        let own = own.strip_suffix(&[Segment::Literal("".into())]).unwrap_or(own);
        self.0.len() > own.len() && self.0.starts_with(own)
    }

    /// A path that it matches, with `x` for each placeholder.
    pub(super) fn sample(&self) -> String {
        let text = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Name | Segment::Rest => "/x".to_owned(),
        };
        self.0.iter().map(text).collect()
    }

    /// Whether it ends with `{*rest}`.
    pub(super) fn has_rest(&self) -> bool {
        self.0.last() == Some(&Segment::Rest)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.0 {
            let part = parts.next();
            let fits = match segment {
                Segment::Rest => return true,
                Segment::Name => part.is_some_and(|part| !part.is_empty()),
                Segment::Literal(text) => part.is_some_and(|part| part == &**text || part == unescaped(text)),
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none()
    }

    /// `Less`: more specific. Two patterns that match the same path are `Equal` only if they are the same.
    pub(super) fn specificity(&self, other: &Self) -> Ordering {
        // 2 stands for the end of a pattern: more specific than `{*rest}`. In patterns that match the same path it is
        // never compared with anything else.
        self.0.iter().map(Segment::rank).chain([2]).cmp(other.0.iter().map(Segment::rank).chain([2]))
    }

    /// The length in bytes of the literal segments of `prefix`; `None` if this pattern does not start with them.
    pub(super) fn prefix_len(&self, prefix: &str) -> Option<usize> {
        let prefix = Self::parse(prefix.strip_suffix('/').unwrap_or(prefix)).ok()?;
        let mut length = 0;
        for (position, segment) in prefix.0.iter().enumerate() {
            match (segment, self.0.get(position)) {
                (Segment::Literal(text), Some(Segment::Literal(own))) if text == own && !text.is_empty() => {
                    length += 1 + text.len();
                }
                _ => return None,
            }
        }
        Some(length)
    }
}

impl Segment {
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Name => 1,
            Self::Rest => 3,
        }
    }
}

/// The canonical form of this segment, which hygiene gives the paths of requests; `Err` if hygiene refuses every
/// request with such a segment.
fn literal(segment: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        if first == '%' {
            let digits = rest
                .get(1..3)
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .ok_or("it has a broken escape")?;
            let value = u8::from_str_radix(digits, 16).map_err(|_| "it has a broken escape")?;
            match value {
                b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f => {
                    return Err("a request with an escaped slash, backslash, dot or control character is refused");
                }
                b'-' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(char::from(value)),
                _ => escape(&mut out, value),
            }
            rest = &rest[3..];
            continue;
        }
        match first {
            '{' | '}' => return Err("a placeholder takes a whole segment"),
            '?' | '#' => return Err("a route matches paths, without query and fragment"),
            '\\' | '\0'..='\x1f' | '\x7f' => return Err("a request with a backslash or control character is refused"),
            _ if first.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@[]".contains(first) => out.push(first),
            _ => first.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut out, byte)),
        }
        rest = &rest[first.len_utf8()..];
    }
    if matches!(&*out, "." | "..") {
        return Err("dot segments are removed from a request before it is matched");
    }
    Ok(out)
}

/// The text with those characters unescaped that a request may hold as they are, and that a pattern has to escape.
fn unescaped(text: &str) -> Cow<'_, str> {
    const ESCAPES: [(&str, &str); 8] = [
        ("%2A", "*"),
        ("%3A", ":"),
        ("%28", "("),
        ("%29", ")"),
        ("%5B", "["),
        ("%5D", "]"),
        ("%24", "$"),
        ("%2B", "+"),
    ];
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(ESCAPES.iter().fold(text.to_owned(), |text, (escape, raw)| text.replace(escape, raw)))
}

fn escape(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(digit.into(), 16).expect("four bits are a hex digit").to_ascii_uppercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_segments_and_is_case_sensitive() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/{*rest}", "/", true),
            ("/{*rest}", "/a/b", true),
            ("/api/{*rest}", "/api", true),
            ("/api/{*rest}", "/api/", true),
            ("/api/{*rest}", "/api//x", true),
            ("/api/{*rest}", "/apix", false),
            ("/api/{*rest}", "/API/x", false),
            ("/users/{id}", "/users/7", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users", false),
            ("/users/{id}", "/users/7/x", false),
            ("/users/{id}/x", "/users//x", false),
            ("/docs/", "/docs/", true),
            ("/docs/", "/docs", false),
            ("/docs", "/docs/", false),
            ("/식방", "/%EC%8B%9D%EB%B0%A9", true),
            ("/a b/%7e%3a", "/a%20b/~%3A", true),
            ("/a%2Ab/%3Aid", "/a*b/:id", true),
            ("/a%2ab/%3aid", "/a%2Ab/%3Aid", true),
            ("/%5Bid%5D/%28x%29", "/[id]/(x)", true),
            ("/a%2Ab", "/axb", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_that_no_request_can_match_is_an_error() {
        for pattern in [
            "",
            "api",
            "/a//b",
            "//a",
            "/{*rest}/x",
            "/{}",
            "/{*}",
            "/{a b}",
            "/a{id}",
            "/{id}x",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a/../b",
            "/./a",
            "/%2e",
            "/%2F",
            "/%",
            "/%4",
            "/%zz",
            "/a\n",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_strip_prefix_ends_at_a_segment_border() {
        let pattern = Pattern::parse("/api/proxy/{*rest}").unwrap();
        assert_eq!(pattern.prefix_len("/api/proxy"), Some(10));
        assert_eq!(pattern.prefix_len("/api/proxy/"), Some(10));
        assert_eq!(pattern.prefix_len("/api"), Some(4));
        for strip in ["/api/pro", "/proxy", "/api/proxy/x", "api", "/", "", "/api/{*rest}"] {
            assert_eq!(pattern.prefix_len(strip), None, "{strip}");
        }
    }
}
