//! The languages of the texts, and the choice of a visitor's language by `Accept-Language` (RFC 9110 section 12.5.4).

use http::{HeaderMap, header};

/// Most ranges of `Accept-Language` that are read; browsers send fewer.
const MAX_RANGES: usize = 32;

macro_rules! languages {
    ($($(#[$meta:meta])+ $name:ident, $field:ident, $tag:literal;)+) => {
        /// A language that every text exists in.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub enum Language {
            $($(#[$meta])+ $name,)+
        }

        /// One value for each language.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Translated<T> {
            $(
                #[doc = concat!("In ", stringify!($name), ".")]
                pub $field: T,
            )+
        }

        impl<T> Translated<T> {
            /// The value in `language`.
            pub const fn of(&self, language: Language) -> &T {
                match language {
                    $(Language::$name => &self.$field,)+
                }
            }

            /// Applies `f` to each value.
            pub fn map<U>(self, f: impl Fn(T) -> U) -> Translated<U> {
                Translated { $($field: f(self.$field),)+ }
            }
        }

        impl Language {
            /// Every language.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Each language, as the value for itself.
            const fn each() -> Translated<Self> {
                Translated { $($field: Self::$name,)+ }
            }

            /// Its English name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The primary subtag of its language tag (RFC 5646), for `lang` and `Content-Language`.
            pub const fn tag(self) -> &'static str {
                match self {
                    $(Self::$name => $tag,)+
                }
            }
        }
    };
}

// Each language: its name, its field in `Translated`, its tag. After a new line here the compiler reports every text
// that lacks the language.
languages! {
    /// Korean.
    Korean, korean, "ko";
    /// English; used if `Accept-Language` names no language that is offered, unless the configuration names another.
    #[default]
    English, english, "en";
}

/// The languages that a site offers, and the one for a visitor who wants none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Languages {
    offered: Translated<bool>,
    otherwise: Language,
}

impl Default for Languages {
    /// Every language, otherwise the default one.
    fn default() -> Self {
        Self::new(Language::ALL, Language::default())
    }
}

impl Languages {
    /// These, otherwise that one.
    pub fn new(offered: &[Language], otherwise: Language) -> Self {
        Self { offered: Language::each().map(|language| offered.contains(&language)), otherwise }
    }

    /// The language with the highest weight in `Accept-Language` of those that are offered.
    pub fn of(&self, headers: &HeaderMap) -> Language {
        let ranges = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|v| v.to_str().ok());
        let ranges = ranges.flat_map(|v| v.split(',')).take(MAX_RANGES);
        let mut best = (0, self.otherwise);
        for (weight, language) in ranges.filter_map(known_range).filter(|(_, language)| *self.offered.of(*language)) {
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// A range that names one of our languages, with its weight in thousandths; `None` for any other.
fn known_range(range: &str) -> Option<(u16, Language)> {
    let (tag, parameter) = range.split_once(';').map_or((range, None), |(tag, parameter)| (tag, Some(parameter)));
    let primary = tag.trim().split('-').next()?;
    let language = Language::ALL.iter().copied().find(|language| primary.eq_ignore_ascii_case(language.tag()))?;
    Some((parameter.map_or(Some(1000), weight)?, language))
}

/// The value of `q=0.8` in thousandths (RFC 9110 section 12.4.2); `None` if it has another form.
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
        Languages::default().of(&headers)
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
    fn of_the_languages_that_a_site_offers_the_wanted_one_is_chosen_and_otherwise_its_own() {
        let accept = |value: &'static str| HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value.parse().unwrap())]);
        let korean_otherwise = Languages::new(Language::ALL, Language::Korean);
        assert_eq!(korean_otherwise.of(&HeaderMap::new()), Language::Korean);
        assert_eq!(korean_otherwise.of(&accept("fr")), Language::Korean);
        assert_eq!(korean_otherwise.of(&accept("fr,en;q=0.1")), Language::English);
        let korean_alone = Languages::new(&[Language::Korean], Language::Korean);
        assert_eq!(korean_alone.of(&accept("en-US,en;q=0.9")), Language::Korean);
    }

    #[test]
    fn english_is_chosen_where_no_known_language_is_asked_for() {
        assert_eq!(Languages::default().of(&HeaderMap::new()), Language::English);
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
