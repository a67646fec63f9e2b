//! Reads Rust source without a compiler: its `use` declarations and its paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The segments of a path: `crate::session::Visit` is `[crate, session, Visit]`.
pub(super) type Segments = Vec<String>;

/// One name that a `use` declaration brings into a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Import {
    pub(super) path: Segments,
    /// The name in this file; `*` for a glob.
    pub(super) name: String,
    /// Whether it is a re-export (`pub`, `pub(crate)`, …).
    pub(super) is_public: bool,
}

/// What a file names.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) imports: Vec<Import>,
    /// Paths of two segments and more outside of `use` declarations.
    pub(super) paths: BTreeSet<Segments>,
    /// All words outside of `use` declarations.
    pub(super) words: BTreeSet<String>,
    /// The names of the items that are defined here.
    pub(super) items: BTreeSet<String>,
}

impl Source {
    /// Reads code that [`program`] returned.
    pub(super) fn of(code: &str) -> Self {
        let mut source = Self::default();
        let mut rest = String::with_capacity(code.len());
        let mut from = 0;
        while let Some((start, end, is_public)) = next_use(code, from) {
            rest.push_str(&code[from..start]);
            let tree = code[start..end].trim_start_matches("use");
            expand(&[], tree.trim(), &mut |path, name| {
                source.imports.push(Import { path, name, is_public });
            });
            from = end + 1;
        }
        rest.push_str(&code[from.min(code.len())..]);
        let mut previous = String::new();
        let mut from = 0;
        while let Some(at) = rest[from..].find(is_word).map(|at| from + at) {
            let path = path_at(&rest[at..]);
            from = at + path.1;
            let continues = rest[..at].trim_end().ends_with("::");
            if !continues && path.0.len() > 1 {
                source.paths.insert(path.0.clone());
            }
            // `static` in `&'static str` is no keyword.
            if is_item_keyword(&previous) && !rest[..at].trim_end().ends_with("'static") {
                source.items.insert(path.0[0].clone());
            }
            previous = path.0.last().cloned().unwrap_or_default();
            source.words.extend(path.0);
        }
        source
    }
}

fn is_item_keyword(word: &str) -> bool {
    matches!(word, "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "mod" | "macro_rules")
}

/// The next `use` declaration from `from` on: where it begins, where its `;` is, and whether it is public.
fn next_use(code: &str, from: usize) -> Option<(usize, usize, bool)> {
    let mut at = from;
    loop {
        at += code[at..].find("use")?;
        let (before, after) = (&code[..at], &code[at + 3..]);
        let is_whole_word =
            !before.chars().next_back().is_some_and(is_word) && after.starts_with(|c: char| c.is_whitespace());
        // In `impl Trait + use<…>` no path follows.
        if is_whole_word && !after.trim_start().starts_with('<') {
            let end = at + code[at..].find(';')?;
            let before = before.trim_end();
            return Some((at, end, before.ends_with("pub") || before.ends_with(')')));
        }
        at += 3;
    }
}

/// Calls `found` with the full path and the name of each leaf of a use tree.
fn expand(prefix: &[String], tree: &str, found: &mut impl FnMut(Segments, String)) {
    let (path, length) = path_at(tree);
    let rest = tree[length..].trim_start();
    let mut full = prefix.to_vec();
    full.extend(path);
    if let Some(rest) = rest.strip_prefix("::") {
        return match rest.trim_start().strip_prefix('{') {
            Some(group) => group_members(group).into_iter().for_each(|member| expand(&full, member, found)),
            None => found(full, "*".to_owned()),
        };
    }
    if let Some(group) = rest.strip_prefix('{') {
        return group_members(group).into_iter().for_each(|member| expand(&full, member, found));
    }
    let alias = rest.strip_prefix("as ").map(|alias| alias.trim().to_owned());
    if full.last().is_some_and(|last| last == "self") && full.len() > 1 {
        full.pop();
    }
    let name = alias.unwrap_or_else(|| full.last().cloned().unwrap_or_default());
    found(full, name);
}

/// The members of a group, after its opening brace.
fn group_members(group: &str) -> Vec<&str> {
    let (mut members, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.into_iter().map(str::trim).filter(|member| !member.is_empty()).collect()
}

/// The path at the beginning of `text` (words joined by `::`), and its length in bytes.
fn path_at(text: &str) -> (Segments, usize) {
    let (mut segments, mut length) = (Vec::new(), 0);
    loop {
        let rest = &text[length..];
        let start = rest.len() - rest.trim_start().len();
        let word: String = rest[start..].chars().take_while(|c| is_word(*c)).collect();
        if word.is_empty() {
            // The `::` before a brace or an asterisk is not part of the path.
            return (segments, text[..length].trim_end().trim_end_matches("::").trim_end().len());
        }
        length += start + word.len();
        segments.push(word);
        let rest = &text[length..];
        let Some(next) = rest.trim_start().strip_prefix("::") else { return (segments, length) };
        length = text.len() - next.len();
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All Rust files below a folder of the project, sorted; paths are relative to the project.
pub(super) fn rust_files(folder: &str) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if entry.file_name() != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The project's folder.
pub(super) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project as text.
pub(super) fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(project().join(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.as_ref().display()))
}

/// `src/session/seal.rs` is `[session, seal]`, `src/session/mod.rs` is `[session]`.
pub(super) fn module_of(file: &Path) -> Segments {
    let mut parts: Vec<_> = file.with_extension("").iter().skip(1).map(|p| p.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// A file's code without comments, strings and unit tests (which may import anything).
pub(super) fn program(file: &Path) -> String {
    if file.file_stem().is_some_and(|stem| stem == "tests") {
        return String::new();
    }
    without_unit_tests(&without_comments_and_strings(&read(file)))
}

/// The sources of the product's files by module.
pub(super) fn sources() -> BTreeMap<Segments, (PathBuf, Source)> {
    let files = rust_files("src").into_iter().filter(|file| file.file_stem().is_some_and(|stem| stem != "tests"));
    files.map(|file| (module_of(&file), (file.clone(), Source::of(&program(&file))))).collect()
}

/// Code without its unit tests, which are at a file's end, and without single items for tests.
pub(super) fn without_unit_tests(text: &str) -> String {
    let mut code = text.to_owned();
    for attribute in ["#[cfg(test)]", "#[cfg(any(test, fuzzing))]"] {
        let mut from = 0;
        while let Some(at) = code[from..].find(attribute).map(|at| from + at) {
            let item = &code[at + attribute.len()..];
            let semicolon = item.find(';').unwrap_or(item.len());
            let brace = item.find('{').unwrap_or(item.len());
            let declaration = &item[..brace.min(semicolon)];
            let is_module = declaration.split_whitespace().any(|word| word == "mod");
            let is_use = declaration.split_whitespace().any(|word| word == "use");
            if is_use {
                code.replace_range(at..(at + attribute.len() + semicolon + 1).min(code.len()), "");
            } else if is_module && brace < semicolon {
                code.truncate(at);
            } else {
                from = at + attribute.len();
            }
        }
    }
    code
}

/// Rust text without comments, string literals and character literals.
pub(super) fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or("", |end| &rest[end + 2..])
        } else if let Some(raw) = raw_string(rest).filter(|_| !code.chars().next_back().is_some_and(is_word)) {
            raw
        } else if c == '"' {
            after_string(after)
        } else if c == '\'' && char_literal(after).is_some() {
            char_literal(after).unwrap_or("")
        } else {
            code.push(c);
            after
        };
    }
    code
}

/// What follows `r"…"` or `r#"…"#`, if `text` begins with one.
fn raw_string(text: &str) -> Option<&str> {
    let body = text.strip_prefix('r')?;
    let marks = body.len() - body.trim_start_matches('#').len();
    let body = body[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    body.find(&end).map(|at| &body[at + end.len()..])
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// What follows a character literal's opening quote and the literal; `None` for a lifetime.
fn char_literal(text: &str) -> Option<&str> {
    let c = text.chars().next()?;
    if c == '\\' {
        return text[2..].find('\'').map(|at| &text[2 + at + 1..]);
    }
    text[c.len_utf8()..].strip_prefix('\'')
}
