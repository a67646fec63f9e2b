//! Cases that RFC 9113 requires to be refused, with its error; section numbers are those of RFC 7540, as in h2spec.

use super::{
    Case,
    Expected::{Answer, ConnectionError, Data, Ends, Goes, GoesOrEnds, Settings, SettingsAck, StreamError},
    Site, Step, case, continuation, data, frame, headers, initial_window, priority, reset, settings, window,
};
use crate::harness::frames::{self, PREFACE, block, is};

const ENDS: u8 = is::END_STREAM | is::END_HEADERS;
const PROTOCOL: &[u32] = &[is::PROTOCOL_ERROR];
const CLOSED: &[u32] = &[is::STREAM_CLOSED];
const CLOSED_OR_PROTOCOL: &[u32] = &[is::STREAM_CLOSED, is::PROTOCOL_ERROR];
const SIZE: &[u32] = &[is::FRAME_SIZE_ERROR];
const FLOW: &[u32] = &[is::FLOW_CONTROL_ERROR];

pub(super) fn cases(at: &Site) -> Vec<Case> {
    [frames_and_streams(at), frame_definitions(at), messages(at)].into_iter().flatten().collect()
}

/// Sections 3 to 5.
fn frames_and_streams(at: &Site) -> Vec<Case> {
    let whole = at.block("GET");
    let (first, rest) = whole.split_at(5);
    let too_large = block(at.fields("GET").into_iter().chain([("x", "y".repeat(16_384).as_str())]));
    // Its answer waits for a window, so the stream stays half closed.
    let half_closed = || [initial_window(0), at.get(1)];
    let after = |says, [one, two]: [Step; 2], three, expected| case("http2/5.1", says, [one, two, three], expected);
    let cancelled = || [at.get(1), reset(1, is::CANCEL)];
    let closed = || [at.get(1), Step::End];
    let last_part = || continuation(1, ENDS, block([("x", "y")]));
    let mut all = vec![
        case("http2/3.5", "the preface", [Step::Send([PREFACE, &frames::settings(&[])].concat())], Settings).bare(),
        case("http2/3.5", "something else for a preface", [Step::Send(b"NO SUCH PREFACE\r\n\r\n".to_vec())], Ends)
            .bare(),
        case("http2/4.1", "a frame of unknown type", [frame(0xfe, 0, 0, b"whatever")], Goes),
        case("http2/4.1", "an unknown flag", [frame(is::PRIORITY, 0xff, 1, [0, 0, 0, 0, 7])], Goes),
        case("http2/4.1", "the reserved bit", [frame(is::WINDOW_UPDATE, 0, 1 << 31, [0, 0, 0, 1])], Goes),
        case("http2/4.2", "DATA of 2^14 octets", [at.post(1), data(1, is::END_STREAM, [b'x'; 16_384])], Answer(1)),
        case(
            "http2/4.2",
            "DATA of one octet more",
            [at.post(1), data(1, is::END_STREAM, [b'x'; 16_385])],
            StreamError(SIZE),
        ),
        case("http2/4.2", "HEADERS that are too large", [headers(1, ENDS, too_large)], ConnectionError(SIZE)),
        case(
            "http2/4.3",
            "a block that breaks off",
            [headers(1, ENDS, [0, 5, b'x'])],
            ConnectionError(&[is::COMPRESSION_ERROR]),
        ),
        case(
            "http2/4.3",
            "PRIORITY within a block",
            [headers(1, is::END_STREAM, first), priority(1, 0, 255), continuation(1, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/4.3",
            "another stream's HEADERS within a block",
            [headers(1, is::END_STREAM, first), at.get(3), continuation(1, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
        case("http2/5.1", "idle: DATA", [data(1, is::END_STREAM, "test")], ConnectionError(PROTOCOL)),
        case("http2/5.1", "idle: RST_STREAM", [reset(1, is::CANCEL)], ConnectionError(PROTOCOL)),
        case("http2/5.1", "idle: WINDOW_UPDATE", [window(1, 100)], ConnectionError(PROTOCOL)),
        case("http2/5.1", "idle: CONTINUATION", [continuation(1, ENDS, &whole)], ConnectionError(PROTOCOL)),
        after("half closed: DATA", half_closed(), data(1, is::END_STREAM, "test"), StreamError(CLOSED)),
        after("half closed: HEADERS", half_closed(), headers(1, ENDS, block([("x", "y")])), StreamError(CLOSED)),
        after("half closed: CONTINUATION", half_closed(), last_part(), ConnectionError(CLOSED_OR_PROTOCOL)),
        after("closed by us: DATA", cancelled(), data(1, is::END_STREAM, "test"), StreamError(CLOSED)),
        after("closed by us: HEADERS", cancelled(), headers(1, ENDS, block([("x", "y")])), StreamError(CLOSED)),
        after("closed by us: CONTINUATION", cancelled(), last_part(), ConnectionError(CLOSED_OR_PROTOCOL)),
        after("closed: DATA", closed(), data(1, is::END_STREAM, "test"), StreamError(CLOSED)),
        after("closed: HEADERS", closed(), at.get(1), ConnectionError(CLOSED_OR_PROTOCOL)),
        after("closed: CONTINUATION", closed(), last_part(), ConnectionError(CLOSED_OR_PROTOCOL)),
        case("http2/5.1.1", "a stream with an even number", [at.get(2)], ConnectionError(PROTOCOL)),
        case("http2/5.1.1", "a stream below the last", [at.get(5), at.get(3)], ConnectionError(PROTOCOL)),
    ];
    let too_many = Case {
        steps: (0..129).map(|n| at.post(n * 2 + 1)).collect(),
        ..case(
            "http2/5.1.2",
            "more streams than are allowed",
            [],
            StreamError(&[is::PROTOCOL_ERROR, is::REFUSED_STREAM]),
        )
    };
    all.push(too_many);
    all.extend([
        case(
            "http2/5.3.1",
            "HEADERS that depend on themselves",
            [headers(1, ENDS | is::PRIORITISED, [&[0, 0, 0, 1, 255], &whole[..]].concat())],
            StreamError(PROTOCOL),
        ),
        case("http2/5.3.1", "PRIORITY that depends on itself", [priority(1, 1, 255)], StreamError(PROTOCOL)),
        case("http2/5.4.1", "after a connection error the connection is closed", [frame(is::PING, 0, 0, [0; 6])], Ends),
        case("http2/5.5", "an unknown frame", [frame(0x16, 0, 0, b"whatever")], Goes),
        case(
            "http2/5.5",
            "an unknown frame within a block",
            [headers(1, is::END_STREAM, first), frame(0x16, 0, 0, b"whatever"), continuation(1, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
    ]);
    all
}

/// Sections 6 and 7.
fn frame_definitions(at: &Site) -> Vec<Case> {
    let whole = at.block("GET");
    let (first, rest) = whole.split_at(5);
    let padding_alone = [&[255], &whole[..]].concat();
    let setting = |says, id, value, expected| case("http2/6.5.2", says, [settings(&[(id, value)])], expected);
    vec![
        case("http2/6.1", "DATA on stream 0", [data(0, is::END_STREAM, "test")], ConnectionError(PROTOCOL)),
        case(
            "http2/6.1",
            "DATA on a stream that is not open",
            [initial_window(0), at.get(1), data(1, is::END_STREAM, "test")],
            StreamError(CLOSED),
        ),
        case(
            "http2/6.1",
            "DATA with more padding than payload",
            [at.post(1), data(1, is::END_STREAM | is::PADDED, "\x06test")],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.2",
            "HEADERS without END_HEADERS, and PRIORITY",
            [headers(1, is::END_STREAM, first), priority(3, 0, 255), continuation(1, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.2",
            "HEADERS without END_HEADERS, and another stream's",
            [headers(1, is::END_STREAM, first), at.get(3), continuation(1, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
        case("http2/6.2", "HEADERS on stream 0", [at.get(0)], ConnectionError(PROTOCOL)),
        case(
            "http2/6.2",
            "HEADERS with more padding than payload",
            [headers(1, ENDS | is::PADDED, padding_alone)],
            ConnectionError(PROTOCOL),
        ),
        case("http2/6.3", "PRIORITY on stream 0", [priority(0, 1, 255)], ConnectionError(PROTOCOL)),
        case("http2/6.3", "PRIORITY of four octets", [frame(is::PRIORITY, 0, 1, [0x80, 0, 0, 1])], StreamError(SIZE)),
        case("http2/6.4", "RST_STREAM on stream 0", [reset(0, is::CANCEL)], ConnectionError(PROTOCOL)),
        case("http2/6.4", "RST_STREAM on an idle stream", [reset(1, is::CANCEL)], ConnectionError(PROTOCOL)),
        case(
            "http2/6.4",
            "RST_STREAM of three octets",
            [at.post(1), frame(is::RST_STREAM, 0, 1, [0; 3])],
            ConnectionError(SIZE),
        ),
        case(
            "http2/6.5",
            "SETTINGS with ACK and a payload",
            [frame(is::SETTINGS, is::ACK, 0, [0; 6])],
            ConnectionError(SIZE),
        ),
        case(
            "http2/6.5",
            "SETTINGS on a stream",
            [frame(is::SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100])],
            ConnectionError(PROTOCOL),
        ),
        case("http2/6.5", "SETTINGS of three octets", [frame(is::SETTINGS, 0, 0, [0, 3, 0])], ConnectionError(SIZE)),
        setting("ENABLE_PUSH that is neither 0 nor 1", 2, 2, ConnectionError(PROTOCOL)),
        setting("INITIAL_WINDOW_SIZE above 2^31-1", 4, 1 << 31, ConnectionError(FLOW)),
        setting("MAX_FRAME_SIZE below 2^14", 5, (1 << 14) - 1, ConnectionError(PROTOCOL)),
        setting("MAX_FRAME_SIZE above 2^24-1", 5, 1 << 24, ConnectionError(PROTOCOL)),
        setting("an unknown setting", 0xff, 1, Goes),
        case(
            "http2/6.5.3",
            "of two values of a setting the last counts",
            [settings(&[(4, 100), (4, 1)]), at.get(1)],
            Data(1),
        ),
        case("http2/6.5.3", "SETTINGS are acknowledged", [settings(&[])], SettingsAck),
        case("http2/6.7", "PING is answered with its payload", [], Goes),
        case("http2/6.7", "PING with ACK is not answered", [frame(is::PING, is::ACK, 0, b"answered")], Goes),
        case("http2/6.7", "PING on a stream", [frame(is::PING, 0, 1, [0; 8])], ConnectionError(PROTOCOL)),
        case("http2/6.7", "PING of six octets", [frame(is::PING, 0, 0, [0; 6])], ConnectionError(SIZE)),
        case("http2/6.8", "GOAWAY on a stream", [frame(is::GOAWAY, 0, 1, [0; 8])], ConnectionError(PROTOCOL)),
        case("http2/6.9", "WINDOW_UPDATE of 0", [window(0, 0)], ConnectionError(PROTOCOL)),
        case("http2/6.9", "WINDOW_UPDATE of 0 on a stream", [at.post(1), window(1, 0)], StreamError(PROTOCOL)),
        case(
            "http2/6.9",
            "WINDOW_UPDATE of three octets",
            [frame(is::WINDOW_UPDATE, 0, 0, [0, 0, 1])],
            ConnectionError(SIZE),
        ),
        case("http2/6.9.1", "a window of one octet", [initial_window(1), at.get(1)], Data(1)),
        case(
            "http2/6.9.1",
            "a connection's window above 2^31-1",
            [window(0, 0x7fff_ffff), window(0, 0x7fff_ffff)],
            ConnectionError(FLOW),
        ),
        case(
            "http2/6.9.1",
            "a stream's window above 2^31-1",
            [at.post(1), window(1, 0x7fff_ffff), window(1, 0x7fff_ffff)],
            StreamError(FLOW),
        ),
        case(
            "http2/6.9.2",
            "a new initial window concerns streams that are open",
            [initial_window(0), at.get(1), initial_window(1)],
            Data(1),
        ),
        case(
            "http2/6.9.2",
            "a window may become negative",
            [initial_window(3), at.get(1), Step::Data, initial_window(2), window(1, 2)],
            Data(1),
        ),
        case(
            "http2/6.9.2",
            "an initial window above 2^31-1",
            [at.post(1), initial_window(1 << 31)],
            ConnectionError(FLOW),
        ),
        case(
            "http2/6.10",
            "CONTINUATION twice",
            [
                headers(1, is::END_STREAM, first),
                continuation(1, 0, &rest[..5]),
                continuation(1, is::END_HEADERS, &rest[5..]),
            ],
            Answer(1),
        ),
        case(
            "http2/6.10",
            "CONTINUATION, and something else",
            [
                headers(1, 0, first),
                continuation(1, 0, &rest[..5]),
                data(1, is::END_STREAM, "test"),
                continuation(1, is::END_HEADERS, &rest[5..]),
            ],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.10",
            "CONTINUATION on stream 0",
            [headers(1, is::END_STREAM, first), continuation(0, is::END_HEADERS, rest)],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.10",
            "CONTINUATION after END_HEADERS",
            [at.post(1), continuation(1, is::END_HEADERS, block([("x", "y")]))],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.10",
            "CONTINUATION after a CONTINUATION with END_HEADERS",
            [
                headers(1, 0, first),
                continuation(1, is::END_HEADERS, rest),
                continuation(1, is::END_HEADERS, block([("x", "y")])),
            ],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/6.10",
            "CONTINUATION after DATA",
            [at.post(1), data(1, 0, "test"), continuation(1, is::END_HEADERS, block([("x", "y")]))],
            ConnectionError(PROTOCOL),
        ),
        case(
            "http2/7",
            "GOAWAY with an unknown code",
            [frame(is::GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0xff])],
            GoesOrEnds,
        ),
        case("http2/7", "RST_STREAM with an unknown code", [at.post(1), reset(1, 0xff)], GoesOrEnds),
    ]
}

/// Section 8.
fn messages(at: &Site) -> Vec<Case> {
    let malformed =
        |section, says, block: Vec<u8>| case(section, says, [headers(1, ENDS, block)], StreamError(PROTOCOL));
    let with = |section, says, field| case(section, says, [at.get_with(&[field])], StreamError(PROTOCOL));
    let without = |says, left_out: &str| {
        malformed("http2/8.1.2.3", says, block(at.fields("GET").into_iter().filter(|(name, _)| *name != left_out)))
    };
    let twice = |says, field: usize| {
        let mut fields = at.fields("GET");
        fields.insert(field, fields[field]);
        malformed("http2/8.1.2.3", says, block(fields))
    };
    let mut late = at.fields("GET");
    late.insert(3, ("x-test", "ok"));
    let mut empty = at.fields("GET");
    empty[3].1 = "";
    vec![
        case(
            "http2/8.1",
            "a second HEADERS without END_STREAM",
            [at.post(1), at.post(1), data(1, is::END_STREAM, "test")],
            StreamError(PROTOCOL),
        ),
        with("http2/8.1.2", "a name with an upper-case letter", ("X-test", "ok")),
        malformed(
            "http2/8.1.2.1",
            "an unknown pseudo-header field",
            block([(":test", "ok")].into_iter().chain(at.fields("GET"))),
        ),
        malformed(
            "http2/8.1.2.1",
            "a pseudo-header field of answers",
            block(at.fields("GET").into_iter().chain([(":status", "200")])),
        ),
        case(
            "http2/8.1.2.1",
            "a pseudo-header field in trailers",
            [at.post(1), data(1, 0, "test"), headers(1, is::END_HEADERS, block([(":method", "GET")]))],
            StreamError(PROTOCOL),
        ),
        malformed("http2/8.1.2.1", "a pseudo-header field after another field", block(late)),
        with("http2/8.1.2.2", "a field of the connection", ("connection", "keep-alive")),
        with("http2/8.1.2.2", "TE with anything but trailers", ("te", "trailers, deflate")),
        malformed("http2/8.1.2.3", "an empty :path", block(empty)),
        without("no :method", ":method"),
        without("no :scheme", ":scheme"),
        without("no :path", ":path"),
        twice("two of :method", 0),
        twice("two of :scheme", 1),
        twice("two of :path", 3),
        case(
            "http2/8.1.2.6",
            "a length that the body does not have",
            [at.post_with(&[("content-length", "1")]), data(1, is::END_STREAM, "test")],
            StreamError(PROTOCOL),
        ),
        case(
            "http2/8.1.2.6",
            "a length that the body's frames do not add up to",
            [at.post_with(&[("content-length", "1")]), data(1, 0, "test"), data(1, is::END_STREAM, "test")],
            StreamError(PROTOCOL),
        ),
        case(
            "http2/8.2",
            "PUSH_PROMISE",
            [at.post(1), frame(is::PUSH_PROMISE, is::END_HEADERS, 1, [&[0, 0, 0, 2], &at.block("GET")[..]].concat())],
            ConnectionError(PROTOCOL),
        ),
    ]
}
