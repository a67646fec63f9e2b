//! Real Redis and `PostgreSQL` servers, each on its own port, stopped at the test's end.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{free_port, within_time_limit};

/// A running server for `[store]`.
pub(crate) struct StoreServer {
    child: Child,
    program: String,
    /// The table `[store]` for this server.
    pub(crate) toml: String,
    ready: &'static str,
    // Declared after the child, so that it is removed after the server was killed.
    _folder: TempDir,
}

impl StoreServer {
    /// A Redis without persistence.
    pub(crate) async fn redis() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let folder_path = folder.path().display().to_string();
        let at = |port| {
            let program = format!(
                "exec redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no --dir '{folder_path}' --loglevel notice"
            );
            (program, format!("[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:{port}/0\"\n"))
        };
        Self::start(at, "Ready to accept connections", folder).await
    }

    /// A `PostgreSQL` with an empty database.
    pub(crate) async fn postgres() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, binaries) = (folder.path().join("data"), postgres_binaries());
        // PostgreSQL does not run as root; its package has created a user for it.
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let become_it = if is_root { "setpriv --reuid=postgres --regid=postgres --clear-groups" } else { "" };
        let owner = if is_root { "chown -R postgres ." } else { "true" };
        let (data, binaries) = (data.display(), binaries.display());
        let here = folder.path().display().to_string();
        let made = Command::new("sh")
            .args(["-c", &format!("cd '{here}' && {owner} && {become_it} '{binaries}/initdb' -D '{data}' -U vestibule -A trust --no-sync --no-instructions")])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let at = |port| {
            let program = format!(
                "cd '{here}' && exec {become_it} '{binaries}/postgres' -D '{data}' -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
            );
            (
                program,
                format!("[store]\nkind = \"postgres\"\nurl = \"postgres://vestibule@127.0.0.1:{port}/postgres\"\n"),
            )
        };
        Self::start(at, "ready to accept connections", folder).await
    }

    /// Starts the program that `at` makes for a port, with its table `[store]`.
    async fn start(at: impl Fn(u16) -> (String, String), ready: &'static str, folder: TempDir) -> Self {
        loop {
            let (program, toml) = at(free_port());
            match run(&program, ready).await {
                Ok(child) => return Self { child, program, toml, ready, _folder: folder },
                // Another test took the free port meanwhile.
                Err(said) if said.contains("in use") => {}
                Err(said) => panic!("it ended: {said}"),
            }
        }
    }

    /// Kills the server without a shutdown, and waits until its processes have ended: those of `PostgreSQL` serve their
    /// connections until they notice that the first one is gone.
    pub(crate) async fn kill(&mut self) {
        let own = self.child.id().expect("it runs");
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        self.child.kill().await.unwrap();
        let runs = |id: &str| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // The state follows the name in parentheses; a zombie serves nothing.
            stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
        };
        within_time_limit("the end of the server's processes", async {
            while children.split_ascii_whitespace().any(runs) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Starts the server again with the same port and folder.
    pub(crate) async fn start_again(&mut self) {
        // Processes of the killed server may hold its shared memory for a short time.
        self.child = within_time_limit("the store's server again", async {
            loop {
                if let Ok(child) = run(&self.program, self.ready).await {
                    return child;
                }
            }
        })
        .await;
    }
}

/// Starts a server and waits until it is ready; an error is its output if it ended before that.
async fn run(program: &str, ready: &'static str) -> Result<Child, String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{program} 2>&1")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let is_ready = within_time_limit("the store's server", async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(ready) {
                return true;
            }
            said += &line;
            said.push('\n');
        }
        false
    })
    .await;
    if !is_ready {
        return Err(said);
    }
    // Its further output is read and discarded, so that the pipe never fills.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}

fn postgres_binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed (scripts/test does it)");
    let mut folders: Vec<_> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    folders.sort();
    folders.pop().expect("PostgreSQL is installed (scripts/test does it)")
}

/// Runs each of these tests with Redis and with `PostgreSQL` as the store of a fleet.
macro_rules! on_both_stores {
    ($($name:ident)*) => {
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::harness::StoreServer::redis().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::harness::StoreServer::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_stores;
