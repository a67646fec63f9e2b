//! Copies of the session's cookies that another host of the site has planted, as many as fit into a head.

use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{Raw, TestStack, raw};

/// The status of `/api/me` with this `Cookie` header, over HTTP/1.1 and over HTTP/2, if no answer sets a cookie.
async fn statuses(stack: &TestStack, cookies: &str) -> [u16; 2] {
    let (host, address) = (stack.gateway.host(), stack.gateway.address());
    let head = format!("GET /api/me HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncookie: {cookies}\r\n\r\n");
    let answer = Raw::exchange(address, head).await;
    assert!(!answer.to_ascii_lowercase().contains("\r\nset-cookie:"), "{cookies:.40}: {answer}");
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{host}/api/me")).header("cookie", cookies);
    let over_http2 = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    assert!(!over_http2.headers().contains_key("set-cookie"), "{cookies:.40}: {over_http2:?}");
    [raw::status(&answer), over_http2.status().as_u16()]
}

/// Octets of a `Cookie` header that fits into a head.
const FULL: usize = 30_500;

/// As many copies as fit beside `own`, each made of its number.
fn copies(own: &str, copy: impl Fn(usize) -> String) -> (String, usize) {
    let (mut planted, mut count) = (String::new(), 0);
    while planted.len() + copy(count).len() + own.len() < FULL {
        planted += &copy(count);
        count += 1;
    }
    (planted, count)
}

#[tokio::test]
async fn thousands_of_short_copies_before_or_after_a_good_one_hide_no_session_and_clear_nothing() {
    for seal in ["session.seal = true", "session.seal = false"] {
        let stack = TestStack::with(seal).await;
        let browser = stack.logged_in("mina").await;
        let (own, key_id) = (browser.cookie_header(), browser.cookie("sb_rt").unwrap()[..8].to_owned());
        for (copy, least) in [
            ("sb_at=x; ".to_owned(), 3000),
            ("sb_rt=; ".to_owned(), 3000),
            ("sb_at=; sb_rt=x; ".to_owned(), 1500),
            (format!("sb_rt={key_id}.1.; "), 1200),
            (format!("sb_at={key_id}.1.AAAA; "), 1000),
            (format!("sb_at=00000000.1.{}; ", "A".repeat(43)), 400),
        ] {
            let (planted, count) = copies(&own, |_| copy.clone());
            assert!(count >= least, "{copy}: {count}");
            for cookies in [format!("{planted}{own}"), format!("{own}; {planted}")] {
                assert_eq!(statuses(&stack, &cookies).await, [200, 200], "{seal} {copy}");
            }
        }
    }
}

#[tokio::test]
async fn copies_that_each_have_to_be_decrypted_hide_no_session_and_clear_nothing() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let (own, key_id) = (browser.cookie_header(), browser.cookie("sb_rt").unwrap()[..8].to_owned());
    for name in ["sb_at", "sb_rt"] {
        let (planted, count) = copies(&own, |number| format!("{name}={key_id}.1.{number:0260}; "));
        assert!(count >= 90, "{count}");
        for cookies in [format!("{planted}{own}"), format!("{own}; {planted}")] {
            assert_eq!(statuses(&stack, &cookies).await, [200, 200], "{name}");
        }
    }
}

#[tokio::test]
async fn an_unsealed_token_that_was_read_before_is_not_hidden_by_forged_ones_before_it() {
    let stack = TestStack::with("session.seal = false").await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/api/me").await.is(200).says("valid");
    let (own, at) = (browser.cookie_header(), browser.cookie("sb_at").unwrap());
    let (signed, signature) = at.rsplit_once('.').unwrap();
    let forged = |number: usize| format!("sb_at={signed}.{number:0>width$}; ", width = signature.len());
    let planted = (0..20).map(forged).collect::<Vec<_>>().concat();
    for cookies in [format!("{planted}{own}"), format!("{own}; {planted}")] {
        assert_eq!(statuses(&stack, &cookies).await, [200, 200]);
    }
    assert_eq!(stack.backend.refresh_calls(), 0);
    // Another person's genuine token is found too.
    let other = stack.logged_in("jun").await;
    other.fetch("/api/me").await.is(200).says("valid");
    let cookies = format!("{planted}sb_at={}; sb_at={at}", other.cookie("sb_at").unwrap());
    assert_eq!(statuses(&stack, &cookies).await, [401, 401]);
}
