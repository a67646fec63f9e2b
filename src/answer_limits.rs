//! The limits on answers that others send: upstreams, backends, providers. Far above what real servers send; they bound
//! the memory that one answer can take.

/// Most header lines of an answer, and of its trailers.
pub(crate) const HEADERS: usize = 1024;

/// Most bytes of an answer's head, status line included, and of its trailers.
pub(crate) const HEAD_BYTES: usize = 400 << 10;
