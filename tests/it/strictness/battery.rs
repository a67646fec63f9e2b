//! Fifty requests as raw bytes: 42 must be refused, 8 must be accepted.

/// A request and the expected outcome.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Expected,
}

/// The expected outcome of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// This status, a closed connection, and no request at the backend.
    Refused(u16),
    /// Refused because of a fault in the body: the backend may get the head, but never the whole request.
    Broken,
    /// CONNECT: 405 or 501, because the method is not supported.
    NoTunnel,
    /// 200 from the backend.
    Taken,
    /// A 2xx from the proxy itself.
    Local,
    /// 200 from the backend, or 417.
    TakenOr417,
}

/// All cases, for a server with that host name.
pub(super) fn cases(host: &str) -> Vec<Case> {
    use Expected::{Broken, Local, NoTunnel, Refused, Taken, TakenOr417};

    let line = |line: &str| format!("{line}\r\nhost: {host}\r\n\r\n");
    let with = |lines: &str| format!("GET /x HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n\r\n");
    let post = |lines: &str, body: &str| format!("POST /x HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n\r\n{body}");
    let chunked = |body: &str| post("transfer-encoding: chunked", body);
    let coded = |coding: &str| post(&format!("transfer-encoding: {coding}"), "2\r\nab\r\n0\r\n\r\n");
    let many = (0..101).fold(String::new(), |lines, n| format!("{lines}x-{n}: 1\r\n"));
    let (start, end) = (format!("GET /\u{e9} HTTP/1.1\r\nhost: {host}"), "\r\n\r\n");
    // A byte of Latin-1 that is not valid UTF-8.
    let high: Vec<u8> = (start + end).chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect();

    let text = |name, text: String, expected| Case { name, bytes: text.into_bytes(), expected };
    vec![
        text("lines that end in a bare LF", format!("GET /x HTTP/1.1\nhost: {host}\n\n"), Refused(400)),
        text("two Hosts", with(&format!("host: {host}")), Refused(400)),
        text("no Host", "GET /x HTTP/1.1\r\n\r\n".into(), Refused(400)),
        text("an empty Host", "GET /x HTTP/1.1\r\nhost:\r\n\r\n".into(), Refused(400)),
        text("a blank in Host", format!("GET /x HTTP/1.1\r\nhost: {host} evil.example\r\n\r\n"), Refused(400)),
        text(
            "Content-Length beside Transfer-Encoding",
            post("content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
            Refused(400),
        ),
        text(
            "Transfer-Encoding in HTTP/1.0",
            format!("POST /x HTTP/1.0\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
            Refused(400),
        ),
        text("two equal Content-Lengths", post("content-length: 2\r\ncontent-length: 2", "ab"), Refused(400)),
        text("two different Content-Lengths", post("content-length: 2\r\ncontent-length: 1", "ab"), Refused(400)),
        text("Content-Length: 1, 1", post("content-length: 1, 1", "a"), Refused(400)),
        text("Content-Length: +1", post("content-length: +1", "a"), Refused(400)),
        text("Transfer-Encoding: identity", coded("identity"), Refused(400)),
        text("Transfer-Encoding: chunked, identity", coded("chunked, identity"), Refused(400)),
        text("Transfer-Encoding: identity, chunked", coded("identity, chunked"), Refused(400)),
        text("Transfer-Encoding: gzip, chunked", coded("gzip, chunked"), Refused(400)),
        text("chunked twice", coded("chunked\r\ntransfer-encoding: chunked"), Refused(400)),
        text("Transfer-Encoding: xchunked", coded("xchunked"), Refused(400)),
        text("a blank before the colon", post("transfer-encoding : chunked", "0\r\n\r\n"), Refused(400)),
        text("a folded line", with("x: a\r\n b"), Refused(400)),
        text("an empty field name", with(": a"), Refused(400)),
        text("NUL in a value", with("x: a\0b"), Refused(400)),
        text("a bare CR in a value", with("x: a\rb"), Refused(400)),
        text("a chunk's size line that ends in a bare LF", chunked("2\nab\r\n0\r\n\r\n"), Broken),
        text("a chunk's data that ends in a bare LF", chunked("2\r\nab\n0\r\n\r\n"), Broken),
        text("CRLF within quotes of a chunk's extension", chunked("2;a=\"\r\nx\"\r\nab\r\n0\r\n\r\n"), Broken),
        text("a chunk's size 0x2", chunked("0x2\r\nab\r\n0\r\n\r\n"), Broken),
        text("a chunk's size -2", chunked("-2\r\nab\r\n0\r\n\r\n"), Broken),
        text("a blank behind a chunk's size", chunked("2 \r\nab\r\n0\r\n\r\n"), Broken),
        text("a chunk's size over 64 bits", chunked("10000000000000002\r\nab\r\n0\r\n\r\n"), Broken),
        text("no CRLF behind a chunk's data", chunked("2\r\nab0\r\n\r\n"), Broken),
        text("a fragment in the target", line("GET /x#y HTTP/1.1"), Refused(400)),
        text("userinfo in the target", line(&format!("GET http://user@{host}/x HTTP/1.1")), Refused(400)),
        text("GET *", line("GET * HTTP/1.1"), Refused(400)),
        text("CONNECT", line(&format!("CONNECT {host} HTTP/1.1")), NoTunnel),
        text("a target without a slash", line("GET x HTTP/1.1"), Refused(400)),
        text("two blanks in the request line", line("GET  /x HTTP/1.1"), Refused(400)),
        text("tabs in the request line", line("GET\t/x\tHTTP/1.1"), Refused(400)),
        text("HTTP/2.0 in HTTP/1", line("GET /x HTTP/2.0"), Refused(400)),
        Case { name: "a high byte in the path", bytes: high, expected: Refused(400) },
        text("characters that no path has", line("GET /x/\"{}|\\^ HTTP/1.1"), Refused(400)),
        text("101 fields", with(many.trim_end()), Refused(431)),
        text("a field of one megabyte", with(&format!("x: {}", "y".repeat(1 << 20))), Refused(431)),
        text("an empty line before the request", format!("\r\n{}", line("GET /x HTTP/1.1")), Taken),
        text("HTTP/1.2", line("GET /x HTTP/1.2"), Taken),
        text("GET with a body", format!("{}2\r\nab\r\n0\r\n\r\n", with("transfer-encoding: chunked")), Taken),
        text("an underscore in a field name", with("under_score: 1"), Taken),
        text("absolute-form", format!("GET http://{host}/x HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", port(host)), Taken),
        text("OPTIONS *", line("OPTIONS * HTTP/1.1"), Local),
        text("an Expect that nobody knows", with("expect: 200-ok"), TakenOr417),
        text(
            "Upgrade with a body",
            format!("{}hello", with("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5")),
            Taken,
        ),
    ]
}

fn port(host: &str) -> &str {
    host.rsplit(':').next().unwrap_or(host)
}
