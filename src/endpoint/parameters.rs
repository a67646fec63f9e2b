//! Parameters of a query or a form (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use url::form_urlencoded;

/// Most parameters that are read; a provider's answer has fewer.
const MAX: usize = 64;

/// Decoded parameters, in their order.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    read: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether there are more than [`MAX`].
    has_more: bool,
}

/// A parameter is repeated (RFC 6749 section 3.1 forbids it), or there are more than 64 parameters, so that a
/// repetition cannot be excluded. Two parsers could use different values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeated;

impl<'a> Parameters<'a> {
    /// Decodes the first 64 parameters.
    pub fn of(encoded: &'a [u8]) -> Self {
        let mut pairs = form_urlencoded::parse(encoded);
        let read = pairs.by_ref().take(MAX).collect();
        Self { read, has_more: pairs.next().is_some() }
    }

    /// The decoded names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(|(name, _)| name.as_ref())
    }

    /// Whether there are more than 64, so that a repetition cannot be excluded.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether there is a parameter of this name.
    pub fn has(&self, name: &str) -> bool {
        self.read.iter().any(|(n, _)| n == name)
    }

    /// The only value of this name; an empty one counts as absent (RFC 6749 section 3.1).
    pub fn once(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut named = self.read.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_ref());
        match (named.next(), named.next()) {
            (value, None) if !self.has_more => Ok(value.filter(|value| !value.is_empty())),
            _ => Err(Repeated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_must_come_once_is_refused_when_it_comes_twice() {
        let parameters = Parameters::of(b"code=a%2Bb+c&state=1&state=2&empty=");
        assert_eq!(parameters.once("code"), Ok(Some("a+b c")));
        assert_eq!(parameters.once("state"), Err(Repeated));
        assert_eq!(parameters.once("empty"), Ok(None));
        assert_eq!(parameters.once("absent"), Ok(None));
        assert!(parameters.has("state") && parameters.has("empty") && !parameters.has("absent"));
    }

    #[test]
    fn parameters_after_the_sixty_fourth_are_not_read() {
        let flood = "a=b&".repeat(10_000);
        assert_eq!(Parameters::of(flood.as_bytes()).read.len(), MAX);
    }

    #[test]
    fn among_more_parameters_than_are_read_none_counts_as_coming_once() {
        let most = format!("code=1{}", "&a=b".repeat(MAX - 1));
        assert_eq!(Parameters::of(most.as_bytes()).once("code"), Ok(Some("1")));
        assert_eq!(Parameters::of(format!("{most}&code=2").as_bytes()).once("code"), Err(Repeated));
        assert_eq!(Parameters::of(format!("{most}&code=2").as_bytes()).once("state"), Err(Repeated));
    }
}
