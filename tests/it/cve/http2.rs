//! A request in HTTP/2 whose every field is the test's, for what no client library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::within_patience;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// What came back on the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    Status(u16),
    Reset,
    /// The whole connection was given up.
    GoAway,
}

/// Sends the fields as they are (RFC 7541 section 6.2.3, without Huffman), then `body`, on a connection with prior knowledge.
pub(super) async fn request(address: SocketAddr, fields: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            // Seven bits, and the rest where that is not enough.
            match text.len().checked_sub(127) {
                None => block.push(u8::try_from(text.len()).unwrap()),
                Some(rest) => block.extend([127, u8::try_from(rest).expect("a short field")]),
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // END_HEADERS, and END_STREAM where no body follows.
    bytes.extend(frame(HEADERS, if body.is_some() { 4 } else { 5 }, 1, &block));
    if let Some(body) = body {
        bytes.extend(frame(DATA, 1, 1, body));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    within_patience("an answer in HTTP/2", answer(&mut stream)).await
}

async fn answer(stream: &mut TcpStream) -> Reply {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Reply::GoAway;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]).try_into().unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            HEADERS => return Reply::Status(status(&payload)),
            RST_STREAM => return Reply::Reset,
            GOAWAY => return Reply::GoAway,
            SETTINGS => {
                let enables_connect = payload.chunks(6).any(|setting| setting.starts_with(&[0, 8]));
                assert!(!enables_connect, "extended CONNECT is off (RFC 8441)");
            }
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// `:status`, which an answer's block begins with: in the static table, or three digits, in Huffman's code or as they are.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come first.
    let block = block.iter().position(|byte| byte & 0xe0 != 0x20).map_or(&[][..], |start| &block[start..]);
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [indexed @ 0x88..=0x8e, ..] => known[usize::from(indexed - 0x88)],
        [_, length, digits @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(&digits[..usize::from(*length)]).unwrap().parse().unwrap()
        }
        [_, length, coded @ ..] => {
            let bits =
                coded[..usize::from(length & 0x7f)].iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let mut left = 8 * u32::from(length & 0x7f);
            (0..3).fold(0, |number, _| {
                let five = bits >> (left - 5) & 31;
                let digit = if five < 3 {
                    left -= 5;
                    five
                } else {
                    left -= 6;
                    (bits >> left & 63) - 22
                };
                number * 10 + u16::try_from(digit).unwrap()
            })
        }
        _ => panic!("no status in {block:?}"),
    }
}
