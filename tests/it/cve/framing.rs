//! Messages that two parsers would cut differently, and what a pooled connection carries over.
