//! Raises the limit of open files (sockets count as files) of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files other than visitors' and upstreams' connections: logs, the store, providers, the program itself.
const OTHER_FILES: u64 = 200;

/// Raises the soft limit of open files to the hard limit: the soft limit is often 1024, and then files would run out
/// before `[limits]` takes effect. Logs a warning if the hard limit is too low for `connections`.
pub fn allow_many(connections: u32) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "cannot raise the limit of open files (RLIMIT_NOFILE); it is unchanged");
    }
    // A proxied request takes two connections: the visitor's and one to the upstream.
    let wanted = u64::from(connections) * 2 + OTHER_FILES;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
        tracing::warn!(allowed, wanted, "fewer files may be open than `limits.connections` needs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        allow_many(1);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
