//! An upstream: its targets, and which of them gets the next request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::seq::IndexedRandom as _;
use tokio::time::Instant;

use super::{
    connect::connect,
    health::HealthGroup,
    settings::{Settings, Target},
    target::TargetState,
};
use crate::{secret::Random, telemetry::UpstreamCounters};

/// A named group of targets that speak HTTP/1.1. Shared by all threads; each thread has its own connections to it.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    targets: Vec<Arc<TargetState>>,
    next: AtomicUsize,
    /// Chooses the targets that stand in for others.
    random: Random,
    pub(super) tls: Arc<rustls::ClientConfig>,
}

impl Upstream {
    /// An upstream with no connections yet. `tls` checks the certificates of `https` targets; `random` is for the
    /// jitter of ejections, and chooses which target stands in for another.
    pub fn new(
        settings: Settings,
        mut tls: Arc<rustls::ClientConfig>,
        random: Random,
        counters: UpstreamCounters,
    ) -> Self {
        if settings.targets.iter().any(|target| matches!(target, Target::Https { .. })) {
            // No other version is spoken to upstreams.
            Arc::make_mut(&mut tls).alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let UpstreamCounters { ejections, broken_bodies } = counters;
        let group =
            HealthGroup::new(&settings.name, &settings.eject, settings.targets.len(), random.clone(), ejections);
        let state = |target: &Target| TargetState::new(target.clone(), group.as_ref(), broken_bodies.clone());
        let targets = settings.targets.iter().map(state).collect();
        Self { settings, targets, next: AtomicUsize::new(0), random, tls }
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name by which routes and calls refer to it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Chooses which target stands in for another.
    pub fn random(&self) -> &Random {
        &self.random
    }

    /// Its targets, with their health.
    pub fn targets(&self) -> &[Arc<TargetState>] {
        &self.targets
    }

    /// Makes a connection to `target` within `connect_timeout` and closes it.
    pub async fn try_target(&self, target: &TargetState) -> io::Result<()> {
        match tokio::time::timeout(self.settings.connect_timeout, connect(target, &self.tls)).await {
            Ok(connected) => connected.map(drop),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The index of the target that gets the next request: the next in turn, or one that stands in for it while it is
    /// ejected.
    pub(super) fn next_index(&self, now: Instant) -> usize {
        let count = self.targets.len();
        if count == 1 {
            return 0;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % count;
        if self.targets[turn].admits(now) { turn } else { self.stand_in_for(&[turn]).unwrap_or(turn) }
    }

    /// The index of a target that stands in for those in `tried`: one that is not ejected, else one that is; `None` if
    /// all have been tried. It is a random one: the requests that a target cannot take are divided among all others,
    /// where the next in the list would get them all.
    pub(super) fn stand_in_for(&self, tried: &[usize]) -> Option<usize> {
        let untried = (0..self.targets.len()).filter(|index| !tried.contains(index));
        let (ejected, admitted): (Vec<_>, Vec<_>) = untried.partition(|&index| self.targets[index].is_ejected());
        let candidates = if admitted.is_empty() { ejected } else { admitted };
        candidates.choose(&mut self.random.clone()).copied()
    }

    /// The index of another target that is not ejected; `index` itself if there is none.
    pub(super) fn another_than(&self, index: usize) -> usize {
        self.stand_in_for(&[index]).filter(|&other| !self.targets[other].is_ejected()).unwrap_or(index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::{EjectionRule, testing::upstream_by};

    #[tokio::test]
    async fn targets_take_turns_and_an_ejected_one_is_left_out_until_its_trial_succeeds() {
        let targets = (1..=3).map(|port| Target::Http { host: "192.0.2.1".into(), port }).collect();
        let upstream = upstream_by(targets, EjectionRule { most: 1.0, ..EjectionRule::default() });
        let now = Instant::now();
        let turns = |count: usize, now| (0..count).map(|_| upstream.next_index(now) + 1).collect::<Vec<_>>();
        assert_eq!(turns(4, now), [1, 2, 3, 1]);
        (0..3).for_each(|_| upstream.targets()[1].refused(now));
        assert!(!turns(6, now).contains(&2));
        let over = now + Duration::from_secs(11);
        assert_eq!(turns(6, over).iter().filter(|&&turn| turn == 2).count(), 1, "one request tries it");
    }

    /// How often each of five targets gets one of 4,000 requests.
    fn shares(upstream: &Upstream, now: Instant) -> [usize; 5] {
        let mut shares = [0; 5];
        (0..4000).for_each(|_| shares[upstream.next_index(now)] += 1);
        shares
    }

    #[tokio::test]
    async fn the_shares_of_ejected_targets_are_divided_among_all_others() {
        let targets = (1..=5).map(|port| Target::Http { host: "192.0.2.1".into(), port }).collect();
        let upstream = upstream_by(targets, EjectionRule { most: 1.0, ..EjectionRule::default() });
        let now = Instant::now();
        assert_eq!(shares(&upstream, now), [800; 5]);
        for ejected in [0, 1] {
            (0..3).for_each(|_| upstream.targets()[ejected].refused(now));
        }
        let [first, second, rest @ ..] = shares(&upstream, now);
        assert_eq!((first, second), (0, 0));
        // Seven times the deviation that is to be expected.
        assert!(rest.iter().all(|share| share.abs_diff(1333) < 140), "{rest:?}");
        for ejected in [2, 3, 4] {
            (0..3).for_each(|_| upstream.targets()[ejected].refused(now));
        }
        let all = shares(&upstream, now);
        assert!(all.iter().all(|share| share.abs_diff(800) < 200), "while all are ejected each is tried: {all:?}");
    }
}
