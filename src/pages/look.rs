//! `[pages]`: the site's name, logo and colours, and the operator's templates.

use bytes::Bytes;

use crate::text::Languages;

/// `[pages]`, validated.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The site's name; `None`: the host of `public_url`.
    pub name: Option<String>,
    /// The logo above the title.
    pub logo: Option<Logo>,
    /// The colour of buttons, and of links where it can be read.
    pub color: Option<Color>,
    /// The colour of the page's background.
    pub background: Option<Color>,
    /// The languages of pages, messages and errors.
    pub languages: Languages,
    /// The operator's templates, each with the file name of the built-in one that it replaces.
    pub templates: Vec<(&'static str, String)>,
}

/// A logo.
#[derive(Clone, Debug)]
pub struct Logo {
    /// The file's media type.
    pub media_type: &'static str,
    /// The file's content.
    pub bytes: Bytes,
}

/// An sRGB colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// `--card` of style.css, which links stand on.
const CARD: Color = Color { red: 0xff, green: 0xff, blue: 0xff };
/// The same in dark mode.
const DARK_CARD: Color = Color { red: 0x19, green: 0x1c, blue: 0x22 };

impl Color {
    /// Parses `#rgb` or `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let digit = |at: usize| digits.get(at..=at).and_then(|d| u8::from_str_radix(d, 16).ok());
        let pair = |at: usize| Some(digit(at)? * 16 + digit(at + 1)?);
        match digits.len() {
            3 => Some(Self { red: digit(0)? * 17, green: digit(1)? * 17, blue: digit(2)? * 17 }),
            6 => Some(Self { red: pair(0)?, green: pair(2)?, blue: pair(4)? }),
            _ => None,
        }
    }

    /// Black or white: the one with the higher contrast.
    fn text_color(self) -> &'static str {
        // At this luminance both contrasts are equal: (1 + 0.05) / (l + 0.05) = (l + 0.05) / 0.05.
        if self.luminance() > 0.179 { "#000000" } else { "#ffffff" }
    }

    /// Whether text of this colour can be read on `card` (WCAG 2.2, success criterion 1.4.3).
    fn is_readable_on(self, card: Self) -> bool {
        let (one, other) = (self.luminance() + 0.05, card.luminance() + 0.05);
        one.max(other) / one.min(other) >= 4.5
    }

    /// Relative luminance (WCAG 2.2), 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Settings {
    /// The CSS rules for the configured colours. Links and focus rings have the colour of text where theirs could not
    /// be read.
    pub(super) fn style(&self) -> String {
        let buttons = self.color.map(|color| {
            let link = |card| if color.is_readable_on(card) { color.to_string() } else { "var(--text)".to_owned() };
            format!(
                "\n:root {{ --own: {color}; --on-own: {}; --link: {}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ --link: {}; }} }}",
                color.text_color(),
                link(CARD),
                link(DARK_CARD),
            )
        });
        let page = self
            .background
            .map(|color| format!("\n@media (min-width: 26.01rem) {{ body {{ background: {color}; }} }}"));
        [buttons, page].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_the_configured_colour_only_where_it_can_be_read() {
        let of = |text: &str| Settings { color: Color::parse(text), ..Settings::default() }.style();
        let yellow = of("#fee500");
        assert!(yellow.contains("--own: #fee500; --on-own: #000000; --link: var(--text);"), "{yellow}");
        assert!(yellow.contains("dark) { :root { --link: #fee500; } }"), "{yellow}");
        let blue = of("#1f4fd8");
        assert!(
            blue.contains("--link: #1f4fd8;") && blue.contains("dark) { :root { --link: var(--text); } }"),
            "{blue}"
        );
        for (name, card) in [("--card: #ffffff", CARD), ("--card: #191c22", DARK_CARD)] {
            assert!(include_str!("style.css").contains(name) && name.ends_with(&card.to_string()), "{name}");
        }
    }

    #[test]
    fn colours_of_three_and_six_digits_are_read_and_get_text_with_more_contrast() {
        let of = |text: &str| Color::parse(text).map(|color| (color.to_string(), color.text_color()));
        assert_eq!(of("#fee500"), Some(("#fee500".to_owned(), "#000000")));
        assert_eq!(of("#1f4fd8"), Some(("#1f4fd8".to_owned(), "#ffffff")));
        assert_eq!(of("#fff"), Some(("#ffffff".to_owned(), "#000000")));
        for bad in ["", "fff", "#ffff", "#ggg", "#12345", "#한글한글", "red"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
