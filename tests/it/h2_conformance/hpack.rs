//! Cases that RFC 7541 requires to be refused.

use super::{Case, Expected::ConnectionError, Site, case, headers};
use crate::harness::frames::is;

const CODES: &[u32] = &[is::COMPRESSION_ERROR];

pub(super) fn cases(at: &Site) -> Vec<Case> {
    let refused = |section, says, bytes: &[u8]| case(section, says, [at.get_then(bytes)], ConnectionError(CODES));
    // RFC 7541 section 5.1: 31 in the first octet, 4097 - 31 in the others.
    let too_large = [&[0x3f, 0xe2, 0x1f], &at.block("GET")[..]].concat();
    vec![
        refused("hpack/2.3.3", "a field with an index beyond the tables", &[0x80 + 70]),
        refused("hpack/2.3.3", "a name with an index beyond the tables", &[0x7f, 70 - 63, 1, b'a']),
        refused("hpack/4.2", "a new size of the table at the end of a block", &[0x21]),
        // `a` is five bits, all of Huffman's padding are ones, and so are the 30 bits of EOS.
        refused("hpack/5.2", "a string padded with more than seven bits", &[0, 1, b'x', 0x82, 0x1f, 0xff]),
        refused("hpack/5.2", "a string padded with zeros", &[0, 1, b'x', 0x81, 0x18]),
        refused("hpack/5.2", "a string with EOS in it", &[0, 1, b'x', 0x85, 0x1f, 0xff, 0xff, 0xff, 0xff]),
        refused("hpack/6.1", "a field with index 0", &[0x80]),
        case(
            "hpack/6.3",
            "a table larger than its setting",
            [headers(1, is::END_STREAM | is::END_HEADERS, too_large)],
            ConnectionError(CODES),
        ),
    ]
}
