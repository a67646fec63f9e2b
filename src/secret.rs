//! Secrets, which are printed as `***`, compared in constant time and wiped when dropped; and the source of randomness.

use std::{convert::Infallible, fmt, sync::Arc};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rand::TryRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret text. It has no `Display`, its `Debug` is `***`, and the time of `==` depends only on the lengths.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Makes `text` a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the place that must send or hash it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Compares two byte strings. The time depends only on their lengths.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

macro_rules! token {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Secret);

        impl $name {
            /// The token with this text.
            pub fn new(text: impl Into<String>) -> Self {
                Self(Secret::new(text))
            }

            /// The token's text, for the place that must send, seal or hash it.
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    )*};
}

token! {
    /// An OAuth 2.0 access token (RFC 6749 section 1.4).
    AccessToken;
    /// An OAuth 2.0 refresh token (RFC 6749 section 1.5).
    RefreshToken;
    /// An OpenID Connect ID token (OpenID Connect Core section 2).
    IdToken;
}

/// A source of randomness, which is passed as an argument. It also implements `rand`'s generator, for random values
/// that are not secret, such as the jitter of [`crate::backoff`].
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System(Arc<SystemRandom>),
    /// Every byte is this one.
    #[cfg(test)]
    Repeated(u8),
}

impl Random {
    /// The operating system's random source.
    pub fn system() -> Self {
        Self(Source::System(Arc::new(SystemRandom::new())))
    }

    /// A source whose every byte is `byte`: 0 makes each choice the lowest, 255 the highest.
    #[cfg(test)]
    pub(crate) fn repeated(byte: u8) -> Self {
        Self(Source::Repeated(byte))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// If the operating system's random source fails: no safe fallback exists.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System(system) => system.fill(bytes).expect("the operating system's random source works"),
            #[cfg(test)]
            Source::Repeated(byte) => bytes.fill(*byte),
        }
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// `N` random bytes in base64url without padding (RFC 4648 section 5).
    pub fn token<const N: usize>(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(self.bytes::<N>())
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_printed_as_stars_and_compared_by_its_text() {
        let secret = Secret::new("hunter2");
        let token = AccessToken::new("hunter2");
        assert_eq!(format!("{secret:?} {token:?}"), "*** AccessToken(***)");
        assert_eq!(secret, Secret::new("hunter2"));
        assert_ne!(secret, Secret::new("hunter3"));
    }
}
