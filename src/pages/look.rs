//! How the pages look: the site's name, its logo and colours, and templates of the operator's own.

use bytes::Bytes;

/// `[pages]`, validated.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What the site is called; `None`: the host of the public address.
    pub name: Option<String>,
    /// The picture above the title.
    pub logo: Option<Logo>,
    /// The colour of buttons and links.
    pub color: Option<Color>,
    /// The colour behind the page.
    pub background: Option<Color>,
    /// Templates in place of the built-in ones of the same name, with their names.
    pub templates: Vec<(&'static str, String)>,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Logo {
    /// Its media type.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

/// A colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

impl Color {
    /// Reads `#rgb` or `#rrggbb`.
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

    /// The one of black and white that is read more easily upon it (WCAG 2, relative luminance).
    fn text_upon(self) -> &'static str {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = 0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue);
        // Where both contrasts are equal: (1 + 0.05) / (l + 0.05) = (l + 0.05) / 0.05.
        if luminance > 0.179 { "#000000" } else { "#ffffff" }
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Settings {
    /// What the colours add to the style sheet.
    pub(super) fn style(&self) -> String {
        let buttons = self.color.map(|color| format!("\n:root {{ --own: {color}; --on-own: {}; }}", color.text_upon()));
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
    fn colours_are_read_in_both_lengths_and_get_text_that_can_be_read() {
        let of = |text: &str| Color::parse(text).map(|color| (color.to_string(), color.text_upon()));
        assert_eq!(of("#fee500"), Some(("#fee500".to_owned(), "#000000")));
        assert_eq!(of("#1f4fd8"), Some(("#1f4fd8".to_owned(), "#ffffff")));
        assert_eq!(of("#fff"), Some(("#ffffff".to_owned(), "#000000")));
        for bad in ["", "fff", "#ffff", "#ggg", "#12345", "#한글한글", "red"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
