//! Floods on one connection or on many: when the connection ends, and what the flood costs.

use std::{net::SocketAddr, time::Duration};

use crate::harness::{
    Frames, Process, Raw, Upstream,
    frames::{block, frame, is, ping, request, reset, settings, window},
    free_port, ok, raw, report, within_time_limit,
};

/// Requests at a time that a connection may have by default.
const STREAMS: u32 = 100;

/// The gateway under attack, as a process, and its upstream.
struct AttackedGateway {
    process: Process,
    upstream: Upstream,
    address: SocketAddr,
    admin: SocketAddr,
    host: String,
    before: Usage,
}

#[derive(Clone, Copy)]
struct Usage {
    kib: i64,
    cpu: Duration,
}

impl AttackedGateway {
    async fn start() -> Self {
        // `/x/never` is not answered, `/x/large` at length.
        let upstream = Upstream::start(|mut wire| async move {
            while let Some(heard) = wire.request().await {
                if heard.line().contains("/never") {
                    return wire.until_closed().await;
                }
                let large = heard.line().contains("/large");
                wire.send(ok(&"x".repeat(if large { 100_000 } else { 10 }))).await;
            }
        })
        .await;
        let [address, admin] = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let target = upstream.target();
        let toml = format!(
            r#"
            server = {{ listen = "{address}", public_url = "http://{address}", admin_listen = "{admin}" }}
            upstreams.x.targets = ["{target}"]
            routes = [{{ path = "/x/{{*rest}}", upstream = "x", access = "public" }}]
            [authority]
            kind = "backend"
            upstream = "x"
            credentials = {{ path = "/login", json = {{ email = "{{email}}", password = "{{password}}" }} }}
            refresh = {{ path = "/refresh", json = {{ refresh_token = "{{refresh_token}}" }} }}
            "#
        );
        let process = Process::run(&toml).await;
        let before = Usage { kib: 0, cpu: Duration::ZERO };
        let mut victim = Self { process, upstream, address, admin, host: address.to_string(), before };
        // Memory that the first requests need does not count as the flood's.
        victim.serves_others().await;
        let mut link = victim.connect(&[]).await;
        link.send(victim.get(1, "/x/large")).await;
        link.until(|frame| frame.flags & is::END_STREAM != 0).await.expect("an answer");
        drop(link);
        victim.before = victim.usage();
        victim
    }

    async fn connect(&self, all: &[(u16, u32)]) -> Frames {
        Frames::connect(self.address, all).await
    }

    /// A request without a body.
    fn get(&self, stream: u32, path: &str) -> Vec<u8> {
        frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, stream, block(request("GET", &self.host, path)))
    }

    /// The head of a request with a body.
    fn post(&self, stream: u32, path: &str, length: Option<&str>) -> Vec<u8> {
        let mut fields = request("POST", &self.host, path);
        fields.extend(length.map(|length| ("content-length", length)));
        frame(is::HEADERS, is::END_HEADERS, stream, block(fields))
    }

    /// Checks that another visitor is served.
    async fn serves_others(&self) {
        let head = format!("GET /x/ok HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.host);
        let answer = Raw::exchange(self.address, head).await;
        assert_eq!(raw::status(&answer), 200, "{answer}");
    }

    async fn metrics(&self) -> String {
        Raw::exchange(self.admin, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await
    }

    fn usage(&self) -> Usage {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The process name may contain spaces; user and system time are fields 14 and 15, in hundredths of a second.
        let ticks = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        let kib = i64::try_from(self.process.memory() / 1024).unwrap();
        Usage { kib, cpu: Duration::from_millis(ticks * 10) }
    }

    /// Sends batch after batch, each with a PING whose answer is awaited, until the connection ends.
    async fn closes(
        &mut self,
        what: &str,
        link: &mut Frames,
        most: usize,
        mut batch: impl FnMut(&Self, u32) -> Vec<Vec<u8>>,
    ) -> Option<u32> {
        let (mut sent, mut code) = (0, None);
        'open: for round in 0_u32.. {
            let frames = batch(self, round);
            sent += frames.len() + 1;
            assert!(sent <= most, "{what}: open after {sent} frames");
            let mark = u64::from(round).to_be_bytes();
            link.send([frames.concat(), ping(mark)].concat()).await;
            if round % 8 == 0 {
                self.serves_others().await;
            }
            loop {
                let Some(frame) = link.next().await else { break 'open };
                code = code.or_else(|| frame.code().filter(|_| frame.kind == is::GOAWAY));
                if frame.kind == is::PING && frame.payload == mark {
                    break;
                }
            }
        }
        self.has_withstood(what, sent, code, 5 * 1024).await;
        code
    }

    /// Waits until the process has at most so much memory more than at first.
    async fn until_memory_is(&self, what: &'static str, kib: i64) {
        let less = async {
            while self.usage().kib - self.before.kib > kib {
                self.serves_others().await;
            }
        };
        within_time_limit(what, less).await;
    }

    /// Reports the cost of a flood of `sent` frames, and checks that others are served.
    async fn has_withstood(&mut self, what: &str, sent: usize, code: Option<u32>, most_kib: i64) {
        let after = self.usage();
        let (kib, cpu) = (after.kib - self.before.kib, after.cpu.saturating_sub(self.before.cpu).as_millis());
        let code = code.map_or("none".to_owned(), |code| code.to_string());
        report(&format!("| {what} | {sent} | {code} | {kib} | {cpu} |"));
        assert!(kib < most_kib, "{what}: {kib} KiB more");
        self.serves_others().await;
        assert!(self.process.is_running(), "{what}: {}", self.process.output());
    }
}

/// Number of frames in a batch.
fn fifty(frame: &[u8]) -> Vec<Vec<u8>> {
    vec![frame.to_vec(); 50]
}

/// Upper bound of frames: the credits, one batch, and the credits gained while the test runs on a slow machine.
const MOST: usize = 2500;

/// A flood of frames that h2 itself answers or records without a limit.
async fn is_counted(what: &str, flood: Vec<u8>) {
    let mut victim = AttackedGateway::start().await;
    let mut link = victim.connect(&[]).await;
    let code = victim.closes(what, &mut link, MOST, |_, _| fifty(&flood)).await;
    assert_eq!(code, Some(is::ENHANCE_YOUR_CALM));
    assert!(victim.metrics().await.contains("vestibule_connections_flooded_total 1\n"));
}

#[tokio::test]
async fn a_flood_of_pings_ends_its_connection() {
    is_counted("PING", ping(*b" flood! ")).await;
}

#[tokio::test]
async fn a_flood_of_ping_answers_ends_its_connection() {
    is_counted("PING ack", frame(is::PING, is::ACK, 0, b" flood! ")).await;
}

#[tokio::test]
async fn a_flood_of_settings_ends_its_connection() {
    is_counted("SETTINGS", settings(&[(4, 65_535)])).await;
}

#[tokio::test]
async fn a_flood_of_empty_settings_ends_its_connection() {
    is_counted("SETTINGS, empty", settings(&[])).await;
}

#[tokio::test]
async fn a_flood_of_window_updates_ends_its_connection() {
    is_counted("WINDOW_UPDATE", window(0, 1)).await;
}

#[tokio::test]
async fn a_flood_of_priorities_ends_its_connection() {
    is_counted("PRIORITY", frame(is::PRIORITY, 0, 5, [0, 0, 0, 3, 7])).await;
}

#[tokio::test]
async fn a_flood_of_unknown_frames_ends_its_connection() {
    is_counted("unknown type", frame(0x42, 0xff, 9, b"whatever")).await;
}

#[tokio::test]
async fn a_client_that_acknowledges_each_piece_of_an_answer_twice_is_served() {
    let victim = AttackedGateway::start().await;
    // Each 500 bytes are acknowledged before the next are sent.
    let mut link = victim.connect(&[(4, 500)]).await;
    let mut acknowledged = 0;
    for stream in (1..=19).step_by(2) {
        link.send(victim.get(stream, "/x/large")).await;
        loop {
            let piece = link.until(|frame| frame.kind == is::DATA).await.expect("the answer goes on");
            if piece.flags & is::END_STREAM != 0 {
                break;
            }
            let length = u32::try_from(piece.payload.len()).unwrap();
            link.send([window(0, length), window(stream, length)].concat()).await;
            acknowledged += 2;
        }
    }
    assert!(acknowledged > 3000, "{acknowledged}");
    assert!(victim.metrics().await.contains("vestibule_connections_flooded_total 0\n"));
}

/// A window that is opened byte by byte makes a frame of each byte.
#[tokio::test]
async fn cve_2019_9511_a_window_opened_byte_by_byte_ends_its_connection() {
    let mut victim = AttackedGateway::start().await;
    let mut link = victim.connect(&[(4, 0)]).await;
    link.send(victim.get(1, "/x/large")).await;
    let code = victim.closes("WINDOW_UPDATE of 1", &mut link, MOST, |_, _| fifty(&window(1, 1))).await;
    assert_eq!(code, Some(is::ENHANCE_YOUR_CALM));
}

/// Also RUSTSEC-2026-0258 of h2.
#[tokio::test]
async fn cve_2019_9518_empty_data_frames_end_their_connection() {
    for (what, empty) in [
        ("DATA, empty", frame(is::DATA, 0, 1, b"")),
        ("DATA, padding alone", frame(is::DATA, is::PADDED, 1, b"\x03\0\0\0")),
    ] {
        let mut victim = AttackedGateway::start().await;
        let mut link = victim.connect(&[]).await;
        link.send(victim.post(1, "/x/never", None)).await;
        let code = victim.closes(what, &mut link, MOST, |_, _| fifty(&empty)).await;
        assert_eq!(code, Some(is::ENHANCE_YOUR_CALM), "{what}");
    }
}

/// Also RUSTSEC-2023-0034 and RUSTSEC-2024-0003 of h2.
#[tokio::test]
async fn cve_2023_44487_requests_that_are_reset_at_once_end_their_connection() {
    let mut victim = AttackedGateway::start().await;
    let mut link = victim.connect(&[]).await;
    let flood = |victim: &AttackedGateway, round: u32| {
        let streams = (0..25).map(|n| (round * 25 + n) * 2 + 1);
        streams.flat_map(|stream| [victim.get(stream, "/x/never"), reset(stream, is::CANCEL)]).collect()
    };
    let code = victim.closes("rapid reset", &mut link, 4000, flood).await;
    assert_eq!(code, Some(is::ENHANCE_YOUR_CALM));
}

/// `MadeYouReset`: the client breaks a rule on each of its streams, and the server resets it.
#[tokio::test]
async fn cve_2025_8671_streams_that_we_are_made_to_reset_end_their_connection() {
    type Stream = fn(&AttackedGateway, u32) -> Vec<Vec<u8>>;
    let ways: [(&str, Stream); 5] = [
        ("window update of 0", |victim, stream| vec![victim.get(stream, "/x/never"), window(stream, 0)]),
        ("window too large", |victim, stream| vec![victim.get(stream, "/x/never"), window(stream, 0x7fff_ffff)]),
        ("DATA after the end", |victim, stream| {
            vec![victim.get(stream, "/x/never"), frame(is::DATA, 0, stream, b"more")]
        }),
        ("HEADERS after the end", |victim, stream| {
            vec![victim.get(stream, "/x/never"), victim.get(stream, "/x/never")]
        }),
        ("DATA over the length", |victim, stream| {
            vec![victim.post(stream, "/x/never", Some("1")), frame(is::DATA, 0, stream, b"more")]
        }),
    ];
    for (what, way) in ways {
        let mut victim = AttackedGateway::start().await;
        let mut link = victim.connect(&[]).await;
        let flood = |victim: &AttackedGateway, round: u32| {
            (0..25).flat_map(|n| way(victim, (round * 25 + n) * 2 + 1)).collect::<Vec<_>>()
        };
        victim.closes(&format!("MadeYouReset: {what}"), &mut link, 4000, flood).await;
    }
}

/// Within a header block no PING may be sent, so the whole flood is sent and the end is awaited.
#[tokio::test]
async fn rustsec_2024_0332_a_header_block_without_an_end_ends_its_connection() {
    for (what, part, count) in [
        ("CONTINUATION, 16 KiB", block([("x", vec![b'y'; 16_000])]), 64),
        ("CONTINUATION, small", block([("x", "y")]), 5000),
        ("CONTINUATION, empty", Vec::new(), 5000),
    ] {
        let mut victim = AttackedGateway::start().await;
        let mut link = victim.connect(&[]).await;
        let open = frame(is::HEADERS, is::END_STREAM, 1, block(request("GET", &victim.host, "/x/ok")));
        link.send(open).await;
        link.send(frame(is::CONTINUATION, 0, 1, part).repeat(count)).await;
        victim.serves_others().await;
        let last = link.until(|frame| frame.kind == is::GOAWAY).await.expect("the connection is refused");
        assert_eq!(link.until(|_| false).await, None);
        victim.has_withstood(what, count, last.code(), 5 * 1024).await;
        assert!(victim.upstream.heard().iter().all(|heard| !heard.head.contains("\r\nx:")));
    }
}

/// Also Envoy CVE-2026-47774. A block of 16 KB refers to one crumb in the table 16,000 times, and closed windows keep
/// what is answered.
#[tokio::test]
async fn cve_2026_49975_cookie_crumbs_by_reference_cost_no_memory() {
    let mut victim = AttackedGateway::start().await;
    let before = victim.upstream.heard().len();
    let mut sent = 0;
    let mut links = Vec::new();
    for _ in 0..100 {
        let mut link = victim.connect(&[(4, 0)]).await;
        for stream in [1, 3, 5, 7, 9] {
            let mut bomb = block(request("GET", &victim.host, "/x/ok"));
            // RFC 7541 section 6.2.1: `cookie` (32) with a value that is indexed, and that entry (62) again and again.
            bomb.extend(b"\x60\x01a");
            bomb.resize(16_000, 0x80 + 62);
            link.send(frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, stream, bomb)).await;
            sent += 1;
        }
        links.push(link);
    }
    victim.serves_others().await;
    let mut code = None;
    for link in &mut links {
        // Either each request is refused, or the connection is closed.
        let mut refused = 0;
        while refused < 5 {
            match link.next().await {
                Some(frame) if frame.kind == is::HEADERS => {
                    assert_eq!(frame.status(), Some(431));
                    refused += 1;
                }
                Some(frame) if frame.kind == is::RST_STREAM => refused += 1,
                Some(frame) if frame.kind == is::GOAWAY => code = frame.code(),
                Some(_) => {}
                None => break,
            }
        }
    }
    victim.has_withstood("cookie crumbs, 100 connections", sent, code, 20 * 1024).await;
    let bombs = victim.upstream.heard().iter().skip(before).filter(|heard| heard.header("cookie").is_some()).count();
    assert_eq!(bombs, 0);
}

/// A request whose header block refers twelve times to a cookie of 2.3 kB that was sent once.
fn with_referred_cookies(victim: &AttackedGateway, stream: u32, method: &str, path: &str, cookie: &str) -> Vec<u8> {
    let mut fields = block(request(method, &victim.host, path));
    if stream == 1 {
        // RFC 7541 section 6.2.1: `cookie` (32), added to the table.
        fields.push(0x60);
        fields.extend([0x7f, u8::try_from((cookie.len() - 127) & 0x7f | 0x80).unwrap()]);
        fields.push(u8::try_from((cookie.len() - 127) >> 7).unwrap());
        fields.extend(cookie.as_bytes());
    }
    fields.extend([0x80 + 62; 12]);
    let flags = if method == "GET" { is::END_HEADERS | is::END_STREAM } else { is::END_HEADERS };
    frame(is::HEADERS, flags, stream, fields)
}

#[tokio::test]
async fn large_cookies_that_few_bytes_refer_to_keep_little_memory_and_further_streams_are_refused() {
    for (what, method, path, name) in [
        ("own endpoint, body awaited", "POST", "/auth/logout", "theirs"),
        ("own endpoint, cookies of ours", "POST", "/auth/logout", "sb_tx1"),
    ] {
        let mut victim = AttackedGateway::start().await;
        let cookie = format!("{name}={}", "x".repeat(2300));
        let (mut links, mut sent) = (Vec::new(), 0);
        for _ in 0..10 {
            let mut link = victim.connect(&[]).await;
            let streams = (0..STREAMS).map(|n| with_referred_cookies(&victim, n * 2 + 1, method, path, &cookie));
            link.send(streams.collect::<Vec<_>>().concat()).await;
            sent += STREAMS as usize;
            links.push(link);
        }
        for link in &mut links {
            let refused = link.until(|frame| frame.kind == is::RST_STREAM && frame.code() == Some(is::REFUSED_STREAM));
            assert!(refused.await.is_some(), "{what}");
        }
        // Under 20 MiB for 100 connections in an optimised build; one that is not needs up to twice as much, and what
        // is needed for a moment is given back a second later.
        victim.until_memory_is(what, 6 * 1024).await;
        drop(links);
        victim.until_memory_is(what, 3 * 1024).await;
        victim.has_withstood(what, sent, None, 5 * 1024).await;
        assert!(victim.metrics().await.contains("vestibule_connections_flooded_total 0\n"));
    }
}

#[tokio::test]
async fn answers_that_a_peer_does_not_read_keep_little_besides_themselves() {
    let mut victim = AttackedGateway::start().await;
    let (mut links, mut sent) = (Vec::new(), 0);
    for _ in 0..30 {
        // SETTINGS_INITIAL_WINDOW_SIZE: 0.
        let mut link = victim.connect(&[(4, 0)]).await;
        let streams = (0..STREAMS).map(|n| victim.get(n * 2 + 1, "/auth/session"));
        link.send(streams.collect::<Vec<_>>().concat()).await;
        sent += STREAMS as usize;
        links.push(link);
    }
    for link in &mut links {
        for _ in 0..STREAMS {
            let head = link.until(|frame| frame.kind == is::HEADERS).await.expect("the connection goes on");
            assert_eq!(head.status(), Some(200));
        }
    }
    // Not optimised, 12 MiB; with room for the futures that made the answers it would be 26 MiB.
    victim.until_memory_is("answers without a window", 17 * 1024).await;
    drop(links);
    victim.until_memory_is("answers without a window", 12 * 1024).await;
    victim.has_withstood("answers without a window", sent, None, 14 * 1024).await;
}

#[tokio::test]
async fn a_hundred_parallel_images_with_12_kib_of_cookies_load() {
    let victim = AttackedGateway::start().await;
    let mut link = victim.connect(&[]).await;
    let cookie = format!("theirs={}", "x".repeat(12 * 1024));
    let image = |stream: u32| {
        let fields = request("GET", &victim.host, "/x/image").into_iter().chain([("cookie", &*cookie)]);
        frame(is::HEADERS, is::END_HEADERS | is::END_STREAM, stream, block(fields))
    };
    let streams = (0..100).map(|n| n * 2 + 1);
    link.send(streams.map(image).collect::<Vec<_>>().concat()).await;
    let (mut loaded, mut next) = (0, 201);
    while loaded < 100 {
        let frame = link.next().await.expect("the connection goes on");
        assert_ne!(frame.kind, is::GOAWAY, "{frame:?}");
        if frame.kind == is::DATA && frame.flags & is::END_STREAM != 0 {
            loaded += 1;
        } else if frame.kind == is::RST_STREAM {
            // A browser sends a refused request again.
            assert_eq!(frame.code(), Some(is::REFUSED_STREAM));
            link.send([window(0, 1000), image(next)].concat()).await;
            next += 2;
        }
    }
}

/// Also GHSA-3h5v-q93c-6h6q of ws.
#[tokio::test]
async fn cve_2023_43669_a_mebibyte_of_upgrade_headers_is_431() {
    let mut victim = AttackedGateway::start().await;
    let start = format!("GET /x/ok HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n", victim.host);
    for fields in ["x: y\r\n".repeat(1 << 18), format!("x: {}\r\n", "y".repeat(1 << 20)), "y".repeat(1 << 20)] {
        let answer = Raw::exchange(victim.address, format!("{start}{fields}\r\n")).await;
        assert_eq!(raw::status(&answer), 431, "{answer}");
    }
    victim.has_withstood("1 MiB of upgrade headers", 3, None, 5 * 1024).await;
}
