//! Cases that every HTTP/2 server must accept.

use super::{
    Case,
    Expected::{Answer, Data, Goes, GoesOrEnds, Settings, SettingsAck},
    Site, Step, case, continuation, data, frame, headers, initial_window, priority, reset, settings, window,
};
use crate::harness::frames::{self, PREFACE, block, is};

// `aaaaaaaa` and `x-a` in Huffman's code (RFC 7541 appendix B), with their lengths.
const AS: [u8; 6] = [0x85, 0x18, 0xc6, 0x31, 0x8c, 0x63];
const X_A: [u8; 4] = [0x83, 0xf2, 0xb0, 0xff];
/// RFC 7541 appendix A.
const USER_AGENT: u8 = 58;
const ENDS: u8 = is::END_STREAM | is::END_HEADERS;

pub(super) fn cases(at: &Site) -> Vec<Case> {
    let whole = at.block("GET");
    let (first, second, third) = (&whole[..5], &whole[5..10], &whole[10..]);
    let padded = [&[8], &whole[..], &[0; 8]].concat();
    let prioritised = [&[0, 0, 0, 0, 255], &whole[..]].concat();
    let literal = |says, start: &[u8], name: &[u8], value: &[u8]| {
        case("generic/5", says, [at.get_then(&[start, name, value].concat())], Answer(1))
    };
    vec![
        case(
            "generic/1",
            "the first frame of a server is SETTINGS",
            [Step::Send([PREFACE, &frames::settings(&[(4, 65_535)])].concat())],
            Settings,
        )
        .bare(),
        case("generic/2", "PRIORITY on an idle stream", [priority(1, 0, 255)], Goes),
        case(
            "generic/2",
            "WINDOW_UPDATE on a half-closed stream",
            [initial_window(0), at.get(1), window(1, 1)],
            Data(1),
        ),
        case(
            "generic/2",
            "PRIORITY on a half-closed stream",
            [initial_window(0), at.get(1), priority(1, 0, 255), window(1, 1)],
            Data(1),
        ),
        case(
            "generic/2",
            "RST_STREAM on a half-closed stream",
            [initial_window(0), at.get(1), reset(1, is::CANCEL)],
            Goes,
        ),
        case("generic/2", "PRIORITY on a closed stream", [at.get(1), Step::End, priority(1, 0, 255)], Goes),
        case("generic/3.1", "DATA", [at.post(1), data(1, is::END_STREAM, "test")], Answer(1)),
        case(
            "generic/3.1",
            "DATA in two frames",
            [at.post(1), data(1, 0, "test"), data(1, is::END_STREAM, "test")],
            Answer(1),
        ),
        case(
            "generic/3.1",
            "DATA with padding",
            [at.post(1), data(1, is::END_STREAM | is::PADDED, "\x05test\0\0\0\0\0")],
            Answer(1),
        ),
        case("generic/3.2", "HEADERS", [at.get(1)], Answer(1)),
        case("generic/3.2", "HEADERS with padding", [headers(1, ENDS | is::PADDED, padded)], Answer(1)),
        case("generic/3.2", "HEADERS with a priority", [headers(1, ENDS | is::PRIORITISED, prioritised)], Answer(1)),
        case("generic/3.3", "PRIORITY with the least weight", [priority(1, 0, 0), at.get(1)], Answer(1)),
        case("generic/3.3", "PRIORITY with the greatest weight", [priority(1, 0, 255), at.get(1)], Answer(1)),
        case("generic/3.3", "PRIORITY with a dependency", [priority(1, 3, 15), at.get(1)], Answer(1)),
        case("generic/3.3", "PRIORITY that is exclusive", [priority(1, 3 | 1 << 31, 15), at.get(1)], Answer(1)),
        case(
            "generic/3.3",
            "PRIORITY for an idle stream, then a lower stream",
            [priority(5, 0, 15), at.get(3)],
            Answer(3),
        ),
        case("generic/3.4", "RST_STREAM", [at.post(1), reset(1, is::CANCEL)], Goes),
        case("generic/3.5", "SETTINGS", [settings(&[(3, 100)])], SettingsAck),
        case("generic/3.7", "PING", [], Goes),
        case("generic/3.8", "GOAWAY", [frame(is::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0reason")], GoesOrEnds),
        case("generic/3.9", "WINDOW_UPDATE on the connection", [window(0, 1)], Goes),
        case("generic/3.9", "WINDOW_UPDATE on a stream", [at.get(1), window(1, 1)], Answer(1)),
        case(
            "generic/3.10",
            "CONTINUATION",
            [headers(1, is::END_STREAM, first), continuation(1, is::END_HEADERS, &whole[5..])],
            Answer(1),
        ),
        case(
            "generic/3.10",
            "CONTINUATION twice",
            [headers(1, is::END_STREAM, first), continuation(1, 0, second), continuation(1, is::END_HEADERS, third)],
            Answer(1),
        ),
        case("generic/4", "GET", [at.get(1)], Answer(1)),
        case("generic/4", "HEAD", [headers(1, ENDS, at.block("HEAD"))], Answer(1)),
        case("generic/4", "POST", [at.post(1), data(1, is::END_STREAM, "test")], Answer(1)),
        case(
            "generic/4",
            "POST with trailers",
            [at.post_with(&[("trailer", "x-test")]), data(1, 0, "test"), headers(1, ENDS, block([("x-test", "ok")]))],
            Answer(1),
        ),
        literal("an indexed field", &[0x80 + USER_AGENT], &[], &[]),
        literal("a field to index, its name indexed", &[0x40 + USER_AGENT], &[], b"\x01a"),
        literal("a field to index, its name indexed, in Huffman's code", &[0x40 + USER_AGENT], &[], &AS),
        literal("a field to index", &[0x40], b"\x03x-a", b"\x01a"),
        literal("a field to index, in Huffman's code", &[0x40], &X_A, &AS),
        literal("a field not to index, its name indexed", &[0x0f, USER_AGENT - 15], &[], b"\x01a"),
        literal("a field not to index, its name indexed, in Huffman's code", &[0x0f, USER_AGENT - 15], &[], &AS),
        literal("a field not to index", &[0x00], b"\x03x-a", b"\x01a"),
        literal("a field not to index, in Huffman's code", &[0x00], &X_A, &AS),
        literal("a field never to index, its name indexed", &[0x1f, USER_AGENT - 15], &[], b"\x01a"),
        literal("a field never to index, its name indexed, in Huffman's code", &[0x1f, USER_AGENT - 15], &[], &AS),
        literal("a field never to index", &[0x10], b"\x03x-a", b"\x01a"),
        literal("a field never to index, in Huffman's code", &[0x10], &X_A, &AS),
        case(
            "generic/5",
            "a new size of the dynamic table",
            [headers(1, ENDS, [&[0x20], &whole[..]].concat())],
            Answer(1),
        ),
        // RFC 7541 section 5.1: 31 in the first octet, 4096 - 31 in the others.
        case(
            "generic/5",
            "two new sizes of the dynamic table",
            [headers(1, ENDS, [&[0x20, 0x3f, 0xe1, 0x1f], &whole[..]].concat())],
            Answer(1),
        ),
    ]
}
