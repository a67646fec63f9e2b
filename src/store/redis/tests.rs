//! The contract on real servers, and what only shared servers can do.

use super::testing;

mod cluster;
mod faults;
mod fleet;

/// The contract on one server.
mod one {
    use super::testing::{shared_url, store};
    use crate::store::{Store, conformance};

    async fn one() -> Option<(Store, ())> {
        Some((store(&shared_url()), ()))
    }

    async fn two() -> Option<(Store, Store, ())> {
        Some((store(&shared_url()), store(&shared_url()), ()))
    }

    conformance::conformance!(one);
    conformance::shared!(two);
}
