//! Forwarded requests and answers: bodies, heads, and failures that the gateway answers itself.

mod bodies;
mod encoded_slash;
mod failures;
mod headers;
mod method_override;

use crate::harness::{Raw, TestStack, Upstream};

/// The gateway with a public route `/x/…` to that upstream; `route` has the route's other keys.
async fn in_front_of(upstream: &Upstream, route: &str) -> TestStack {
    TestStack::with(&toml(&upstream.target(), "public", route)).await
}

fn toml(target: &str, access: &str, route: &str) -> String {
    format!(
        "upstreams.x = {{ targets = [\"{target}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"{access}\"\n{route}\n"
    )
}

/// Sends one raw request to the gateway under its own host; `head` has no empty line at its end.
async fn exchange(stack: &TestStack, head: &str, body: &str) -> String {
    let request = format!("{head}\r\nhost: {}\r\nconnection: close\r\n\r\n{body}", stack.gateway.host());
    Raw::exchange(stack.gateway.address(), request).await
}
