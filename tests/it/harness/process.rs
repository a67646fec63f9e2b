//! The real binary as a process: for signals, exit codes, logs, and files that change.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use super::within_time_limit;

/// A process of `vestibule`; dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    output: Arc<Mutex<String>>,
    news: watch::Sender<usize>,
    /// Whether its output is read.
    reading: watch::Sender<bool>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Runs a gateway with that configuration, and waits until it listens.
    pub(crate) async fn run(toml: &str) -> Self {
        let process = Self::start(toml, &["run"]);
        process.until_said("listening").await;
        process
    }

    /// Starts `vestibule` in a new folder with that `gateway.toml`.
    pub(crate) fn start(toml: &str, arguments: &[&str]) -> Self {
        Self::start_with(toml, arguments, &[])
    }

    /// The same with these environment variables.
    pub(crate) fn start_with(toml: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gateway.toml"), toml).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (output, news, reading) = (Arc::default(), watch::Sender::new(0), watch::Sender::new(true));
        let readers = vec![
            read(child.stdout.take().unwrap(), &output, &news, &reading),
            read(child.stderr.take().unwrap(), &output, &news, &reading),
        ];
        Self { child, folder, output, news, reading, readers }
    }

    /// Stops reading its output.
    pub(crate) fn stop_reading(&self) {
        self.reading.send_replace(false);
    }

    /// Reads its output again.
    pub(crate) fn read_on(&self) {
        self.reading.send_replace(true);
    }

    /// The configuration's path.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("gateway.toml")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Whether it is running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its output so far, standard output and standard error.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until its output contains `text`.
    pub(crate) async fn until_said(&self, text: &str) {
        let mut news = self.news.subscribe();
        let said = news.wait_for(|_| self.output.lock().unwrap().contains(text));
        let in_time = tokio::time::timeout(super::TIME_LIMIT, said).await.is_ok();
        assert!(in_time, "it never said {text:?}, but:\n{}", self.output());
    }

    /// Sends it a signal (`TERM`, `HUP`).
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it receives SIGHUP and SIGTERM itself; before that they end it.
    pub(crate) async fn until_receives_signals(&self) {
        let receives = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
            [1, 15].iter().all(|signal| caught >> (signal - 1) & 1 == 1)
        };
        let received = async {
            while !receives() {
                tokio::task::yield_now().await;
            }
        };
        within_time_limit("the handlers of signals", received).await;
    }

    /// Number of its open files and sockets.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Limits the number of its open files and sockets.
    pub(crate) fn limit_files(&self, most: usize) {
        let done = std::process::Command::new("prlimit")
            .args([format!("--pid={}", self.id()), format!("--nofile={most}:")])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Waits for its end and for the rest of its output.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = within_time_limit("the end of the process", self.child.wait()).await.unwrap();
        for reader in self.readers.drain(..) {
            within_time_limit("the end of its output", reader).await.unwrap();
        }
        status
    }
}

fn read(
    stream: impl AsyncRead + Send + Unpin + 'static,
    output: &Arc<Mutex<String>>,
    news: &watch::Sender<usize>,
    reading: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let (output, news, mut reading) = (Arc::clone(output), news.clone(), reading.subscribe());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        loop {
            // An error means that the `Process` was dropped: then the output is read to its end.
            let _ = reading.wait_for(|reading| *reading).await;
            let Ok(Some(line)) = lines.next_line().await else { break };
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
            drop(output);
            news.send_modify(|lines| *lines += 1);
        }
    })
}
