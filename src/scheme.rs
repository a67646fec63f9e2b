//! The scheme by which a client reached the gateway, or the first trusted proxy in front of it.

use std::fmt;

/// `http` or `https`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Its name in URLs, `X-Forwarded-Proto` and `Forwarded` (RFC 7239 section 5.4).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme of this name, in any case (RFC 3986 section 3.1).
    pub fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_found_by_its_name_in_any_case() {
        assert_eq!(Scheme::named("https"), Some(Scheme::Https));
        assert_eq!(Scheme::named("HTTP"), Some(Scheme::Http));
        for name in ["", "https:", "ws", "http "] {
            assert_eq!(Scheme::named(name), None, "{name}");
        }
    }
}
