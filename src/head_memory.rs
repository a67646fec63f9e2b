//! Bounds the memory that the heads of HTTP/2 requests keep: a few bytes can refer to kilobytes that were sent before.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
};

use http::Request;

/// Octets that a header counts beside its name and value, as in `SETTINGS_MAX_HEADER_LIST_SIZE` (RFC 9113 section
/// 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// Requests with a body that may arrive at once for each of those that may wait for it: most bodies arrive with their
/// request.
const EXPECTED: u32 = 4;

/// The limits of heads in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLimits {
    /// Octets of the heads of one connection (`limits.heads_per_connection`).
    pub per_connection: usize,
    /// Octets of the heads of all connections together (`limits.heads_in_total`).
    pub in_total: usize,
    /// Requests of one connection to own endpoints that wait for their body (`limits.awaited_bodies`).
    pub bodies: u32,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { per_connection: 1 << 20, in_total: 256 << 20, bodies: 8 }
    }
}

/// The heads of all connections.
#[derive(Debug)]
pub struct HeadMemory {
    limits: HeadLimits,
    octets: AtomicUsize,
}

/// The heads of one HTTP/2 connection.
#[derive(Debug)]
pub struct ConnectionHeads {
    all: Arc<HeadMemory>,
    octets: AtomicUsize,
    /// Requests whose body is awaited.
    bodies: AtomicU32,
    /// Requests that have arrived for own endpoints, whose body is not complete.
    expected: AtomicU32,
}

/// The head of one request, which counts until this is dropped.
#[derive(Debug)]
pub struct HeadGuard {
    /// `None` over HTTP/1.1, where a head takes no more memory than was sent, and a connection has one.
    counted: Option<(Arc<ConnectionHeads>, usize)>,
    /// Whether its body is counted from its arrival, because an own endpoint is going to read it.
    expects_body: bool,
}

/// A request whose body is awaited, until this is dropped.
#[derive(Debug)]
pub struct BodyGuard(Option<Arc<ConnectionHeads>>);

/// Among the extensions of an answer over HTTP/2: instead of it, the request's stream is refused.
#[derive(Clone, Copy, Debug)]
pub struct RefusedStream;

/// The heads in memory have reached a limit.
#[derive(PartialEq, Eq, Debug)]
pub struct TooManyHeads;

impl HeadMemory {
    /// No heads.
    pub fn new(limits: HeadLimits) -> Arc<Self> {
        Arc::new(Self { limits, octets: AtomicUsize::new(0) })
    }

    /// The heads of a new HTTP/2 connection.
    pub fn connection(self: &Arc<Self>) -> Arc<ConnectionHeads> {
        Arc::new(ConnectionHeads {
            all: Arc::clone(self),
            octets: AtomicUsize::new(0),
            bodies: AtomicU32::new(0),
            expected: AtomicU32::new(0),
        })
    }
}

impl ConnectionHeads {
    /// Counts the head of `request`. The only request of a connection is always admitted, so that no connection's heads
    /// can keep others from being served one request after the other.
    pub fn admit<B>(self: &Arc<Self>, request: &Request<B>) -> Result<HeadGuard, TooManyHeads> {
        let size = decoded_size(request);
        let own = self.octets.fetch_add(size, Relaxed);
        let all = self.all.octets.fetch_add(size, Relaxed);
        let guard = HeadGuard { counted: Some((Arc::clone(self), size)), expects_body: false };
        let limits = &self.all.limits;
        let is_over = own + size > limits.per_connection || all + size > limits.in_total;
        if is_over && own > 0 { Err(TooManyHeads) } else { Ok(guard) }
    }
}

impl HeadGuard {
    /// For a request that is not counted.
    pub fn uncounted() -> Self {
        Self { counted: None, expects_body: false }
    }

    /// Counts the request's body from its arrival until [`Self::forget_body`]: those of a burst that are far too many
    /// are refused before memory is taken for their requests.
    pub fn expect_body(mut self) -> Result<Self, TooManyHeads> {
        let Some((heads, _)) = &self.counted else { return Ok(self) };
        let before = heads.expected.fetch_add(1, Relaxed);
        let is_over = before >= heads.all.limits.bodies.saturating_mul(EXPECTED);
        self.expects_body = true;
        if is_over { Err(TooManyHeads) } else { Ok(self) }
    }

    /// No own endpoint is going to read the request's body, or it was read.
    pub fn forget_body(&mut self) {
        if let Some((heads, _)) = self.counted.as_ref().filter(|_| self.expects_body) {
            heads.expected.fetch_sub(1, Relaxed);
        }
        self.expects_body = false;
    }

    /// Counts that the request's body is awaited; `None` if the connection has too many such requests.
    pub fn await_body(&self) -> Option<BodyGuard> {
        let Some((heads, _)) = &self.counted else { return Some(BodyGuard(None)) };
        let waiting = heads.bodies.fetch_add(1, Relaxed);
        let guard = BodyGuard(Some(Arc::clone(heads)));
        (waiting < heads.all.limits.bodies).then_some(guard)
    }
}

impl Drop for HeadGuard {
    fn drop(&mut self) {
        self.forget_body();
        if let Some((heads, size)) = self.counted.take() {
            heads.octets.fetch_sub(size, Relaxed);
            heads.all.octets.fetch_sub(size, Relaxed);
        }
    }
}

impl Drop for BodyGuard {
    fn drop(&mut self) {
        if let Some(heads) = &self.0 {
            heads.bodies.fetch_sub(1, Relaxed);
        }
    }
}

/// Octets of the decoded head: its fields as RFC 9113 section 6.5.2 counts them, and its target.
fn decoded_size<B>(request: &Request<B>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD);
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, str::len) + uri.host().map_or(0, str::len);
    fields.sum::<usize>() + target + 4 * FIELD_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(octets: usize) -> Request<()> {
        Request::get("/").header("x", "y".repeat(octets - 33 - 1 - 128)).body(()).unwrap()
    }

    fn memory(per_connection: usize, in_total: usize) -> Arc<HeadMemory> {
        HeadMemory::new(HeadLimits { per_connection, in_total, bodies: 2 })
    }

    #[test]
    fn a_connections_heads_are_bounded_and_count_until_they_are_dropped() {
        let memory = memory(1000, 10_000);
        let (one, other) = (memory.connection(), memory.connection());
        let first = one.admit(&request(400)).unwrap();
        let second = one.admit(&request(600)).unwrap();
        assert_eq!(one.admit(&request(200)).unwrap_err(), TooManyHeads);
        assert!(other.admit(&request(200)).is_ok());
        drop(first);
        assert!(one.admit(&request(400)).is_ok());
        drop(second);
        assert_eq!((one.octets.load(Relaxed), memory.octets.load(Relaxed)), (0, 0));
    }

    #[test]
    fn all_heads_together_are_bounded_and_the_only_request_of_a_connection_is_always_admitted() {
        let memory = memory(1000, 1500);
        let (one, other, third) = (memory.connection(), memory.connection(), memory.connection());
        let _first = (one.admit(&request(500)).unwrap(), one.admit(&request(500)).unwrap());
        let _second = other.admit(&request(400)).unwrap();
        assert_eq!(other.admit(&request(200)).unwrap_err(), TooManyHeads);
        let _third = third.admit(&request(900)).unwrap();
        assert_eq!(third.admit(&request(200)).unwrap_err(), TooManyHeads);
    }

    #[test]
    fn a_head_over_the_limit_is_admitted_alone() {
        let connection = memory(1000, 1000).connection();
        assert!(connection.admit(&request(5000)).is_ok());
    }

    #[test]
    fn awaited_bodies_of_a_connection_are_bounded_and_those_of_http1_are_not_counted() {
        let connection = memory(1 << 20, 1 << 20).connection();
        let heads: Vec<_> = (0..3).map(|_| connection.admit(&request(200)).unwrap()).collect();
        let first = heads[0].await_body().unwrap();
        let _second = heads[1].await_body().unwrap();
        assert!(heads[2].await_body().is_none());
        drop(first);
        assert!(heads[2].await_body().is_some());
        assert!((0..100).all(|_| HeadGuard::uncounted().await_body().is_some()));
    }

    #[test]
    fn bodies_that_are_expected_are_bounded_until_they_are_forgotten() {
        let connection = memory(1 << 20, 1 << 20).connection();
        let arrived = || connection.admit(&request(200)).unwrap().expect_body();
        let mut all: Vec<_> = (0..8).map(|_| arrived().unwrap()).collect();
        assert!(arrived().is_err());
        assert!(all[0].await_body().is_some(), "none of them is awaited yet");
        all[1].forget_body();
        let another = arrived().unwrap();
        assert!(arrived().is_err());
        drop((all, another));
        assert_eq!(connection.expected.load(Relaxed), 0);
    }
}
