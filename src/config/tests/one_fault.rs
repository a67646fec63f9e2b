//! One fault of a file is complained of in one sentence: nothing is said of what would follow from it.

use std::fs;

use super::{BACKEND, GATEWAY, SMALLEST, repository_path, sample_environment};
use crate::{
    config::{Environment, parse},
    secret::Random,
};

/// Keys of `[session]` that other tables are compared with.
const OF_SESSION: [&str; 11] = [
    "login_page",
    "after_login",
    "after_logout",
    "base_path",
    "idle",
    "absolute",
    "roles_claim",
    "cookie_prefix",
    "refresh_ahead",
    "return_to_origins",
    "store",
];

/// What `text` is complained of for: errors, then warnings.
fn complaints(text: &str, environment: &Environment) -> Vec<String> {
    let (errors, warnings) = match parse(text, "gateway.toml", &repository_path(""), environment, &Random::system()) {
        Ok(loaded) => (vec![], loaded.warnings),
        Err(complaints) => (complaints.errors, complaints.warnings),
    };
    errors.into_iter().chain(warnings).map(|complaint| complaint.message).collect()
}

/// `base` with the value of one key replaced, for each of its keys on lines of their own, and each of `[session]`.
fn with_one_wrong(base: &str, value: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let lines: Vec<&str> = base.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            let wrong = format!("{key} = {value}");
            let text = [&lines[..at], &[&*wrong], &lines[at + 1..]].concat().join("\n");
            all.push((wrong, text));
        }
    }
    for key in OF_SESSION.into_iter().filter(|_| base.contains("[session]\n")) {
        let wrong = format!("{key} = {value}");
        let old_key = format!("\n{key} = ");
        if !base.contains(&old_key) {
            all.push((wrong.clone(), base.replacen("[session]\n", &format!("[session]\n{wrong}\n"), 1)));
        }
    }
    all
}

#[test]
fn a_malformed_value_of_any_key_is_one_complaint() {
    let environment = sample_environment();
    let sample = fs::read_to_string(repository_path("gateway.toml")).unwrap();
    let at_root = BACKEND.replace("\"/api/{*rest}\"", "\"/{*rest}\"");
    let mut more = Vec::new();
    for base in [SMALLEST, BACKEND, GATEWAY, &at_root, &sample] {
        let before = complaints(base, &environment);
        for (wrong, text) in ["1.5", "\"//evil\""].iter().flat_map(|value| with_one_wrong(base, value)) {
            let mut after = complaints(&text, &environment);
            after.retain(|complaint| !before.contains(complaint));
            if after.len() > 1 {
                more.push((wrong, after));
            }
        }
    }
    assert!(more.is_empty(), "{more:#?}");
}
