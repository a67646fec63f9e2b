//! The routes of these tests: `/public` for all, `/app` with a session, `/admin` for admins; one upstream echoes.

use crate::harness::{Raw, Setup, Upstream, World, raw};

/// The gateway with only these routes.
pub(super) async fn before(upstream: &Upstream, more: &str) -> World {
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
pub(super) async fn ask(world: &World, head: &str) -> String {
    let request = format!("{head}\r\nhost: {}\r\nconnection: close\r\n\r\n", world.gateway.host());
    Raw::exchange(world.gateway.address(), request).await
}

/// The status of the answer to a GET of that target.
pub(super) async fn get(world: &World, target: &str) -> u16 {
    raw::status(&ask(world, &format!("GET {target} HTTP/1.1")).await)
}

/// Checks that other requests are served as before.
pub(super) async fn is_alive(world: &World) {
    assert_eq!(get(world, "/public/ok").await, 200);
}
