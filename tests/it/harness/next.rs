//! The Next.js app of `examples/nextjs` as a process, built or in development.

use std::{path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{free_port, secs};

/// A running app; dropping it ends its processes.
pub(crate) struct NextApp {
    port: u16,
    process: Child,
}

/// How the app is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NextMode {
    /// `next dev`.
    Development,
    /// `next build`, then `next start`.
    Production,
}

impl NextApp {
    /// Starts the app and waits until it listens. Every start needs the folder's `.next` for itself.
    pub(crate) async fn start(mode: NextMode) -> Self {
        if mode == NextMode::Production {
            let build = tokio::time::timeout(secs(300), next(&["build"]).output()).await;
            let build = build.expect("next build ends").unwrap();
            assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stdout));
        }
        let port = free_port();
        let command = if mode == NextMode::Production { "start" } else { "dev" };
        let arguments = [command, "--hostname", "127.0.0.1", "--port", &port.to_string()];
        let mut process = next(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("Ready in") {
                    return;
                }
            }
            panic!("the app ended: npm ci was run in examples/nextjs? scripts/test does that");
        };
        tokio::time::timeout(secs(120), ready).await.expect("the app is ready");
        // Nobody reads what it says from here on; the pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { port, process }
    }

    /// `upstreams.X.targets`.
    pub(crate) fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for NextApp {
    fn drop(&mut self) {
        // `next dev` serves in a child of its own, which keeps the folder's lock for as long as it lives.
        if let Some(group) = self.process.id() {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    }
}

fn next(arguments: &[&str]) -> Command {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/nextjs");
    let mut command = Command::new("node");
    command
        .arg("node_modules/next/dist/bin/next")
        .args(arguments)
        .current_dir(folder)
        .env("NEXT_TELEMETRY_DISABLED", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}
