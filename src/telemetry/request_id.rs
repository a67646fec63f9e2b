//! Request ids: made here, or kept from a trusted proxy. They are no secret.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use aws_lc_rs::cipher::{AES_128, AES_128_KEY_LEN, EncryptingKey, UnboundCipherKey};
use http::HeaderValue;

use crate::secret::Random;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Most characters of an id that is kept.
const LONGEST: usize = 128;

/// A request's id: 1 to 128 visible ASCII characters. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// An id that a trusted proxy gave the request; `None` if it is empty, too long or not visible ASCII.
    pub fn kept(id: &HeaderValue) -> Option<Self> {
        let is_valid = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
        is_valid.then(|| Self(id.clone()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header value.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes request ids of 32 hexadecimal digits: a count, encrypted with a key of the process. So no two are equal, and
/// without the key none tells how many there were or which was first. Clones share key and count.
#[derive(Clone)]
pub struct RequestIds {
    key: Arc<EncryptingKey>,
    count: Arc<AtomicU64>,
}

impl RequestIds {
    /// Makes ids with a new random key.
    ///
    /// # Panics
    /// Never: every 16 octets are a key of AES-128.
    pub fn new(random: &Random) -> Self {
        let key = UnboundCipherKey::new(&AES_128, &random.bytes::<AES_128_KEY_LEN>()).and_then(EncryptingKey::ecb);
        Self { key: Arc::new(key.expect("every 16 octets are a key of AES-128")), count: Arc::default() }
    }

    /// The next id.
    ///
    /// # Panics
    /// Never: one block can always be encrypted, and hexadecimal digits are a valid header value.
    pub fn next(&self) -> RequestId {
        let mut block = u128::from(self.count.fetch_add(1, Relaxed)).to_be_bytes();
        self.key.encrypt(&mut block).expect("one block can always be encrypted");
        let mut digits = [0; 32];
        for (byte, out) in block.into_iter().zip(digits.chunks_exact_mut(2)) {
            out[0] = DIGITS[usize::from(byte >> 4)];
            out[1] = DIGITS[usize::from(byte & 15)];
        }
        RequestId(HeaderValue::from_bytes(&digits).expect("hexadecimal digits are a valid header value"))
    }
}

impl fmt::Debug for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestIds")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_two_processes_never_repeat() {
        let (one, other) = (RequestIds::new(&Random::system()), RequestIds::new(&Random::system()));
        let ids: HashSet<_> = (0..300).flat_map(|_| [one.next(), one.clone().next(), other.next()]).collect();
        assert_eq!(ids.len(), 900);
        assert!(ids.iter().all(|id| id.header() == id.as_str() && id.as_str().len() == 32));
    }

    #[test]
    fn two_ids_tell_neither_order_nor_number() {
        let ids = RequestIds::new(&Random::system());
        let numbers: Vec<_> = (0..4096).map(|_| u128::from_str_radix(ids.next().as_str(), 16).unwrap()).collect();
        // Of random numbers, half follow a smaller one, and two in a row differ in half of their 128 bits.
        let rising = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((1900..2200).contains(&rising), "{rising} of 4095");
        let differing: u32 = numbers.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
        assert!((63 * 4095..65 * 4095).contains(&differing), "{differing} bits");
        for bit in 0..128 {
            let ones = numbers.iter().filter(|number| *number >> bit & 1 == 1).count();
            assert!((1750..2350).contains(&ones), "bit {bit}: {ones} of 4096");
        }
    }

    #[test]
    fn an_id_is_kept_if_it_is_1_to_128_visible_ascii_characters() {
        let kept = |id: &[u8]| RequestId::kept(&HeaderValue::from_bytes(id).unwrap());
        for id in ["a", "Root=1-67891233-abcdef", "\"{}\\,;=", &"x".repeat(128)] {
            assert_eq!(kept(id.as_bytes()).unwrap().as_str(), id);
        }
        for id in [&b""[..], b"a b", b"a\tb", b"\xea\xb9\x80", "x".repeat(129).as_bytes()] {
            assert_eq!(kept(id), None, "{id:?}");
        }
    }
}
