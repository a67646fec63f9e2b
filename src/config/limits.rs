//! `[limits]`: wrong guesses, and connections.

use super::{form, section::Section};
use crate::endpoint::{GuessLimits, Rate};

/// How many connections there may be: in all, and of one client.
#[derive(Clone, Copy)]
pub(super) struct Connections {
    pub(super) most: u32,
    pub(super) per_client: u32,
}

/// Reads the limits of guesses.
pub(super) fn guesses(section: &Section<'_>) -> GuessLimits {
    let rate = |key| {
        let (most, window) = section.read(key, form::rate);
        Rate { most, window }
    };
    GuessLimits { per_client: rate("failures_per_client"), per_account: rate("failures_per_account") }
}

/// Reads the limits of connections.
pub(super) fn connections(section: &Section<'_>) -> Connections {
    Connections { most: section.number("connections"), per_client: section.number("connections_per_client") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{START, keys, tree};

    fn read(text: &str) -> (GuessLimits, [u32; 2]) {
        let table = tree::read(text).unwrap();
        let section = Section::root(keys::ROOT, &table, &START).section("limits");
        let Connections { most, per_client } = connections(&section);
        (guesses(&section), [most, per_client])
    }

    #[test]
    fn what_is_not_said_is_as_it_is_documented() {
        const ALL: &str = r#"
            [limits]
            failures_per_client = "300/h"
            failures_per_account = "100/h"
            connections = 20000
            connections_per_client = 4096
        "#;
        let hour = |most| Rate { most, window: Duration::from_hours(1) };
        let documented = GuessLimits { per_client: hour(300), per_account: hour(100) };
        assert_eq!(read(ALL), (documented, [20_000, 4096]));
        assert_eq!(read(""), read(ALL));
    }

    #[test]
    fn what_is_said_is_taken() {
        let (guesses, connections) = read(
            "limits = { failures_per_client = \"5/10m\", failures_per_account = \"1/d\", connections = 7, connections_per_client = 2 }",
        );
        assert_eq!(guesses.per_client, Rate { most: 5, window: Duration::from_mins(10) });
        assert_eq!(guesses.per_account, Rate { most: 1, window: Duration::from_hours(24) });
        assert_eq!(connections, [7, 2]);
    }
}
