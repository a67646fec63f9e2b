//! Seals cookies and records of the store with AES-256-GCM. The key comes from a key ring; purpose, format version and
//! number of parts are authenticated.
//!
//! Text form: `KEYID.PARTS.BASE64URL(salt ‖ ciphertext ‖ tag)`. Each sealed value has its own key and nonce, derived by
//! HKDF-SHA-256 (RFC 5869) from a key of the ring and a random 16-byte salt. So the limit of 2^32 random nonces per key
//! (NIST SP 800-38D section 8.3) does not apply to the keys of the ring.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::secret::{Random, RefreshToken, Secret};

/// Version of the sealed contents. It is raised when older code would misread them.
const FORMAT: u8 = 1;
/// Octets of the salt.
const SALT: usize = 16;
/// Octets of the AES-GCM tag.
const TAG: usize = 16;

/// A sealing key: 32 random bytes.
#[derive(Clone)]
pub struct SealKey(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(***)")
    }
}

impl SealKey {
    /// Reads 32 bytes in base64 (RFC 4648): standard or URL-safe alphabet, padded or not. White space at the ends is
    /// ignored. `None` if it is anything else.
    pub fn from_base64(text: &Secret) -> Option<Self> {
        use base64::{
            Engine as _,
            alphabet::{STANDARD, URL_SAFE},
            engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
        };
        let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = text.expose().trim();
        [STANDARD, URL_SAFE].iter().find_map(|alphabet| {
            let bytes = Zeroizing::new(GeneralPurpose::new(alphabet, lax).decode(text).ok()?);
            Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
        })
    }

    /// The key's id in sealed values and in the output of `check`: 8 hex digits of its SHA-256.
    pub fn id(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_slice());
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| digest.as_ref()[i]);
        format!("{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// What a value is sealed for. It can be opened for the same purpose only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose<'a> {
    /// The access token's cookie, `sb_at`.
    Access,
    /// The refresh token's cookie, `sb_rt`.
    Refresh,
    /// The cookie of the login attempt with this id, `sb_tx…`.
    Attempt(&'a str),
    /// A refresh result in the store. It opens only with the old refresh token.
    Result(&'a RefreshToken),
    /// A value that the store keeps for minutes. It opens only with this secret.
    Deposit(&'a Secret),
    /// The nonce of `POST /{provider}/nonce`.
    Nonce,
    /// The challenge of a browser that asked for a one-time code.
    Challenge,
    /// The digits of a one-time code in the store.
    Code,
    /// A refresh token that the gateway issued.
    OwnRefresh,
    /// The record that the store keeps with a family of the gateway's own refresh tokens.
    Record,
}

/// Why a value did not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// The value was sealed with a key that is not in the ring: by an instance with newer keys, or by another
    /// deployment. Such a cookie must not be deleted.
    #[error("sealed with an unknown key")]
    UnknownKey,
    /// The value was changed after it was sealed, was sealed for another purpose, or does not have the text form.
    #[error("the seal is broken")]
    Broken,
}

/// The session keys. Values are sealed with the first key and opened with any of them.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    random: Random,
}

#[derive(Clone)]
struct RingKey {
    id: String,
    key: SealKey,
}

impl KeyRing {
    /// A ring of these keys.
    ///
    /// # Panics
    /// If there is no key. The configuration always has one.
    pub fn new(keys: &[SealKey], random: Random) -> Self {
        assert!(!keys.is_empty(), "the configuration holds at least one session key");
        Self { keys: keys.iter().map(|key| RingKey { id: key.id(), key: key.clone() }).collect(), random }
    }

    /// Seals `plain`. `parts` returns into how many parts the caller splits a text of the given length in octets.
    ///
    /// # Panics
    /// Never: AES-GCM seals anything under 64 GiB.
    pub fn seal(&self, purpose: Purpose<'_>, plain: &[u8], parts: impl Fn(usize) -> usize) -> String {
        let ring_key = &self.keys[0];
        let body_len = ((SALT + plain.len() + TAG) * 4).div_ceil(3);
        let head = |n: usize| format!("{}.{n}.", ring_key.id);
        // The number of parts is itself part of the text, so a number with more digits may need one more part.
        let mut count = 1;
        while parts(head(count).len() + body_len) > count {
            count = parts(head(count).len() + body_len);
        }
        let salt: [u8; SALT] = self.random.bytes();
        let (key, nonce) = derive(&ring_key.key, purpose, &salt);
        let mut sealed = Vec::with_capacity(SALT + plain.len() + TAG);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(associated(purpose, &ring_key.id, count)), &mut sealed[SALT..])
            .expect("AES-GCM seals anything under 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        let mut text = head(count);
        URL_SAFE_NO_PAD.encode_string(&sealed, &mut text);
        text
    }

    /// Opens a text of [`KeyRing::seal`] that was joined from `parts` parts.
    pub fn open(&self, purpose: Purpose<'_>, text: &[u8], parts: usize) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (ring_key, body) = self.body_of(text, parts)?;
        let mut sealed = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| OpenError::Broken)?);
        if sealed.len() < SALT + TAG {
            return Err(OpenError::Broken);
        }
        let (key, nonce) = derive(&ring_key.key, purpose, &sealed[..SALT]);
        let plain = key
            .open_in_place(nonce, Aad::from(associated(purpose, &ring_key.id, parts)), &mut sealed[SALT..])
            .map_err(|_| OpenError::Broken)?
            .len();
        Ok(Zeroizing::new(sealed[SALT..SALT + plain].to_vec()))
    }

    /// The error of [`KeyRing::open`], as far as the form of the text shows it, if at least `shortest` octets are
    /// sealed. It takes one pass over the text and derives no key.
    pub fn check_form(&self, text: &[u8], parts: usize, shortest: usize) -> Result<(), OpenError> {
        let (_, body) = self.body_of(text, parts)?;
        let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_long_enough = body.len() >= ((SALT + shortest + TAG) * 4).div_ceil(3);
        // No number of octets has such a length in base64.
        let is_cut = body.len() % 4 == 1;
        if is_long_enough && !is_cut && body.iter().all(is_base64url) { Ok(()) } else { Err(OpenError::Broken) }
    }

    /// The number of parts that a sealed text declares; `first` is its first part.
    pub fn parts_of(&self, first: &[u8]) -> Result<usize, OpenError> {
        let (_, rest) = self.key_of(first)?;
        let dot = memchr::memchr(b'.', rest).ok_or(OpenError::Broken)?;
        declared_parts(&rest[..dot]).ok_or(OpenError::Broken)
    }

    /// The key for keyed digests, derived from the key that seals.
    pub fn mac_key(&self) -> MacKey {
        MacKey::derived(&self.keys[0].key)
    }

    /// The key for keyed digests, derived from the key that sealed `text`.
    pub fn mac_key_of(&self, text: &[u8]) -> Result<MacKey, OpenError> {
        Ok(MacKey::derived(&self.key_of(text)?.0.key))
    }

    /// The key of a sealed text, and what follows its number of parts, which has to be `parts`.
    fn body_of<'t>(&self, text: &'t [u8], parts: usize) -> Result<(&RingKey, &'t [u8]), OpenError> {
        let (ring_key, rest) = self.key_of(text)?;
        let dot = memchr::memchr(b'.', rest).ok_or(OpenError::Broken)?;
        if declared_parts(&rest[..dot]) != Some(parts) {
            return Err(OpenError::Broken);
        }
        Ok((ring_key, &rest[dot + 1..]))
    }

    fn key_of<'t>(&self, text: &'t [u8]) -> Result<(&RingKey, &'t [u8]), OpenError> {
        let dot = memchr::memchr(b'.', text).ok_or(OpenError::UnknownKey)?;
        let ring_key = self.keys.iter().find(|k| k.id.as_bytes() == &text[..dot]).ok_or(OpenError::UnknownKey)?;
        Ok((ring_key, &text[dot + 1..]))
    }
}

/// A key for keyed digests, derived from a session key.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    fn derived(key: &SealKey) -> Self {
        let okm = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule digests").extract(key.0.as_slice());
        let key = okm.expand(&[b"hmac"], hmac::HMAC_SHA256).expect("HKDF-SHA-256 gives up to 8,160 bytes").into();
        Self(key)
    }

    /// HMAC-SHA-256 (RFC 2104) over length-prefixed parts, so that different lists of parts never give the same input.
    ///
    /// # Panics
    /// Never: HMAC-SHA-256 gives 32 bytes.
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes")
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(***)")
    }
}

/// Reads the number of parts, 1 to 99. Each number has exactly one spelling. Otherwise one sealed value could be sent
/// as two different cookies, and caches use the cookie's octets as their key.
fn declared_parts(digits: &[u8]) -> Option<usize> {
    let digit = |byte: u8| char::from(byte).to_digit(10).map(|digit| digit as usize);
    match digits {
        [b'0', ..] => None,
        [one] => digit(*one),
        [ten, one] => Some(digit(*ten)? * 10 + digit(*one)?),
        _ => None,
    }
}

fn associated(purpose: Purpose<'_>, key_id: &str, parts: usize) -> Vec<u8> {
    let (name, detail) = match purpose {
        Purpose::Access => ("access", ""),
        Purpose::Refresh => ("refresh", ""),
        Purpose::Attempt(id) => ("attempt", id),
        Purpose::Result(_) => ("result", ""),
        Purpose::Deposit(_) => ("deposit", ""),
        Purpose::Nonce => ("nonce", ""),
        Purpose::Challenge => ("challenge", ""),
        Purpose::Code => ("code", ""),
        Purpose::OwnRefresh => ("own refresh", ""),
        Purpose::Record => ("record", ""),
    };
    format!("vestibule {FORMAT} {key_id} {parts} {name} {detail}").into_bytes()
}

fn derive(key: &SealKey, purpose: Purpose<'_>, salt: &[u8]) -> (LessSafeKey, Nonce) {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            32 + NONCE_LEN
        }
    }
    let mut material = Zeroizing::new(key.0.to_vec());
    match purpose {
        Purpose::Result(refresh_token) => material.extend_from_slice(refresh_token.expose().as_bytes()),
        Purpose::Deposit(secret) => material.extend_from_slice(secret.expose().as_bytes()),
        _ => {}
    }
    let mut out = Zeroizing::new([0; 32 + NONCE_LEN]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(&material)
        .expand(&[b"vestibule seal"], Length)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("HKDF-SHA-256 gives up to 8,160 bytes");
    let key = UnboundKey::new(&AES_256_GCM, &out[..32]).expect("an AES-256 key has 32 bytes");
    let nonce = Nonce::try_assume_unique_for_key(&out[32..]).expect("a GCM nonce has 12 bytes");
    (LessSafeKey::new(key), nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[u8]) -> KeyRing {
        let keys: Vec<_> = keys.iter().map(|b| SealKey(Zeroizing::new([*b; 32]))).collect();
        KeyRing::new(&keys, Random::system())
    }

    #[test]
    fn a_value_opens_with_any_ring_that_has_the_key_that_sealed_it() {
        let sealed = ring(&[1]).seal(Purpose::Access, b"token", |_| 1);
        assert_eq!(ring(&[2, 1]).open(Purpose::Access, sealed.as_bytes(), 1).unwrap().as_slice(), b"token");
        assert_eq!(ring(&[2]).open(Purpose::Access, sealed.as_bytes(), 1).unwrap_err(), OpenError::UnknownKey);
    }

    #[test]
    fn a_value_opens_only_for_its_own_purpose_and_number_of_parts() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Attempt("a"), b"x", |_| 1);
        let reads = |purpose| ring.open(purpose, sealed.as_bytes(), 1).is_ok();
        assert!(reads(Purpose::Attempt("a")));
        assert!(!reads(Purpose::Attempt("b")));
        assert!(!reads(Purpose::Access));
        assert!(!reads(Purpose::Result(&RefreshToken::new(""))));
        let recounted = sealed.replacen(".1.", ".2.", 1);
        assert_eq!(ring.open(Purpose::Attempt("a"), recounted.as_bytes(), 2).unwrap_err(), OpenError::Broken);
    }

    #[test]
    fn a_text_that_its_form_rules_out_is_told_without_a_key() {
        let ring = ring(&[1]);
        let (sealed, id) = (ring.seal(Purpose::Access, &[b'x'; 20], |_| 1), ring.keys[0].id.clone());
        for shortest in 0..=20 {
            assert_eq!(ring.check_form(sealed.as_bytes(), 1, shortest), Ok(()));
        }
        let body = &sealed[id.len() + 3..];
        let mut broken =
            [sealed.clone() + "AAA", sealed.clone() + "=", sealed.replace(".1.", ".2."), format!("{id}.1.")];
        broken[1].remove(id.len() + 3);
        for text in broken.into_iter().chain([format!("{id}.1.{}", &body[..40]), format!("{id}."), format!("{id}.1")]) {
            assert_eq!(ring.check_form(text.as_bytes(), 1, 20), Err(OpenError::Broken), "{text}");
            assert_eq!(ring.open(Purpose::Access, text.as_bytes(), 1), Err(OpenError::Broken), "{text}");
        }
        for text in ["", "x", "00000000.1.", &format!("00000000.1.{body}"), &id] {
            assert_eq!(ring.check_form(text.as_bytes(), 1, 0), Err(OpenError::UnknownKey), "{text}");
        }
    }

    #[test]
    fn the_declared_number_of_parts_is_the_number_that_the_text_needs() {
        let ring = ring(&[1]);
        let parts = |len: usize| len.div_ceil(100).max(1);
        for len in 0..1200 {
            let sealed = ring.seal(Purpose::Access, &vec![b'x'; len], parts);
            let count = parts(sealed.len());
            assert_eq!(ring.parts_of(sealed.as_bytes()), Ok(count), "{len}");
            assert!(ring.open(Purpose::Access, sealed.as_bytes(), count).is_ok(), "{len}");
        }
    }

    #[test]
    fn another_spelling_of_the_number_of_parts_does_not_open() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Access, b"x", |_| 1);
        for number in ["+1", "01", "001", "", "1 ", "0", "00", "-1", "100", "\u{661}"] {
            let other = sealed.replacen(".1.", &format!(".{number}."), 1);
            assert_eq!(ring.parts_of(other.as_bytes()), Err(OpenError::Broken), "{number}");
            assert_eq!(ring.open(Purpose::Access, other.as_bytes(), 1).unwrap_err(), OpenError::Broken, "{number}");
        }
    }

    #[test]
    fn a_result_opens_only_with_the_old_refresh_token() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Result(&RefreshToken::new("old")), b"tokens", |_| 1);
        assert!(ring.open(Purpose::Result(&RefreshToken::new("old")), sealed.as_bytes(), 1).is_ok());
        assert!(ring.open(Purpose::Result(&RefreshToken::new("new")), sealed.as_bytes(), 1).is_err());
    }

    #[test]
    fn a_deposit_opens_only_with_its_secret() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Deposit(&Secret::new("one")), b"value", |_| 1);
        assert!(ring.open(Purpose::Deposit(&Secret::new("one")), sealed.as_bytes(), 1).is_ok());
        assert!(ring.open(Purpose::Deposit(&Secret::new("two")), sealed.as_bytes(), 1).is_err());
        assert!(ring.open(Purpose::Result(&RefreshToken::new("one")), sealed.as_bytes(), 1).is_err());
    }

    #[test]
    fn keyed_digests_differ_by_key_and_by_the_borders_of_their_parts() {
        let (old, new) = (ring(&[1]), ring(&[2, 1]));
        let sealed = old.seal(Purpose::Challenge, b"x", |_| 1);
        let of_old = new.mac_key_of(sealed.as_bytes()).unwrap();
        assert_eq!(of_old.digest(&[b"ab", b"c"]), old.mac_key().digest(&[b"ab", b"c"]));
        assert_ne!(of_old.digest(&[b"ab", b"c"]), new.mac_key().digest(&[b"ab", b"c"]));
        assert_ne!(of_old.digest(&[b"ab", b"c"]), of_old.digest(&[b"a", b"bc"]));
        assert_eq!(ring(&[3]).mac_key_of(sealed.as_bytes()).unwrap_err(), OpenError::UnknownKey);
    }

    /// Release notes of Envoy 1.37.3: with a wrong key one cookie in 256 was decrypted, and some of them crashed it.
    #[test]
    fn envoy_1_37_3_of_a_hundred_thousand_cookies_under_a_wrong_key_none_opens() {
        let (ours, wrong) = (ring(&[1]), ring(&[2]));
        let renamed = |sealed: &str| sealed.replacen(&wrong.keys[0].id, &ours.keys[0].id, 1);
        for n in 0..100_000_u32 {
            let sealed = wrong.seal(Purpose::Access, &n.to_be_bytes(), |_| 1);
            assert_eq!(ours.open(Purpose::Access, sealed.as_bytes(), 1).unwrap_err(), OpenError::UnknownKey);
            // Under the id of the right key it does not open either.
            assert_eq!(ours.open(Purpose::Access, renamed(&sealed).as_bytes(), 1).unwrap_err(), OpenError::Broken);
        }
    }

    #[test]
    fn no_changed_character_and_no_truncation_opens() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Refresh, b"a refresh token of some length", |_| 1).into_bytes();
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] = if bent[i] == b'A' { b'B' } else { b'A' };
            assert!(ring.open(Purpose::Refresh, &bent, 1).is_err(), "flip at {i}");
            assert!(ring.open(Purpose::Refresh, &sealed[..i], 1).is_err(), "cut at {i}");
        }
    }
}
