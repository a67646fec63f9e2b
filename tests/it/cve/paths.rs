//! The path that was judged and the path that was forwarded.
