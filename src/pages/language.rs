//! The language that a visitor is addressed in, by `Accept-Language` (RFC 9110 section 12.5.4).

use http::{HeaderMap, header};

/// A header with more ranges than any browser sends is not read to its end.
const MOST_RANGES: usize = 32;

/// A language that every text exists in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// Korean.
    Korean,
    /// English: the default.
    #[default]
    English,
}

impl Language {
    /// The language that `Accept-Language` prefers of those we have; English where it names neither.
    pub fn of(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|v| v.to_str().ok());
        let ranges = ranges.flat_map(|v| v.split(',')).take(MOST_RANGES);
        let mut best = (0, Self::default());
        for (weight, language) in ranges.filter_map(understood) {
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The one of two texts that is in this language.
    pub fn choose<T>(self, english: T, korean: T) -> T {
        match self {
            Self::Korean => korean,
            Self::English => english,
        }
    }

    /// The language tag (RFC 5646), for `lang` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }
}

/// A range that names one of our languages, with its weight in thousandths.
fn understood(range: &str) -> Option<(u16, Language)> {
    let (tag, parameter) = range.split_once(';').map_or((range, None), |(tag, parameter)| (tag, Some(parameter)));
    let primary = tag.trim().split('-').next()?;
    let language = if primary.eq_ignore_ascii_case("ko") {
        Language::Korean
    } else if primary.eq_ignore_ascii_case("en") {
        Language::English
    } else {
        return None;
    };
    Some((parameter.map_or(Some(1000), weight)?, language))
}

/// `q=0.8` in thousandths (RFC 9110 section 12.4.2); `None` where it is not of that form.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
        Language::of(&headers)
    }

    #[test]
    fn the_highest_weight_wins_and_the_first_of_equals() {
        assert_eq!(of("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"), Language::Korean);
        assert_eq!(of("en-US,en;q=0.9,ko;q=0.8"), Language::English);
        assert_eq!(of("en;q=0.5, KO ; Q=0.75"), Language::Korean);
        assert_eq!(of("ko;q=0.8,en;q=0.8"), Language::Korean);
        assert_eq!(of("fr,de;q=0.9,ko;q=0.1"), Language::Korean);
    }

    #[test]
    fn english_is_spoken_where_nothing_known_is_asked_for() {
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
        for accept in [
            "",
            "*",
            "fr",
            "ja,*;q=0.5",
            "ko;q=0",
            "ko;q=0.0",
            "korean",
            ";;;,,,",
            "ko;q=2",
            "ko;q=-1",
            "ko;q=0.1234",
            "ko;x=1",
        ] {
            assert_eq!(of(accept), Language::English, "{accept}");
        }
    }
}
