//! The thread that writes the log.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{
    AccessLog, Format,
    access::{print, timestamp},
    queue::{LogBatch, LogLine, LogQueue},
};
use crate::clock::Clock;

/// Lines are written in chunks of about this size, in bytes.
const CHUNK: usize = 64 * 1024;
/// How long the end of the process waits for the last lines to be written.
const FINAL_FLUSH: Duration = Duration::from_secs(2);

/// Keeps the log open; dropping it writes the waiting lines and ends the log.
#[derive(Debug)]
pub struct Guard {
    queue: Arc<LogQueue>,
    ended: mpsc::Receiver<()>,
}

impl Guard {
    /// The access log.
    pub fn access_log(&self) -> AccessLog {
        AccessLog(Arc::clone(&self.queue))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.close();
        let _ = self.ended.recv_timeout(FINAL_FLUSH);
    }
}

/// Starts the thread that writes the log.
pub(super) fn start(
    sink: Box<dyn Write + Send>,
    format: Format,
    clock: Clock,
    queue: Arc<LogQueue>,
) -> io::Result<Guard> {
    let (end, ended) = mpsc::channel();
    let mut writer = LogWriter { sink, format, clock, queue: Arc::clone(&queue), chunk: Vec::with_capacity(CHUNK * 2) };
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        while let Some(batch) = writer.queue.take() {
            writer.write(batch);
            writer.queue.pause();
        }
        let _ = end.send(());
    })?;
    Ok(Guard { queue, ended })
}

struct LogWriter {
    sink: Box<dyn Write + Send>,
    format: Format,
    clock: Clock,
    queue: Arc<LogQueue>,
    chunk: Vec<u8>,
}

impl LogWriter {
    fn write(&mut self, batch: LogBatch) {
        let mut taken = 0;
        for line in batch.lines {
            taken += line.size();
            match line {
                LogLine::Ready(text) => self.chunk.extend_from_slice(text.as_bytes()),
                LogLine::Access(path, line) => line.write(self.format, &path, &mut self.chunk),
            }
            if self.chunk.len() >= CHUNK {
                self.flush(mem::take(&mut taken));
            }
        }
        if batch.dropped > 0 {
            self.report_dropped(batch.dropped);
        }
        self.flush(taken);
    }

    /// A write error is not reported, because the log is where it would be reported; the next chunk is tried again.
    fn flush(&mut self, taken: usize) {
        let _ = self.sink.write_all(&self.chunk).and_then(|()| self.sink.flush());
        self.chunk.clear();
        self.queue.written(taken);
    }

    fn report_dropped(&mut self, lines: u64) {
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

    #[test]
    fn while_the_pipe_is_blocked_lines_are_dropped_and_counted_and_logging_does_not_block() {
        let (waits, waiting) = mpsc::channel();
        let (unblock, unblocked) = mpsc::channel();
        let (written, output) = mpsc::channel();
        let dropped = Counter::default();
        let queue = Arc::new(LogQueue::new(4096, dropped.clone()));
        let sink = Box::new(BlockedPipe { waits, unblocked, written });
        let guard = start(sink, Format::Json, Clock::system(), Arc::clone(&queue)).unwrap();

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
