//! The stricter rule and the gateway's own calls against an oracle written from product.md, "The life of a request",
//! step 3: it reads each path in every way that a lenient backend may, one by one. Random tables and requests, the same
//! in every run.

use std::collections::BTreeSet;

use super::{super::own_calls::FORMATS, decision::Seeded, *};
use crate::hygiene::canonical_path;

/// What a path of these tests is made of, and what the oracle takes each piece for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    Letter(char),
    Dot,
    Blank,
    Semicolon,
    Slash,
    EscapedSlash,
    WideSlash,
}

use Piece::{Blank, Dot, EscapedSlash, Letter, Semicolon, Slash, WideSlash};

/// The noise, and spellings of letters.
const NOISE: [(&str, Piece); 14] = [
    ("a", Letter('a')),
    ("B", Letter('b')),
    (".", Dot),
    (".", Dot),
    ("%20", Blank),
    ("%C2%A0", Blank),
    (";", Semicolon),
    ("%3B", Semicolon),
    ("/", Slash),
    ("/", Slash),
    ("/", Slash),
    ("%2F", EscapedSlash),
    ("%2F", EscapedSlash),
    ("%EF%BC%8F", WideSlash),
];
const SPELLINGS: [(&str, Piece); 7] = [
    ("a", Letter('a')),
    ("a", Letter('a')),
    ("A", Letter('a')),
    ("%EF%BD%81", Letter('a')),
    ("%2561", Letter('a')),
    ("b", Letter('b')),
    ("B", Letter('b')),
];

/// A path that hygiene lets through, and its pieces without the first slash: `near` in some spelling, and noise.
fn path(seeded: &mut Seeded, near: &str) -> (String, Vec<Piece>) {
    loop {
        let mut pieces: Vec<(&str, Piece)> = Vec::new();
        for c in near[1..].chars() {
            pieces.push(match c.to_ascii_lowercase() {
                '/' => ("/", Slash),
                '.' => (".", Dot),
                letter => loop {
                    let spelling = SPELLINGS[seeded.below(SPELLINGS.len())];
                    if spelling.1 == Letter(letter) {
                        break spelling;
                    }
                },
            });
        }
        for _ in 0..seeded.below(7) {
            pieces.insert(seeded.below(pieces.len() + 1), NOISE[seeded.below(NOISE.len())]);
        }
        let text = pieces.iter().fold("/".to_owned(), |text, (spelling, _)| text + spelling);
        if canonical_path(&text, EncodedSlash::Keep).is_ok_and(|canonical| canonical == text) {
            return (text, pieces.iter().map(|(_, piece)| *piece).collect());
        }
    }
}

/// One way to read a path.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each choice is independent of the others")]
struct Backend {
    splits_escaped: bool,
    splits_wide: bool,
    keeps_parameters: bool,
    keeps_blanks: bool,
    keeps_dots: bool,
    climbs: bool,
}

/// Every reading of a path, as the texts of its segments.
fn readings(pieces: &[Piece]) -> BTreeSet<Vec<String>> {
    // What each bit is about: without it in the path, the bit changes nothing.
    let about = [EscapedSlash, WideSlash, Semicolon, Blank, Dot, Dot];
    let matters = |bits: &u32| (0..6).all(|bit| bits >> bit & 1 == 0 || pieces.contains(&about[bit]));
    let backends = (0..64).filter(matters).map(|bits| {
        let [splits_escaped, splits_wide, keeps_parameters, keeps_blanks, keeps_dots, climbs] =
            [0, 1, 2, 3, 4, 5].map(|bit| bits >> bit & 1 == 1);
        Backend { splits_escaped, splits_wide, keeps_parameters, keeps_blanks, keeps_dots, climbs }
    });
    backends.map(|backend| reading(pieces, backend)).collect()
}

fn reading(pieces: &[Piece], backend: Backend) -> Vec<String> {
    let is_slash = |piece: &Piece| match piece {
        Slash => true,
        EscapedSlash => backend.splits_escaped,
        WideSlash => backend.splits_wide,
        _ => false,
    };
    let mut segments: Vec<String> = Vec::new();
    for segment in pieces.split(is_slash).filter(|segment| !segment.is_empty()) {
        let plain: Vec<Piece> = segment.iter().copied().take_while(|piece| *piece != Semicolon).collect();
        let mut named = plain.clone();
        while named.last().is_some_and(|piece| matches!(piece, Blank | Dot)) {
            named.pop();
        }
        while named.first() == Some(&Blank) {
            named.remove(0);
        }
        if !named.is_empty() {
            segments.push(text(&named));
            continue;
        }
        let without_blanks: Vec<&Piece> = {
            let trimmed = plain.iter().skip_while(|piece| **piece == Blank).collect::<Vec<_>>();
            trimmed.into_iter().rev().skip_while(|piece| **piece == Blank).collect()
        };
        let has = |piece: Piece| plain.contains(&piece);
        let kept_for_more_than_dots =
            (backend.keeps_parameters && plain.len() < segment.len()) || (backend.keeps_blanks && has(Blank));
        if backend.climbs && without_blanks == [&Dot, &Dot] && !kept_for_more_than_dots {
            segments.pop();
        } else if kept_for_more_than_dots || (backend.keeps_dots && has(Dot)) {
            segments.push(text(segment));
        }
    }
    segments
}

fn text(pieces: &[Piece]) -> String {
    let char = |piece: &Piece| match piece {
        Letter(letter) => *letter,
        Dot => '.',
        Blank => ' ',
        Semicolon => ';',
        Slash => '/',
        EscapedSlash => '1',
        WideSlash => '2',
    };
    pieces.iter().map(char).collect()
}

/// A random table of at most six routes to one upstream; most have one for all paths.
fn routes(seeded: &mut Seeded) -> Vec<Settings> {
    let for_all = seeded.below(4) > 0;
    let count = 1 + seeded.below(6);
    let route = |line| {
        let roles = |names: &[&str]| Access::Roles(names.iter().map(|name| (*name).to_owned()).collect());
        let access = match seeded.below(8) {
            0 | 1 => Access::Public,
            2 => Access::Optional,
            3 => Access::Anonymous,
            4 => Access::User,
            5 => roles(&["r"]),
            6 => roles(&["s"]),
            _ => roles(&["r", "s"]),
        };
        if for_all && line == 1 {
            return Settings { access, ..settings(line, &[], &[], "/{*rest}") };
        }
        let mut path = String::new();
        for _ in 0..seeded.below(4) {
            path.push('/');
            path += seeded.pick(&["a", "b", "ab", "A", "Ab", "{x}", "{x}"]);
        }
        path += seeded.pick(&["", "", "/", "/{*rest}", "/{*rest}"]);
        if path.is_empty() {
            path.push('/');
        }
        let methods = seeded.pick(&[&[][..], &[], &["GET"], &["POST"], &["HEAD", "PUT"], &["GET", "POST"]]);
        let hosts = seeded.pick(&[&[][..], &[], &[], &["h.example"], &["h.example:8080"], &["h.example", "i"]]);
        Settings { access, ..settings(line, methods, hosts, &path) }
    };
    (1..=count).map(route).collect()
}

/// How exactly a route is for a request, the smallest most; `None`: not at all.
fn host_rank(route: &Settings, host: &str) -> Option<u8> {
    let names = |host: &str| route.hosts.iter().any(|own| own == host);
    let without_port = host.split(':').next().unwrap();
    match () {
        () if route.hosts.is_empty() => Some(2),
        // A host without a port in the file is for every port.
        () if host.contains(':') && names(host) => Some(0),
        () if names(without_port) => Some(1),
        () => None,
    }
}

fn method_rank(route: &Settings, method: &str) -> Option<u8> {
    let names = |method: &str| route.methods.iter().any(|own| own == method);
    match () {
        () if route.methods.is_empty() => Some(2),
        () if names(method) => Some(0),
        () if method == "HEAD" && names("GET") => Some(1),
        () => None,
    }
}

/// For each segment 0: the pattern's text, 1: `{x}`, 3: `{*rest}`, and 2 for the end of the pattern.
fn pattern_rank(pattern: &[String], segments: &[String]) -> Option<Vec<u8>> {
    match (pattern.split_first(), segments.split_first()) {
        (None, None) => Some(vec![2]),
        (Some((own, _)), _) if own == "{*rest}" => Some(vec![3]),
        (Some((own, pattern)), Some((segment, segments))) => {
            let rank = match &**own {
                "{x}" if !segment.is_empty() => 1,
                own if own == segment => 0,
                _ => return None,
            };
            Some([vec![rank], pattern_rank(pattern, segments)?].concat())
        }
        _ => None,
    }
}

/// The segments of a pattern as written, or as the laxest backend reads them.
fn written(path: &str) -> Vec<String> {
    path[1..].split('/').map(str::to_owned).collect()
}

fn folded(path: &str) -> Vec<String> {
    written(path).iter().filter(|segment| !segment.is_empty()).map(|segment| segment.to_lowercase()).collect()
}

/// The route that a request matches.
fn matched<'r>(routes: &'r [Settings], method: &str, host: &str, segments: &[String]) -> Option<&'r Settings> {
    let rank = |route: &&Settings| {
        let pattern = pattern_rank(&written(&route.path), segments)?;
        Some((host_rank(route, host)?, pattern, method_rank(route, method)?))
    };
    routes.iter().filter(|route| rank(route).is_some()).min_by_key(rank)
}

/// The routes that one reading of a request matches: all whose patterns are one in the lax reading, unless the file
/// says of that very pattern that another route is meant for the method.
fn matched_by_reading<'r>(routes: &'r [Settings], method: &str, host: &str, segments: &[String]) -> Vec<&'r Settings> {
    let rank = |route: &Settings| {
        method_rank(route, method)?;
        Some((host_rank(route, host)?, pattern_rank(&folded(&route.path), segments)?))
    };
    let best = routes.iter().filter_map(rank).min();
    let best: Vec<&Settings> = routes.iter().filter(|route| best.is_some() && rank(route) == best).collect();
    let is_meant = |route: &&Settings| {
        let is_better =
            |other: &&Settings| other.path == route.path && method_rank(other, method) < method_rank(route, method);
        !best.iter().any(is_better)
    };
    best.iter().copied().filter(is_meant).collect()
}

/// public < optional < anonymous, user < roles; of two lists of roles the shorter is stricter if the longer has it.
fn is_stricter(one: &Access, other: &Access) -> bool {
    let level = |access: &Access| match access {
        Access::Public => 0,
        Access::Optional => 1,
        Access::Anonymous | Access::User => 2,
        Access::Roles(_) => 3,
    };
    match (one, other) {
        (Access::Roles(one), Access::Roles(other)) => {
            one.len() < other.len() && one.iter().all(|role| other.contains(role))
        }
        _ => level(one) > level(other),
    }
}

/// The access rules that a request has to pass, none of them laxer than another.
fn applied(routes: &[Settings], matched: &Settings, method: &str, host: &str, pieces: &[Piece]) -> Vec<Access> {
    let mut all = vec![matched.access.clone()];
    for segments in readings(pieces) {
        all.extend(matched_by_reading(routes, method, host, &segments).iter().map(|route| route.access.clone()));
    }
    let mut strictest: Vec<Access> = Vec::new();
    for access in &all {
        if !all.iter().any(|other| is_stricter(other, access)) && !strictest.contains(access) {
            strictest.push(access.clone());
        }
    }
    strictest
}

fn names(accesses: impl Iterator<Item = Access>) -> BTreeSet<String> {
    accesses.map(|access| format!("{access:?}")).collect()
}

#[test]
fn in_a_hundred_thousand_requests_the_stricter_rule_of_every_lenient_reading_decides() {
    let mut seeded = Seeded(10);
    let (mut requests, mut stricter, mut several, mut none) = (0, 0, 0, 0);
    while requests < 100_000 {
        let routes = routes(&mut seeded);
        let Ok(table) = build(routes.clone()) else { continue };
        for _ in 0..25 {
            let near = &routes[seeded.below(routes.len())].path;
            let (path, pieces) = path(&mut seeded, &near.replace("{x}", "b").replace("{*rest}", "a"));
            let method = seeded.pick(&["GET", "HEAD", "POST", "PUT"]);
            let host = seeded.pick(&["h.example", "h.example:8080", "i:81", "x"]);
            let about = || format!("{method} {host} {path} {:#?}", table.routes());
            requests += 1;
            let wanted = matched(&routes, method, host, &written(&path));
            let parsed: Method = method.parse().unwrap();
            let TableMatch::Route(route) = table.find(&parsed, host, &path) else {
                assert!(wanted.is_none(), "{}", about());
                none += 1;
                continue;
            };
            let wanted = wanted.unwrap_or_else(|| panic!("{}", about()));
            assert_eq!(route.settings.line, wanted.line, "{}", about());
            let applied = applied(&routes, wanted, method, host, &pieces);
            several += usize::from(applied.len() > 1);
            stricter += usize::from(applied != [wanted.access.clone()]);
            let rules = table.rules(route, &parsed, host, &LaxPath::new(&path));
            let got = names(rules.routes().map(|route| route.settings.access.clone()));
            assert_eq!(got, names(applied.into_iter()), "{}", about());
        }
    }
    let counts = format!("{stricter} stricter, {several} several, {none} none");
    assert!(stricter > 5_000 && several > 500 && none > 10_000, "{counts}");
}

/// A call's path: for each segment the text around its placeholder, or its text alone.
type CallPath = Vec<(String, Option<String>)>;

fn call_path(seeded: &mut Seeded) -> CallPath {
    let text = |seeded: &mut Seeded, all: &[&str]| seeded.pick(all).to_owned();
    (0..=seeded.below(3))
        .map(|_| match seeded.below(3) {
            0 => (text(seeded, &["", "a", "B", "b."]), Some(text(seeded, &["", "", "b", ".a", "b.b"]))),
            _ => (text(seeded, &["a", "b", "Ab", "a.b", "b.A", "a.b.a"]), None),
        })
        .collect()
}

fn compiled(call: &CallPath) -> Vec<CallPiece> {
    let mut path = Vec::new();
    for (before, after) in call {
        path.push(CallPiece::Literal(format!("/{before}")));
        if let Some(after) = after {
            path.extend([CallPiece::Placeholder, CallPiece::Literal(after.clone())]);
        }
    }
    path
}

/// Whether the segments of one reading are those of the call, where one of the two may lack a suffix; a suffix may be a
/// segment of its own.
fn meets(call: &CallPath, segments: &[String]) -> bool {
    match segments {
        [before @ .., last] if last.starts_with('.') && is_call(call, before) => true,
        _ => is_call(call, segments),
    }
}

fn is_call(call: &CallPath, segments: &[String]) -> bool {
    let lower = |text: &str| text.to_lowercase();
    let fits = |(before, after): &(String, Option<String>), segment: &str| match after {
        None => lower(before) == segment,
        Some(after) => (0..=segment.len()).any(|end| {
            segment.is_char_boundary(end)
                && (0..=end).any(|begin| segment[..begin] == lower(before) && segment[end..] == lower(after))
        }),
    };
    let Some(((call_last, call_before), (last, before))) = call.split_last().zip(segments.split_last()) else {
        return false;
    };
    let all_but_last =
        call_before.len() == before.len() && call_before.iter().zip(before).all(|(own, segment)| fits(own, segment));
    let mut stems = last.match_indices('.').map(|(dot, _)| &last[..dot]).filter(|stem| !stem.is_empty());
    let (text, placeholder) = call_last;
    let ending = placeholder.as_ref().unwrap_or(text);
    let has_format = ending.rsplit_once('.').is_some_and(|(_, suffix)| FORMATS.contains(&&*lower(suffix)));
    let shorter_call = {
        ending.rfind('.').map(|dot| match placeholder {
            Some(after) => (text.clone(), Some(after[..dot].to_owned())),
            None => (text[..dot].to_owned(), None),
        })
    };
    all_but_last
        && (fits(call_last, last)
            || stems.clone().any(|stem| fits(call_last, stem))
            || shorter_call
                .is_some_and(|call| fits(&call, last) || (has_format && stems.any(|stem| fits(&call, stem)))))
}

fn target() -> crate::upstream::Settings {
    crate::upstream::Settings {
        name: "x".into(),
        targets: vec![crate::upstream::Target::Http { host: "localhost".into(), port: 3000 }],
        bearer: crate::upstream::Bearer::None,
        cookies: vec![],
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        eject: crate::upstream::EjectionRule::default(),
        max_connection_age: Duration::from_secs(1),
    }
}

#[test]
fn in_a_hundred_thousand_requests_every_lenient_reading_of_an_own_call_is_found() {
    let mut seeded = Seeded(11);
    let upstream = SharedTargets::new(&[target()]);
    let (mut found, mut odd) = (0, 0);
    for _ in 0..4_000 {
        let calls: Vec<(&str, CallPath)> =
            (0..=seeded.below(3)).map(|_| (seeded.pick(&["POST", "PUT", "GET"]), call_path(&mut seeded))).collect();
        let own = calls.iter().map(|(method, path)| OwnCall {
            upstream: 0,
            method: method.parse().unwrap(),
            path: compiled(path),
        });
        let own = OwnCalls::new(&upstream, own.collect());
        for _ in 0..25 {
            let segments = &calls[seeded.below(calls.len())].1;
            let segment = |(before, after): &(String, Option<String>)| match after {
                Some(after) => format!("/{before}b{after}"),
                None => format!("/{before}"),
            };
            let (path, pieces) = path(&mut seeded, &segments.iter().map(segment).collect::<String>());
            let method = seeded.pick(&["POST", "PUT", "GET", "post"]);
            let readings = readings(&pieces);
            let wanted = method != "GET"
                && calls.iter().any(|(own, call)| {
                    *own == method.to_uppercase() && readings.iter().any(|segments| meets(call, segments))
                });
            assert_eq!(
                own.include(0, &method.parse().unwrap(), &LaxPath::new(&path)),
                wanted,
                "{method} {path} {calls:?}"
            );
            found += usize::from(wanted);
            odd += usize::from(wanted && readings.len() > 1);
        }
    }
    assert!(found > 10_000 && odd > 2_000, "{found} found, {odd} with several readings");
}

#[test]
fn a_path_with_64_readings_costs_little_more_than_one_of_its_size_with_one_reading() {
    let route = |line, path: &str, access| Settings { access, ..settings(line, &[], &[], path) };
    let table = build(vec![
        route(1, "/{*rest}", Access::Public),
        route(2, "/Staff/{*rest}", Access::User),
        route(3, "/{a}/{b}/c/{d}", Access::User),
    ])
    .unwrap();
    let call = |path: Vec<CallPiece>| OwnCall { upstream: 0, method: Method::POST, path };
    let text = |text: &str| CallPiece::Literal(text.into());
    let calls = vec![
        call(vec![text("/login.json")]),
        call(vec![text("/x/"), CallPiece::Placeholder]),
        call(vec![text("/"), CallPiece::Placeholder, text("/"), CallPiece::Placeholder, text("/token")]),
    ];
    let own = OwnCalls::new(&SharedTargets::new(&[target()]), calls);
    let judge = |path: &str| {
        let TableMatch::Route(route) = table.find(&Method::POST, "x", path) else { panic!("{path}") };
        let path = LaxPath::new(path);
        assert_eq!(table.rules(route, &Method::POST, "x", &path).routes().count(), 1);
        assert!(!own.include(0, &Method::POST, &path));
    };
    let long = |begin: &str, noise: &str| format!("{begin}{}/END", noise.repeat((16_000 - begin.len()) / noise.len()));
    let plain = long("/A", "/a");
    let usual = processor_time(|| judge(&plain));
    for noise in ["/a", "/;", "/;x", "/%20", "/...", "/A.", "/..%20", "/a/..%20", "/", ".", ";", "a%2F", "/a%EF%BC%8F"]
    {
        let path = long("/A%2Fb/%EF%BC%8F/;/%20/.../..%20", noise);
        let spent = processor_time(|| judge(&path));
        assert!(spent < usual * 20, "{noise}: {spent:?}, one reading {usual:?}");
    }
    for noise in
        ["%EF%B7%BA", "%EF%B7%BB", "%E3%8C%96", "%C2%BC", "%CE%90", "%CC%A7%CC%81", "%E1%BE%B7", "%F0%9F%84%90"]
    {
        let path = long("/A%2Fb/%EF%BC%8F/;/%20/.../..%20/", noise);
        let spent = processor_time(|| judge(&path));
        assert!(spent < usual * 20, "{noise}: {spent:?}, one reading {usual:?}");
    }
}
