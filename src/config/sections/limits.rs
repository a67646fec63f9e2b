//! `[limits]`: wrong guesses, connections, sizes and deadlines. Each answers an attack.

use std::ops::RangeInclusive;

use crate::config::{complaint::Problems, form, secrets::Surroundings, section::Section};
use crate::{
    endpoint::{GuessLimits, Rate},
    listen::Limits,
    oidc::AnswerSizes,
};

/// What concerns sockets: how many there may be, in all and of one client, and what each may use up.
pub(crate) struct Sockets {
    pub(crate) connections: u32,
    pub(crate) connections_per_client: u32,
    pub(crate) limits: Limits,
}

/// Reads the limits of guesses.
pub(crate) fn guesses(section: &Section<'_>) -> GuessLimits {
    let rate = |key| {
        let (most, window) = section.read(key, form::rate);
        Rate { most, window }
    };
    GuessLimits { per_client: rate("failures_per_client"), per_account: rate("failures_per_account") }
}

/// Reads the limits of connections.
pub(crate) fn of_sockets(section: &Section<'_>, around: &mut Surroundings<'_>) -> Sockets {
    let span = |key| section.read(key, form::duration);
    let head_bytes = size(section, "header_bytes", 8 << 10..=1 << 20, around.problems);
    Sockets {
        connections: section.number("connections"),
        connections_per_client: section.number("connections_per_client"),
        limits: Limits {
            handshake: span("tls_timeout"),
            head: span("header_timeout"),
            idle: span("idle_timeout"),
            stalled: span("write_timeout"),
            head_bytes: u32::try_from(head_bytes).unwrap_or(u32::MAX),
            head_lines: section.number("header_lines"),
            streams: section.number("streams"),
            ..Limits::default()
        },
    }
}

/// Reads how large the answers of providers and backends may be.
pub(crate) fn answers(section: &Section<'_>, around: &mut Surroundings<'_>) -> AnswerSizes {
    let mut read = |key| {
        let size = size(section, key, 1 << 10..=64 << 20, around.problems);
        usize::try_from(size).unwrap_or(usize::MAX)
    };
    AnswerSizes { answer: read("answer_bytes"), document: read("document_bytes") }
}

/// Reads the least number of bytes a second that a request's body has to bring; 0 is no minimum.
pub(crate) fn body_rate(section: &Section<'_>) -> u64 {
    section.read("body_rate", form::size)
}

fn size(section: &Section<'_>, key: &str, range: RangeInclusive<u64>, problems: &mut Problems) -> u64 {
    let size = section.read(key, form::size);
    if !range.contains(&size) {
        let (least, most) = (range.start() >> 10, range.end() >> 10);
        problems.complain(
            section.place(key),
            format!("`{key}` must be a size from {least}KiB to {most}KiB"),
            format!("write a size in this range, or leave out `{key}`"),
        );
    }
    size
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::config::{Environment, START, keys, tree};

    fn read(text: &str) -> (GuessLimits, Sockets, u64, AnswerSizes, String) {
        let table = tree::read(text).unwrap();
        let section = Section::root(keys::ROOT, &table, &START).section("limits");
        let (environment, mut problems) = (Environment::new(), Problems::default());
        let mut around = Surroundings { environment: &environment, folder: Path::new(""), problems: &mut problems };
        let (sockets, answers) = (of_sockets(&section, &mut around), answers(&section, &mut around));
        let (guesses, body_rate) = (guesses(&section), body_rate(&section));
        (guesses, sockets, body_rate, answers, problems.finish("gateway.toml", text).to_string())
    }

    #[test]
    fn what_is_not_said_is_as_it_is_documented() {
        const ALL: &str = r#"
            [limits]
            failures_per_client = "300/h"
            failures_per_account = "100/h"
            connections = 20000
            connections_per_client = 4096
            streams = 128
            header_bytes = "32KiB"
            header_lines = 100
            header_timeout = "10s"
            body_rate = "256B"
            idle_timeout = "75s"
            write_timeout = "60s"
            tls_timeout = "5s"
            answer_bytes = "64KiB"
            document_bytes = "1MiB"
        "#;
        let hour = |most| Rate { most, window: Duration::from_hours(1) };
        for text in [ALL, ""] {
            let (guesses, sockets, body_rate, answers, said) = read(text);
            assert_eq!(guesses, GuessLimits { per_client: hour(300), per_account: hour(100) });
            assert_eq!((sockets.connections, sockets.connections_per_client), (20_000, 4096));
            assert_eq!(sockets.limits, Limits::default());
            assert_eq!(body_rate, 256);
            assert_eq!(answers, AnswerSizes::default());
            assert_eq!(said, "");
        }
    }

    #[test]
    fn what_is_said_is_taken() {
        let (guesses, sockets, body_rate, answers, _) = read(
            r#"
            [limits]
            failures_per_client = "5/10m"
            failures_per_account = "1/d"
            connections = 7
            connections_per_client = 2
            streams = 3
            header_bytes = "8KiB"
            header_lines = 10
            header_timeout = "1s"
            body_rate = "0B"
            idle_timeout = "2s"
            write_timeout = "3s"
            tls_timeout = "4s"
            answer_bytes = "1KiB"
            document_bytes = "64MiB"
            "#,
        );
        assert_eq!(guesses.per_client, Rate { most: 5, window: Duration::from_mins(10) });
        assert_eq!(guesses.per_account, Rate { most: 1, window: Duration::from_hours(24) });
        assert_eq!((sockets.connections, sockets.connections_per_client), (7, 2));
        let Limits { head, idle, stalled, handshake, head_bytes, head_lines, streams, .. } = sockets.limits;
        assert_eq!([head, idle, stalled, handshake].map(|span| span.as_secs()), [1, 2, 3, 4]);
        assert_eq!((head_bytes, head_lines, streams, body_rate), (8192, 10, 3, 0));
        assert_eq!(answers, AnswerSizes { answer: 1024, document: 64 << 20 });
    }

    #[test]
    fn sizes_that_nothing_could_work_with_are_complaints() {
        let (.., said) = read("limits = { header_bytes = \"1KiB\", answer_bytes = \"100GiB\" }");
        assert!(said.contains("`header_bytes` must be a size from 8KiB to 1024KiB"), "{said}");
        assert!(said.contains("`answer_bytes` must be a size from 1KiB to 65536KiB"), "{said}");
    }
}
