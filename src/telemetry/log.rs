//! Turns tracing events into lines of the queue.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tracing::{Dispatch, Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    fmt::{self, MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
    registry,
};

use super::{
    Format, InitError, Settings,
    access::timestamp,
    json,
    queue::{LogLine, LogQueue, Priority},
};
use crate::clock::Clock;

/// Crates that are logged at `warn` and above only, whatever the configured level is: below `warn` their events contain
/// whole requests with `Cookie`, `Authorization`, `Set-Cookie` and bodies.
const WARN_ONLY: &[&str] = &[
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "mio",
    "reqwest",
    "rustls",
    "rustls_platform_verifier",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tower",
    "want",
];

/// The target of lines that are dropped last.
const AUDIT: &str = "audit";

/// The subscriber that `settings` describe.
pub(super) fn subscriber(
    settings: &Settings,
    clock: &Clock,
    queue: Arc<LogQueue>,
) -> Result<impl Subscriber + Send + Sync + use<>, InitError> {
    let level = EnvFilter::builder()
        .parse(&settings.level)
        .map_err(|source| InitError::Level { level: settings.level.clone(), source })?;
    let redaction = filter_fn(|event| *event.level() <= Level::WARN || !is_warn_only(event.target()));
    let lines = fmt::layer().with_writer(LineWriters(queue)).with_timer(ClockTime(clock.clone())).with_ansi(false);
    let lines = match settings.format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => lines.boxed(),
    };
    Ok(registry().with(lines.with_filter(level.and(redaction))))
}

/// Which lines the configured level includes, of those that are not tracing events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LogLevels {
    /// Access lines, which are `info`.
    pub(super) access: bool,
    /// The report of lost lines, which is `warn`.
    pub(super) reports: bool,
}

impl LogLevels {
    pub(super) fn of(subscriber: &Dispatch) -> Self {
        tracing::dispatcher::with_default(subscriber, || Self {
            access: tracing::enabled!(target: "access", Level::INFO),
            reports: tracing::enabled!(target: "vestibule::telemetry", Level::WARN),
        })
    }
}

fn is_warn_only(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or(target);
    WARN_ONLY.contains(&krate)
}

/// The time of an event, by our clock.
struct ClockTime(Clock);

impl FormatTime for ClockTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(24);
        timestamp(&mut text, self.0.now());
        w.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Makes a [`LineWriter`] for each event.
struct LineWriters(Arc<LogQueue>);

/// Puts one event into the queue as one line.
struct LineWriter<'a> {
    queue: &'a LogQueue,
    priority: Priority,
}

impl<'a> MakeWriter<'a> for LineWriters {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { queue: &self.0, priority: Priority::Ordinary }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter<'a> {
        let priority = if event.target() == AUDIT { Priority::Audit } else { Priority::Ordinary };
        LineWriter { queue: &self.0, priority }
    }
}

impl Write for LineWriter<'_> {
    /// tracing-subscriber writes each event with one call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = Vec::with_capacity(text.len() + 1);
        json::one_line(&mut line, text);
        line.push(b'\n');
        let line = String::from_utf8(line).unwrap_or_default();
        self.queue.push(LogLine::Ready(line.into()), self.priority);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::telemetry::Output;

    fn logged(format: Format, level: &str, log: impl FnOnce()) -> Vec<String> {
        let queue = Arc::new(LogQueue::new(1 << 20, Counter::default()));
        let settings = Settings { format, level: level.to_owned(), access: true, output: Output::Stdout };
        let subscriber = subscriber(&settings, &Clock::system(), Arc::clone(&queue)).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        queue.close();
        let lines = queue.take().map(|batch| batch.lines).unwrap_or_default();
        lines
            .into_iter()
            .map(|line| match line {
                LogLine::Ready(text) => text.into(),
                LogLine::Access(..) => panic!("no access lines here"),
            })
            .collect()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_contains() {
        let nasty = "a\r\nERROR forged\u{1b}[2J\u{7f}\u{2028}";
        for format in [Format::Json, Format::Text] {
            let lines = logged(format, "info", || tracing::info!(field = nasty, shown = %nasty, "{nasty}"));
            let [line] = lines.as_slice() else { panic!("{lines:?}") };
            let controls = line.chars().filter(|c| c.is_control() || *c == '\u{2028}').count();
            assert_eq!((controls, line.ends_with('\n')), (1, true), "{line:?}");
            if format == Format::Json {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!((&read["message"], &read["shown"]), (&nasty.into(), &nasty.into()));
            }
        }
    }

    #[test]
    fn crates_that_log_cookies_stay_at_warn_even_when_a_lower_level_is_configured() {
        let lines = logged(Format::Text, "trace,hyper::proto=trace,h2=debug", || {
            tracing::trace!(target: "hyper::proto::h1", "Cookie: sb_at=secret");
            tracing::debug!(target: "h2", "Cookie: sb_at=secret");
            tracing::warn!(target: "h2", "goes wrong");
            tracing::trace!(target: "vestibule::session", "ours");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines.concat().contains("secret"));
    }

    #[test]
    fn access_lines_are_info_and_reports_of_lost_lines_are_warn() {
        for (level, access, reports) in [
            ("trace", true, true),
            ("info", true, true),
            ("warn", false, true),
            ("error", false, false),
            ("off", false, false),
            ("warn,access=info", true, true),
            ("info,access=warn", false, true),
        ] {
            let queue = Arc::new(LogQueue::new(0, Counter::default()));
            let settings =
                Settings { format: Format::Text, level: level.to_owned(), access: true, output: Output::Stdout };
            let subscriber = Dispatch::new(subscriber(&settings, &Clock::system(), queue).unwrap());
            assert_eq!(LogLevels::of(&subscriber), LogLevels { access, reports }, "{level}");
        }
    }

    #[test]
    fn an_invalid_level_is_an_error() {
        let settings =
            Settings { format: Format::Text, level: "a=b=c".to_owned(), access: true, output: Output::Stdout };
        let queue = Arc::new(LogQueue::new(0, Counter::default()));
        assert!(matches!(subscriber(&settings, &Clock::system(), queue), Err(InitError::Level { .. })));
    }
}
