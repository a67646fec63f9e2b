//! The contract on real servers, and what only shared servers can do.

mod cluster;
mod faults;
mod fleet;
mod managers;
mod real_servers;

/// The contract on one server.
mod one {
    use super::{faults::comes_back, real_servers};
    use crate::store::{Store, conformance};

    async fn store() -> Store {
        let store = real_servers::store(&real_servers::shared_url());
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
