//! The engine with a small program's file.

use super::{
    key::{Choice, Flag, List, Number, Table, table, words},
    *,
};

table! {
    /// The whole file.
    struct RootTable {
        /// The one server.
        SERVER: Table<ServerTable> = required("server");
    }
}

table! {
    /// `[server]`
    struct ServerTable: NamedTable {
        /// The port, from 1 to
        /// 65535.
        PORT: Number<u16, 1, 65535> = default("port", "80");
        /// Whether it answers.
        OPEN: Flag = default("open", "true");
        /// How much it says.
        VOICE: Choice<Voice> = default("voice", "\"low\"");
        /// How long it waits.
        WAITS: List<form::Delay> = default("waits", "[\"1s\"]");
        later "tls";
    }
}

table! {
    /// What several tables have.
    struct NamedTable {
        /// The name.
        NAME: form::Text = required("name");
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Voice {
    Low,
    High,
}

words! { Voice: "low" => Self::Low, "high" => Self::High; later "mute" }

const FORMAT: FileFormat =
    FileFormat { title: "app.toml", introduction: "# app\n", shared: None, program: "app", variables: "APP_" };

type Values = (Option<String>, u16, bool, Voice, Vec<std::time::Duration>);

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Values, String> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read = FORMAT.read((text, "app.toml", Path::new("")), &environment, |root: &Section<'_, RootTable>, _| {
        let server = root.section(&RootTable::SERVER);
        Some((
            server.optional(&NamedTable::NAME),
            server.read(&ServerTable::PORT),
            server.read(&ServerTable::OPEN),
            server.read(&ServerTable::VOICE),
            server.values(&ServerTable::WAITS),
        ))
    });
    let printed = |complaints: Complaints| {
        let printed = complaints.errors.iter().map(|c| format!("{}:{} {} → {}", c.line, c.column, c.message, c.help));
        printed.collect::<Vec<_>>().join("\n")
    };
    read.map(|(read, _)| read).map_err(printed)
}

#[test]
fn keys_have_the_value_of_the_file_of_the_environment_or_the_default() {
    let second = std::time::Duration::from_secs(1);
    let name = Some("a".to_owned());
    assert_eq!(read("server.name = \"a\"", &[]), Ok((name.clone(), 80, true, Voice::Low, vec![second])));
    let text = "[server]\nname = \"a\"\nport = 1\nopen = false\nvoice = \"low\"\nwaits = []";
    let variables = [("APP_SERVER__VOICE", "high"), ("APP_SERVER__PORT", "65535"), ("OTHER_SERVER__PORT", "3")];
    assert_eq!(read(text, &variables), Ok((name, 65535, false, Voice::High, vec![])));
}

#[test]
fn all_mistakes_of_a_file_are_complained_about_at_once() {
    let text = "[server]\nport = 0\nopen = 1\nvoice = \"mute\"\nwaits = [\"1\"]\ntls = 1\nnmae = \"a\"";
    assert_eq!(
        read(text, &[]).unwrap_err(),
        "1:2 `name` is missing in `server` → write `name = \"…\"`\n\
         2:8 `port` must be a number from 1 to 65535, not the number 0 → write a whole number from 1 to 65535, without quotes\n\
         3:8 `open` must be true or false, not the number 1 → write `open = true` or `open = false`, without quotes\n\
         4:9 `voice = \"mute\"` is not available yet in this version → it can be one of \"low\", \"high\"\n\
         5:10 `waits` must be a duration, not `1` → write a whole number with a unit: ms, s, m, h or d, e.g. \"60s\"\n\
         6:1 `tls` is not available yet in this version → leave it out\n\
         7:1 unknown key `nmae` in `server` → did you mean `name`?"
    );
}

#[test]
fn the_reference_and_the_schema_follow_the_declarations() {
    let reference = FORMAT.reference::<RootTable>();
    assert!(reference.starts_with("# app\n\n## `[server]`\n\nThe one server.\n"), "{reference}");
    let (name, port) = ("| `name` | text | required | The name. |", "| `80` | The port, from 1 to 65535. |");
    assert!(reference.find(name) < reference.find(port) && reference.contains(name), "{reference}");
    let schema = FORMAT.schema::<RootTable>();
    let server = &schema["properties"]["server"];
    assert_eq!((&server["required"], &server["properties"]["port"]["maximum"]), (&["name"].into(), &65535.into()));
    assert!(server["properties"].get("tls").is_none());
}

#[test]
fn the_reference_lists_shared_keys_once_after_all_tables() {
    let shared = SharedKeys { table: "NamedTable", heading: "Keys of all", doc: "All have them." };
    let reference = FileFormat { shared: Some(shared), ..FORMAT }.reference::<RootTable>();
    let (server, keys) = reference.split_once("\n## Keys of all\n\nAll have them.\n").expect("the heading");
    assert!(server.contains("It has the [keys of all](#keys-of-all), and:\n\n| key |"), "{server}");
    assert!(server.contains("| `port` |") && !server.contains("| `name` |"), "{server}");
    assert!(keys.contains("| `name` | text | required | The name. |") && !keys.contains("| `port` |"), "{keys}");
}
