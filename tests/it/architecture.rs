//! The house rules that a compiler does not know: which way imports point, and how every file begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Every module of the crate and what it may import. `ARCHITECTURE.md` has the reasons.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["assemble", "cli", "config", "listen", "demo"]),
    (
        "cli",
        &[
            "assemble",
            "config",
            "listen",
            "demo",
            "session",
            "route",
            "hygiene",
            "upstream",
            "respond",
            "authority",
            "oidc",
            "otp",
            "store",
        ],
    ),
    (
        "assemble",
        &[
            "config",
            "listen",
            "handle",
            "hygiene",
            "respond",
            "route",
            "endpoint",
            "login",
            "otp",
            "session",
            "authority",
            "oidc",
            "pages",
            "call",
            "store",
            "upstream",
            "demo",
        ],
    ),
    // The types of settings, and the parsers that belong to them.
    (
        "config",
        &[
            "listen",
            "hygiene",
            "session",
            "login",
            "otp",
            "pages",
            "authority",
            "oidc",
            "upstream",
            "route",
            "store",
            "call",
            "endpoint",
        ],
    ),
    // What must hold of the parsers that strangers feed; compiled for fuzzing and tests alone.
    ("fuzzing", &["config", "hygiene", "session", "login", "oidc"]),
    ("listen", &["handle"]),
    ("handle", &["hygiene", "respond", "route", "login", "otp", "endpoint", "pages", "session", "upstream"]),
    // Pages, and the error types of what `handle` calls.
    ("respond", &["pages", "hygiene", "login", "otp", "endpoint", "session", "upstream", "route"]),
    // These two do not know each other.
    ("login", &["endpoint", "session", "authority", "oidc", "pages", "call", "store"]),
    ("otp", &["endpoint", "session", "authority", "pages", "call", "store"]),
    ("endpoint", &["session", "authority", "pages", "store"]),
    ("session", &["authority", "store", "oidc"]),
    ("authority", &["oidc", "call", "store"]),
    ("call", &["upstream"]),
    ("route", &["upstream"]),
    ("demo", &["oidc", "store", "pages"]),
    ("hygiene", &[]),
    ("pages", &[]),
    ("oidc", &[]),
    ("store", &[]),
    ("upstream", &[]),
    ("alarm", &[]),
    ("clock", &[]),
    ("channel", &[]),
    ("client", &[]),
    ("scheme", &[]),
    ("seal", &[]),
    ("secret", &[]),
    ("signing", &[]),
    ("telemetry", &[]),
];

/// Open to all; `scripted` exists in unit tests only.
const OPEN: &[&str] =
    &["alarm", "channel", "client", "clock", "scheme", "seal", "secret", "signing", "telemetry", "scripted"];

#[test]
fn imports_point_only_where_the_architecture_says() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = BTreeSet::new();
    for file in rust_files("src") {
        let module = module_of(&file);
        let top = module.first().map_or("lib", String::as_str);
        if matches!(top, "lib" | "scripted") {
            continue;
        }
        let Some(allowed) = arrows.get(top) else {
            wrong.insert(format!("{}: the module {top} is not in the table", file.display()));
            continue;
        };
        for import in imports(&program(&file), &module) {
            let known = arrows.contains_key(import.as_str());
            if known && import != top && !OPEN.contains(&import.as_str()) && !allowed.contains(&import.as_str()) {
                wrong.insert(format!("{}: {top} → {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the architecture does not have:\n{}", lines(&wrong));
}

/// RUSTSEC-2022-0018 of totp-rs: secrets and tokens have an `==` that takes the same time wherever two differ, and their texts are compared by `ct_eq` alone.
#[test]
fn rustsec_2022_0018_no_secret_is_compared_by_its_text() {
    let mut wrong = BTreeSet::new();
    for file in rust_files("src") {
        for line in program(&file).lines().filter(|line| line.contains("expose()")) {
            let compares =
                ["==", "!=", ".eq(", ".cmp(", "starts_with(", "matches!("].iter().any(|how| line.contains(how));
            if compares && !line.contains("ct_eq(") {
                wrong.insert(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "secrets compared in a time that depends on them:\n{}", lines(&wrong));
    let secret = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secret.rs")).unwrap();
    let code = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/memory/codes.rs")).unwrap();
    assert!(
        secret.contains("ct_eq(self.0.as_bytes(), other.0.as_bytes())") && code.contains("ct_eq(&code.mac.0, &mac.0)")
    );
}

#[test]
fn every_file_begins_with_the_sentence_that_says_its_subject() {
    // A sibling `tests.rs` has its module's subject.
    let silent: BTreeSet<_> = rust_files("src")
        .into_iter()
        .chain(rust_files("tests"))
        .filter(|file| file.file_name().is_some_and(|name| name != "tests.rs"))
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().next().unwrap_or("").strip_prefix("//! ").is_none_or(|rest| rest.split(' ').count() < 3)
        })
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "files without a first line `//! …`:\n{}", lines(&silent));
}

#[test]
fn no_file_uses_unsafe_or_silences_a_lint_without_a_reason() {
    let mut found = BTreeSet::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        let text = without_comments_and_strings(&fs::read_to_string(&file).unwrap());
        if text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
            found.insert(format!("{}: unsafe", file.display()));
        }
        if text.contains("#[allow(") || text.contains("#![allow(") {
            found.insert(format!("{}: allow", file.display()));
        }
    }
    assert!(found.is_empty(), "{}", lines(&found));
}

#[test]
fn nothing_can_switch_the_check_of_certificates_off() {
    // What rustls, reqwest and lettre call it.
    let words =
        ["dangerous", "danger_accept", "tls_danger", "dangerous_accept", "ServerCertVerifier", "Certificate::NONE"];
    let mut found = BTreeSet::new();
    for file in rust_files("src") {
        let text = without_comments_and_strings(&fs::read_to_string(&file).unwrap());
        found.extend(
            words.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", file.display())),
        );
    }
    assert!(found.is_empty(), "{}", lines(&found));
}

#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let code_spans = page.split('`').skip(1).step_by(2);
    let named: BTreeSet<_> = code_spans.filter_map(|span| span.split_once(".rs: ")).collect();
    assert!(named.len() > 300, "{} tests", named.len());
    let missing = named.into_iter().filter(|(file, test)| {
        let text = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        !text.contains(&format!("fn {test}("))
    });
    let missing: BTreeSet<_> = missing.map(|(file, test)| format!("{file}.rs: {test}")).collect();
    assert!(missing.is_empty(), "not there:\n{}", lines(&missing));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text = r#"
        use crate::{clock::Clock, session::{Visit, Login}}; // use crate::comment::X;
        use super::super::store::Store;
        fn f() -> &'static str { let _ = crate::oidc::Claims::new(); "crate::text::X" }
        pub(in crate::login) fn g<'a>(c: char) { if c == '"' { crate :: pages :: x() } }
        #[cfg(test)]
        mod tests { use crate::listen::X; }
    "#;
    let module = ["login".to_owned(), "callback".to_owned()];
    let found: Vec<_> =
        imports(&without_unit_tests(&without_comments_and_strings(text)), &module).into_iter().collect();
    assert_eq!(found, ["clock", "login", "oidc", "pages", "session", "store"]);
}

fn lines(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
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

/// `src/session/seal.rs` → `[session, seal]`, `src/session/mod.rs` → `[session]`.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<_> = file.with_extension("").iter().skip(1).map(|p| p.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// A file's code: without comments, strings and unit tests (which may look at anything).
fn program(file: &Path) -> String {
    if file.file_stem().is_some_and(|stem| stem == "tests") {
        return String::new();
    }
    without_unit_tests(&without_comments_and_strings(&fs::read_to_string(file).unwrap()))
}

/// Unit tests stand at a file's end.
fn without_unit_tests(text: &str) -> String {
    let tests = text.match_indices("#[cfg(test)]").find(|(at, attribute)| {
        let rest = text[at + attribute.len()..].trim_start();
        rest.trim_start_matches("pub(crate) ").starts_with("mod ")
            && !rest.split('{').next().unwrap_or("").contains(';')
    });
    text[..tests.map_or(text.len(), |(at, _)| at)].to_owned()
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or("", |end| &rest[end + 2..])
        } else if let Some(raw) = raw_string(rest) {
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

/// The top-level modules that a module's code names.
fn imports(code: &str, module: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let words =
        code.char_indices().filter(|(at, c)| is_word(*c) && !code[..*at].chars().next_back().is_some_and(is_word));
    for (at, _) in words {
        let rest = &code[at..];
        if let Some(tree) = after_path_root(rest, "crate").or_else(|| after_path_root(rest, "vestibule")) {
            found.extend(first_names(tree));
        } else if after_path_root(rest, "super").is_some() && !code[..at].trim_end().ends_with("super::") {
            let (mut tree, mut ups) = (rest, 0);
            while let Some(next) = after_path_root(tree, "super") {
                (tree, ups) = (next, ups + 1);
            }
            if ups >= module.len() {
                found.extend(first_names(tree));
            }
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What follows `root::` at the beginning of `text` (in `pub(in crate::x)` too).
fn after_path_root<'a>(text: &'a str, root: &str) -> Option<&'a str> {
    Some(text.strip_prefix(root)?.trim_start().strip_prefix("::")?.trim_start())
}

/// The first name of each path in a use tree.
fn first_names(tree: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(group) = tree.strip_prefix('{') else { return vec![name(tree)] };
    let (mut names, mut depth) = (vec![name(group)], 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
