//! What HTTP/1.1 must refuse and what it must take, as raw bytes; other servers get the same bytes for comparison.
