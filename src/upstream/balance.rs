//! An upstream: its targets, and which of them gets the next request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    connect::connect,
    settings::{Settings, Target},
    target::TargetState,
};
use crate::{
    clock::{Clock, Timestamp},
    secret::Random,
};

/// A named group of targets that speak HTTP/1.1. Shared by all threads; each thread has its own connections to it.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    targets: Vec<TargetState>,
    next: AtomicUsize,
    pub(super) tls: Arc<rustls::ClientConfig>,
    /// For the jitter of ejections.
    pub(super) random: Random,
}

impl Upstream {
    /// An upstream with no connections yet. `tls` checks the certificates of `https` targets.
    pub fn new(settings: Settings, tls: Arc<rustls::ClientConfig>, random: Random) -> Self {
        let mut tls = tls;
        if settings.targets.iter().any(|target| matches!(target, Target::Https { .. })) {
            // No other version is spoken to upstreams.
            Arc::make_mut(&mut tls).alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let targets = settings.targets.iter().cloned().map(TargetState::new).collect();
        Self { settings, targets, next: AtomicUsize::new(0), tls, random }
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name by which routes and calls refer to it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its targets, with their health.
    pub fn targets(&self) -> &[TargetState] {
        &self.targets
    }

    /// Makes a connection to `target` within `connect_timeout` and closes it.
    pub async fn try_target(&self, target: &TargetState) -> io::Result<()> {
        match tokio::time::timeout(self.settings.connect_timeout, connect(target, &self.tls)).await {
            Ok(connected) => connected.map(drop),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The next target in turn that is not ejected. If all are, the one whose ejection ends first.
    pub fn pick(&self, now: Timestamp) -> &TargetState {
        &self.targets[self.pick_index(now)]
    }

    fn pick_index(&self, now: Timestamp) -> usize {
        let count = self.targets.len();
        if count == 1 {
            return 0;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..count).map(|i| turn.wrapping_add(i) % count);
        in_turn()
            .find(|&i| !self.targets[i].is_ejected(now))
            .or_else(|| in_turn().min_by_key(|&i| self.targets[i].ejected_until()))
            .unwrap_or(0)
    }

    /// The index of the target that gets the next request; the clock is read only if there is a choice.
    pub(super) fn next_index(&self, clock: &Clock) -> usize {
        if self.targets.len() == 1 { 0 } else { self.pick_index(clock.now()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::testing::upstream_of;

    #[tokio::test]
    async fn targets_take_turns_and_an_ejected_one_is_left_out() {
        let targets = (1..=3).map(|port| Target::Http { host: "192.0.2.1".into(), port }).collect();
        let upstream = upstream_of(targets);
        let now = Timestamp::from_secs(1_000_000);
        let turns = |count: usize, now| (0..count).map(|_| upstream.pick(now).base_url()).collect::<Vec<_>>();
        let (one, two, three) = ("http://192.0.2.1:1", "http://192.0.2.1:2", "http://192.0.2.1:3");
        assert_eq!(turns(4, now), [one, two, three, one]);
        for _ in 0..3 {
            upstream.targets()[1].failed(now, &upstream.random);
        }
        assert!(!turns(6, now).contains(&two));
        assert!(turns(3, now.plus(Duration::from_secs(10))).contains(&two));
        let later = now.plus(Duration::from_secs(1));
        for target in [0, 2] {
            for _ in 0..3 {
                upstream.targets()[target].failed(later, &upstream.random);
            }
        }
        assert_eq!(turns(2, later), [two, two], "if all are ejected the first ejected one is tried");
    }
}
