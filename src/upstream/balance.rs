//! An upstream: its targets, and which of them gets the next request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

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
    pub(super) tls: Arc<rustls::ClientConfig>,
}

impl Upstream {
    /// An upstream with no connections yet. `tls` checks the certificates of `https` targets; `random` is for the
    /// jitter of ejections.
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
        let group = HealthGroup::new(&settings.name, &settings.eject, settings.targets.len(), random, ejections);
        let state = |target: &Target| TargetState::new(target.clone(), group.as_ref(), broken_bodies.clone());
        let targets = settings.targets.iter().map(state).collect();
        Self { settings, targets, next: AtomicUsize::new(0), tls }
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

    /// The index of the target that gets the next request: the next in turn that is not ejected, or whose ejection is
    /// over. If all are ejected, the one whose ejection ends first.
    pub(super) fn next_index(&self, now: Instant) -> usize {
        let count = self.targets.len();
        if count == 1 {
            return 0;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..count).map(|i| turn.wrapping_add(i) % count);
        in_turn()
            .find(|&i| self.targets[i].admits(now))
            .or_else(|| in_turn().min_by_key(|&i| self.targets[i].ejected_until()))
            .unwrap_or(0)
    }

    /// The index of the next target that is not ejected; `index` itself if there is none.
    pub(super) fn another_than(&self, index: usize) -> usize {
        let count = self.targets.len();
        let others = (1..count).map(|step| (index + step) % count);
        others.into_iter().find(|&other| !self.targets[other].is_ejected()).unwrap_or(index)
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
        for target in [0, 2] {
            (0..3).for_each(|_| upstream.targets()[target].refused(now));
        }
        assert!(!turns(3, now).contains(&2), "if all are ejected the one whose ejection ends first is tried");
    }
}
