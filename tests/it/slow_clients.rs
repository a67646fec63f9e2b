//! Slow clients and missing file descriptors: slow connections end, and other clients are served.

use std::{net::SocketAddr, process::Stdio, sync::Arc};

use tokio::{process::Command, sync::Notify};

use crate::harness::{
    Frames, Process, Raw, TestStack, Upstream,
    frames::{block, frame, is, ping, request},
    free_port, not_installed, ok, raw, report, within_time_limit,
};

/// Runs `slowhttptest` against the gateway until none of its connections is left, while another client sends one
/// request after the other. `None` if it is not installed.
async fn attacked(stack: &TestStack, arguments: &str) -> Option<String> {
    let url = format!("http://{}/public/ping", stack.gateway.address());
    let spawned = Command::new("slowhttptest")
        .args(arguments.split_whitespace())
        .args(["-u", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(attack) = spawned else {
        not_installed("slowhttptest");
        return None;
    };
    let over = Arc::new(Notify::new());
    let (told, browser) = (Arc::clone(&over), stack.browser());
    let somebody = async {
        let mut asked = 0;
        tokio::select! {
            () = told.notified() => asked,
            () = async { loop { browser.fetch("/public/ping").await.is(200); asked += 1; } } => unreachable!(),
        }
    };
    let said = async {
        let output = within_time_limit("the end of the attack", attack.wait_with_output()).await.unwrap();
        over.notify_one();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (asked, said) = tokio::join!(somebody, said);
    assert!(asked > 0);
    Some(said)
}

fn stack(limits: &str) -> impl Future<Output = TestStack> {
    let toml = format!("limits = {{ {limits} }}\nserver.admin_listen = \"127.0.0.1:0\"");
    async move { TestStack::with(&toml).await }
}

#[tokio::test]
async fn a_thousand_slow_heads_are_closed_after_the_header_timeout_and_others_are_served() {
    let stack = stack("header_timeout = \"2s\"").await;
    // One line per second, so that no connection is idle; 40 s at most.
    let Some(said) = attacked(&stack, "-H -c 1000 -r 1000 -i 1 -l 40").await else { return };
    assert!(said.contains("No open connections left"), "{said}");
}

#[tokio::test]
async fn a_stream_whose_peer_reads_nothing_is_reset_and_its_upstream_connection_closed() {
    let (left, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut wire| {
        let left = left.clone();
        async move {
            while wire.request().await.is_some() {
                wire.send(ok(&"x".repeat(1 << 20))).await;
            }
            left.send(()).unwrap();
        }
    })
    .await;
    let toml = format!(
        "limits.write_timeout = \"1s\"\nupstreams.large = {{ targets = [\"{}\"] }}\nroutes = [{{ path = \"/large\", upstream = \"large\", access = \"public\" }}]",
        upstream.target()
    );
    let stack = TestStack::with(&toml).await;
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let mut link = Frames::connect(stack.gateway.address(), &[(4, 0)]).await;
    let head = block(request("GET", stack.gateway.host(), "/large"));
    link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, 1, head)).await;
    let reset = link.until(|frame| frame.kind == is::RST_STREAM).await.expect("RST_STREAM");
    assert_eq!((reset.stream, reset.code()), (1, Some(is::CANCEL)));
    within_time_limit("the end of the upstream's connection", gone.recv()).await.unwrap();
    link.send(ping([7; 8])).await;
    link.until(|frame| frame.kind == is::PING && frame.payload == [7; 8]).await.expect("the connection goes on");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_timeout() {
    let stack = stack("idle_timeout = \"1s\"").await;
    let mut idle = Raw::connect(stack.gateway.address()).await;
    idle.send(format!("GET /public/ping HTTP/1.1\r\nhost: {}\r\n\r\n", stack.gateway.host())).await;
    assert_eq!(raw::status(&idle.rest().await), 200);
}

/// A gateway as a process, with a public route to an upstream that answers `here`.
async fn gateway(upstream: &Upstream) -> (Process, SocketAddr, String) {
    let port = free_port();
    let toml = format!(
        r#"
        server = {{ listen = "127.0.0.1:{port}", public_url = "http://127.0.0.1:{port}" }}
        providers.none = {{ issuer = "http://127.0.0.1:1", client_id = "x", client_secret = "x" }}
        upstreams.app = {{ targets = ["{}"], bearer = "none" }}
        routes = [{{ path = "/{{*rest}}", upstream = "app", access = "public" }}]
        "#,
        upstream.target()
    );
    let ask = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    (Process::run(&toml).await, ([127, 0, 0, 1], port).into(), ask)
}

#[tokio::test]
async fn without_file_descriptors_open_connections_are_served_and_new_ones_wait() {
    let upstream = Upstream::saying("here").await;
    let (process, address, ask) = gateway(&upstream).await;
    let mut there = Raw::connect(address).await;
    there.send(&ask).await;
    there.until(b"here").await;

    process.limit_files(process.open_files() + 5);
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(Raw::connect(address).await);
    }
    process.until_said("cannot accept connections").await;
    for _ in 0..100 {
        there.send(&ask).await;
        there.until(b"here").await;
    }
    // When the first connection closes, the last one is accepted.
    let mut last = others.pop().unwrap();
    drop(others);
    last.send(&ask).await;
    last.until(b"here").await;
    process.until_said("accepting connections again").await;
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_memory() {
    const COUNT: usize = 10_000;
    vestibule::listen::files::allow_many(1);
    let upstream = Upstream::saying("here").await;
    let (process, address, ask) = gateway(&upstream).await;
    let before = process.memory();
    let mut open = Vec::with_capacity(COUNT);
    for client in 0..COUNT {
        // One client may have 4096.
        let from = [127, 0, 1, u8::try_from(client / 4000).unwrap()];
        let mut raw = Raw::connect_from(from.into(), address).await;
        raw.send(&ask).await;
        raw.until(b"here").await;
        open.push(raw);
    }
    let each = (process.memory() - before) / COUNT;
    report(&format!("10,000 idle connections: {each} bytes of memory each"));
    assert!(each <= 25_000, "{each} bytes each");
}
