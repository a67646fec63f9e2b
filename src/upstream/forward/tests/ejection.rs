//! Targets that fail in different ways, beside a good one: which are ejected, and who still gets an answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    super::super::{EjectionRule, testing::upstream_by},
    *,
};

const MANY: usize = 40;

/// What a target does with a request.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Deed {
    Answer,
    AnswerInTwoParts,
    Hang,
    Close,
    BreakBody,
    BreakChunks,
    StallBeforeBody,
    StallInBody,
    StallInChunks,
    Rubbish,
    Status(u16),
}

/// Serves connections until it is dropped, and then closes them; counts requests.
async fn serve(listener: &TcpListener, deed: Deed, count: &Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = accept(listener).await;
        connections.spawn(serve_connection(stream, deed, Arc::clone(count)));
    }
}

async fn serve_connection(mut stream: TcpStream, deed: Deed, count: Arc<AtomicUsize>) {
    while let Ok(1..) = stream.peek(&mut [0]).await {
        read_head(&mut stream).await;
        count.fetch_add(1, Ordering::Relaxed);
        let status;
        let bytes = match deed {
            Deed::Answer => OK,
            Deed::AnswerInTwoParts => {
                write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await;
                tokio::task::yield_now().await;
                "k"
            }
            Deed::Hang => std::future::pending().await,
            Deed::Close => return,
            Deed::BreakBody => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
            Deed::BreakChunks => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            Deed::StallBeforeBody => {
                write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await;
                std::future::pending().await
            }
            Deed::StallInBody => {
                write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
                std::future::pending().await
            }
            Deed::StallInChunks => {
                write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
                std::future::pending().await
            }
            Deed::Rubbish => "SSH-2.0-OpenSSH_9.2\r\n",
            Deed::Status(code) => {
                status = format!("HTTP/1.1 {code} x\r\ncontent-length: 2\r\n\r\nok");
                &status
            }
        };
        write(&mut stream, bytes).await;
        if !matches!(deed, Deed::Answer | Deed::AnswerInTwoParts | Deed::Status(_)) {
            return;
        }
    }
}

/// Sends requests to a good target and one that does `deed`, each answered within 100 ms or given up. How many reached
/// the second target, and how many had no complete answer.
async fn beside_a_good_one(deed: Deed, rule: EjectionRule) -> (usize, usize) {
    let (good, other) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let targets = vec![target(good.local_addr().unwrap()), target(other.local_addr().unwrap())];
    let upstream = upstream_by(targets, rule);
    let (good_count, other_count) = (Arc::default(), Arc::<AtomicUsize>::default());
    let limit = Duration::from_millis(100);
    let deadlines = RequestDeadlines { first_byte: limit, idle: limit, ..PATIENT };
    let ask = async {
        let mut failed = 0;
        for _ in 0..MANY {
            let is_whole = match upstream.forward(post(RequestBody::empty()), None, deadlines).await {
                Ok(answer) => answer.into_body().collect().await.is_ok(),
                Err(_) => false,
            };
            failed += usize::from(!is_whole);
        }
        failed
    };
    let failed = tokio::select! {
        failed = ask => failed,
        () = serve(&good, Deed::Answer, &good_count) => unreachable!("it serves for ever"),
        () = serve(&other, deed, &other_count) => unreachable!("it serves for ever"),
    };
    (other_count.load(Ordering::Relaxed), failed)
}

#[tokio::test]
async fn a_target_that_fails_in_any_way_is_left_out_after_three_failures() {
    let default = EjectionRule::default;
    for deed in [
        Deed::Hang,
        Deed::Close,
        Deed::BreakBody,
        Deed::BreakChunks,
        Deed::StallBeforeBody,
        Deed::StallInBody,
        Deed::StallInChunks,
        Deed::Rubbish,
    ] {
        let (requests, failed) = beside_a_good_one(deed, default()).await;
        assert_eq!((requests, failed), (3, 3), "{deed:?}");
    }
}

#[tokio::test]
async fn a_target_whose_answers_fall_silent_is_left_out_while_their_visitors_still_wait() {
    for deed in [Deed::StallBeforeBody, Deed::StallInBody, Deed::StallInChunks] {
        let listeners =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let upstream = upstream_of(listeners.iter().map(|listener| target(listener.local_addr().unwrap())).collect());
        let deadlines = RequestDeadlines { first_byte: SHORT, ..PATIENT };
        let visitors = (0..6).map(async |_| {
            let answer = upstream.forward(get("/"), None, deadlines).await.unwrap();
            answer.into_body().collect().await
        });
        let left_out = async {
            while !upstream.targets()[1].is_ejected() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let count = Arc::default();
        tokio::select! {
            () = left_out => {}
            ended = futures_util::future::join_all(visitors) => panic!("{deed:?}: {ended:?}"),
            () = serve(&listeners[0], Deed::Answer, &count) => unreachable!("it serves for ever"),
            () = serve(&listeners[1], deed, &count) => unreachable!("it serves for ever"),
        }
    }
}

#[tokio::test]
async fn a_target_that_never_reads_an_upload_is_left_out_while_its_visitors_still_wait() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"] {
        let listeners =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let upstream = upstream_of(listeners.iter().map(|listener| target(listener.local_addr().unwrap())).collect());
        let deadlines = RequestDeadlines { first_byte: SHORT, ..PATIENT };
        let visitors = (0..6).map(async |_| {
            let (request, mut near) =
                visitor("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n").await;
            let request = request.map(|body| RequestBody::stream(body, None));
            let piece = vec![0; 1 << 16];
            let sending = async { while near.write_all(&piece).await.is_ok() {} };
            let answer = async {
                let answer = upstream.forward(request, None, deadlines).await?;
                Ok::<_, ForwardError>(answer.into_body().collect().await)
            };
            tokio::join!(sending, answer).1
        });
        let left_out = async {
            while !upstream.targets().iter().any(|target| target.is_ejected()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let never_reads = async |listener: &TcpListener| {
            let mut streams = Vec::new();
            loop {
                let mut stream = accept(listener).await;
                write(&mut stream, head).await;
                streams.push(stream);
            }
        };
        tokio::select! {
            () = left_out => {}
            ended = futures_util::future::join_all(visitors) => panic!("{head:?}: {ended:?}"),
            () = never_reads(&listeners[0]) => {}
            () = never_reads(&listeners[1]) => {}
        }
    }
}

#[tokio::test]
async fn a_visitor_who_leaves_while_the_target_is_silent_does_not_end_its_ejection() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let targets = listeners.iter().map(|listener| target(listener.local_addr().unwrap())).collect();
    let rule = EjectionRule { failures: 1, duration: Duration::from_millis(1), ..EjectionRule::default() };
    let upstream = upstream_by(targets, rule);
    upstream.targets()[1].refused(Instant::now());
    // Longer than the ejection: the next request in its turn is its trial.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let ask = async {
        for expected in ["ok", "half"] {
            let mut body = send(&upstream, get("/")).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
            if expected == "half" {
                assert!(body.frame().now_or_never().is_none());
            }
        }
    };
    let count = Arc::default();
    tokio::select! {
        () = ask => {}
        () = serve(&listeners[0], Deed::Answer, &count) => unreachable!("it serves for ever"),
        () = serve(&listeners[1], Deed::StallInBody, &count) => unreachable!("it serves for ever"),
    }
    assert!(upstream.targets()[1].is_ejected());
}

#[tokio::test]
async fn of_three_targets_one_refuses_one_hangs_and_visitors_are_answered() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let mut targets = vec![closed_target().await];
    targets.extend(listeners.iter().map(|listener| target(listener.local_addr().unwrap())));
    let upstream = upstream_of(targets);
    let deadlines = RequestDeadlines { first_byte: Duration::from_millis(100), ..PATIENT };
    let ask = async {
        let mut failed = 0;
        for _ in 0..MANY {
            failed += usize::from(upstream.forward(get("/"), None, deadlines).await.is_err());
        }
        failed
    };
    let count = Arc::default();
    let failed = tokio::select! {
        failed = ask => failed,
        () = serve(&listeners[0], Deed::Hang, &count) => unreachable!("it serves for ever"),
        () = serve(&listeners[1], Deed::Answer, &count) => unreachable!("it serves for ever"),
    };
    // Three that eject it, and those that it gets until the first target has made place.
    assert!(failed <= 6, "{failed} of {MANY}");
}

#[tokio::test]
async fn a_target_that_answers_is_not_left_out_whatever_its_status() {
    for deed in [Deed::Answer, Deed::AnswerInTwoParts, Deed::Status(500), Deed::Status(503)] {
        assert_eq!(beside_a_good_one(deed, EjectionRule::default()).await, (MANY / 2, 0), "{deed:?}");
    }
}

#[tokio::test]
async fn a_status_of_the_rule_counts_as_a_failure_and_its_answers_are_passed_on() {
    let rule = EjectionRule { statuses: vec![StatusCode::SERVICE_UNAVAILABLE], failures: 4, ..EjectionRule::default() };
    assert_eq!(beside_a_good_one(Deed::Status(503), rule.clone()).await, (4, 0));
    assert_eq!(beside_a_good_one(Deed::Status(502), rule).await, (MANY / 2, 0));
}

#[tokio::test]
async fn a_target_that_is_ejected_is_tried_when_no_other_accepts_a_connection() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream_of(vec![target(address), target(second.local_addr().unwrap())]);
    drop(first);
    let count = Arc::default();
    let answers = async {
        for _ in 0..10 {
            assert_eq!(text(send(&upstream, post(RequestBody::empty())).await.unwrap()).await, "ok");
        }
    };
    tokio::select! {
        () = answers => {}
        () = serve(&second, Deed::Answer, &count) => unreachable!("it serves for ever"),
    }
    assert!(upstream.targets()[0].is_ejected());
    drop(second);
    pool::forget(upstream.targets()[1].id);
    let first = TcpListener::bind(address).await.unwrap();
    let answer = async {
        for _ in 0..5 {
            assert_eq!(text(send(&upstream, post(RequestBody::empty())).await.unwrap()).await, "ok");
        }
    };
    tokio::select! {
        () = answer => {}
        () = serve(&first, Deed::Answer, &count) => unreachable!("it serves for ever"),
    }
    assert!(!upstream.targets()[0].is_ejected(), "it has answered");
}

#[tokio::test]
async fn the_trial_of_an_ejected_target_reaches_it_though_its_idle_connection_was_closed() {
    let (good, other) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let rule = EjectionRule {
        failures: 1,
        statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
        duration: Duration::from_millis(1),
        ..EjectionRule::default()
    };
    let upstream = upstream_by(vec![target(good.local_addr().unwrap()), target(other.local_addr().unwrap())], rule);
    let connections = Arc::new(AtomicUsize::new(0));
    let closing = async {
        loop {
            let mut stream = accept(&other).await;
            connections.fetch_add(1, Ordering::Relaxed);
            read_head(&mut stream).await;
            write(&mut stream, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        }
    };
    let ask = async {
        for _ in 0..6 {
            text(send(&upstream, post(RequestBody::empty())).await.unwrap()).await;
            // Longer than an ejection.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let count = Arc::default();
    tokio::select! {
        () = ask => {}
        () = closing => unreachable!("it serves for ever"),
        () = serve(&good, Deed::Answer, &count) => unreachable!("it serves for ever"),
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3, "every second request");
}

#[tokio::test]
async fn the_requests_that_a_target_cannot_take_are_divided_among_all_others() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let mut targets = vec![closed_target().await];
    targets.extend(listeners.iter().map(|listener| target(listener.local_addr().unwrap())));
    let (never, requests) = (EjectionRule { most: 0.0, ..EjectionRule::default() }, 300);
    // The first is refused each time, or left out after three requests.
    for rule in [never, EjectionRule::default()] {
        let upstream = upstream_by(targets.clone(), rule);
        let counts = [Arc::<AtomicUsize>::default(), Arc::default()];
        let ask = async {
            for _ in 0..requests {
                text(send(&upstream, post(RequestBody::empty())).await.unwrap()).await;
            }
        };
        tokio::select! {
            () = ask => {}
            () = serve(&listeners[0], Deed::Answer, &counts[0]) => unreachable!("it serves for ever"),
            () = serve(&listeners[1], Deed::Answer, &counts[1]) => unreachable!("it serves for ever"),
        }
        // Seven times the deviation that is to be expected.
        let share = counts[0].load(Ordering::Relaxed);
        assert!(share.abs_diff(requests / 2) < 35, "{share} of {requests}");
    }
}

/// Sends GETs, or requests for an upgrade, to a target that does `deed` beside a good one. How many were answered, and
/// how many requests each target got.
async fn repeated_beside_a_good_one(deed: Deed, requests: usize, is_upgrade: bool) -> (usize, [usize; 2]) {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let upstream = upstream_of(listeners.iter().map(|listener| target(listener.local_addr().unwrap())).collect());
    let counts = [Arc::<AtomicUsize>::default(), Arc::default()];
    let ask = async {
        let mut answered = 0;
        for _ in 0..requests {
            answered += usize::from(if is_upgrade {
                upstream.upgrade(get("/"), PATIENT).await.is_ok()
            } else {
                send(&upstream, get("/")).await.is_ok()
            });
        }
        answered
    };
    let answered = tokio::select! {
        answered = ask => answered,
        () = serve(&listeners[0], deed, &counts[0]) => unreachable!("it serves for ever"),
        () = serve(&listeners[1], Deed::Answer, &counts[1]) => unreachable!("it serves for ever"),
    };
    (answered, counts.map(|count| count.load(Ordering::Relaxed)))
}

#[tokio::test]
async fn a_safe_request_that_a_target_closes_on_is_answered_by_another_target() {
    for is_upgrade in [false, true] {
        // After three failures the target is left out.
        assert_eq!(repeated_beside_a_good_one(Deed::Close, 20, is_upgrade).await, (20, [3, 20]), "{is_upgrade}");
    }
}

#[tokio::test]
async fn a_safe_request_without_an_answer_that_can_be_read_is_not_repeated() {
    assert_eq!(repeated_beside_a_good_one(Deed::Rubbish, 20, false).await, (17, [3, 17]));
}

#[tokio::test]
async fn a_visitor_who_breaks_its_upload_off_says_nothing_about_the_target() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let upstream = upstream_of(listeners.iter().map(|listener| target(listener.local_addr().unwrap())).collect());
    for _ in 0..8 {
        let (request, near) = visitor("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nfour").await;
        let accepted = async {
            let mut stream = tokio::select! {
                stream = accept(&listeners[0]) => stream,
                stream = accept(&listeners[1]) => stream,
            };
            read_until(&mut stream, "four").await;
            drop(near);
            stream
        };
        let (answer, _stream) = with(&upstream, request.map(|body| RequestBody::stream(body, None)), accepted).await;
        assert!(matches!(answer, Err(ForwardError::RequestBroken(_))), "{answer:?}");
    }
    assert!(upstream.targets().iter().all(|target| !target.is_ejected()));
}
