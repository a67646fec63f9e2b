//! What `init` writes, asks and refuses.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const CASES: [Case; 4] = [Case::App, Case::Api, Case::Proxy, Case::None];

fn options(case: Option<Case>, dir: &Path) -> InitOptions {
    InitOptions {
        case,
        dir: dir.to_owned(),
        output: "gateway.toml".into(),
        public_url: None,
        upstream: None,
        issuer: None,
        client_id: None,
    }
}

fn run(options: &InitOptions, typed: Option<&str>) -> (Exit, String) {
    let mut out = Vec::new();
    let mut typed = typed.map(str::as_bytes);
    let terminal = typed.as_mut().map(|typed| typed as &mut dyn BufRead);
    let exit = init(options, &Random::system(), terminal, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

fn warnings(file: &Path) -> Vec<String> {
    let loaded = config::load(file, &Environment::new(), &Random::system());
    loaded.unwrap_or_else(|complaints| panic!("{complaints}")).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn every_case_passes_the_check_without_a_warning_on_loopback_and_on_a_public_address() {
    for case in CASES {
        for public_url in
            [None, Some("https://app.example.kr"), Some("http://localhost"), Some("https://10.0.0.1:8443")]
        {
            for issuer in [None, Some("https://id.example.com")] {
                let folder = tempfile::tempdir().unwrap();
                let (public_url, issuer) = (public_url.map(str::to_owned), issuer.map(str::to_owned));
                let (exit, said) = run(&InitOptions { public_url, issuer, ..options(Some(case), folder.path()) }, None);
                assert_eq!(exit, Exit::Success, "{case:?}: {said}");
                let none: [String; 0] = [];
                assert_eq!(warnings(&folder.path().join("gateway.toml")), none, "{case:?}");
                let key = folder.path().join(KEY_FILE);
                assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }
}

#[test]
fn an_existing_file_is_never_overwritten_and_an_existing_key_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, "mine").unwrap();
    let app = options(Some(Case::App), folder.path());
    let (exit, said) = run(&app, None);
    assert_eq!(exit, Exit::BadConfig);
    assert!(said.contains("gateway.toml exists") && said.contains("--output"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(!folder.path().join(KEY_FILE).exists());

    let second = InitOptions { output: "second.toml".into(), ..app.clone() };
    assert_eq!(run(&second, None).0, Exit::Success);
    let key = fs::read_to_string(folder.path().join(KEY_FILE)).unwrap();
    let (exit, said) = run(&InitOptions { output: "third.toml".into(), ..app.clone() }, None);
    assert!(exit == Exit::Success && said.contains("vestibule.key exists and is used"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join(KEY_FILE)).unwrap(), key);

    fs::write(folder.path().join(KEY_FILE), "not a key").unwrap();
    let fourth = InitOptions { output: "fourth.toml".into(), ..app };
    let (exit, said) = run(&fourth, None);
    assert!(exit == Exit::BadConfig && said.contains("vestibule.key cannot be written"), "{said}");
    assert!(!folder.path().join("fourth.toml").exists(), "nothing half-done is left");
}

#[test]
fn a_terminal_is_asked_for_what_is_missing_and_for_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (exit, said) =
        run(&options(None, folder.path()), Some("5\n1\n\nhttp://127.0.0.1:5173\nhttps://id.example\n\n"));
    assert_eq!(exit, Exit::Success, "{said}");
    assert!(said.contains("1  app") && said.contains("4  none") && said.contains("[http://localhost:8080]"), "{said}");
    let text = fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    assert!(text.contains("http://127.0.0.1:5173") && text.contains("issuer = \"https://id.example\""), "{text}");

    let again = options(Some(Case::Api), folder.path());
    let (exit, said) = run(&again, Some("gateway.toml\nother.toml\n\n\n"));
    assert!(exit == Exit::Success && folder.path().join("other.toml").exists(), "{said}");
    let (exit, said) = run(&again, Some("\n"));
    assert!(exit == Exit::BadConfig && said.contains("Nothing was written"), "{said}");
    assert_eq!(run(&options(None, &folder.path().join("nowhere")), Some("")).0, Exit::BadConfig);
}

#[test]
fn bad_addresses_and_folders_are_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let api = options(Some(Case::Api), folder.path());
    for (public_url, upstream, expected) in [
        ("app.example", "http://127.0.0.1:3000", "`public_url` must be"),
        ("http://app.example", "http://127.0.0.1:3000", "cookies over http"),
        ("https://app.example/\"x", "http://127.0.0.1:3000", "`public_url` must be"),
        ("http://localhost:8080", "127.0.0.1:3000", "`targets` must be"),
        ("http://localhost:8080", "http://127.0.0.1:3000/path", "`targets` must be"),
        ("http://localhost:8080", "http://localhost:8080", "is what `listen` listens on"),
    ] {
        let bad =
            InitOptions { public_url: Some(public_url.to_owned()), upstream: Some(upstream.to_owned()), ..api.clone() };
        let (exit, said) = run(&bad, None);
        assert_eq!(exit, Exit::BadConfig, "{public_url} {upstream}");
        assert!(said.contains(expected) && said.contains("Nothing was written"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(folder.path().join("file"), "").unwrap();
    let (exit, said) = run(&options(Some(Case::Api), &folder.path().join("file/below")), None);
    assert!(exit == Exit::BadConfig && said.contains("cannot be written") && said.contains("--dir"), "{said}");
    let (exit, said) = run(&options(None, folder.path()), None);
    assert!(exit == Exit::BadConfig && said.contains("--case app"), "{said}");
}

#[test]
fn a_folder_that_is_absent_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("new/deeper");
    let (exit, said) = run(&options(Some(Case::Api), &below), None);
    assert!(
        exit == Exit::Success && below.join("gateway.toml").exists() && below.join("vestibule.key").exists(),
        "{said}"
    );
}
