//! How long a visitor may take for its body.

use http_body_util::BodyExt as _;
use tokio::io::DuplexStream;

use super::*;
use crate::upstream::testing::{PATIENT, visitor, write};

const IDLE: Duration = Duration::from_secs(60);

/// The error with which a body ends, and after how long. `pieces` are seconds of pause and bytes to send after it.
async fn sent(body_rate: u64, answered: bool, pieces: Vec<(u64, usize)>) -> (Option<RequestError>, Duration) {
    let raw = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n";
    let (request, near) = visitor(raw).await;
    let mut body = RequestBody::stream(request.into_body(), None);
    let progress = body.watch(RequestDeadlines { idle: IDLE, body_rate, ..PATIENT }).unwrap();
    if answered {
        progress.answered();
    }
    let begun = Instant::now();
    let sending = tokio::spawn(send(near, pieces));
    let error = loop {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    sending.abort();
    (error, begun.elapsed())
}

async fn send(mut near: DuplexStream, pieces: Vec<(u64, usize)>) {
    for (pause, bytes) in pieces {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        write(&mut near, vec![b'x'; bytes]).await;
    }
    std::future::pending::<()>().await;
}

fn is_stalled(error: Option<&RequestError>) -> bool {
    matches!(error, Some(RequestError::Stalled))
}

#[tokio::test(start_paused = true)]
async fn a_body_below_the_minimum_rate_is_too_slow_though_never_silent() {
    let (error, after) = sent(256, false, vec![(1, 8); 1000]).await;
    assert!(is_stalled(error.as_ref()), "{error:?}");
    assert_eq!(after.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_body_at_the_minimum_rate_has_no_time_limit() {
    let (error, after) = sent(256, false, vec![(2, 520); 300]).await;
    assert!(is_stalled(error.as_ref()), "{error:?}");
    assert!(after.as_secs() > 600, "ended only by the silence at its end: {after:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_burst_the_rate_is_demanded_again_within_the_idle_timeout() {
    let (error, after) = sent(256, false, [vec![(0, 1 << 20)], vec![(1, 1); 1000]].concat()).await;
    assert!(is_stalled(error.as_ref()), "{error:?}");
    assert_eq!(after.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn after_the_answer_has_begun_only_silence_counts() {
    let (error, after) = sent(256, true, vec![(50, 1); 10]).await;
    assert!(is_stalled(error.as_ref()), "{error:?}");
    assert_eq!(after.as_secs(), 560);
}

#[tokio::test(start_paused = true)]
async fn without_a_minimum_rate_only_silence_counts() {
    let (error, after) = sent(0, false, vec![(50, 1); 10]).await;
    assert!(is_stalled(error.as_ref()), "{error:?}");
    assert_eq!(after.as_secs(), 560);
}
