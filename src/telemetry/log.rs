//! From tracing's events to lines in the queue.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tracing::{Level, Metadata, Subscriber};
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
    queue::{Line, Queue, Weight},
};
use crate::clock::Clock;

/// Below `warn` these write what they read and send into their events: whole requests with their `Cookie`,
/// `Authorization`, `Set-Cookie` and bodies. Whatever level the configuration asks for, it does not get that.
const CLAMPED: &[&str] = &[
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

/// The target of what is kept when other lines are dropped.
const AUDIT: &str = "audit";

/// What tracing is to do, as `settings` say.
pub(super) fn subscriber(
    settings: &Settings,
    clock: &Clock,
    queue: Arc<Queue>,
) -> Result<impl Subscriber + Send + Sync + use<>, InitError> {
    let level = EnvFilter::builder()
        .parse(&settings.level)
        .map_err(|source| InitError::Level { level: settings.level.clone(), source })?;
    let clamp = filter_fn(|event| *event.level() <= Level::WARN || !is_clamped(event.target()));
    let lines = fmt::layer().with_writer(Lines(queue)).with_timer(Now(clock.clone())).with_ansi(false);
    let lines = match settings.format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => lines.boxed(),
    };
    Ok(registry().with(lines.with_filter(level.and(clamp))))
}

fn is_clamped(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or(target);
    CLAMPED.contains(&krate)
}

struct Now(Clock);

impl FormatTime for Now {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(24);
        timestamp(&mut text, self.0.now());
        w.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Makes a [`Line`] of each event.
struct Lines(Arc<Queue>);

struct OneLine<'a> {
    queue: &'a Queue,
    weight: Weight,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = OneLine<'a>;

    fn make_writer(&'a self) -> OneLine<'a> {
        OneLine { queue: &self.0, weight: Weight::Ordinary }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> OneLine<'a> {
        let weight = if event.target() == AUDIT { Weight::Audit } else { Weight::Ordinary };
        OneLine { queue: &self.0, weight }
    }
}

impl Write for OneLine<'_> {
    /// tracing-subscriber writes an event with one call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = Vec::with_capacity(text.len() + 1);
        json::one_line(&mut line, text);
        line.push(b'\n');
        let line = String::from_utf8(line).unwrap_or_default();
        self.queue.push(Line::Ready(line.into()), self.weight);
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
        let queue = Arc::new(Queue::new(1 << 20, Counter::default()));
        let settings = Settings { format, level: level.to_owned(), output: Output::Stdout };
        let subscriber = subscriber(&settings, &Clock::system(), Arc::clone(&queue)).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        queue.close();
        let lines = queue.take().map(|batch| batch.lines).unwrap_or_default();
        lines
            .into_iter()
            .map(|line| match line {
                Line::Ready(text) => text.into(),
                Line::Access(..) => panic!("no access lines here"),
            })
            .collect()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
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
    fn crates_that_see_cookies_stay_at_warn_even_when_named() {
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
    fn a_level_that_is_none_is_refused() {
        let settings = Settings { format: Format::Text, level: "a=b=c".to_owned(), output: Output::Stdout };
        let queue = Arc::new(Queue::new(0, Counter::default()));
        assert!(matches!(subscriber(&settings, &Clock::system(), queue), Err(InitError::Level { .. })));
    }
}
