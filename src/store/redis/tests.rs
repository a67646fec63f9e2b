//! The contract on real servers, and what only shared servers can do.

use super::testing;

mod cluster;
mod faults;
mod fleet;

/// The contract on one server.
mod one {
    use super::{faults::comes_back, testing};
    use crate::store::{Store, conformance};

    async fn store() -> Store {
        let store = testing::store(&testing::shared_url());
        comes_back(&store).await;
        store
    }

    async fn one() -> Option<(Store, ())> {
        Some((store().await, ()))
    }

    async fn two() -> Option<(Store, Store, ())> {
        Some((store().await, store().await, ()))
    }

    conformance::conformance!(one);
    conformance::shared!(two);
}
