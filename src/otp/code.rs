//! The six digits of a code: random choice, parsing, sealing, and the MAC that the store compares.

use bytes::Bytes;

use super::settings::CodePurpose;
use crate::{
    channel::Channel,
    seal::{self, KeyRing, MacKey},
    secret::{Random, Secret},
    store::{Digest, Sid},
};

/// Number of different codes.
const CODES: u32 = 1_000_000;

/// Six ASCII digits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digits(Secret);

/// Everything that a code is bound to, without its digits.
#[derive(Clone, Copy)]
pub(super) struct CodeBinding<'b> {
    pub(super) channel: Channel,
    /// [`Address::canonical`](super::address::Address::canonical).
    pub(super) address: &'b str,
    pub(super) purpose: CodePurpose,
    /// [`Challenge::handle`](super::challenge::Challenge::handle).
    pub(super) handle: &'b str,
    /// The session that requested the code; only with purpose `verify`.
    pub(super) sid: Option<Sid>,
}

impl Digits {
    /// A random code; 000000 to 999999 are equally likely (see [`number_of`]).
    pub(super) fn random(random: &Random) -> Self {
        let mut drawn = std::iter::repeat_with(|| u32::from_be_bytes(random.bytes()));
        let number = drawn.find_map(number_of).expect("the iterator is infinite");
        Self(Secret::new(format!("{number:06}")))
    }

    /// Parses exactly six ASCII digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(Secret::new(text)))
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The digits sealed for the store, so that the same code can be sent again.
    pub(super) fn sealed(&self, ring: &KeyRing) -> Bytes {
        Bytes::from(ring.seal(seal::Purpose::Code, self.expose().as_bytes(), |_| 1))
    }

    /// Unseals digits; `None` if their key is no longer in `session.keys`.
    pub(super) fn open(sealed: &[u8], ring: &KeyRing) -> Option<Self> {
        let plain = ring.open(seal::Purpose::Code, sealed, 1).ok()?;
        Self::parse(std::str::from_utf8(&plain).ok()?)
    }
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digits(***)")
    }
}

/// The code for a random 32-bit number. `None` above the last whole million: those numbers would make low codes more
/// likely.
fn number_of(draw: u32) -> Option<u32> {
    (draw < u32::MAX - u32::MAX % CODES).then_some(draw % CODES)
}

impl CodeBinding<'_> {
    /// The store's key for all codes of the address.
    pub(super) fn address_digest(&self, key: &MacKey) -> Digest {
        Digest(key.digest(&[b"code address", self.channel.as_str().as_bytes(), self.address.as_bytes()]))
    }

    /// The store's key for the code of this browser and purpose.
    pub(super) fn browser_digest(&self, key: &MacKey) -> Digest {
        Digest(key.digest(&[b"code browser", self.purpose.as_str().as_bytes(), self.handle.as_bytes()]))
    }

    /// The MAC that the store compares; it covers all that the code is bound to.
    pub(super) fn mac(&self, digits: &Digits, key: &MacKey) -> Digest {
        Digest(key.digest(&[
            b"code",
            self.channel.as_str().as_bytes(),
            self.address.as_bytes(),
            self.purpose.as_str().as_bytes(),
            self.handle.as_bytes(),
            self.sid.as_ref().map_or(&[], |sid| &sid.0[..]),
            digits.expose().as_bytes(),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(&[SealKey([byte; 32].into())], Random::system())
    }

    #[test]
    fn random_codes_have_six_digits_and_all_digits_are_equally_likely() {
        let random = Random::system();
        let mut seen = [[0_u32; 10]; 6];
        for _ in 0..20_000 {
            let digits = Digits::random(&random);
            assert_eq!(Digits::parse(digits.expose()), Some(digits.clone()));
            for (place, digit) in digits.expose().bytes().enumerate() {
                seen[place][usize::from(digit - b'0')] += 1;
            }
        }
        // Chi-square with nine degrees of freedom: above 50 in fewer than one of a million runs.
        for place in seen {
            let chi: f64 = place.iter().map(|n| (f64::from(*n) - 2000.0).powi(2) / 2000.0).sum();
            assert!(chi < 50.0, "{place:?}");
        }
    }

    #[test]
    fn random_numbers_above_the_last_whole_million_are_rejected() {
        assert_eq!(number_of(0), Some(0));
        assert_eq!(number_of(999_999), Some(999_999));
        assert_eq!(number_of(4_293_999_999), Some(999_999));
        assert_eq!(number_of(4_294_000_000), None);
        assert_eq!(number_of(u32::MAX), None);
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        assert!(Digits::parse("000000").is_some());
        for text in [
            "",
            "12345",
            "1234567",
            "12345 ",
            " 12345",
            "12345a",
            "+12345",
            "-12345",
            "１２３４５６",
            "١٢٣",
            "1234\n5",
            "123\0 5",
        ] {
            assert!(Digits::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(format!("{:?}", Digits::parse("123456").unwrap()), "Digits(***)");
    }

    #[test]
    fn sealed_digits_open_only_with_the_key_that_sealed_them() {
        let digits = Digits::parse("012345").unwrap();
        let sealed = digits.sealed(&ring(1));
        assert!(!sealed.windows(6).any(|window| window == b"012345"));
        assert_eq!(Digits::open(&sealed, &ring(1)), Some(digits));
        assert_eq!(Digits::open(&sealed, &ring(2)), None);
    }

    #[test]
    fn the_mac_changes_with_everything_that_the_code_is_bound_to() {
        let key = ring(1).mac_key();
        let (digits, other) = (Digits::parse("123456").unwrap(), Digits::parse("123457").unwrap());
        let sid = Some(Sid([1; 16]));
        let binding = CodeBinding {
            channel: Channel::Sms,
            address: "+821012345678",
            purpose: CodePurpose::Verify,
            handle: "h",
            sid,
        };
        let mac = binding.mac(&digits, &key);
        assert_eq!(mac, binding.mac(&digits, &ring(1).mac_key()));
        for different in [
            binding.mac(&other, &key),
            binding.mac(&digits, &ring(2).mac_key()),
            CodeBinding { channel: Channel::Email, ..binding }.mac(&digits, &key),
            CodeBinding { address: "+821012345679", ..binding }.mac(&digits, &key),
            CodeBinding { purpose: CodePurpose::Login, ..binding }.mac(&digits, &key),
            CodeBinding { handle: "i", ..binding }.mac(&digits, &key),
            CodeBinding { sid: Some(Sid([2; 16])), ..binding }.mac(&digits, &key),
            CodeBinding { sid: None, ..binding }.mac(&digits, &key),
        ] {
            assert_ne!(mac, different);
        }
    }
}
