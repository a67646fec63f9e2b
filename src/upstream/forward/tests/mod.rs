//! Upstreams that speak raw bytes: the requests that they get, and the visitor's view of their answers.

mod answers;
mod connections;
mod ejection;
mod requests;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Version};
use http_body_util::BodyExt as _;

use super::{
    super::{
        AnswerError,
        settings::{Settings, Target},
        testing::*,
    },
    *,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn send(upstream: &Upstream, request: Request<RequestBody>) -> Result<Response<AnswerBody>, ForwardError> {
    upstream.forward(request, None, PATIENT).await
}

/// Sends `request` while `serve` answers.
async fn with<T>(
    upstream: &Upstream,
    request: Request<RequestBody>,
    serve: impl Future<Output = T>,
) -> (Result<Response<AnswerBody>, ForwardError>, T) {
    tokio::join!(send(upstream, request), serve)
}

/// The answer to a GET that an upstream answers with `raw`, and then closes.
async fn answer_of(raw: &str) -> Result<Response<AnswerBody>, ForwardError> {
    let (listener, upstream) = one_target().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        read_head(&mut stream).await;
        write(&mut stream, raw).await;
    };
    with(&upstream, get("/"), serve).await.0
}
