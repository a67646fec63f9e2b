//! The Huffman code of HPACK (RFC 7541 appendix B), as far as the number of symbols and a few of them are needed.

/// A code word: its length in bits, and the bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Symbol {
    pub(super) length: u32,
    pub(super) code: u32,
}

/// `#`.
pub(super) const HASH: Symbol = Symbol { length: 12, code: 0xffa };
/// `:path`.
pub(super) const PATH: [Symbol; 5] = [
    Symbol { length: 7, code: 0x5c },
    Symbol { length: 6, code: 0x2b },
    Symbol { length: 5, code: 0x3 },
    Symbol { length: 5, code: 0x9 },
    Symbol { length: 6, code: 0x27 },
];
/// The end of a string, which must not be in one (RFC 7541 section 5.2).
const END: Symbol = Symbol { length: 30, code: 0x3fff_ffff };

/// For each length of a code word in bits, how many words have it. The code is canonical: words are numbered upwards,
/// the shorter ones first, so these numbers are all of it.
const COUNTS: [(u32, u64); 21] = [
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
];

/// For each length the end of its code words: the first 32 bits of anything that follows them.
const ENDS: [(u32, u64); 21] = ends();

const fn ends() -> [(u32, u64); 21] {
    let mut ends = [(0, 0); 21];
    let (mut at, mut end) = (0, 0);
    while at < COUNTS.len() {
        let (length, count) = COUNTS[at];
        end += count << (32 - length);
        ends[at] = (length, end);
        at += 1;
    }
    ends
}

/// For each first byte the length of its code word if that is at most 8 bits, else 0: nearly all text has such words.
const SHORT: [u32; 256] = short();

const fn short() -> [u32; 256] {
    let mut lengths = [0; 256];
    let mut byte = 0;
    while byte < lengths.len() {
        let mut at = 0;
        while ENDS[at].1 <= (byte as u64) << 24 {
            at += 1;
        }
        if ENDS[at].0 <= 8 {
            lengths[byte] = ENDS[at].0;
        }
        byte += 1;
    }
    lengths
}

/// Reads the symbols of one string, byte by byte.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct HuffmanReader {
    /// Bits that are not a whole symbol yet, the last one lowest.
    bits: u64,
    count: u32,
}

impl HuffmanReader {
    /// Adds the next byte.
    pub(super) fn push(&mut self, byte: u8) {
        self.bits = self.bits << 8 | u64::from(byte);
        self.count += 8;
    }

    /// The next whole symbol. `Err` for the end of the string, which must not be in it.
    pub(super) fn next(&mut self) -> Result<Option<Symbol>, ()> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        let code = u32::try_from(self.bits >> self.count & ((1 << length) - 1)).unwrap_or(u32::MAX);
        Ok(Some(Symbol { length, code }))
    }

    /// Adds bytes whose symbols do not matter, and returns how many are whole now. `Err` as in [`Self::next`].
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Result<u32, ()> {
        let (mut reader, mut symbols) = (*self, 0);
        for byte in bytes {
            reader.push(*byte);
            while reader.next_length()?.is_some() {
                symbols += 1;
            }
        }
        *self = reader;
        Ok(symbols)
    }

    /// Takes the next whole symbol and returns its length.
    #[inline]
    fn next_length(&mut self) -> Result<Option<u32>, ()> {
        // Missing bits count as zeros: no word of this or a shorter length can begin so otherwise.
        let first = (self.bits << (64 - self.count).min(63)) >> 32;
        let length = match SHORT.get(usize::try_from(first >> 24).unwrap_or(usize::MAX)) {
            Some(0) | None => ENDS.iter().find(|(_, end)| first < *end).ok_or(())?.0,
            Some(length) => *length,
        };
        if self.count < length {
            return Ok(None);
        }
        self.count -= length;
        if length == END.length && first >> (32 - END.length) == u64::from(END.code) {
            return Err(());
        }
        Ok(Some(length))
    }

    /// How many bits of the last byte come after the last symbol.
    pub(super) fn bits_after_symbol(&self) -> u32 {
        self.count
    }

    /// Whether the string may end here: fewer than eight bits are left, all ones.
    pub(super) fn may_end(&self) -> bool {
        let left = (1 << self.count.min(63)) - 1;
        self.count < 8 && self.bits & left == left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(bytes: &[u8]) -> Result<Vec<Symbol>, ()> {
        let (mut reader, mut found) = (HuffmanReader::default(), Vec::new());
        for byte in bytes {
            reader.push(*byte);
            while let Some(symbol) = reader.next()? {
                found.push(symbol);
            }
        }
        if reader.may_end() { Ok(found) } else { Err(()) }
    }

    #[test]
    fn the_code_is_complete() {
        assert_eq!(COUNTS.iter().map(|(_, count)| count).sum::<u64>(), 257, "256 octets and the end of a string");
        assert_eq!(ENDS[20].1, 1 << 32, "every bit string is read");
    }

    #[test]
    fn strings_of_the_standards_examples_have_their_number_of_symbols() {
        // RFC 7541 appendix C.4 and C.6.
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("b958d33f", ":path"),
        ] {
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
            assert_eq!(symbols(&bytes).unwrap().len(), text.len(), "{text}");
        }
        assert_eq!(symbols(&[0xb9, 0x58, 0xd3, 0x3f]).unwrap(), PATH);
        assert_eq!(symbols(&[0xff, 0xaf]).unwrap(), [HASH]);
    }

    #[test]
    fn a_string_that_ends_in_anything_but_a_few_ones_is_an_error() {
        assert_eq!(symbols(&[]), Ok(vec![]));
        for bytes in [&[0xff][..], &[0x00], &[0xb9, 0x58, 0xd3, 0x3f, 0xff], &[0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(symbols(bytes), Err(()), "{bytes:x?}");
        }
    }
}
