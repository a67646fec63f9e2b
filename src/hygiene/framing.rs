//! Refuses message framing that two parsers could read differently (RFC 9112 section 6.3).

use http::{HeaderMap, Version, header};

/// Checks the parsed headers. Some faults hyper repairs before this (it drops a `Content-Length` beside a
/// `Transfer-Encoding`, merges equal ones, cuts off `#…`); those are found by the listener in the raw bytes.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err("more than one Content-Length");
    }
    if length.is_some_and(|value| value.is_empty() || !value.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("the Content-Length is no number");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if length.is_some() {
        return Err("Content-Length beside Transfer-Encoding");
    }
    if version != Version::HTTP_11 {
        return Err("a Transfer-Encoding where the version has none");
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err("a Transfer-Encoding other than chunked");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn checked(version: Version, lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        check(version, &headers).is_ok()
    }

    #[test]
    fn one_length_or_one_chunked_and_nothing_else() {
        let (cl, te) = ("content-length", "transfer-encoding");
        for (lines, fine) in [
            (&[][..], true),
            (&[(cl, "0")], true),
            (&[(cl, "17")], true),
            (&[(te, "chunked")], true),
            (&[(te, "Chunked")], true),
            (&[(cl, "")], false),
            (&[(cl, "+1")], false),
            (&[(cl, "-1")], false),
            (&[(cl, "1, 1")], false),
            (&[(cl, "0x1")], false),
            (&[(cl, "1"), (cl, "1")], false),
            (&[(cl, "1"), (cl, "2")], false),
            (&[(cl, "1"), (te, "chunked")], false),
            (&[(te, "identity")], false),
            (&[(te, "gzip, chunked")], false),
            (&[(te, "chunked, identity")], false),
            (&[(te, "chunked, chunked")], false),
            (&[(te, "chunked"), (te, "chunked")], false),
            (&[(te, "xchunked")], false),
            (&[(te, "")], false),
        ] {
            assert_eq!(checked(Version::HTTP_11, lines), fine, "{lines:?}");
        }
        assert!(!checked(Version::HTTP_10, &[(te, "chunked")]));
        assert!(!checked(Version::HTTP_2, &[(te, "chunked")]));
        assert!(checked(Version::HTTP_2, &[(cl, "3")]));
    }
}
