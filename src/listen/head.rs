//! A request's head as it stands on the wire: finds what hyper repairs before anybody sees it (RFC 9112 section 6.3).

/// The longest field name that is looked for, and the byte after it.
const PREFIX: usize = "transfer-encoding".len() + 1;

/// Reads along while the head of a request comes in.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The beginning of the line that is coming in.
    line: [u8; PREFIX],
    length: usize,
    place: Place,
    /// More came than the head: where the next one begins is not known for certain.
    ran_over: bool,
    lengths: usize,
    codings: usize,
    has_fragment: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    RequestLine,
    Fields,
    Behind,
}

impl HeadScan {
    /// A scan of the head after this one.
    pub(super) fn next(&self) -> Self {
        // Behind a body or in a pipeline the first bytes may be the middle of something: a `#` there proves nothing.
        let is_certain = self.place == Place::Behind && !self.ran_over;
        Self { place: if is_certain { Place::RequestLine } else { Place::Fields }, ..Self::default() }
    }

    /// Takes the bytes that came.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while self.place != Place::Behind {
            let Some(end) = memchr::memchr(b'\n', bytes) else { return self.extend(bytes) };
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.ran_over |= !bytes.is_empty();
    }

    /// Whether two parsers could read this head differently: lengths beside a coding, several lengths, a fragment in the target.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.lengths > 1 || (self.lengths > 0 && self.codings > 0) || self.has_fragment
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.has_fragment |= self.place == Place::RequestLine && memchr::memchr(b'#', bytes).is_some();
        let taken = bytes.len().min(PREFIX - self.length);
        self.line[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }

    fn end_line(&mut self) {
        let line = &self.line[..self.length];
        self.place = match (self.place, matches!(line, b"" | b"\r")) {
            // Empty lines before a request line are none of its head (RFC 9112 section 2.2).
            (Place::RequestLine, true) => Place::RequestLine,
            (Place::Fields | Place::Behind, true) => Place::Behind,
            (Place::RequestLine, false) => Place::Fields,
            (Place::Fields | Place::Behind, false) => {
                self.lengths += usize::from(names(line, b"content-length"));
                self.codings += usize::from(names(line, b"transfer-encoding"));
                Place::Fields
            }
        };
        self.length = 0;
    }
}

fn names(line: &[u8], name: &[u8]) -> bool {
    line.len() > name.len() && line[name.len()] == b':' && line[..name.len()].eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(head: &str) -> bool {
        let mut whole = HeadScan::default();
        whole.read(head.as_bytes());
        let mut in_pieces = HeadScan::default();
        head.as_bytes().iter().for_each(|byte| in_pieces.read(&[*byte]));
        assert_eq!(whole.is_ambiguous(), in_pieces.is_ambiguous(), "{head:?}");
        whole.is_ambiguous()
    }

    #[test]
    fn what_hyper_repairs_is_found() {
        for (fields, expected) in [
            ("Content-Length: 5\r\n", false),
            ("Transfer-Encoding: chunked\r\n", false),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", true),
            ("transfer-encoding:chunked\r\nx: y\r\nCONTENT-LENGTH:5\r\n", true),
            ("content-length: 5\r\ncontent-length: 5\r\n", true),
            ("content-length-x: 5\r\nx-content-length: 5\r\ncontent-length: 5\r\n", false),
            ("x: content-length: 1\r\ncontent-length: 5\r\n", false),
            ("referer: http://x/#y\r\n", false),
        ] {
            assert_eq!(is_ambiguous(&format!("POST / HTTP/1.1\r\n{fields}\r\n")), expected, "{fields:?}");
        }
        assert!(is_ambiguous("\r\nGET /a#b HTTP/1.1\r\nhost: x\r\n\r\n"));
    }

    #[test]
    fn bodies_and_later_requests_are_not_taken_for_the_head() {
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(!is_ambiguous(&format!("{chunked}5\r\ncontent-length: 1\r\n")));
        assert!(!is_ambiguous(&format!("{chunked}0\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n")));
    }

    #[test]
    fn the_next_head_is_read_anew() {
        let mut scan = HeadScan::default();
        scan.read(b"GET / HTTP/1.1\r\n\r\n");
        scan = scan.next();
        scan.read(b"GET /#x HTTP/1.1\r\n\r\n");
        assert!(scan.is_ambiguous());
        let mut behind_a_body = HeadScan::default();
        behind_a_body.read(b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx");
        behind_a_body = behind_a_body.next();
        behind_a_body.read(b"ie: a=#\r\n\r\n");
        assert!(!behind_a_body.is_ambiguous());
    }
}
