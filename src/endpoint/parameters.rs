//! Parameters of a query or a form (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use url::form_urlencoded;

/// More than any answer of a provider has; what comes after is not read.
const MOST: usize = 64;

/// Decoded parameters, in their order.
#[derive(Debug)]
pub struct Parameters<'a> {
    read: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// There are more than were read.
    more: bool,
}

/// The same parameter twice (RFC 6749 section 3.1 forbids it), or so many that nobody looked: two readers could take different ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeated;

impl<'a> Parameters<'a> {
    /// Reads them.
    pub fn of(encoded: &'a [u8]) -> Self {
        let mut pairs = form_urlencoded::parse(encoded);
        let read = pairs.by_ref().take(MOST).collect();
        Self { read, more: pairs.next().is_some() }
    }

    /// The first of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.read.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// The only one of this name; an empty one counts as absent (RFC 6749 section 3.1).
    pub fn once(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut named = self.read.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_ref());
        match (named.next(), named.next()) {
            (value, None) if !self.more => Ok(value.filter(|value| !value.is_empty())),
            _ => Err(Repeated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_come_once_is_refused_when_it_comes_twice() {
        let parameters = Parameters::of(b"code=a%2Bb+c&state=1&state=2&empty=");
        assert_eq!(parameters.once("code"), Ok(Some("a+b c")));
        assert_eq!(parameters.once("state"), Err(Repeated));
        assert_eq!(parameters.once("empty"), Ok(None));
        assert_eq!(parameters.once("absent"), Ok(None));
        assert_eq!(parameters.first("state"), Some("1"));
        assert_eq!(parameters.first("empty"), Some(""));
    }

    #[test]
    fn a_flood_of_parameters_is_not_read_to_its_end() {
        let flood = "a=b&".repeat(10_000);
        assert_eq!(Parameters::of(flood.as_bytes()).read.len(), MOST);
    }

    #[test]
    fn behind_a_flood_nothing_is_known_to_have_come_once() {
        let most = format!("code=1{}", "&a=b".repeat(MOST - 1));
        assert_eq!(Parameters::of(most.as_bytes()).once("code"), Ok(Some("1")));
        assert_eq!(Parameters::of(format!("{most}&code=2").as_bytes()).once("code"), Err(Repeated));
        assert_eq!(Parameters::of(format!("{most}&code=2").as_bytes()).once("state"), Err(Repeated));
    }
}
