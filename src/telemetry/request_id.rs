//! Request ids: unique across instances and restarts. They are no secret.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::HeaderValue;

use crate::secret::Random;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A request's id: 16 hexadecimal digits of the process, then 16 of the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as a header value.
    ///
    /// # Panics
    /// Never: hexadecimal digits are a valid header value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits are a valid header value")
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

/// Makes request ids. Clones share the same count.
#[derive(Clone, Debug)]
pub struct RequestIds {
    process: [u8; 16],
    count: Arc<AtomicU64>,
}

impl RequestIds {
    /// Makes ids with a new random prefix.
    pub fn new(random: &Random) -> Self {
        let mut process = [0; 16];
        hexadecimal(u64::from_be_bytes(random.bytes()), &mut process);
        Self { process, count: Arc::default() }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        let mut id = [0; 32];
        let (process, request) = id.split_at_mut(16);
        process.copy_from_slice(&self.process);
        hexadecimal(self.count.fetch_add(1, Relaxed), request);
        RequestId(id)
    }
}

fn hexadecimal(number: u64, out: &mut [u8]) {
    for (byte, out) in number.to_be_bytes().into_iter().zip(out.chunks_exact_mut(2)) {
        out[0] = DIGITS[usize::from(byte >> 4)];
        out[1] = DIGITS[usize::from(byte & 15)];
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
}
