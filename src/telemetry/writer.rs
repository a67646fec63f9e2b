//! The thread that writes the log.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{
    AccessLog, Format, Output, Settings,
    access::{print, timestamp},
    log::LogLevels,
    queue::{LogBatch, LogLine, LogQueue},
};
use crate::clock::Clock;

/// Lines are written in chunks of about this size, in bytes.
const CHUNK: usize = 64 * 1024;
/// How long the end of the process waits for the last lines to be written.
const FINAL_FLUSH: Duration = Duration::from_secs(2);

/// Pause before a pipe that another program made non-blocking is tried again.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(10);

/// Keeps the log open; dropping it writes the waiting lines and ends the log.
#[derive(Debug)]
pub struct Guard {
    queue: Arc<LogQueue>,
    writes_access: bool,
    ended: mpsc::Receiver<()>,
}

impl Guard {
    /// The access log; `None` if requests are not logged.
    pub fn access_log(&self) -> Option<AccessLog> {
        self.writes_access.then(|| AccessLog(Arc::clone(&self.queue)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.close();
        let _ = self.ended.recv_timeout(FINAL_FLUSH);
    }
}

/// Writes the lines of the queue.
pub(super) struct LogWriter {
    sink: Box<dyn Write + Send>,
    format: Format,
    reports: bool,
    clock: Clock,
    queue: Arc<LogQueue>,
    chunk: Vec<u8>,
    /// Lines of the queue in `chunk`.
    lines: u64,
    /// Lines lost since the last report.
    unreported: u64,
    /// The output ends in the middle of a line.
    is_mid_line: bool,
    /// Where a write error is said, once; `None` once it was said, and if the log itself goes there.
    stderr: Option<Box<dyn Write + Send>>,
}

impl LogWriter {
    pub(super) fn new(
        sink: Box<dyn Write + Send>,
        settings: &Settings,
        levels: LogLevels,
        clock: Clock,
        queue: Arc<LogQueue>,
    ) -> Self {
        let stderr = (settings.output != Output::Stderr).then(|| Box::new(io::stderr()) as _);
        Self {
            sink,
            format: settings.format,
            reports: levels.reports,
            clock,
            queue,
            chunk: Vec::with_capacity(CHUNK * 2),
            lines: 0,
            unreported: 0,
            is_mid_line: false,
            stderr,
        }
    }

    /// Starts the thread that writes.
    pub(super) fn start(mut self, writes_access: bool) -> io::Result<Guard> {
        let (end, ended) = mpsc::channel();
        let queue = Arc::clone(&self.queue);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            while let Some(batch) = self.queue.take() {
                self.write(batch);
                self.queue.pause();
            }
            let _ = end.send(());
        })?;
        Ok(Guard { queue, writes_access, ended })
    }

    fn write(&mut self, batch: LogBatch) {
        let mut taken = 0;
        self.unreported += batch.dropped;
        for line in batch.lines {
            taken += line.size();
            self.lines += 1;
            match line {
                LogLine::Ready(text) => self.chunk.extend_from_slice(text.as_bytes()),
                LogLine::Access(path, line) => line.write(self.format, &path, &mut self.chunk),
            }
            if self.chunk.len() >= CHUNK {
                self.flush(mem::take(&mut taken));
            }
        }
        let reported = self.unreported;
        if reported > 0 && self.reports {
            self.report_lost(reported);
        }
        if self.flush(taken) {
            self.unreported -= reported;
        }
    }

    /// Writes the chunk; false if not all of it could be written. Then the lines that are lost are counted, and the
    /// next chunk is tried again.
    fn flush(&mut self, taken: usize) -> bool {
        let (written, error) = self.write_chunk();
        if let Some(error) = error {
            let whole = memchr::memchr_iter(b'\n', &self.chunk[..written]).count() as u64;
            let lost = self.lines.saturating_sub(whole);
            self.queue.count_unwritten(lost);
            self.unreported += lost;
            if let Some(mut stderr) = self.stderr.take() {
                let said = "lines are lost until it can; /readyz shows how many";
                let _ = writeln!(stderr, "vestibule: the log cannot be written: {error}; {said}");
            }
        }
        let is_complete = written == self.chunk.len();
        self.is_mid_line = match written {
            0 => self.is_mid_line,
            written => self.chunk[written - 1] != b'\n',
        };
        self.chunk.clear();
        self.lines = 0;
        self.queue.written(taken);
        is_complete
    }

    /// Writes as much of the chunk as can be written, and returns how much, with the error that stopped it.
    fn write_chunk(&mut self) -> (usize, Option<io::Error>) {
        if self.is_mid_line && !self.chunk.is_empty() {
            if let Err(error) = self.sink.write_all(b"\n") {
                return (0, Some(error));
            }
            self.is_mid_line = false;
        }
        let mut written = 0;
        while written < self.chunk.len() {
            match self.sink.write(&self.chunk[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // While the log is open the queue bounds what waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.queue.is_closed() => {
                    thread::sleep(FULL_PIPE_PAUSE);
                }
                Err(error) => return (written, Some(error)),
            }
        }
        (written, self.sink.flush().err())
    }

    fn report_lost(&mut self, lines: u64) {
        let (out, now) = (&mut self.chunk, self.clock.now());
        match self.format {
            Format::Json => {
                out.extend_from_slice(b"{\"timestamp\":\"");
                timestamp(out, now);
                let rest = r#"","level":"WARN","target":"vestibule::telemetry","message":"log lines dropped","#;
                print(out, format_args!("{rest}\"lines\":{lines}}}\n"));
            }
            Format::Text => {
                timestamp(out, now);
                print(out, format_args!("  WARN vestibule::telemetry: log lines dropped lines={lines}\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::telemetry::queue::Priority;

    /// A pipe that blocks until the test reads it.
    struct BlockedPipe {
        waits: mpsc::Sender<()>,
        unblocked: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for BlockedPipe {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.waits.send(()).unwrap();
            let _ = self.unblocked.recv();
            self.written.send(buf.to_vec()).unwrap();
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(sink: Box<dyn Write + Send>, queue: &Arc<LogQueue>) -> LogWriter {
        let settings =
            Settings { format: Format::Json, level: "info".to_owned(), access: true, output: Output::Stdout };
        let levels = LogLevels { access: true, reports: true };
        LogWriter::new(sink, &settings, levels, Clock::system(), Arc::clone(queue))
    }

    /// A disk with room for so many bytes; what was written is kept.
    #[derive(Clone, Default)]
    struct Disk(Arc<std::sync::Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let (room, content) = &mut *self.0.lock().unwrap();
            if *room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = buf.len().min(*room);
            *room -= taken;
            content.extend_from_slice(&buf[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_said_once_on_stderr_and_reported_when_there_is_room_again() {
        let (disk, stderr) = (Disk::default(), Disk::default());
        stderr.0.lock().unwrap().0 = 10_000;
        let lost = Counter::default();
        let queue = Arc::new(LogQueue::new(1 << 20, lost.clone()));
        let mut writer = writer(Box::new(disk.clone()), &queue);
        writer.stderr = Some(Box::new(stderr.clone()));
        let mut log = |lines: usize| {
            for _ in 0..lines {
                queue.push(LogLine::Ready("{\"line\":1}\n".into()), Priority::Ordinary);
            }
            let batch = queue.take().unwrap();
            writer.write(batch);
        };
        // Room for two lines and a half.
        disk.0.lock().unwrap().0 = 27;
        log(5);
        assert_eq!(lost.get(), 3);
        log(10);
        assert_eq!(lost.get(), 13);
        disk.0.lock().unwrap().0 = 10_000;
        log(1);
        log(1);
        assert_eq!(lost.get(), 13);
        let said = String::from_utf8(stderr.0.lock().unwrap().1.clone()).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("vestibule: the log cannot be written: "), "{said}");
        let content = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
        let lines: Vec<_> =
            content.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect();
        assert_eq!(lines.iter().filter(|line| line["line"] == 1).count(), 4, "{content}");
        let reported: Vec<_> = lines.iter().filter_map(|line| line["lines"].as_u64()).collect();
        assert_eq!(reported, [13], "{content}");
    }

    #[test]
    fn while_the_pipe_is_blocked_lines_are_dropped_and_counted_and_logging_does_not_block() {
        let (waits, waiting) = mpsc::channel();
        let (unblock, unblocked) = mpsc::channel();
        let (written, output) = mpsc::channel();
        let dropped = Counter::default();
        let queue = Arc::new(LogQueue::new(4096, dropped.clone()));
        let sink = Box::new(BlockedPipe { waits, unblocked, written });
        let guard = writer(sink, &queue).start(true).unwrap();

        queue.push(LogLine::Ready("{\"first\":1}\n".into()), Priority::Ordinary);
        waiting.recv().unwrap();
        for _ in 0..1000 {
            queue.push(LogLine::Ready("{\"next\":1}\n".into()), Priority::Ordinary);
        }
        let lost = dropped.get();
        assert!(lost > 900);

        drop(unblock);
        drop(guard);
        let output: Vec<u8> = output.iter().flatten().collect();
        let lines: Vec<serde_json::Value> = output
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(lines[0]["first"], 1);
        assert_eq!(lines.iter().filter(|l| l["next"] == 1).count() as u64, 1000 - lost);
        let reported: u64 = lines.iter().filter_map(|l| l["lines"].as_u64()).sum();
        assert_eq!(reported, lost);
    }
}
