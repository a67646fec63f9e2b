//! The lax reading of a path: as the most lenient backend would understand it. Pure functions.
//!
//! A rule that protects `/admin` has to hold for every spelling that some backend takes for `/admin` (product.md,
//! "The life of a request", step 3). The lenient backends:
//! - Case: IIS, Windows and macOS file systems, Express, ASP.NET. Unicode counts too: `ſ` and the Kelvin sign are S and
//!   K in other cases, and Windows replaces full-width letters when it converts a path ("best fit").
//! - Dots and blanks at the end of a segment: Windows file systems; blanks at its beginning: Spring until 4.3.
//! - Characters that are not seen: HFS+ ignores zero-width ones.
//! - Final and doubled slashes: Express, Django, Rails, nginx, most file systems.
//! - `;parameters`: servlet containers. Whether they decode before or after is theirs, so `%3B` counts.
//! - `%2F` as `/`, and a path that is decoded twice: two servers behind each other.

use std::{borrow::Cow, cell::OnceCell, ops::Range};

use super::fold::{COMPATIBLE_SLASH, ESCAPED_SLASH, folded};

/// Whether the lax reading of a canonical path is the path itself, without its first slash. It answers no for some
/// paths of which that is true, and never yes for one of which it is not.
pub(super) fn is_own_reading(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut previous = b'/';
    for &byte in &bytes[usize::from(bytes.first() == Some(&b'/'))..] {
        match byte {
            b'/' if matches!(previous, b'/' | b'.') => return false,
            b'a'..=b'z' | b'0'..=b':' | b'!' | b'$' | b'&'..=b'/' | b'=' | b'@' | b'[' | b']' | b'_' | b'~' => {}
            _ => return false,
        }
        previous = byte;
    }
    bytes.len() < 2 || !matches!(previous, b'/' | b'.')
}

/// What a backend may drop, so that nothing of a segment is left; as bits.
const PARAMETERS: u16 = 1;
const BLANKS: u16 = 2;
const DOTS: u16 = 4;
/// Beside these bits: something is left of the segment in every reading.
const NAMED: u16 = 8;
/// Beside these bits: some backends take the segment as a step up.
const STEP_UP: u16 = 16;
/// Beside these bits: the part occurs in this way to split the path, and with a bit further left in the other three.
const SPLIT: u16 = 32;
/// Segments of a path that is its own reading, up to which no memory is taken for them.
const FEW_SEGMENTS: usize = 16;
/// So many kinds are counted at a time.
const CHUNK: usize = 64;
/// Whether an escaped slash splits, and whether one in another width does.
const SPLITS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

/// A canonical path and its lax readings. It is read when they are needed, and once for all rules that need them.
///
/// All readings have case, blanks, dots and parameters of a segment dropped: whatever a pattern takes as `{name}` is
/// the same with them. More than one reading have the paths for which the number of segments differs among lenient
/// backends:
/// - An escaped slash splits a segment or is a part of it; so does, apart from it, a slash in another width.
/// - A segment of parameters, blanks or dots alone is dropped or is the value of a `{name}`, for each of the three.
/// - A segment that is `..` once its blanks are dropped (`/public/..%20/admin`) may be a step up too.
///
/// The laxest reading is the first. The choices are independent, so there are at most 4 × 8 × 2 readings, some of them
/// equal. The path is folded once and split at most four times; each reading is then one pass over two bytes per
/// segment.
#[derive(Debug)]
pub struct LaxPath<'p> {
    path: &'p str,
    folded: OnceCell<Folded<'p>>,
}

/// A folded path, and the parts between slashes that are not empty, in all ways to split it.
#[derive(Debug)]
struct Folded<'p> {
    text: Cow<'p, str>,
    /// The name of each part, or the whole part if nothing is left of it.
    places: Vec<Range<usize>>,
    /// What a reading does with each. Apart from the places, so that parts are counted by two bytes each.
    kinds: Vec<u16>,
    /// The places in `kinds` that have [`STEP_UP`].
    steps: Vec<usize>,
}

impl<'p> LaxPath<'p> {
    /// `path` is canonical, without a query.
    pub fn new(path: &'p str) -> Self {
        Self { path, folded: OnceCell::new() }
    }

    /// Whether its lax reading is the path itself, without its first slash: see [`is_own_reading`].
    pub(super) fn is_own_reading(&self) -> bool {
        is_own_reading(self.path)
    }

    /// Whether `test` is true for one of the readings. It gets the first `most` segments of each, none of them empty;
    /// the root has none.
    pub(super) fn any_reading(&self, most: usize, mut test: impl FnMut(&[&str]) -> bool) -> bool {
        if self.is_own_reading() {
            return with_segments(self.path, most, test);
        }
        let folded = self.folded.get_or_init(|| Folded::of(self.path));
        let mut segments = Vec::new();
        for split in folded.splits() {
            let of_split = folded.kinds.iter().filter(|kinds| **kinds & split != 0);
            let all_kinds = of_split.fold(0, |all, kinds| all | kinds);
            let droppable = all_kinds & (PARAMETERS | BLANKS | DOTS);
            for kept in (0..=droppable).filter(|kept| kept & !droppable == 0) {
                for climbs in [false, true] {
                    if climbs && all_kinds & STEP_UP == 0 {
                        continue;
                    }
                    folded.read(split, kept, climbs, most, &mut segments);
                    if test(&segments) {
                        return true;
                    }
                }
            }
        }
        false
    }
}

/// Calls `test` with the first `most` segments of a path. They take no memory if they are few.
fn with_segments<'p>(path: &'p str, most: usize, mut test: impl FnMut(&[&'p str]) -> bool) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty()).take(most);
    let (mut few, mut count) = ([""; FEW_SEGMENTS], 0);
    for (place, segment) in few.iter_mut().zip(&mut segments) {
        *place = segment;
        count += 1;
    }
    match segments.next() {
        None => test(&few[..count]),
        Some(next) => test(&few.into_iter().chain([next]).chain(segments).collect::<Vec<_>>()),
    }
}

impl<'p> Folded<'p> {
    fn of(path: &'p str) -> Self {
        let text = folded(path);
        let (mut places, mut kinds, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let mut push = |begin: usize, part: &str, splits: u16| {
            if !part.is_empty() {
                let (place, of_part) = named_or_dropped(part);
                places.push(begin + place.start..begin + place.end);
                if of_part & STEP_UP != 0 {
                    steps.push(kinds.len());
                }
                kinds.push(of_part | splits);
            }
        };
        let mut begin = 0;
        for segment in text.split(['/', '\\']) {
            if segment.is_ascii() || !segment.contains([ESCAPED_SLASH, COMPATIBLE_SLASH]) {
                push(begin, segment, 15 * SPLIT);
            } else {
                for (way, (splits_escaped, splits_compatible)) in SPLITS.into_iter().enumerate() {
                    let mut begin = begin;
                    for piece in split(segment, splits_escaped, splits_compatible) {
                        push(begin, piece, SPLIT << way);
                        begin += piece.len() + ESCAPED_SLASH.len_utf8();
                    }
                }
            }
            begin += segment.len() + 1;
        }
        Self { text, places, kinds, steps }
    }

    /// The ways to split it that may differ.
    fn splits(&self) -> impl Iterator<Item = u16> {
        let (escaped, compatible) = (self.text.contains(ESCAPED_SLASH), self.text.contains(COMPATIBLE_SLASH));
        let differs = move |(_, (splits_escaped, splits_compatible)): &(usize, (bool, bool))| {
            (escaped || *splits_escaped) && (compatible || *splits_compatible)
        };
        SPLITS.into_iter().enumerate().filter(differs).map(|(way, _)| SPLIT << way)
    }

    /// One reading: the `kept` kinds of parts are values, the others are dropped.
    fn read<'t>(&'t self, split: u16, kept: u16, climbs: bool, most: usize, segments: &mut Vec<&'t str>) {
        segments.clear();
        // Without a branch, so that the compiler counts several at a time.
        let is_value = |kinds: u16| kinds & split != 0 && kinds & (NAMED | kept) != 0;
        // A part that is kept for its dots alone is a step up too.
        let is_step = |kinds: u16| climbs && kinds & split != 0 && kinds & kept & !DOTS == 0;
        let steps = self.steps.iter().copied().filter(|at| is_step(self.kinds[*at]));
        let (mut begin, mut depth) = (0, 0_usize);
        for end in steps.chain([self.kinds.len()]) {
            for (kinds, places) in self.kinds[begin..end].chunks(CHUNK).zip(self.places[begin..end].chunks(CHUNK)) {
                let values: u16 = kinds.iter().map(|kinds| u16::from(is_value(*kinds))).sum();
                if values > 0 && segments.len() < most {
                    let values = kinds.iter().zip(places).filter(|(kinds, _)| is_value(**kinds));
                    segments.extend(values.take(most - segments.len()).map(|(_, place)| &self.text[place.clone()]));
                }
                // Counted beyond `most` too: steps up may lead back.
                depth += usize::from(values);
            }
            if end < self.kinds.len() {
                depth = depth.saturating_sub(1);
                segments.truncate(depth);
            }
            begin = end + 1;
        }
    }
}

/// The segments of the laxest reading of literal text, e.g. of a pattern's segment; none if nothing is left of it.
pub(super) fn segments(text: &str) -> Vec<String> {
    split(&folded(text), true, true).filter_map(name).map(str::to_owned).collect()
}

/// The text of a pattern's segment for the readings that drop no segment and split none; `None` if it has no text.
pub(super) fn kept_segment(text: &str) -> Option<String> {
    let text = folded(text);
    let kept = name(&text).unwrap_or(&text);
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// The text between slashes.
fn split(text: &str, splits_escaped: bool, splits_compatible: bool) -> impl Iterator<Item = &str> {
    let is_slash = move |c: char| match c {
        '/' | '\\' => true,
        ESCAPED_SLASH => splits_escaped,
        COMPATIBLE_SLASH => splits_compatible,
        _ => false,
    };
    text.split(is_slash)
}

/// A part without parameters.
fn without_parameters(part: &str) -> &str {
    part.split(';').next().unwrap_or(part)
}

/// A part without parameters, without blanks at its ends and without dots at its end; `None` if nothing is left.
fn name(part: &str) -> Option<&str> {
    let (place, kinds) = named_or_dropped(part);
    (kinds == NAMED).then(|| &part[place])
}

/// The place of a part's name; or the whole part, and what a backend has to drop so that nothing of it is left.
fn named_or_dropped(part: &str) -> (Range<usize>, u16) {
    let text = without_parameters(part);
    let trimmed = text.trim_start();
    let name = trimmed.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if !name.is_empty() {
        let begin = text.len() - trimmed.len();
        return (begin..begin + name.len(), NAMED);
    }
    let parameters = if text.len() < part.len() { PARAMETERS } else { 0 };
    let step_up = if trimmed.trim_end() == ".." { STEP_UP } else { 0 };
    let kinds = text.chars().fold(parameters | step_up, |kinds, c| kinds | if c == '.' { DOTS } else { BLANKS });
    (0..part.len(), kinds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The readings, the laxest first, their segments joined by slashes.
    fn readings(path: &str) -> Vec<String> {
        let mut all = Vec::new();
        LaxPath::new(path).any_reading(usize::MAX, |segments| {
            all.push(segments.join("/"));
            false
        });
        all
    }

    /// The different ones.
    fn read(path: &str) -> Vec<String> {
        let mut different: Vec<String> = Vec::new();
        for reading in readings(path) {
            if !different.contains(&reading) {
                different.push(reading);
            }
        }
        different
    }

    fn laxest(path: &str) -> String {
        readings(path).swap_remove(0)
    }

    #[test]
    fn every_spelling_that_a_lenient_backend_accepts_has_one_laxest_reading() {
        for path in [
            "/admin/x",
            "/Admin/X",
            "/ADMIN/x",
            "/admin/x/",
            "/admin/x//",
            "/admin//x",
            "//admin/x",
            "/admin./x",
            "/admin.../x. .",
            "/admin/x.",
            "/admin%20/x",
            "/admin/x%20%20",
            "/%20admin/x",
            "/admin/x.%20.",
            "/admin/x%C2%A0",
            "/admin/x%E3%80%80",
            "/admin/x%E2%80%8A",
            "/admin/x%C2%85",
            "/admin;v=1/x",
            "/admin;/x;a=b;c",
            "/admin%3Bv=1/x",
            "/admin/;/x",
            "/admin%2Fx",
            "/admin%2fx",
            "/admin%5Cx",
            "/admin/./x",
            "/%61dmin/x",
            "/%2561dmin/x",
            "/admin%E2%80%8B/x",
            "/ad%C2%ADmin/x",
            "/%EF%BD%81dmin/x",
            "/admin%EF%BC%8Fx",
            "/ADM%C4%B0N/x",
            "/adm%C4%B1n/x",
        ] {
            assert_eq!(laxest(path), "admin/x", "{path}");
        }
    }

    #[test]
    fn unicode_letters_are_compared_in_one_case_and_one_composition() {
        for (path, other) in [
            ("/%E2%84%AA", "/k"),
            ("/%C5%BF", "/s"),
            ("/%C3%89t%C3%A9", "/e%CC%81TE%CC%81"),
            ("/stra%C3%9Fe", "/STRASSE"),
            ("/%EC%8B%9D%EB%B0%A9", "/%E1%84%89%E1%85%B5%E1%86%A8%E1%84%87%E1%85%A1%E1%86%BC"),
            ("/%CE%A3", "/%CF%82"),
        ] {
            assert_eq!(read(path), read(other), "{path} {other}");
        }
    }

    #[test]
    fn what_differs_for_every_backend_differs_in_its_reading_too() {
        for (path, reading) in [
            ("/", ""),
            ("//", ""),
            ("/adm%20in", "adm in"),
            ("/ad.min", "ad.min"),
            ("/.well-known/x", ".well-known/x"),
            ("/admin-x", "admin-x"),
            ("/admin+x", "admin+x"),
            ("/%EC%8B%9D", "식"),
            ("/caf%C3%A9", "café"),
            ("/a%3Ab", "a:b"),
        ] {
            assert_eq!(read(path), [reading], "{path}");
        }
    }

    #[test]
    fn a_segment_of_which_nothing_is_left_is_dropped_or_kept() {
        for (path, kept) in [
            ("/A/;x/b", "a/;x/b"),
            ("/a/%20/b", "a/ /b"),
            ("/a/.../b", "a/.../b"),
            ("/a/%E2%80%8B/b", "a/ /b"),
            ("/a/%C2%A0%3B;c/b/", "a/ ;;c/b"),
            ("/A//;x/B//", "a/;x/b"),
        ] {
            assert_eq!(read(path), ["a/b", kept], "{path}");
        }
        assert_eq!(read("/a/;/%20/b"), ["a/b", "a/;/b", "a/ /b", "a/;/ /b"], "each kind for itself");
        assert_eq!(read("/a//b/"), ["a/b"], "what is empty is no value");
    }

    #[test]
    fn an_escaped_slash_splits_its_segment_or_is_a_part_of_it() {
        assert_eq!(read("/A/x%2FY./B"), ["a/x/y/b", "a/x\u{f8fe}y/b"]);
        assert_eq!(read("/a/x%EF%BC%8Fy/b"), ["a/x/y/b", "a/x\u{f8fd}y/b"]);
        assert_eq!(
            read("/a%2Fb%EF%BC%8Fc"),
            ["a/b/c", "a/b\u{f8fd}c", "a\u{f8fe}b/c", "a\u{f8fe}b\u{f8fd}c"],
            "apart from each other"
        );
        assert_eq!(read("/a%2F;x/b"), ["a/b", "a/;x/b", "a\u{f8fe}/b"]);
    }

    #[test]
    fn two_dots_with_blanks_are_read_as_nothing_as_a_value_and_as_a_step_up() {
        assert_eq!(read("/public/..%20/admin"), ["public/admin", "admin", "public/.. /admin"]);
        assert!(read("/a/b/..%C2%A0;x/%20../c").contains(&"c".to_owned()));
        assert!(read("/a/.../b/..%20/c").contains(&"a/.../c".to_owned()), "a value of dots beside a step");
        assert_eq!(read("/..%20"), ["", ".. "]);
        assert_eq!(read("/public/.%20./admin"), ["public/admin", "public/. ./admin"]);
        assert!(read("/public/;x/..%20/admin").contains(&"public/admin".to_owned()), "the step drops the value");
    }

    #[test]
    fn the_first_segments_of_a_plain_path_are_read_however_many_it_has() {
        for count in [0, 1, 15, 16, 17, 40] {
            let path = "/a".repeat(count);
            for most in [1, 16, 17, usize::MAX] {
                let read = |segments: &[&str]| segments.len() == count.min(most);
                assert!(LaxPath::new(&path).any_reading(most, read), "{count} {most}");
            }
        }
    }

    #[test]
    fn the_number_of_readings_is_bounded() {
        let path = "/%2F/%EF%BC%8F/;x/%20/.../..%20;x/".repeat(9);
        assert_eq!(readings(&path).len(), 64);
    }

    proptest! {
        #[test]
        fn a_path_that_is_its_own_reading_is_its_only_one(path in "(/([a-cA;.~!*]|%20|%41|%2F){0,3}){1,4}") {
            if is_own_reading(&path) {
                prop_assert_eq!(read(&path), [path[1..].to_owned()]);
            }
        }

        #[test]
        fn the_reading_of_a_reading_is_itself(path in "(/(\\PC|[a-cA.;]|%20|%3B){0,4}){1,4}") {
            let first = laxest(&path);
            if !first.contains('%') {
                prop_assert_eq!(laxest(&first), first);
            }
        }
    }
}
