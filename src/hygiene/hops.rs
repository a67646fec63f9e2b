//! The hops of a request: loops through this gateway, and `Max-Forwards`.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refusal::Refusal;

/// The name of this gateway in `CDN-Loop` and `Via`; `upstream::headers` sets it.
const OWN_NAME: &str = "vestibule";

pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Whether the request has passed gateways of this name twice; once may be another gateway in front of this one.
pub(super) fn is_loop(headers: &HeaderMap) -> bool {
    // RFC 8586 section 2: an identifier and optional parameters. RFC 9110 section 7.6.3: a protocol, the recipient and
    // an optional comment.
    let identifiers = elements(headers, &CDN_LOOP).filter_map(|element| element.split(';').next()).map(str::trim);
    let recipients = elements(headers, &header::VIA).filter_map(|element| element.split_ascii_whitespace().nth(1));
    identifiers.chain(recipients).filter(|name| *name == OWN_NAME).nth(1).is_some()
}

/// The value of `Max-Forwards` for the next hop of an OPTIONS request (RFC 9110 section 7.6.2); `None` if it is absent.
pub(super) fn hops_left(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut lines = headers.get_all(header::MAX_FORWARDS).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let digits = line.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let (Some(digits), None) = (digits, lines.next()) else {
        return Err(Refusal::Ambiguous("the Max-Forwards is no number"));
    };
    // A number that is too large is cut to the largest that fits.
    let hops = digits.parse::<u32>().unwrap_or(u32::MAX);
    hops.checked_sub(1).map(|left| Some(HeaderValue::from(left))).ok_or(Refusal::LastHop)
}

fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn our_name_is_counted_over_both_headers_and_all_their_lines() {
        let (cdn_loop, via) = ("cdn-loop", "via");
        for (lines, twice) in [
            (&[][..], false),
            (&[(cdn_loop, "vestibule")], false),
            (&[(cdn_loop, "vestibule, vestibule")], true),
            (&[(cdn_loop, "vestibule"), (cdn_loop, "cdn.example; id=1,vestibule;hop=2")], true),
            (&[(cdn_loop, "cdn.example:8080, not-vestibule, vestibule.example")], false),
            (&[(via, "1.1 vestibule, 1.1 cdn")], false),
            (&[(via, "1.1 vestibule"), (via, "1.1 cdn, 2 vestibule (a comment)")], true),
            (&[(via, "1.1 vestibule"), (cdn_loop, "vestibule")], true),
            (&[(via, "1.1 vestibule"), (cdn_loop, "cdn.example")], false),
            (&[(via, "vestibule vestibule.example")], false),
        ] {
            assert_eq!(is_loop(&headers(lines)), twice, "{lines:?}");
        }
    }

    #[test]
    fn each_hop_subtracts_one_and_the_last_hop_answers() {
        let max = "max-forwards";
        for (lines, left) in [
            (&[][..], Ok(None)),
            (&[(max, "0")], Err(Refusal::LastHop)),
            (&[(max, "000")], Err(Refusal::LastHop)),
            (&[(max, "1")], Ok(Some("0"))),
            (&[(max, "010")], Ok(Some("9"))),
            (&[(max, "99999999999999999999")], Ok(Some("4294967294"))),
        ] {
            let left = left.map(|left| left.map(HeaderValue::from_static));
            assert_eq!(hops_left(&headers(lines)), left, "{lines:?}");
        }
        for lines in [&[(max, "")][..], &[(max, "-1")], &[(max, "+1")], &[(max, "1, 1")], &[(max, "1"), (max, "1")]] {
            assert!(matches!(hops_left(&headers(lines)), Err(Refusal::Ambiguous(_))), "{lines:?}");
        }
    }
}
