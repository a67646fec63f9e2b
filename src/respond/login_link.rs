//! Addresses that lead to a login and carry `return_to`.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::form_urlencoded::Serializer;

/// Longest address with a `return_to`, in bytes: 8 KiB fit if each has to be percent-encoded, and hygiene refuses a
/// target over 28 KiB.
const LONGEST: usize = 26 * 1024;
/// Up to this length, in bytes, everything that a form encodes is encoded; of a longer address only what must be.
const LONGEST_AS_FORM: usize = 15 * 1024;
/// The characters that must be percent-encoded in the value of a query parameter.
const QUERY_VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

/// `address` with these parameters and `return_to` in its query. If the result would be too long for a request, the
/// query of `return_to` is left out, then all of it.
pub fn with_return_to(address: &str, parameters: &[(&str, &str)], return_to: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(parameters);
    let base = joined(address, &query.finish());
    let Some(return_to) = return_to else { return base };
    let encoded = Serializer::new(String::new()).append_pair("return_to", return_to).finish();
    if base.len() + encoded.len() < LONGEST_AS_FORM {
        return joined(&base, &encoded);
    }
    let path = return_to.split(['?', '#']).next().unwrap_or_default();
    let shorter = [return_to, path].map(|kept| joined(&base, &compact(kept)));
    shorter.into_iter().find(|address| address.len() <= LONGEST).unwrap_or(base)
}

/// The login page for a request to `asked`, as [`with_return_to`].
pub(super) fn login_page_for(login_page: &str, asked: &str) -> String {
    let address = joined(login_page, &compact(asked));
    if address.len() <= LONGEST { address } else { with_return_to(login_page, &[], Some(asked)) }
}

/// The same address with `asked` in `callbackUrl` too, as far as it fits.
pub(super) fn with_callback_url(address: String, asked: &str) -> String {
    let longer = joined(&address, &compact(asked).replacen("return_to", "callbackUrl", 1));
    if longer.len() <= LONGEST { longer } else { address }
}

fn compact(return_to: &str) -> String {
    // A browser leaves a backslash in a query as it is; `return_to` may have none, because some parsers read a slash.
    let written = return_to.replace('\\', "%5C");
    format!("return_to={}", utf8_percent_encode(&written, QUERY_VALUE))
}

fn joined(address: &str, query: &str) -> String {
    match (query.is_empty(), address.contains('?')) {
        (true, _) => address.to_owned(),
        (false, true) => format!("{address}&{query}"),
        (false, false) => format!("{address}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn return_to_in(address: &str) -> Option<String> {
        let (_, query) = address.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "return_to").map(|(_, value)| value.into_owned())
    }

    #[test]
    fn the_parameters_and_return_to_are_in_the_query() {
        assert_eq!(with_return_to("/auth/login", &[], None), "/auth/login");
        assert_eq!(with_return_to("/auth/login", &[], Some("/a?b=c")), "/auth/login?return_to=%2Fa%3Fb%3Dc");
        assert_eq!(with_return_to("/in?x=1", &[("error", "e")], Some("/a")), "/in?x=1&error=e&return_to=%2Fa");
        assert_eq!(login_page_for("/auth/login", "/a?b=c&d"), "/auth/login?return_to=/a%3Fb%3Dc%26d");
    }

    #[test]
    fn an_address_of_8_kib_is_carried_with_its_query_and_of_a_longer_one_what_fits() {
        for (asked, carried) in [
            (format!("/{}", "%EA%B0%80".repeat(900)), None),
            (format!("/a?b={}", "y".repeat(8_000)), None),
            (format!("/a?{}", "b=c&".repeat(1_500)), None),
            (format!("/a?{}", "&".repeat(8 * 1024 - 3)), None),
            (format!("/a?{}", "&".repeat(9 * 1024)), Some("/a")),
        ] {
            for address in [login_page_for("/auth/login", &asked), with_return_to("/auth/login", &[], Some(&asked))] {
                assert!(address.len() <= LONGEST, "{}", address.len());
                assert_eq!(return_to_in(&address).as_deref(), Some(carried.unwrap_or(&asked)));
            }
        }
        let long_path = format!("/{}", "%".repeat(9 * 1024));
        assert_eq!(return_to_in(&with_return_to("/auth/login", &[("error", "e")], Some(&long_path))), None);
    }

    #[test]
    fn pages_of_auth_js_find_the_address_in_callback_url_unless_it_is_too_long_to_be_told_twice() {
        let address = with_callback_url(login_page_for("/login", "/a?b=c&d"), "/a?b=c&d");
        assert_eq!(address, "/login?return_to=/a%3Fb%3Dc%26d&callbackUrl=/a%3Fb%3Dc%26d");
        let long = format!("/a?{}", "&".repeat(8_000));
        let address = with_callback_url(login_page_for("/login", &long), &long);
        assert!(return_to_in(&address).is_some() && !address.contains("callbackUrl"));
    }

    #[test]
    fn a_backslash_in_the_query_of_a_request_is_escaped() {
        let address = login_page_for("/auth/login", r"/a?path=C:\b");
        assert_eq!(return_to_in(&address).as_deref(), Some("/a?path=C:%5Cb"));
    }
}
