//! What the tests of this module share: upstreams and visitors that speak raw bytes.
