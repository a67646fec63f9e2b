//! `[limits]`: wrong guesses, connections, sizes and times. Each limit answers an attack.

use std::ops::RangeInclusive;

use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Always, Key, Number, table},
        section::Section,
    },
    endpoint::{GuessLimits, Rate},
    head_memory::HeadLimits,
    listen::Limits,
    oidc::AnswerSizes,
};

table! {
    /// `[limits]`
    pub(crate) struct LimitsTable {
        /// Wrong guesses of one IPv4 address or IPv6 /64: passwords, ID tokens, codes, and callbacks that belong to no
        /// login. Correct values are not counted. The clients of one IPv6 /48 together have 16 times as many. Above it:
        /// 429 with `Retry-After`, also for correct values.
        FAILURES_PER_CLIENT: form::Rate = default("failures_per_client", "\"300/h\"");
        /// Wrong passwords for one e-mail address, from all clients together; also if there is no such account. Above
        /// it: 429, and the backend is not called.
        FAILURES_PER_ACCOUNT: form::Rate = default("failures_per_account", "\"100/h\"");
        /// Open connections of visitors per instance; more wait in the kernel. Changes with a restart only.
        CONNECTIONS: Number<u32, 1, 1_000_000> = default("connections", "20000");
        /// Open connections of one IPv4 address or IPv6 /64 per instance; more are closed immediately. With
        /// `proxy_protocol` the address in its header is counted; connections from `trusted_proxies` themselves are not
        /// counted. Changes with a restart only.
        CONNECTIONS_PER_CLIENT: Number<u32, 1, 1_000_000> = default("connections_per_client", "4096");
        /// Concurrent requests on one HTTP/2 connection; more wait. Against floods of streams that are opened and
        /// reset. Changes with a restart only.
        STREAMS: Number<u32, 1, 10_000> = default("streams", "100");
        /// Most bytes of the heads of one HTTP/2 connection's requests that are in memory at a time, decoded; further
        /// requests are refused with `REFUSED_STREAM`, after which browsers send them again. Against a few bytes that
        /// refer to large headers. The only request of a connection is always served. From 64KiB to 64MiB. Changes
        /// with a restart only.
        HEADS_PER_CONNECTION: form::Size = default("heads_per_connection", "\"1MiB\"");
        /// The same for all HTTP/2 connections together. From 1MiB to 64GiB. Changes with a restart only.
        HEADS_IN_TOTAL: form::Size = default("heads_in_total", "\"256MiB\"");
        /// Most requests of one HTTP/2 connection to endpoints of the gateway that wait for their body at a time; more
        /// are refused with `REFUSED_STREAM`, after which browsers send them again. Against bodies that never come.
        /// Changes with a restart only.
        AWAITED_BODIES: Number<u32, 1, 10_000> = default("awaited_bodies", "8");
        /// Largest head of a request, including its target; a larger one is answered 431. Against floods of headers and
        /// cookies. From 8KiB to 1MiB. Changes with a restart only.
        HEADER_BYTES: form::Size = default("header_bytes", "\"32KiB\"");
        /// Most header lines of a request; with more it is answered 431. Over HTTP/2 all lines of `Cookie` count as
        /// one. Each further name in `Connection` and `Trailer` counts as a line. Changes with a restart only.
        HEADER_LINES: Number<u32, 10, 10_000> = default("header_lines", "100");
        /// How long the head of a request may take, from its first byte (on a new connection from its acceptance) to
        /// its last, even if bytes arrive steadily; then 408. Against clients that send a header a minute (Slowloris).
        /// Changes with a restart only.
        HEADER_TIMEOUT: form::Duration = default("header_timeout", "\"10s\"");
        /// The least average rate of a request's body in bytes per second, after the first ten seconds and until the
        /// upstream's answer begins. Only time in which the gateway waits for the body counts; below the rate: 408.
        /// Against bodies that never end (R.U.D.Y.). `"0B"`: no minimum. A route can set its own.
        BODY_RATE: form::Size = default("body_rate", "\"256B\"");
        /// How long a connection may be open between two requests. Longer than a load balancer keeps its own
        /// connections (usually 60s), so that the balancer closes first. Changes with a restart only.
        IDLE_TIMEOUT: form::Duration = default("idle_timeout", "\"75s\"");
        /// How long a client may accept no bytes although some are ready to be sent; then the connection is closed.
        /// Over HTTP/2 the stream is reset unless it accepts 16 KiB in this time. Against clients that read a byte a
        /// minute. Changes with a restart only.
        WRITE_TIMEOUT: form::Duration = default("write_timeout", "\"60s\"");
        /// How long a TLS handshake may take. Against handshakes that are not completed. Changes with a restart only.
        TLS_TIMEOUT: form::Duration = default("tls_timeout", "\"5s\"");
        /// Largest answer of the authority or a provider with tokens or a profile; a larger one is treated as no
        /// answer. Against endless answers. From 1KiB to 64MiB.
        ANSWER_BYTES: form::Size = default("answer_bytes", "\"64KiB\"");
        /// The same for the documents that a provider publishes: its metadata and its keys.
        DOCUMENT_BYTES: form::Size = default("document_bytes", "\"1MiB\"");
    }
}

/// Limits of connections: their number, in total and per client, and the limits of each.
pub(crate) struct Sockets {
    pub(crate) connections: u32,
    pub(crate) connections_per_client: u32,
    pub(crate) limits: Limits,
}

/// Reads the limits of guesses.
pub(crate) fn guesses(section: &Section<'_, LimitsTable>) -> GuessLimits {
    let rate = |key| {
        let (most, window) = section.read(key);
        Rate { most, window }
    };
    GuessLimits {
        per_client: rate(&LimitsTable::FAILURES_PER_CLIENT),
        per_account: rate(&LimitsTable::FAILURES_PER_ACCOUNT),
    }
}

/// Reads the limits of connections.
pub(crate) fn of_sockets(section: &Section<'_, LimitsTable>, cx: &mut Context<'_>) -> Sockets {
    let period = |key| section.read(key);
    let head_bytes = size(section, &LimitsTable::HEADER_BYTES, 8 << 10..=1 << 20, cx);
    let heads_per_connection = size(section, &LimitsTable::HEADS_PER_CONNECTION, 64 << 10..=64 << 20, cx);
    let heads_in_total = size(section, &LimitsTable::HEADS_IN_TOTAL, 1 << 20..=64 << 30, cx);
    Sockets {
        connections: section.read(&LimitsTable::CONNECTIONS),
        connections_per_client: section.read(&LimitsTable::CONNECTIONS_PER_CLIENT),
        limits: Limits {
            handshake: period(&LimitsTable::TLS_TIMEOUT),
            head: period(&LimitsTable::HEADER_TIMEOUT),
            idle: period(&LimitsTable::IDLE_TIMEOUT),
            stalled: period(&LimitsTable::WRITE_TIMEOUT),
            head_bytes: u32::try_from(head_bytes).unwrap_or(u32::MAX),
            head_lines: section.read(&LimitsTable::HEADER_LINES),
            streams: section.read(&LimitsTable::STREAMS),
            heads: HeadLimits {
                per_connection: usize::try_from(heads_per_connection).unwrap_or(usize::MAX),
                in_total: usize::try_from(heads_in_total).unwrap_or(usize::MAX),
                bodies: section.read(&LimitsTable::AWAITED_BODIES),
            },
            ..Limits::default()
        },
    }
}

/// Reads the largest answers of providers and backends, in bytes.
pub(crate) fn answers(section: &Section<'_, LimitsTable>, cx: &mut Context<'_>) -> AnswerSizes {
    let mut read = |key| {
        let size = size(section, key, 1 << 10..=64 << 20, cx);
        usize::try_from(size).unwrap_or(usize::MAX)
    };
    AnswerSizes { answer: read(&LimitsTable::ANSWER_BYTES), document: read(&LimitsTable::DOCUMENT_BYTES) }
}

/// Reads the least rate of a request's body, in bytes per second; 0 is no minimum.
pub(crate) fn body_rate(section: &Section<'_, LimitsTable>) -> u64 {
    section.read(&LimitsTable::BODY_RATE)
}

fn size(
    section: &Section<'_, LimitsTable>,
    key: &Key<LimitsTable, form::Size, Always>,
    range: RangeInclusive<u64>,
    cx: &mut Context<'_>,
) -> u64 {
    let size = section.read(key);
    if !range.contains(&size) {
        let (name, least, most) = (key.row.name, range.start() >> 10, range.end() >> 10);
        cx.complain(
            section.place(key),
            format!("`{name}` must be a size from {least}KiB to {most}KiB"),
            format!("write a size in this range, or leave out `{name}`"),
        );
    }
    size
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::config::{Environment, sections::RootTable, tests::read_tables};

    fn read(text: &str) -> (GuessLimits, Sockets, u64, AnswerSizes, String) {
        let (read, complaints) = read_tables(text, Path::new(""), &Environment::new(), |root, cx| {
            let section = root.section(&RootTable::LIMITS);
            let (sockets, answers) = (of_sockets(&section, cx), answers(&section, cx));
            (guesses(&section), sockets, body_rate(&section), answers)
        });
        let (guesses, sockets, body_rate, answers) = read;
        (guesses, sockets, body_rate, answers, complaints.to_string())
    }

    #[test]
    fn absent_limits_have_the_documented_defaults() {
        const ALL: &str = r#"
            [limits]
            failures_per_client = "300/h"
            failures_per_account = "100/h"
            connections = 20000
            connections_per_client = 4096
            streams = 100
            heads_per_connection = "1MiB"
            heads_in_total = "256MiB"
            awaited_bodies = 8
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
            let (guesses, sockets, body_rate, answers, printed) = read(text);
            assert_eq!(guesses, GuessLimits { per_client: hour(300), per_account: hour(100) });
            assert_eq!((sockets.connections, sockets.connections_per_client), (20_000, 4096));
            assert_eq!(sockets.limits, Limits::default());
            assert_eq!(body_rate, 256);
            assert_eq!(answers, AnswerSizes::default());
            assert_eq!(printed, "");
        }
    }

    #[test]
    fn given_limits_are_read() {
        let (guesses, sockets, body_rate, answers, _) = read(
            r#"
            [limits]
            failures_per_client = "5/10m"
            failures_per_account = "1/d"
            connections = 7
            connections_per_client = 2
            streams = 3
            heads_per_connection = "64KiB"
            heads_in_total = "2MiB"
            awaited_bodies = 5
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
        assert_eq!(sockets.limits.heads, HeadLimits { per_connection: 64 << 10, in_total: 2 << 20, bodies: 5 });
        let Limits { head, idle, stalled, handshake, head_bytes, head_lines, streams, .. } = sockets.limits;
        assert_eq!([head, idle, stalled, handshake].map(|span| span.as_secs()), [1, 2, 3, 4]);
        assert_eq!((head_bytes, head_lines, streams, body_rate), (8192, 10, 3, 0));
        assert_eq!(answers, AnswerSizes { answer: 1024, document: 64 << 20 });
    }

    #[test]
    fn sizes_out_of_range_are_complaints() {
        let (.., printed) = read("limits = { header_bytes = \"1KiB\", answer_bytes = \"100GiB\" }");
        assert!(printed.contains("`header_bytes` must be a size from 8KiB to 1024KiB"), "{printed}");
        assert!(printed.contains("`answer_bytes` must be a size from 1KiB to 65536KiB"), "{printed}");
    }
}
