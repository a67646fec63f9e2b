//! Other reverse proxies as processes, for comparison: nginx, `HAProxy` and Caddy with small configurations.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{free_port, within_time_limit};

/// A reverse proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Product {
    Nginx,
    HaProxy,
    Caddy,
}

/// A running proxy in front of a backend; dropping it ends its process.
pub(crate) struct ReverseProxy {
    address: SocketAddr,
    _process: Child,
    // Declared after the process, so that it is removed after the process was killed.
    _folder: TempDir,
}

impl Product {
    /// All proxies.
    pub(crate) const ALL: [Self; 3] = [Self::Nginx, Self::HaProxy, Self::Caddy];

    /// The name of its Debian package and of its binary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// Starts the proxy in front of the backend at `to` (`127.0.0.1:4711`); `None` if it is not installed.
    pub(crate) async fn start(self, to: &str) -> Option<ReverseProxy> {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let here = folder.path();
        std::fs::write(here.join("conf"), self.configuration(here, port, to)).unwrap();
        let arguments: &[&str] = match self {
            Self::Nginx => &["-p", ".", "-e", "error.log", "-c", "conf"],
            Self::HaProxy => &["-db", "-f", "conf"],
            Self::Caddy => &["run", "--config", "conf", "--adapter", "caddyfile"],
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let spawned = Command::new(self.name())
            .args(arguments)
            .current_dir(here)
            // Debian installs servers into /usr/sbin, which is not in every PATH.
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
            .env("HOME", here)
            .env("XDG_DATA_HOME", here)
            .env("XDG_CONFIG_HOME", here)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("{}: {error}", self.name()),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        within_time_limit("a reverse proxy that listens", async {
            while TcpStream::connect(address).await.is_err() {
                assert_eq!(process.try_wait().unwrap(), None, "{} ended at once", self.name());
                tokio::task::yield_now().await;
            }
        })
        .await;
        Some(ReverseProxy { address, _process: process, _folder: folder })
    }

    fn configuration(self, here: &Path, port: u16, to: &str) -> String {
        let here = here.display();
        match self {
            Self::Nginx => format!(
                "daemon off;\nmaster_process off;\npid {here}/pid;\nevents {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path {here}/b;\nproxy_temp_path {here}/p;\nfastcgi_temp_path {here}/f;\nuwsgi_temp_path {here}/u;\nscgi_temp_path {here}/s;\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_pass http://{to}; }} }}\n}}\n"
            ),
            Self::HaProxy => format!(
                "global\n  maxconn 256\ndefaults\n  mode http\n  timeout client 10s\n  timeout server 10s\n  timeout connect 5s\n\
                 frontend visitors\n  bind 127.0.0.1:{port}\n  default_backend all\nbackend all\n  server one {to}\n"
            ),
            Self::Caddy => format!(
                "{{\n  admin off\n  auto_https off\n}}\nhttp://:{port} {{\n  bind 127.0.0.1\n  reverse_proxy {to}\n}}\n"
            ),
        }
    }
}

impl ReverseProxy {
    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
