//! Invariants of the parsers that read untrusted bytes. The fuzz targets of `fuzz/` and ordinary tests over the same
//! seeds check them.

use std::{path::Path, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Request, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode;

use crate::{
    config::{self, Complaints, Config, Environment},
    hygiene::{EncodedSlash, Hygiene, canonical_path},
    login, oidc,
    scheme::Scheme,
    seal::{KeyRing, Purpose, SealKey},
    secret::{Random, RefreshToken, Secret},
    session,
};

const KEY: [u8; 32] = [7; 32];

/// A typical configuration, for parsers that need settings.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let text = r#"
        [server]
        listen = "127.0.0.1:8080"
        public_url = "https://app.example"
        hosts = ["other.example"]
        [session]
        keys = ["env:KEY"]
        [providers.google]
        client_id = "id"
        allow = "anyone"
        [upstreams.app]
        targets = ["http://127.0.0.1:3000"]
        [[routes]]
        path = "/{*rest}"
        upstream = "app"
        access = "user"
    "#;
    let environment = [("KEY".to_owned(), STANDARD.encode(KEY))].into();
    match config::parse(text, "gateway.toml", Path::new(""), &environment, &Random::system()) {
        Ok(loaded) => loaded.config,
        Err(complaints) => panic!("{complaints}"),
    }
});

/// Checks the parser of `Cookie` headers; the input has one header per line.
///
/// # Panics
/// If an invariant does not hold.
pub fn cookie_header(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = header::HeaderValue::from_bytes(line) {
            headers.append(header::COOKIE, value);
        }
    }
    session::fuzzing::cookie_header(&headers, &CONFIG.session);
    let host_prefix = session::Settings { host_prefix: true, ..CONFIG.session.clone() };
    session::fuzzing::cookie_header(&headers, &host_prefix);
}

/// Checks the parser of request targets.
///
/// # Panics
/// If an invariant does not hold.
pub fn path(input: &[u8]) {
    static HYGIENE: LazyLock<Hygiene> = LazyLock::new(|| Hygiene::new(CONFIG.hygiene.clone()));

    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(path) = canonical_path(text, EncodedSlash::Refuse) {
        path_is_canonical(&path);
    }
    let Ok(uri) = Uri::try_from(input) else { return };
    let Some(query) = uri.path_and_query().map(|target| target.query().map(str::to_owned)) else { return };
    let admit = |uri: Uri| {
        let request = Request::get(uri)
            .header(header::HOST, "app.example")
            .body(())
            .expect("the method, target and host are valid");
        let mut parts = request.into_parts().0;
        HYGIENE.admit(&mut parts, [192, 0, 2, 1].into(), Scheme::Https).is_ok().then_some(parts.uri)
    };
    let Some(admitted) = admit(uri) else { return };
    assert!(admitted.authority().is_none() && admitted.scheme().is_none(), "the target is in origin-form");
    path_is_canonical(admitted.path());
    assert_eq!(admitted.query(), query.as_deref(), "the query is unchanged");
    assert_eq!(admit(admitted.clone()).as_ref(), Some(&admitted), "an admitted target is admitted unchanged");
}

fn path_is_canonical(path: &str) {
    assert_eq!(
        canonical_path(path, EncodedSlash::Refuse).as_deref(),
        Ok(path),
        "a canonical path is its own canonical form"
    );
    let parsed = PathAndQuery::try_from(path).expect("a canonical path parses as a path");
    assert_eq!((parsed.path(), parsed.query()), (path, None));
    let lower = path.to_ascii_lowercase();
    for escape in ["%2f", "%5c", "%2e", "%00", "%0d", "%0a", "%7f"] {
        assert!(!lower.contains(escape), "{path}: {escape}");
    }
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'?' | b'#')), "{path}");
    assert!(path.starts_with('/') && !path.starts_with("//"), "{path}");
    // A backend that decodes once or twice sees the same segments, and none of them is `.` or `..`.
    let once: Vec<u8> = percent_decode(path.as_bytes()).collect();
    let twice: Vec<u8> = percent_decode(&once).collect();
    assert!(std::str::from_utf8(&once).is_ok(), "{path}");
    for decoded in [path.as_bytes(), &once, &twice] {
        let segments = || decoded.split(|byte| matches!(byte, b'/' | b'\\'));
        assert_eq!(segments().count(), path.split('/').count(), "{path}");
        for segment in segments() {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            // A servlet container reads `..;x` as `..`.
            assert!(!matches!(name, b"." | b".."), "{path}");
        }
    }
}

/// Checks the parser of a callback's query.
///
/// # Panics
/// If an invariant does not hold.
pub fn callback_query(input: &[u8]) {
    login::fuzzing::callback_query(input);
}

/// The value of a secret in the environment.
const ENVIRONMENT_SECRET: &str = "correct horse battery";

/// Checks the reader of configuration files.
///
/// # Panics
/// If an invariant does not hold.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Reading a device as a secret file would not end; only an operator can configure that.
    if ["/dev", "/proc", "/sys"].iter().any(|folder| text.contains(folder)) {
        return;
    }
    let environment: Environment = [("KEY", STANDARD.encode(KEY)), ("SECRET", ENVIRONMENT_SECRET.to_owned())]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let parse = || config::parse(text, "fuzz.toml", Path::new("/nonexistent"), &environment, &Random::system());
    match (parse(), parse()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(format!("{first:?}"), format!("{second:?}"), "a valid file is read alike each time");
            let complaints = Complaints { errors: Vec::new(), warnings: first.warnings };
            assert_positions_exist(text, &complaints);
            // An accepted configuration can be built.
            let _ = Hygiene::new(first.config.hygiene);
        }
        (Err(first), Err(second)) => {
            assert_eq!(first, second, "an invalid file gets the same complaints each time");
            assert!(!first.errors.is_empty(), "an invalid file has a complaint");
            assert_positions_exist(text, &first);
        }
        _ => panic!("a file is valid or invalid each time"),
    }
}

fn assert_positions_exist(text: &str, complaints: &Complaints) {
    for complaint in complaints.errors.iter().chain(&complaints.warnings) {
        assert!(!complaint.message.is_empty());
        assert!(
            !complaint.to_string().contains(ENVIRONMENT_SECRET) || text.contains(ENVIRONMENT_SECRET),
            "a secret is shown: {complaint}"
        );
        if (complaint.line, complaint.column) == (0, 0) {
            continue;
        }
        // A position may be the end of the text, also on the line after the last line feed.
        let line = text.split('\n').nth(complaint.line - 1);
        let columns = line.map(|line| 1..=line.chars().count() + 1);
        assert!(columns.is_some_and(|columns| columns.contains(&complaint.column)), "{complaint}");
    }
}

/// Checks the parser of ID tokens; no input has a valid signature.
///
/// # Panics
/// If an invariant does not hold.
pub fn id_token(input: &[u8]) {
    if let Ok(token) = std::str::from_utf8(input) {
        oidc::fuzzing::id_token(token);
    }
}

/// [`PLAIN`], sealed with [`KEY`].
const SEALED: &str = "4bb06f8e.1.2x-403ofit8UgR3jTLP0anU-wuMC5TfWDyL-oU0bFSTjAAtsLPcPpJr5ULlxSDJ_B0A1zn-P_Cmp-YefHu1oyyhvV6NsQEY0-bFJNDbKoQ";
const PLAIN: &[u8] = br#"{"sid":"AAAAAAAAAAAAAAAAAAAAAA","generation":3}"#;

/// Checks that no bytes but the sealed value itself can be opened. The input is used as a sealed value, and as a list
/// of edits of a valid one.
///
/// # Panics
/// If an invariant does not hold.
pub fn sealed_cookie(input: &[u8]) {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| {
        KeyRing::new(&[[9; 32], KEY].map(|key| SealKey(zeroize::Zeroizing::new(key))), Random::system())
    });

    let good =
        RING.open(Purpose::Access, SEALED.as_bytes(), 1).expect("what the key sealed opens; was the format changed?");
    assert_eq!(good.as_slice(), PLAIN);
    let old = RefreshToken::new(String::from_utf8_lossy(input));
    for text in [input, &edited(SEALED.as_bytes(), input)] {
        let parts = RING.parts_of(text);
        assert!(parts.is_err() || parts.is_ok_and(|parts| (1..=99).contains(&parts)));
        for parts in [1, 2, parts.unwrap_or(99)] {
            for purpose in [
                Purpose::Access,
                Purpose::Refresh,
                Purpose::Attempt("a"),
                Purpose::Result(&old),
                Purpose::Nonce,
                Purpose::Challenge,
                Purpose::Code,
                Purpose::OwnRefresh,
                Purpose::Record,
            ] {
                let unchanged = text == SEALED.as_bytes() && parts == 1 && purpose == Purpose::Access;
                assert_eq!(RING.open(purpose, text, parts).is_ok(), unchanged, "{purpose:?} {}", text.escape_ascii());
            }
        }
    }
    // Keys in the configuration are parsed too.
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = SealKey::from_base64(&Secret::new(text));
    }
}

/// `text` after the edits in `input`, three bytes each: the kind, the position, the new byte.
fn edited(text: &[u8], input: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for edit in input.chunks_exact(3) {
        let at = usize::from(edit[1]).min(text.len());
        match edit[0] % 5 {
            0 if at < text.len() => text[at] = edit[2],
            1 => text.insert(at, edit[2]),
            2 if at < text.len() => drop(text.remove(at)),
            3 => text.truncate(at),
            _ => text.extend_from_slice(&[edit[2]]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Runs `check` on each seed and on `rounds` mutated seeds, the same in every run.
    fn try_all(target: &str, rounds: usize, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut files: Vec<_> =
            fs::read_dir(folder.join("corpus").join(target)).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        let seeds: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(seeds.len() >= 3, "{target} has seeds");
        let dictionary = fs::read_to_string(folder.join("dictionaries").join(format!("{target}.dict"))).unwrap();
        let words: Vec<_> = dictionary.lines().filter_map(word).collect();
        assert!(!words.is_empty(), "{target} has words");

        for seed in &seeds {
            check(seed);
        }
        let mut dice = Dice(0x5eed);
        for _ in 0..rounds {
            let mut input = seeds[dice.below(seeds.len())].clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(input.len() + 1);
                let end = (at + dice.below(8)).min(input.len());
                match dice.below(5) {
                    0 => drop(input.splice(at..end, [])),
                    1 => drop(input.splice(at..end, [u8::try_from(dice.below(256)).unwrap()])),
                    2 => drop(input.splice(at..at, words[dice.below(words.len())].iter().copied())),
                    3 => drop(input.splice(at..end, words[dice.below(words.len())].iter().copied())),
                    _ => {
                        let other = &seeds[dice.below(seeds.len())];
                        input.truncate(at);
                        input.extend_from_slice(&other[dice.below(other.len() + 1)..]);
                    }
                }
            }
            check(&input);
        }
    }

    /// `"word"` of a libFuzzer dictionary, with its `\\`, `\"` and `\xAB`.
    fn word(line: &str) -> Option<Vec<u8>> {
        let text = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
        let (mut bytes, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let escaped = (text[at] == b'\\').then(|| text[at + 1]);
            let hex = |at: usize| u8::from_str_radix(std::str::from_utf8(&text[at..at + 2]).unwrap(), 16).unwrap();
            let (byte, length) = match escaped {
                None => (text[at], 1),
                Some(b'x') => (hex(at + 2), 4),
                Some(byte) => (byte, 2),
            };
            bytes.push(byte);
            at += length;
        }
        Some(bytes)
    }

    /// Marsaglia's xorshift: random numbers that are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % end
        }
    }

    #[test]
    fn own_cookies_are_removed_and_others_keep_bytes_and_order() {
        try_all("cookie_header", 10_000, cookie_header);
    }

    #[test]
    fn a_canonical_path_stays_the_same_and_hides_no_dot_segment() {
        try_all("path", 20_000, path);
    }

    #[test]
    fn a_callback_never_has_two_values_of_one_parameter() {
        try_all("callback_query", 10_000, callback_query);
    }

    #[test]
    fn complaints_about_a_file_point_into_it() {
        try_all("config", 500, config);
    }

    #[test]
    fn a_token_without_a_valid_signature_is_never_accepted() {
        try_all("id_token", 10_000, id_token);
    }

    #[test]
    fn a_changed_sealed_value_never_opens() {
        try_all("sealed_cookie", 5_000, sealed_cookie);
    }
}
