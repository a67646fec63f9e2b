//! Conformance with RFC 9113 and RFC 7541, case by case. Sections and case numbers are those of h2spec, which uses the
//! numbers of RFC 7540; the code of the cases is ours.

mod generic;
mod hpack;
mod http2;

use std::net::SocketAddr;

use futures_util::{StreamExt as _, stream};

use crate::harness::{
    Frames, TestStack, Upstream,
    frames::{self, Frame, PREFACE, is},
};

/// One case.
struct Case {
    section: &'static str,
    says: &'static str,
    steps: Vec<Step>,
    expected: Expected,
    /// Whether the steps come without the connection preface.
    is_bare: bool,
}

enum Step {
    Send(Vec<u8>),
    /// Waits for a DATA frame.
    Data,
    /// Waits for the end of a stream.
    End,
}

/// The expected reaction of the server.
enum Expected {
    /// It answers 200 on that stream.
    Answer(u32),
    /// It sends a DATA frame of that length.
    Data(usize),
    /// It continues and refuses nothing.
    Goes,
    /// It continues, or closes the connection.
    GoesOrEnds,
    /// It acknowledges settings.
    SettingsAck,
    /// Its first frame has its settings.
    Settings,
    /// It closes the connection; a GOAWAY before that has one of these codes.
    ConnectionError(&'static [u32]),
    /// It resets the stream, or closes the connection, with one of these codes.
    StreamError(&'static [u32]),
    /// It closes the connection, with any code.
    Ends,
}

/// The target of requests.
struct Site {
    host: String,
}

impl Site {
    fn fields<'a>(&'a self, method: &'a str) -> Vec<(&'a str, &'a str)> {
        frames::request(method, &self.host, "/x/ok")
    }

    fn block(&self, method: &str) -> Vec<u8> {
        frames::block(self.fields(method))
    }

    /// A request without a body.
    fn get(&self, stream: u32) -> Step {
        headers(stream, is::END_STREAM | is::END_HEADERS, self.block("GET"))
    }

    /// The head of a request with a body.
    fn post(&self, stream: u32) -> Step {
        headers(stream, is::END_HEADERS, self.block("POST"))
    }

    /// The head of a request with a body and further fields.
    fn post_with(&self, fields: &[(&str, &str)]) -> Step {
        headers(1, is::END_HEADERS, frames::block(self.fields("POST").into_iter().chain(fields.iter().copied())))
    }

    /// A request with further fields.
    fn get_with(&self, fields: &[(&str, &str)]) -> Step {
        let all = self.fields("GET").into_iter().chain(fields.iter().copied());
        headers(1, is::END_STREAM | is::END_HEADERS, frames::block(all))
    }

    /// A request whose block has these bytes at its end.
    fn get_then(&self, bytes: &[u8]) -> Step {
        headers(1, is::END_STREAM | is::END_HEADERS, [&self.block("GET"), bytes].concat())
    }
}

fn case(section: &'static str, says: &'static str, steps: impl Into<Vec<Step>>, expected: Expected) -> Case {
    Case { section, says, steps: steps.into(), expected, is_bare: false }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Step {
    Step::Send(frames::frame(kind, flags, stream, payload))
}

fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Step {
    frame(is::HEADERS, flags, stream, block)
}

fn data(stream: u32, flags: u8, payload: impl AsRef<[u8]>) -> Step {
    frame(is::DATA, flags, stream, payload)
}

fn continuation(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Step {
    frame(is::CONTINUATION, flags, stream, block)
}

fn settings(all: &[(u16, u32)]) -> Step {
    Step::Send(frames::settings(all))
}

fn reset(stream: u32, code: u32) -> Step {
    Step::Send(frames::reset(stream, code))
}

fn window(stream: u32, increment: u32) -> Step {
    Step::Send(frames::window(stream, increment))
}

/// A stream that depends on `on`; its highest bit makes it exclusive.
fn priority(stream: u32, on: u32, weight: u8) -> Step {
    frame(is::PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[weight]].concat())
}

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113 section 6.5.2).
fn initial_window(size: u32) -> Step {
    settings(&[(4, size)])
}

impl Case {
    fn bare(self) -> Self {
        Self { is_bare: true, ..self }
    }

    async fn run(self, address: SocketAddr) -> Result<(), String> {
        let failed = |got: &str| format!("{}: {}: {got}", self.section, self.says);
        let mut link = Frames::bare(address).await;
        if !self.is_bare {
            link.send([PREFACE, &frames::settings(&[]), &frames::frame(is::SETTINGS, is::ACK, 0, [])].concat()).await;
            let is_ack = |frame: &Frame| frame.kind == is::SETTINGS && frame.flags & is::ACK != 0;
            link.until(is_ack).await.ok_or_else(|| failed("no handshake"))?;
        }
        for step in &self.steps {
            let came = match step {
                Step::Send(bytes) => {
                    // If the connection is closed, the expectation shows it.
                    link.send(bytes).await;
                    continue;
                }
                Step::Data => link.until(|frame| frame.kind == is::DATA).await,
                Step::End => link.until(|frame| frame.kind <= is::HEADERS && frame.flags & is::END_STREAM != 0).await,
            };
            came.ok_or_else(|| failed("closed before its time"))?;
        }
        self.expected.comes(&mut link).await.map_err(|got| failed(&got))
    }
}

impl Expected {
    /// To check that no frame comes, two PINGs are sent: all frames that the steps caused precede the answer to the
    /// second.
    async fn comes(&self, link: &mut Frames) -> Result<(), String> {
        const MARKS: [[u8; 8]; 2] = [*b"the mark", *b"and once"];
        let is_synchronous =
            matches!(self, Self::Goes | Self::GoesOrEnds | Self::ConnectionError(_) | Self::StreamError(_));
        let mut marks = MARKS.into_iter().take(if is_synchronous { 2 } else { 0 });
        let mut awaited = marks.next();
        if let Some(mark) = awaited {
            link.send(frames::ping(mark)).await;
        }
        let mut before = Vec::new();
        loop {
            let Some(frame) = link.next().await else {
                let may_end = matches!(self, Self::GoesOrEnds | Self::Ends | Self::ConnectionError(_));
                let may_end = may_end || matches!(self, Self::StreamError(_));
                return if may_end { Ok(()) } else { Err(format!("closed after {before:?}")) };
            };
            if frame.kind == is::PING && frame.flags & is::ACK != 0 {
                if awaited.is_none_or(|mark| frame.payload != mark) {
                    return Err("a PING is answered that was not sent".to_owned());
                }
                awaited = marks.next();
                match awaited {
                    Some(mark) => drop(link.send(frames::ping(mark)).await),
                    None if matches!(self, Self::Goes | Self::GoesOrEnds) => return Ok(()),
                    None => return Err(format!("it goes on after {before:?}")),
                }
                continue;
            }
            let code = frame.code();
            let refuses = |codes: &[u32]| code.is_some_and(|code| codes.contains(&code));
            let has_come = match self {
                Self::Answer(stream) => frame.stream == *stream && frame.status() == Some(200),
                Self::Data(length) => frame.kind == is::DATA && frame.payload.len() == *length,
                Self::SettingsAck => frame.kind == is::SETTINGS && frame.flags & is::ACK != 0,
                Self::Settings => frame.kind == is::SETTINGS && frame.flags & is::ACK == 0 && before.is_empty(),
                Self::ConnectionError(codes) => frame.kind == is::GOAWAY && refuses(codes),
                Self::StreamError(codes) => refuses(codes),
                Self::Goes | Self::GoesOrEnds | Self::Ends => false,
            };
            if has_come {
                return Ok(());
            }
            let is_final = match self {
                Self::Goes | Self::Answer(_) | Self::SettingsAck => code.is_some(),
                Self::Data(_) => code.is_some() || frame.kind == is::DATA,
                Self::Settings => true,
                _ => false,
            };
            before.push(frame);
            if is_final {
                return Err(format!("{before:?}"));
            }
        }
    }
}

#[tokio::test]
async fn the_cases_of_h2spec_pass() {
    let upstream = Upstream::start(|mut wire| async move {
        while let Some(heard) = wire.request().await {
            let body = if heard.line().starts_with("HEAD ") { "" } else { "some bytes" };
            wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{body}")).await;
        }
    })
    .await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    let (site, address) = (Site { host: stack.gateway.host().to_owned() }, stack.gateway.address());
    let cases = [generic::cases(&site), http2::cases(&site), hpack::cases(&site)];
    assert_eq!(cases.each_ref().map(Vec::len), [44, 94, 8]);
    let outcomes = stream::iter(cases.into_iter().flatten()).map(|case| case.run(address)).buffer_unordered(16);
    let failures: Vec<String> = outcomes.filter_map(|outcome| async { outcome.err() }).collect().await;
    let passed = 146 - failures.len();
    assert_eq!(passed, 146, "{passed}/146 passed; not:\n{}", failures.join("\n"));
}
