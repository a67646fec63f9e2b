//! The routes of these tests: `/public` for everybody, `/app` with a session, `/admin` for admins; the upstream echoes.

use crate::harness::{Raw, Setup, TestStack, Upstream, raw};

/// The gateway with only these routes.
pub(super) async fn before(upstream: &Upstream, more: &str) -> TestStack {
    let routes = r#"
        [[routes]]
        path = "/public/{*rest}"
        upstream = "b"
        access = "public"
        [[routes]]
        path = "/app/{*rest}"
        upstream = "b"
        access = "user"
        [[routes]]
        path = "/admin/{*rest}"
        upstream = "b"
        access = { roles = ["admin"] }
    "#;
    let upstream = format!("upstreams.b = {{ targets = [\"{}\"] }}", upstream.target());
    Setup::new().without("routes").with(&format!("{upstream}\n{routes}")).with(more).start().await
}

/// Sends one request with the gateway's own host; `head` has no empty line at its end.
pub(super) async fn ask(stack: &TestStack, head: &str) -> String {
    let request = format!("{head}\r\nhost: {}\r\nconnection: close\r\n\r\n", stack.gateway.host());
    Raw::exchange(stack.gateway.address(), request).await
}

/// The status of the answer to a GET of that target.
pub(super) async fn get(stack: &TestStack, target: &str) -> u16 {
    raw::status(&ask(stack, &format!("GET {target} HTTP/1.1")).await)
}

/// Checks that other requests are served as before.
pub(super) async fn is_alive(stack: &TestStack) {
    assert_eq!(get(stack, "/public/ok").await, 200);
}
