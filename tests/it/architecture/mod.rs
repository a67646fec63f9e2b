//! Rules of the code base that the compiler does not check. Arrows and circles are listed in `ARCHITECTURE.md`.

mod graph;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use self::{
    graph::{Edge, Modules, circles},
    source::{
        Source, module_of, program, project, read, rust_files, sources, without_comments_and_strings,
        without_unit_tests,
    },
};

/// Longest file without a reason, in lines.
const MAX_LINES: usize = 500;
/// In the file's header the reason follows this text.
const REASON_FOR_LENGTH: &str = "Over 500 lines:";
/// Rooms on the path of a request, where no reason is accepted.
const REQUEST_PATH: &[&str] = &["listen", "handle", "hygiene", "route", "session", "upstream", "respond"];
/// Widest comment, in characters.
const MAX_COLUMNS: usize = 120;

/// The arrows of `ARCHITECTURE.md`: the fenced block `arrows`.
///
/// A line is `ROOM, ROOM → ROOM, ROOM  # note`. A room is a module of the crate, or `module/submodule` where a part of
/// a module has arrows of its own. `→ nothing` and `→ everything below` are possible, and one line `open: ROOM, ROOM`
/// names the rooms that all others may import.
struct Arrows {
    /// In the order of the page.
    rooms: Vec<String>,
    allowed: BTreeMap<String, BTreeSet<String>>,
    /// The rooms with `everything below`, whose permissions need no use.
    wide: BTreeSet<String>,
    open: BTreeSet<String>,
}

impl Arrows {
    fn read() -> Self {
        Self::parse(&block("arrows"))
    }

    fn parse(text: &str) -> Self {
        let names = |list: &str| -> Vec<String> {
            list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let (mut rooms, mut lines, mut open) = (Vec::new(), Vec::new(), BTreeSet::new());
        for line in text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty()) {
            if let Some(list) = line.strip_prefix("open:") {
                open.extend(names(list));
                continue;
            }
            let (from, to) =
                line.split_once('→').unwrap_or_else(|| panic!("ARCHITECTURE.md, arrows: no → in `{line}`"));
            let from = names(from);
            rooms.extend(from.iter().cloned());
            lines.push((from, to.trim().to_owned()));
        }
        rooms.extend(open.iter().cloned());
        let (mut allowed, mut wide): (BTreeMap<_, BTreeSet<_>>, BTreeSet<_>) = Default::default();
        for (from, to) in lines {
            for room in from {
                let to = match to.as_str() {
                    "nothing" => BTreeSet::new(),
                    "everything below" => {
                        wide.insert(room.clone());
                        let below = rooms.iter().skip_while(|other| **other != room).skip(1);
                        below.cloned().collect()
                    }
                    list => names(list).into_iter().collect(),
                };
                let unknown = to.iter().find(|room| !rooms.contains(room));
                assert_eq!(
                    unknown, None,
                    "ARCHITECTURE.md, arrows: `{room}` may import a room that has no line of its own"
                );
                let first = allowed.insert(room.clone(), to).is_none();
                assert!(first, "ARCHITECTURE.md, arrows: two lines for `{room}`");
            }
        }
        for room in &open {
            allowed.entry(room.clone()).or_default();
        }
        Self { rooms, allowed, wide, open }
    }

    /// The room of a module or an item: the longest that its path begins with.
    fn room_of(&self, path: &[String]) -> Option<&str> {
        let path = path.join("/");
        let is_prefix =
            |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.rooms.iter().filter(|room| is_prefix(room)).max_by_key(|room| room.len()).map(String::as_str)
    }
}

/// The circles of `ARCHITECTURE.md`: the fenced block `circles`. A line is `FILE, FILE: reason`, with files below
/// `src/`.
fn listed_circles() -> Vec<BTreeSet<PathBuf>> {
    let parse = |line: &str| {
        let (files, reason) =
            line.split_once(": ").unwrap_or_else(|| panic!("ARCHITECTURE.md, circles: no reason in `{line}`"));
        assert!(reason.split(' ').count() > 2, "ARCHITECTURE.md, circles: a reason of a word or two: `{line}`");
        files.split(',').map(|file| Path::new("src").join(file.trim())).collect()
    };
    block("circles").lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// The text of a fenced block of `ARCHITECTURE.md`.
fn block(name: &str) -> String {
    let page = read("ARCHITECTURE.md");
    let start = format!("\n```{name}\n");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("ARCHITECTURE.md has no block ```{name}"));
    format!("\n{rest}")
        .split_once("\n```")
        .unwrap_or_else(|| panic!("ARCHITECTURE.md: the block ```{name} has no end"))
        .0
        .to_owned()
}

/// The rooms that each room imports, and one import for each as an example.
fn imports_between_rooms(arrows: &Arrows) -> BTreeMap<String, BTreeMap<String, String>> {
    let modules = Modules::new(product());
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (module, file, paths) in modules.written_paths() {
        // The crate's root declares every module.
        let Some(from) = arrows.room_of(module) else { continue };
        for path in paths {
            let Some(to) = arrows.room_of(&path).filter(|to| *to != from) else { continue };
            let example = format!("{}: {}", file.display(), path.join("::"));
            found.entry(from.to_owned()).or_default().entry(to.to_owned()).or_insert(example);
        }
    }
    found
}

/// The sources of all modules, without those that exist only in unit tests.
fn product() -> BTreeMap<Vec<String>, (PathBuf, Source)> {
    let mut sources = sources();
    let only_in_tests: Vec<_> = sources
        .iter()
        .flat_map(|(module, (file, _))| test_modules(file).into_iter().map(|name| joined(module, name)))
        .collect();
    sources.retain(|module, _| !only_in_tests.iter().any(|test| module.starts_with(test)));
    sources
}

/// The submodules that a file declares behind `#[cfg(test)]`.
fn test_modules(file: &Path) -> Vec<String> {
    let code = without_comments_and_strings(&read(file));
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let (declaration, _) = rest.split_once(';')?;
        let mut words = declaration.split_whitespace().skip_while(|word| *word != "mod").skip(1);
        words.next().filter(|_| !declaration.contains('{')).map(str::to_owned)
    });
    declared.collect()
}

fn joined(module: &[String], name: String) -> Vec<String> {
    module.iter().cloned().chain([name]).collect()
}

#[test]
fn every_module_has_a_line_among_the_arrows_and_every_line_a_module() {
    let arrows = Arrows::read();
    let product = product();
    let missing: BTreeSet<_> =
        product.keys().filter_map(|module| module.first()).filter(|top| !arrows.rooms.contains(top)).cloned().collect();
    assert_none("modules without a line in the block `arrows` of ARCHITECTURE.md", missing);
    let exists = |room: &&String| {
        let room: Vec<_> = room.split('/').map(str::to_owned).collect();
        product.keys().any(|module| module.starts_with(&room))
    };
    let gone = arrows.rooms.iter().filter(|room| !exists(room)).cloned();
    assert_none("lines in the block `arrows` of ARCHITECTURE.md whose module is not there", gone);
}

#[test]
fn an_import_follows_an_arrow_of_the_architecture_page() {
    let arrows = Arrows::read();
    let mut wrong = BTreeSet::new();
    for (from, imports) in imports_between_rooms(&arrows) {
        for (to, example) in imports {
            if !arrows.open.contains(&to) && !arrows.allowed[&from].contains(&to) {
                wrong.insert(format!("{from} → {to}   ({example})"));
            }
        }
    }
    assert_none("imports without an arrow in ARCHITECTURE.md: move what is imported, or add the arrow there", wrong);
}

#[test]
fn every_arrow_of_the_architecture_page_is_used_by_an_import() {
    let arrows = Arrows::read();
    let imports = imports_between_rooms(&arrows);
    let is_used = |from: &str, to: &str| imports.get(from).is_some_and(|imports| imports.contains_key(to));
    let narrow = arrows.allowed.iter().filter(|(from, _)| !arrows.wide.contains(*from));
    let dead =
        narrow.flat_map(|(from, to)| to.iter().map(move |to| (from, to))).filter(|(from, to)| !is_used(from, to));
    assert_none(
        "arrows in ARCHITECTURE.md that no import uses: take them out",
        dead.map(|(f, t)| format!("{f} → {t}")),
    );
    let needless = arrows.allowed.iter().flat_map(|(from, to)| to.intersection(&arrows.open).map(move |to| (from, to)));
    let needless = needless.filter(|(from, _)| !arrows.wide.contains(*from));
    assert_none("arrows to open modules, which need none", needless.map(|(f, t)| format!("{f} → {t}")));
}

#[test]
fn no_two_rooms_import_each_other_directly_or_through_others() {
    let arrows = Arrows::read();
    let edge = |(to, path): (String, String)| Edge { to: to.into(), path };
    let graph: BTreeMap<PathBuf, BTreeSet<Edge>> = imports_between_rooms(&arrows)
        .into_iter()
        .map(|(from, to)| (from.into(), to.into_iter().map(edge).collect()))
        .collect();
    assert_none("circles of rooms", circles(&graph).iter().map(|circle| explain(circle, &graph)));
}

#[test]
fn files_of_a_room_use_each_other_in_one_direction_but_for_the_listed_circles() {
    let arrows = Arrows::read();
    let room_of = |file: &Path| arrows.room_of(&module_of(file)).map(str::to_owned);
    let mut graph = Modules::new(product()).file_graph();
    for (file, edges) in &mut graph {
        let room = room_of(file);
        edges.retain(|edge| room.is_some() && room_of(&edge.to) == room && !is_root_of(&edge.to, file));
    }
    let found = circles(&graph);
    let listed = listed_circles();
    let is_listed = |circle: &BTreeSet<PathBuf>| listed.iter().any(|listed| circle.is_subset(listed));
    let new = found.iter().filter(|circle| !is_listed(circle)).map(|circle| explain(circle, &graph));
    assert_none(
        "circles between files of a room: move what both need into a file below them, or list the files with a reason in the \
         block `circles` of ARCHITECTURE.md",
        new,
    );
    let gone = listed.iter().filter(|listed| !found.iter().any(|circle| circle.is_subset(listed)));
    assert_none("circles listed in ARCHITECTURE.md that are open now: take the lines out", gone.map(names));
    // A file that left its circle must leave the line too.
    let in_a_circle: BTreeSet<_> = found.iter().flatten().collect();
    let left = listed.iter().flatten().filter(|file| !in_a_circle.contains(file));
    assert_none("files listed in a circle of ARCHITECTURE.md that are in none", left.map(|f| f.display().to_string()));
}

/// Whether `root` is the `mod.rs` of a folder around `file`. A module's parts extend the types of its root, and the
/// root calls its parts: the two are one subject, and no circle.
fn is_root_of(root: &Path, file: &Path) -> bool {
    root.file_name().is_some_and(|name| name == "mod.rs")
        && root.parent().is_some_and(|folder| file.starts_with(folder))
}

/// A circle's files, and the paths by which they use each other.
fn explain(circle: &BTreeSet<PathBuf>, graph: &BTreeMap<PathBuf, BTreeSet<Edge>>) -> String {
    let mut lines = vec![names(circle)];
    for file in circle {
        let within: BTreeMap<_, _> =
            graph[file].iter().filter(|edge| circle.contains(&edge.to)).map(|edge| (&edge.to, &edge.path)).collect();
        lines.extend(within.iter().map(|(to, path)| format!("{} → {}   ({path})", file.display(), to.display())));
    }
    lines.join("\n    ")
}

fn names(files: &BTreeSet<PathBuf>) -> String {
    let name = |file: &PathBuf| file.strip_prefix("src").unwrap_or(file).display().to_string();
    files.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// RUSTSEC-2022-0018 of totp-rs: `==` of secrets and tokens takes constant time, and their texts are compared only by
/// `ct_eq`.
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
    assert_none("secrets compared in a time that depends on them", wrong);
    let (secret, code) = (read("src/secret.rs"), read("src/store/memory/codes.rs"));
    assert!(
        secret.contains("ct_eq(self.0.as_bytes(), other.0.as_bytes())") && code.contains("ct_eq(&code.mac.0, &mac.0)")
    );
}

#[test]
fn every_file_begins_with_a_sentence_that_says_its_subject() {
    let has_subject = |file: &PathBuf| {
        let text = read(file);
        text.lines().next().unwrap_or("").strip_prefix("//! ").is_some_and(|rest| rest.split(' ').count() >= 3)
    };
    let silent = all_rust_files().filter(|file| !has_subject(file)).map(|file| file.display().to_string());
    assert_none("files without a first line `//! …` of three words or more", silent);
}

#[test]
fn a_long_file_says_why_and_none_is_on_the_way_of_a_request() {
    let mut wrong = BTreeSet::new();
    for file in all_rust_files() {
        let text = read(&file);
        let (lines, name) = (text.lines().count(), file.display());
        let has_reason =
            text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains(REASON_FOR_LENGTH));
        let module = module_of(&file);
        let is_on_the_way = file.starts_with("src")
            && module.first().is_some_and(|room| REQUEST_PATH.contains(&room.as_str()))
            && !module.iter().any(|part| part == "tests");
        if lines > MAX_LINES && is_on_the_way {
            wrong.insert(format!("{name}: {lines} lines, on the way of a request"));
        } else if lines > MAX_LINES && !has_reason {
            wrong.insert(format!("{name}: {lines} lines and no `{REASON_FOR_LENGTH} …` in its header"));
        } else if lines <= MAX_LINES && has_reason {
            wrong.insert(format!("{name}: {lines} lines need no reason"));
        }
    }
    assert_none("files over 500 lines", wrong);
}

#[test]
fn the_root_of_a_module_with_files_is_mod_rs() {
    let has_folder = |file: &PathBuf| project().join(file.with_extension("")).is_dir();
    let beside = all_rust_files().filter(has_folder).map(|file| file.display().to_string());
    assert_none("files beside a folder of their name: make them its mod.rs", beside);
}

#[test]
fn comments_are_at_most_120_columns_wide() {
    let mut wide = BTreeSet::new();
    for file in all_rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            let columns = line.chars().count();
            if line.trim_start().starts_with("//") && columns > MAX_COLUMNS {
                wide.insert(format!("{}:{}: {columns} columns", file.display(), number + 1));
            }
        }
    }
    assert_none("comments wider than 120 columns", wide);
}

#[test]
fn no_file_uses_unsafe_or_silences_a_lint_without_a_reason() {
    let mut found = BTreeSet::new();
    for file in all_rust_files() {
        let text = without_comments_and_strings(&read(&file));
        if text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
            found.insert(format!("{}: unsafe", file.display()));
        }
        if text.contains("#[allow(") || text.contains("#![allow(") {
            found.insert(format!("{}: allow", file.display()));
        }
    }
    assert_none("forbidden", found);
}

#[test]
fn no_error_prints_its_cause_and_has_it_as_source_too() {
    // The log prints an error with all its sources: the cause would stand there twice.
    assert_none(
        "errors whose cause would be logged twice",
        sources().into_values().flat_map(|(file, _)| {
            let text = read(&file);
            let doubled = |(at, _): (usize, &str)| {
                let rest = &text[at..];
                let Some((message, rest)) = rest.split_once("\")]\n") else { return false };
                let body = rest.trim_start().split(",\n    //").next().unwrap_or_default();
                let first = body.lines().take(3).collect::<Vec<_>>().join("\n");
                let tuple = message.contains("{0}") && first.contains("(#[source]") | first.contains("(#[from]");
                let named = message.contains("{error}") && first.contains("#[source]\n    error:");
                tuple && first.find("#[source]").or(first.find("#[from]")) < first.find('\n').or(Some(usize::MAX))
                    || named
            };
            let count = text.match_indices("#[error(\"").filter(|found| doubled(*found)).count();
            (count > 0).then(|| format!("{}: {count}", file.display())).into_iter().collect::<Vec<_>>()
        }),
    );
}

#[test]
fn nothing_can_switch_the_check_of_certificates_off() {
    // The names in rustls, reqwest and lettre.
    let words =
        ["dangerous", "danger_accept", "tls_danger", "dangerous_accept", "ServerCertVerifier", "Certificate::NONE"];
    let mut found = BTreeSet::new();
    for file in rust_files("src") {
        let text = without_comments_and_strings(&read(&file));
        found.extend(
            words.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", file.display())),
        );
    }
    assert_none("ways around the check of certificates", found);
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let page = read("docs/security.md");
    let code_spans = page.split('`').skip(1).step_by(2);
    let named: BTreeSet<_> = code_spans.filter_map(|span| span.split_once(".rs: ")).collect();
    assert!(named.len() > 300, "{} tests", named.len());
    let missing = named.into_iter().filter(|(file, test)| {
        let text = fs::read_to_string(project().join(format!("{file}.rs"))).unwrap_or_default();
        !text.contains(&format!("fn {test}("))
    });
    assert_none("tests that docs/security.md names", missing.map(|(file, test)| format!("{file}.rs: {test}")));
}

fn all_rust_files() -> impl Iterator<Item = PathBuf> {
    rust_files("src").into_iter().chain(rust_files("tests"))
}

#[track_caller]
fn assert_none(what: &str, found: impl IntoIterator<Item = String>) {
    let lines: Vec<_> = found.into_iter().map(|line| format!("  {line}")).collect();
    assert!(lines.is_empty(), "{what}:\n{}\n", lines.join("\n"));
}

#[test]
fn the_reader_of_source_finds_every_form_of_import() {
    let text = r#"
        use crate::{clock::Clock, session::{self, Visit as V, end::*}}; // use crate::comment::X;
        pub(crate) use super::super::store::Store;
        fn f() -> &'static str { let _ = crate::oidc::Claims::new(); "crate::text::X" }
        pub(in crate::login) fn g<'a>(c: char) -> impl Sized + use<'a> { if c == '"' { crate :: pages :: x() } }
        #[cfg(test)]
        use crate::alarm::Alarm;
        #[cfg(test)]
        mod tests { use crate::listen::X; }
    "#;
    let source = Source::of(&without_unit_tests(&without_comments_and_strings(text)));
    let imports: Vec<_> = source.imports.iter().map(|i| (i.path.join("::"), i.name.as_str(), i.is_public)).collect();
    let expected = [
        ("crate::clock::Clock", "Clock", false),
        ("crate::session", "session", false),
        ("crate::session::Visit", "V", false),
        ("crate::session::end", "*", false),
        ("super::super::store::Store", "Store", true),
    ];
    assert_eq!(imports, expected.map(|(path, name, is_public)| (path.to_owned(), name, is_public)));
    let paths: Vec<_> = source.paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::login", "crate::oidc::Claims::new", "crate::pages::x"]);
    assert_eq!(source.items.into_iter().collect::<Vec<_>>(), ["f", "g"]);
}

#[test]
fn a_path_leads_through_reexports_to_the_file_that_defines_the_item() {
    let file = |code: &str, path: &str| (module_of(Path::new(path)), (PathBuf::from(path), Source::of(code)));
    let modules = Modules::new(
        [
            file("pub mod room;", "src/lib.rs"),
            file("mod high; mod low; pub use self::low::Item; pub fn helper() {}", "src/room/mod.rs"),
            file("use super::Item; use super::helper; fn f(i: Item) { helper() }", "src/room/high.rs"),
            file("pub struct Item;", "src/room/low.rs"),
        ]
        .into(),
    );
    let graph = modules.file_graph();
    let uses = |file: &str| graph[Path::new(file)].iter().map(|edge| edge.to.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(uses("src/room/high.rs"), ["src/room/low.rs", "src/room/mod.rs"]);
    assert_eq!(uses("src/room/mod.rs"), [""; 0], "a re-export is no use");
    assert!(circles(&graph).is_empty());
}

#[test]
fn the_reader_of_arrows_knows_every_form() {
    let arrows = Arrows::parse(
        "top → everything below  # a note\na, b → low/part\nlow → nothing\nlow/part → nothing\nopen: clock, secret",
    );
    assert_eq!(arrows.rooms, ["top", "a", "b", "low", "low/part", "clock", "secret"]);
    assert_eq!(arrows.allowed["top"].len(), 6);
    assert_eq!(arrows.allowed["b"].iter().collect::<Vec<_>>(), ["low/part"]);
    let room =
        |path: &[&str]| arrows.room_of(&path.iter().map(|&s| s.to_owned()).collect::<Vec<_>>()).map(str::to_owned);
    assert_eq!(room(&["low", "part", "X"]).as_deref(), Some("low/part"));
    assert_eq!(room(&["low", "partial"]).as_deref(), Some("low"));
    assert_eq!(room(&[]), None);
}
