//! `[store]` in whole files.

use super::*;

#[test]
fn each_store_is_read_with_its_address_or_path() {
    let folder = tempfile::tempdir().unwrap();
    let read_store = |table: &str| {
        let text = BACKEND.replace("[session]", &format!("[store]\n{table}\n[session]"));
        let settings = environment(&[("STORE_URL", "rediss-sentinel://:hunter2@a,b/main/0")]);
        let loaded = parse(&text, "gateway.toml", folder.path(), &settings, &Random::system());
        let loaded = loaded.unwrap_or_else(|complaints| panic!("{complaints}"));
        (loaded.config.store, loaded.config.session.store_down, printed(&loaded.warnings))
    };
    let none = String::new;
    assert_eq!(read_store("kind = \"memory\""), (store::Settings::Memory, StoreDown::Wait, none()));
    let path = folder.path().join("vestibule.redb");
    assert_eq!(read_store("kind = \"file\""), (store::Settings::File { path }, StoreDown::Wait, none()));
    let path = folder.path().join("x");
    assert_eq!(read_store("kind = \"file\"\npath = \"x\"").0, store::Settings::File { path });
    let url = Secret::new("rediss-sentinel://:hunter2@a,b/main/0");
    assert_eq!(
        read_store("kind = \"redis\"\nurl = \"env:STORE_URL\"\nstore_down = \"refresh\""),
        (store::Settings::Redis { url }, StoreDown::Refresh, none())
    );
    let url = Secret::new("postgresql://gate@db:5432/gate");
    assert_eq!(
        read_store("kind = \"postgres\"\nurl = \"postgresql://gate@db:5432/gate\""),
        (store::Settings::Postgres { url }, StoreDown::Wait, none())
    );
    assert_eq!(
        read_store("kind = \"postgres\"\nurl = \"postgres://gate:hunter2@db/gate\"").2,
        "6:7 a secret stands in the file itself → write \"env:NAME\" or \"file:PATH\", and keep the secret there\n"
    );
}

#[test]
fn a_store_that_cannot_be_opened_is_complained_about_at_its_url() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, url, reason) in [
        ("redis", "redis://u:hunter2@h:notaport/0", "a port that is not a number"),
        ("redis", "REDIS://u:hunter2@h/0", "the scheme of its url is not"),
        ("redis", "redis://u:hunter2@h/zero", "is not a number"),
        ("redis", "rediss://u:hunter2@h?ca=/nowhere/ca.pem", "the ca file /nowhere/ca.pem: "),
        ("postgres", "postgres://u:hunter2@h:70000/x", "not a PostgreSQL URL"),
        ("postgres", "postgres://u:hunter2@h/x?sslmode=bogus", "sslmode must be"),
        ("postgres", "postgres://h/x?sslmode=bogus&password=hunter2", "sslmode must be"),
        ("postgres", "postgres://u:hunter2@h/x?sslmode=require&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem: "),
    ] {
        for written in [url, "env:STORE_URL"] {
            let text =
                BACKEND.replace("[session]", &format!("[store]\nkind = \"{kind}\"\nurl = \"{written}\"\n[session]"));
            let complaints = read_with(&text, &[("STORE_URL", url)]).unwrap_err();
            let [error] = &complaints.errors[..] else { panic!("{complaints}") };
            assert!((error.line, error.column) == (6, 7) && error.message.contains(reason), "{complaints}");
            assert!(!format!("{complaints}{complaints:?}").contains("hunter2"), "{complaints}");
        }
    }
    let text = BACKEND.replace("[session]", "[store]\nkind = \"file\"\npath = \".\"\n[session]");
    let complaints = parse(&text, "gateway.toml", folder.path(), &environment(&[]), &Random::system()).unwrap_err();
    assert!(printed(&complaints.errors).starts_with("6:8 the store's file is a folder"), "{complaints}");
}

#[test]
fn instances_that_share_a_store_share_keys() {
    let text = SMALLEST.replace("[session]", "[store]\nkind = \"redis\"\nurl = \"redis://localhost\"\n[session]");
    let printed = printed(&read(&text).unwrap().warnings);
    assert!(
        printed.contains("5:8 several instances share a store, but without `session.keys` none can read"),
        "{printed}"
    );
}
