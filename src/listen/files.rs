//! How many files, sockets among them, the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside connections: logs, the store, providers, the binary's own.
const OTHERS: u64 = 200;

/// Takes as many files as the system lets this process have: what it is started with is often 1024, for programs of another
/// age, and a lack of files would end what `[limits]` is to end. Says so where that does not go round for `connections`.
pub fn allow_many(connections: u32) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // A proxied request has a connection of the visitor and one to the upstream.
    let wanted = u64::from(connections) * 2 + OTHERS;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
        tracing::warn!(allowed, wanted, "fewer files may be open than `limits.connections` needs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_allows_is_taken() {
        allow_many(1);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
