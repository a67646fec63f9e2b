//! Brands of login providers: the class, the mark and the wording of each one's button, as its owner asks for them.
//! docs/pages.md has the rules and their sources.

use crate::text::Text;

/// The provider's brand, which decides the colours, the mark and the words of its button.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brand {
    /// Google.
    Google,
    /// Kakao.
    Kakao,
    /// Naver.
    Naver,
    /// GitHub.
    GitHub,
    /// Apple.
    Apple,
    /// Any other.
    Other,
}

impl Brand {
    /// The button's class in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Kakao => "kakao",
            Self::Naver => "naver",
            Self::GitHub => "github",
            Self::Apple => "apple",
            Self::Other => "other",
        }
    }

    /// The mark on the button, as an `svg` element; `None` where there is none, or where its owner allows only files
    /// of its own.
    pub(super) const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Google => Some(include_str!("marks/google.svg")),
            Self::Kakao => Some(include_str!("marks/kakao.svg")),
            Self::Naver => Some(include_str!("marks/naver.svg")),
            Self::GitHub => Some(include_str!("marks/github.svg")),
            // Apple's Human Interface Guidelines ask for artwork that Apple gives out, and for no logo drawn by others.
            Self::Apple | Self::Other => None,
        }
    }

    /// The words on the button that the brand's owner prescribes.
    pub(super) const fn wording(self) -> Option<Text> {
        match self {
            Self::Kakao => Some(Text::KakaoButton),
            Self::Naver => Some(Text::NaverButton),
            Self::Apple => Some(Text::AppleButton),
            // Google's own words are those of every other button.
            Self::Google | Self::GitHub | Self::Other => None,
        }
    }

    /// The brand's name; `None` for [`Brand::Other`].
    pub const fn name(self) -> Option<Text> {
        match self {
            Self::Google => Some(Text::Google),
            Self::Kakao => Some(Text::Kakao),
            Self::Naver => Some(Text::Naver),
            Self::GitHub => Some(Text::GitHub),
            Self::Apple => Some(Text::Apple),
            Self::Other => None,
        }
    }
}
