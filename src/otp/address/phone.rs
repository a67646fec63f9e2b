//! Mobile numbers: parsed by the numbering plans of their countries, stored in E.164.

use std::fmt;

use phonenumber::{Mode, Type, country, metadata::DATABASE};

/// Longest text that is parsed, in bytes: no number with its punctuation is longer.
const LONGEST: usize = 32;

/// A country by its ISO 3166-1 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(country::Id);

impl Country {
    /// Parses an ISO 3166-1 code of two capitals: `KR`.
    pub fn parse(code: &str) -> Option<Self> {
        code.parse().ok().map(Self)
    }

    /// The ISO 3166-1 code: `KR`.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mobile number.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::otp) struct Phone {
    /// `+821012345678`
    pub(super) e164: String,
    /// `01012345678` for Korea, E.164 elsewhere.
    pub(super) domestic: String,
    pub(super) country: Country,
    code: u16,
}

impl Phone {
    /// Parses a mobile number of one of `countries`, with or without its country code; spaces, hyphens, dots and
    /// brackets are allowed.
    pub(super) fn parse(text: &str, countries: &[Country]) -> Option<Self> {
        let dialled = dialled(text)?;
        let is_international = dialled.starts_with('+');
        let home = (!is_international).then(|| countries.first()).flatten();
        if !is_international && home.is_none() {
            return None;
        }
        let number = phonenumber::parse(home.map(|country| country.0), &dialled).ok()?;
        // A number with an international prefix (`001 1 …`) or a country code without `+` (`82 10 …`) is refused: its
        // country would be a guess.
        let is_as_written = match number.code().source() {
            country::Source::Plus => is_international,
            country::Source::Default => !is_international,
            country::Source::Idd | country::Source::Number => false,
        };
        let country = Country(number.country().id()?);
        // In North America mobile and fixed numbers have the same form, so both are accepted there.
        let is_mobile = matches!(number.number_type(&DATABASE), Type::Mobile | Type::FixedLineOrMobile);
        if !is_as_written || !is_mobile || !countries.contains(&country) || number.extension().is_some() {
            return None;
        }
        let e164 = number.format().mode(Mode::E164).to_string();
        let digits = e164.strip_prefix('+')?;
        if !(8..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let domestic = if country.0 == country::KR { korean(digits)? } else { e164.clone() };
        Some(Self { domestic, country, code: number.code().value(), e164 })
    }

    /// `010-****-5678` for Korea, `+1-****-2671` elsewhere.
    pub(super) fn masked(&self) -> String {
        let last = &self.e164[self.e164.len() - 4..];
        if self.country.0 == country::KR {
            let hidden = "*".repeat(self.domestic.len() - 7);
            format!("{}-{hidden}-{last}", &self.domestic[..3])
        } else {
            format!("+{}-****-{last}", self.code)
        }
    }

    /// The country calling code, e.g. 82.
    pub(in crate::otp) fn calling_code(&self) -> u16 {
        self.code
    }
}

/// The digits, with the leading `+` if there is one; `None` if there are other characters than digits, spaces, hyphens,
/// dots and one level of brackets.
fn dialled(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let mut dialled = String::with_capacity(LONGEST);
    let mut open = false;
    for c in text.trim_matches(' ').chars() {
        match c {
            '0'..='9' => dialled.push(c),
            '+' if dialled.is_empty() && !open => dialled.push(c),
            '(' if !open => open = true,
            ')' if open => open = false,
            ' ' | '-' | '.' if !dialled.is_empty() => {}
            _ => return None,
        }
    }
    (!open).then_some(dialled)
}

/// A Korean mobile number in domestic digits: 010 with eight digits, or one of the older 011 and 016 to 019 with seven
/// or eight.
fn korean(digits: &str) -> Option<String> {
    let national = digits.strip_prefix("82")?;
    let (prefix, rest) = national.split_at_checked(2)?;
    let is_mobile = match prefix {
        "10" => rest.len() == 8,
        "11" | "16" | "17" | "18" | "19" => matches!(rest.len(), 7 | 8),
        _ => false,
    };
    is_mobile.then(|| format!("0{national}"))
}
