//! The conformance suite on real servers, and tests of failures and several instances.

mod cluster;
mod faults;
mod fleet;
mod managers;
mod real_servers;
mod versions;

/// The conformance suite on one server.
mod one {
    use super::{faults::wait_until_reachable, real_servers};
    use crate::store::{Store, conformance};

    async fn store() -> Store {
        let store = real_servers::store(&real_servers::shared_url());
        wait_until_reachable(&store).await;
        store
    }

    async fn one() -> Option<(Store, ())> {
        Some((store().await, ()))
    }

    async fn two() -> Option<(Store, Store, ())> {
        Some((store().await, store().await, ()))
    }

    async fn two_in_server_time() -> Option<(Store, Store, ())> {
        let url = real_servers::shared_url();
        let stores = conformance::skewed::clocks().map(|clock| real_servers::store_in_server_time(&url, clock));
        for store in &stores {
            wait_until_reachable(store).await;
        }
        let [one, other] = stores;
        Some((one, other, ()))
    }

    conformance::conformance!(one);
    conformance::shared!(two);
    conformance::clocks_apart!(two_in_server_time);
}
