//! Streams of requests, cut anywhere: requests that all parsers read alike pass, ambiguous ones are found.

use proptest::prelude::*;

use super::*;

const GOOD: [&str; 10] = [
    "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\nContent-LENGTH: \t9 \r\nexpect: 100-continue\r\n\r\n#\n\n\r\n\r\nab",
    "GET / HTTP/1.1\r\ncontent-length: 0\r\nhost: a#\r\n\r\n",
    "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=\"b\\\"; \"\r\n#\r\n0A ;b\r\n\n\n3456789\n\r\n00;x\r\n\r\n",
    "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\nx: y\r\ncontent-length: 3\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\n\r\n",
    "GET / HTTP/1.1\r\nx-content-length: 1\r\ncontent-lengths: 2\r\ntransfer-encodings: z\r\nc:\r\nt: u\r\n\r\n",
];
const BAD: [&str; 19] = [
    "GET / HTTP/1.1\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\n\n",
    "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /a?b#c HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y\r\nContent-length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding:\r\n\r\n",
    "POST / HTTP/1.1\r\ncontent-length: 0\r\nTRANSFER-ENCODING:chunked\r\n\r\n",
];

/// Each follows the head of a chunked request and its first chunk.
const BAD_BODIES: [&str; 13] = [
    "2 \r\nab\r\n0\r\n\r\n",
    "2\t\r\nab\r\n0\r\n\r\n",
    "2 x\r\nab\r\n0\r\n\r\n",
    "2\r\nab\r\n0 \r\n\r\n",
    "2;a=\"\r\nb\"\r\nab\r\n0\r\n\r\n",
    "2;a=\"\\\r\nb\"\r\nab\r\n0\r\n\r\n",
    "2;a=\"b\r\nab\r\n0\r\n\r\n",
    "2;a\nab\r\n0\r\n\r\n",
    "2;a\0b\r\nab\r\n0\r\n\r\n",
    "2;a=\"\x7f\"\r\nab\r\n0\r\n\r\n",
    "0\r\nx: y\nz: w\r\n\r\n",
    "0\r\nx: y\r\n\n\r\n",
    "0\r\n\n",
];

fn read(heads: &mut HeadInspector, bytes: &[u8]) -> Finding {
    heads.inspect(&mut bytes.to_vec())
}

/// The first finding in a stream read in these pieces, and the number of complete heads before it.
fn outcome<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Option<Finding>, usize) {
    let mut heads = HeadInspector::new(1024);
    for piece in pieces {
        match read(&mut heads, piece) {
            Finding::Nothing => {}
            // The offset depends on the cuts.
            Finding::Ambiguous { .. } => return (Some(Finding::Ambiguous { from: 0 }), heads.complete),
            switch @ Finding::MaySwitch { .. } => return (Some(switch), heads.complete),
        }
    }
    assert_eq!(heads.state, ReadState::Head);
    (None, heads.complete)
}

fn each_byte(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(1)
}

#[test]
fn a_request_with_one_reading_passes_alone_and_in_a_row() {
    for good in GOOD {
        assert_eq!(outcome([good.as_bytes()]), (None, 1), "{good:?}");
        assert_eq!(outcome(each_byte(good.as_bytes())), (None, 1), "{good:?}");
    }
    let row = GOOD.concat();
    assert_eq!(outcome([row.as_bytes()]), (None, GOOD.len()));
    assert_eq!(outcome(each_byte(row.as_bytes())), (None, GOOD.len()));
}

#[test]
fn a_head_with_two_readings_is_found_after_any_good_request() {
    for bad in BAD {
        for good in GOOD {
            let row = format!("{good}{bad}");
            let expected = (Some(Finding::Ambiguous { from: 0 }), 1);
            assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
            assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
        }
    }
}

#[test]
fn a_chunked_body_with_two_readings_is_found_after_any_good_request() {
    for bad in BAD_BODIES {
        for good in GOOD {
            let row = format!("{good}PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n\n\r\n{bad}");
            let expected = (Some(Finding::Ambiguous { from: 0 }), 2);
            assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
            assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
        }
    }
}

#[test]
fn a_later_minor_version_is_rewritten_to_1_1() {
    for (sent, read) in [
        ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("\r\nGET / HTTP/1.9\r\nx: / HTTP/1.2\r\n\r\n", "\r\nGET / HTTP/1.1\r\nx: / HTTP/1.2\r\n\r\n"),
        ("GET /HTTP/1.2 HTTP/1.0\r\n\r\n", "GET /HTTP/1.2 HTTP/1.0\r\n\r\n"),
        ("GET / HTTP/2.2\r\n\r\n", "GET / HTTP/2.2\r\n\r\n"),
    ] {
        for twice in [sent.to_owned(), format!("{}{sent}", GOOD[3])] {
            for size in 1..=twice.len() {
                let mut heads = HeadInspector::new(1024);
                let mut bytes = twice.clone().into_bytes();
                for piece in bytes.chunks_mut(size) {
                    assert_eq!(heads.inspect(piece), Finding::Nothing, "{sent:?}");
                }
                assert!(bytes.ends_with(read.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
                assert_eq!(bytes.len(), twice.len());
            }
        }
    }
}

#[test]
fn a_fault_is_placed_at_its_line_or_at_the_part_of_it_just_read() {
    let mut heads = HeadInspector::new(1024);
    let row = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nx: y\n";
    assert_eq!(read(&mut heads, row.as_bytes()), Finding::Ambiguous { from: row.len() - 5 });
    assert_eq!(read(&mut heads, row.as_bytes()), Finding::Nothing, "nothing is reported after the first");
    let mut heads = HeadInspector::new(1024);
    assert_eq!(read(&mut heads, b"GET / HTTP/1.1\r\nx: "), Finding::Nothing);
    assert_eq!(read(&mut heads, b"y\n"), Finding::Ambiguous { from: 0 });
}

#[test]
fn bytes_after_a_websocket_handshake_are_not_inspected() {
    let handshake = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nhost: a\r\n\r\n";
    for (row, heads) in [
        (handshake.to_owned(), 1),
        (format!("{handshake}\n#\n\n"), 1),
        (format!("{}{handshake}{}", GOOD[3], BAD[0]), 2),
    ] {
        let expected = (Some(Finding::MaySwitch { heads }), heads);
        assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
        assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
    }
    for (framing, body) in [("content-length: 1", "x"), ("transfer-encoding: chunked", "1 \r\nx\r\n0\r\n\r\n")] {
        let row = format!("GET / HTTP/1.1\r\nupgrade: websocket\r\n{framing}\r\n\r\n{body}\n");
        let (seen, _) = outcome([row.as_bytes()]);
        assert_eq!(seen, Some(Finding::Ambiguous { from: 0 }), "with a body it is no handshake: {row:?}");
    }
    let mut heads = HeadInspector::new(1024);
    assert_eq!(read(&mut heads, handshake.as_bytes()), Finding::MaySwitch { heads: 1 });
    assert_eq!(read(&mut heads, b"\n#\n\n"), Finding::Nothing);
}

#[test]
fn faults_that_hyper_refuses_itself_are_not_reported() {
    let chunked = "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = format!("GET /{}", "x".repeat(1024));
    for left in [
        long,
        format!("{chunked}g\r\n"),
        format!("{chunked}11112222333344445\r\n"),
        format!("{chunked}1\n"),
        format!("{chunked}1\r\nabc"),
        format!("{chunked}0\r\nx\ry"),
        format!("{chunked}0\r\n\r\r"),
    ] {
        let mut heads = HeadInspector::new(1024);
        assert_eq!(read(&mut heads, left.as_bytes()), Finding::Nothing, "{left:?}");
        assert_eq!(heads.state, ReadState::NotInspected, "{left:?}");
        assert_eq!(heads.partial_line.capacity(), 0);
    }
    assert_eq!(read(&mut HeadInspector::disabled(), b"\n"), Finding::Nothing);
}

#[test]
fn a_body_of_a_gibibyte_is_counted_and_passes() {
    let mut heads = HeadInspector::new(1024);
    let chunk = [b'\n'; 4096];
    for body in ["content-length: 1073741824\r\n\r\n", "transfer-encoding: chunked\r\n\r\n40000000\r\n"] {
        read(&mut heads, b"PUT / HTTP/1.1\r\n");
        read(&mut heads, body.as_bytes());
        for _ in 0..(1 << 30) / chunk.len() {
            assert_eq!(read(&mut heads, &chunk), Finding::Nothing);
        }
        if heads.state != ReadState::Head {
            assert_eq!(read(&mut heads, b"\r\n0\r\n\r\n"), Finding::Nothing);
        }
        assert_eq!(heads.state, ReadState::Head);
    }
    assert_eq!(heads.complete, 2);
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_where_the_stream_is_cut(
        requests in prop::collection::vec((prop::sample::select(&GOOD[..]), 0..12_usize, prop::sample::select(&BAD[..])), 1..8),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let row: String = requests.iter().map(|(good, odds, bad)| if *odds == 0 { bad } else { good }).copied().collect();
        let mut rest = row.as_bytes();
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, left) = rest.split_at((*size).min(rest.len()));
            rest = left;
            (!piece.is_empty()).then_some(piece)
        });
        let first_bad = requests.iter().position(|(_, odds, _)| *odds == 0);
        let expected = match first_bad {
            Some(before) => (Some(Finding::Ambiguous { from: 0 }), before),
            None => (None, requests.len()),
        };
        prop_assert_eq!(outcome(pieces), expected);
        prop_assert_eq!(outcome([row.as_bytes()]), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_faults_lie_within_them(bytes in prop::collection::vec(prop::sample::select(&b"GET / HTTP/1.1\r\n:#0a;\0transfer-encoding: chunked"[..]), 0..300)) {
        let mut heads = HeadInspector::new(64);
        if let Finding::Ambiguous { from } = read(&mut heads, &bytes) {
            prop_assert!(from < bytes.len());
        }
    }
}
