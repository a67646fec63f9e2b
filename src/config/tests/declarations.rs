//! Every declared key: its default, its reader, the reference page.

use super::*;

#[test]
fn the_reference_is_current() {
    let written = fs::read_to_string(repository_path("docs/config.md")).unwrap();
    assert!(written == reference(), "run `vestibule schema --reference > docs/config.md`");
}

#[test]
fn every_declared_default_is_one_that_the_file_could_have() {
    fn check(rows: Rows) {
        for row in rows.iter() {
            if let Need::Default(text) = row.need {
                let node = tree::read_value(text).unwrap_or_else(|| panic!("{}: {text}", row.name));
                let entry = tree::Entry { name: row.name.to_owned(), place: Place::Nowhere, node };
                let mut problems = Problems::default();
                shape::check(&tree::Table(vec![entry]), only(row), "test", &Place::Nowhere, &mut problems);
                assert_eq!(printed(&problems.finish("", "").errors), "");
            }
            check(row.kind.rows());
        }
    }
    check(RootTable::ROWS);
}

#[test]
fn every_declared_key_is_read() {
    /// The only key without a reader: it has one word, and the shape check refuses any other.
    const NO_CHOICE: &str = "SessionTable::STORE";
    fn check(rows: Rows, readers: &str) {
        for group in rows.0 {
            for row in group.rows.iter().filter(|row| !matches!(row.kind, KeyKind::Later)) {
                let key = format!("{}::{}", group.table, row.name.to_uppercase());
                assert!(key == NO_CHOICE || readers.contains(&key), "nothing reads `{key}`");
                check(row.kind.rows(), readers);
            }
        }
    }
    let readers: String = source_files().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    check(RootTable::ROWS, &readers);
}

/// A table with this key only.
fn only(row: &'static KeyRow) -> Rows {
    let group = schema::kind::Group { table: "only", rows: std::slice::from_ref(row) };
    Rows(Vec::leak(vec![group]))
}

/// The source files of `config`, without tests.
fn source_files() -> Vec<std::path::PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![repository_path("src/config")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("tests") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}
