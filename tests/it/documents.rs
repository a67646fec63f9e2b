//! The documents: every link leads somewhere, every page is in the index, and every command can be typed as it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

#[test]
fn every_relative_link_leads_to_a_file_and_to_a_heading_in_it() {
    let documents = documents();
    let mut broken = Vec::new();
    let mut checked = 0;
    for (path, text) in &documents {
        for link in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { path.clone() } else { normal(&path.parent().unwrap().join(file)) };
            let is_there = root().join(&target).exists();
            let has_anchor = anchor.is_none_or(|anchor| {
                documents.get(&target).is_some_and(|text| anchors(text).iter().any(|known| known == anchor))
            });
            if !is_there || !has_anchor {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 150, "{checked} links");
}

#[test]
fn every_page_is_in_the_index() {
    let documents = documents();
    let index = Path::new("docs/README.md");
    let linked: BTreeSet<_> = links(&documents[index]).map(|link| normal(&Path::new("docs").join(link))).collect();
    let pages = documents.keys().filter(|path| path.starts_with("docs") && *path != index);
    let missing: Vec<_> = pages.filter(|path| !linked.contains(*path)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_document_that_the_source_names_exists() {
    let mut missing = Vec::new();
    for folder in ["src", "tests/it", "deploy", "benches", "fuzz"] {
        for path in files(Path::new(folder)) {
            // Pictures and certificates are no text.
            let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
            for piece in text.split("docs/").skip(1) {
                let name = piece.split(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c))).next().unwrap();
                let Some((name, _)) = name.split_once(".md") else { continue };
                if !root().join(format!("docs/{name}.md")).exists() {
                    missing.push(format!("{}: docs/{name}.md", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Subcommands that end by themselves and ask no other server.
const SHORT: [&str; 5] = ["check", "explain", "init", "keygen", "schema"];

#[test]
fn every_command_in_a_document_can_be_typed_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_vestibule"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", &path).env("GOOGLE_CLIENT_SECRET", "a-secret").current_dir(&folder);
        command.output().unwrap()
    };
    let file = fs::read_to_string(root().join("src/config/introduction.md")).unwrap();
    let file = file.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    for name in ["gateway.toml", "new.toml"] {
        fs::write(folder.path().join(name), file.replace('…', "an-id")).unwrap();
    }
    assert!(shell("vestibule keygen > vestibule.key").status.success());
    let mut refused = Vec::new();
    let mut typed = 0;
    // The change log speaks of commands of its time.
    for (path, text) in documents().into_iter().filter(|(path, _)| path != Path::new("CHANGELOG.md")) {
        let blocks = blocks(&text, "sh").into_iter().map(|line| (line, true));
        for (line, is_block) in blocks.chain(code_spans(&text).map(|span| (span, false))) {
            let Some(rest) = line.strip_prefix("vestibule ") else { continue };
            // A line of a block is carried out. A span may have placeholders: of that, only the options are tried.
            let subcommand = rest.split_whitespace().next().unwrap();
            let is_carried_out = is_block && SHORT.contains(&subcommand) && !rest.contains("--probe");
            let bare =
                line.split([' ']).take_while(|word| !["#", ">", "<"].contains(word)).collect::<Vec<_>>().join(" ");
            let output = shell(&if is_carried_out { line.to_owned() } else { format!("{bare} --help") });
            typed += 1;
            if !output.status.success() {
                refused.push(format!("{}: {line}\n{}", path.display(), String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(typed >= 20, "{typed} commands");
}

#[test]
fn every_script_and_profile_in_a_shell_block_exists() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for line in blocks(&text, "sh") {
            let words: Vec<_> = line.split_whitespace().take_while(|word| *word != "#").collect();
            let is_script = words.first().is_some_and(|first| first.starts_with("scripts/"));
            let named = words.windows(2).filter(|pair| ["-f", "--file", "--prefix"].contains(&pair[0]));
            let files = named.map(|pair| pair[1]).chain(words.first().filter(|_| is_script).copied());
            missing.extend(
                files.filter(|file| !root().join(file).exists()).map(|file| format!("{}: {file}", path.display())),
            );
            let profiles = words.windows(2).filter(|pair| pair[0] == "--profile").map(|pair| pair[1]);
            missing.extend(
                profiles
                    .filter(|name| !manifest.contains(&format!("[profile.{name}]")))
                    .map(|name| format!("{}: profile {name}", path.display())),
            );
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every document of the repository by its path in it.
fn documents() -> BTreeMap<PathBuf, String> {
    let at_root = fs::read_dir(root()).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let below = ["docs", "deploy", "examples", "benches", "fuzz", "tests"].into_iter().map(Path::new).flat_map(files);
    let all = at_root.chain(below).filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    all.map(|path| (path.clone(), fs::read_to_string(root().join(&path)).unwrap())).collect()
}

/// The files below `folder`, by their paths in the repository; without installed packages and build results.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        let is_ours = ["node_modules", "target", ".next"].iter().all(|name| !path.ends_with(name));
        if entry.file_type().unwrap().is_dir() && is_ours {
            found.extend(files(&path));
        } else if entry.file_type().unwrap().is_file() {
            found.push(path);
        }
    }
    found
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
        normal
    })
}

/// The text outside of code blocks, line by line.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The lines of the blocks of this language, without comments and blanks around them.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}");
    let mut is_block = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            is_block = line == begin;
        } else if is_block && !line.is_empty() && !line.starts_with('#') {
            found.push(line);
        }
    }
    found
}

/// What stands between single backticks in the text.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The targets of the links in the text, those of pictures too.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let markdown = prose(text).flat_map(|line| {
        // A link in a code span is none; its text may be one.
        line.match_indices("](").filter(|(at, _)| line[..*at].matches('`').count() % 2 == 0).filter_map(
            |(at, found)| line[at + found.len()..].split_once(')').map(|(target, _)| target.split(' ').next().unwrap()),
        )
    });
    let html = ["src=\"", "srcset=\"", "href=\""].into_iter().flat_map(move |attribute| {
        prose(text).flat_map(move |line| line.split(attribute).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)))
    });
    markdown.chain(html.filter(|target| !target.starts_with('/')))
}

/// The anchors that GitHub gives to the headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' '));
    headings
        .map(|heading| {
            let kept = heading.trim().to_lowercase().replace(' ', "-");
            let kept: String = kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            let times = seen.entry(kept.clone()).or_default();
            *times += 1;
            if *times == 1 { kept } else { format!("{kept}-{}", *times - 1) }
        })
        .collect()
}
