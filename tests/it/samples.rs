//! Every configuration in the documentation and in `deploy/` passes `vestibule check`, without a warning.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};
use vestibule::{
    config::{self, Environment},
    secret::Random,
};

/// The sections that fragments in documents omit.
const AROUND: &str = r#"
[server]
listen = "127.0.0.1:8080"
public_url = "https://app.example.com"

[session]
keys = ["env:VESTIBULE_KEY"]

[providers.google]
client_id = "an-id"
allow = "anyone"

[upstreams.api]
targets = ["http://127.0.0.1:3000"]
bearer = "none"

[[routes]]
path = "/{*rest}"
upstream = "api"
"#;

/// 32 bytes in base64: a valid key and a valid value for other secrets.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn every_file_under_deploy_passes_the_check() {
    let mut checked = 0;
    for path in files(&root().join("deploy")) {
        let text = fs::read_to_string(&path).unwrap();
        let samples = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => vec![text],
            Some("yaml") => in_yaml(&text),
            _ => Vec::new(),
        };
        for sample in samples {
            check(&path.display().to_string(), &sample, Allowed::Nothing);
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked} samples");
}

#[test]
fn every_sample_in_a_document_passes_the_check() {
    let mut checked = 0;
    let mut documents = files(&root().join("docs"));
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    for path in documents.iter().chain(&[root().join("README.md"), root().join("SECURITY.md")]) {
        let text = fs::read_to_string(path).unwrap();
        for (number, sample) in in_markdown(&text).into_iter().enumerate() {
            // A whole file without keys is for a developer's machine, where a restart may log people out.
            let is_whole = sample.contains("[server]") && sample.contains("\nkeys = ");
            let allowed = if is_whole { Allowed::Nothing } else { Allowed::OfFragments };
            check(&format!("{}, sample {}", path.display(), number + 1), &completed(&sample), allowed);
            checked += 1;
        }
    }
    assert!(checked >= 40, "{checked} samples");
}

#[test]
fn the_file_of_the_example_passes_the_check() {
    let path = root().join("examples/nextjs/gateway.toml");
    check(&path.display().to_string(), &fs::read_to_string(&path).unwrap(), Allowed::OfFragments);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The blocks between "```toml" and "```".
fn in_markdown(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block has an end").0.to_owned()).collect()
}

/// The block scalars under keys that end in `.toml`.
fn in_yaml(text: &str) -> Vec<String> {
    let mut samples = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.trim_end().ends_with(".toml: |") {
            continue;
        }
        let outer = line.len() - line.trim_start().len();
        let mut sample = String::new();
        while let Some(line) =
            lines.next_if(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > outer)
        {
            sample.push_str(line.trim_start());
            sample.push('\n');
        }
        samples.push(sample);
    }
    samples
}

/// A fragment completed with the tables that it omits.
fn completed(sample: &str) -> String {
    let mut table: Table = sample.parse().unwrap_or_else(|error| panic!("{error}\n{sample}"));
    if table.contains_key("server") {
        return sample.to_owned();
    }
    let around: Table = AROUND.parse().unwrap();
    for (name, value) in around {
        match (table.get_mut(&name), value) {
            (None, value) => drop(table.insert(name, value)),
            // A fragment may refer to upstreams that it does not define.
            (Some(Value::Table(own)), Value::Table(more)) if name != "providers" => {
                for (key, value) in more {
                    own.entry(key).or_insert(value);
                }
            }
            (Some(_), _) => {}
        }
    }
    table.to_string()
}

/// What a warning says about a file that protects less than it seems to. The files under `deploy/` and the whole files
/// in documents have no warning at all; other samples leave out what these do not speak of, but have none of these.
const PROTECTS_LESS: [&str; 5] =
    ["stricter", "trusts everybody", "nobody can have", "not a backend", "the gateway's own calls here"];

/// The warnings that a sample may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// None.
    Nothing,
    /// Those that are not in [`PROTECTS_LESS`].
    OfFragments,
}

/// Loads `sample`, with every variable and file that it names.
fn check(name: &str, sample: &str, allowed: Allowed) {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::new();
    let mut table: Table = sample.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    provide(&mut table, folder.path(), &mut environment);
    let certificate = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
    if let Some(Value::Table(tls)) = table.get("server").and_then(|server| server.get("tls")) {
        for (key, pem) in [("cert", certificate.cert.pem()), ("key", certificate.signing_key.serialize_pem())] {
            let path = folder.path().join(tls[key].as_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, pem).unwrap();
        }
    }
    if let Some(Value::Table(pages)) = table.get("pages") {
        fs::write(folder.path().join(pages["logo"].as_str().unwrap()), "<svg/>").unwrap();
        let templates = folder.path().join(pages["templates"].as_str().unwrap());
        fs::create_dir_all(&templates).unwrap();
        fs::write(templates.join("style.css"), "main { color: red }").unwrap();
    }
    let random = Random::system();
    match config::parse(&table.to_string(), name, folder.path(), &environment, &random) {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            let is_counted = |warning: &&String| {
                allowed == Allowed::Nothing || PROTECTS_LESS.iter().any(|part| warning.contains(part))
            };
            let counted: Vec<_> = warnings.iter().filter(is_counted).collect();
            assert!(counted.is_empty(), "{counted:#?}\n{table}");
        }
        Err(complaints) => panic!("{complaints}\n{table}"),
    }
}

/// Gives every `env:` and `file:` value a content; absolute paths move into `folder`.
fn provide(table: &mut Table, folder: &Path, environment: &mut Environment) {
    for (_, value) in table.iter_mut() {
        provide_for(value, folder, environment);
    }
}

fn provide_for(value: &mut Value, folder: &Path, environment: &mut Environment) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("env:") {
                environment.insert(name.to_owned(), different(environment.len()));
            } else if let Some(path) = text.strip_prefix("file:") {
                let path = path.trim_start_matches('/').to_owned();
                let place = folder.join(&path);
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(place, different(path.bytes().map(usize::from).sum())).unwrap();
                *text = format!("file:{path}");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| provide_for(value, folder, environment)),
        Value::Table(table) => provide(table, folder, environment),
        _ => {}
    }
}

/// A key that depends on `seed`, because no key may be listed twice.
fn different(seed: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(seed % 26).unwrap());
    format!("{letter}{}", &SECRET[1..])
}
