//! Whether a target is ejected: decided by its failures in a window of time, for each instance separately.

mod window;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use self::window::{Counts, Window};
use crate::{backoff::jittered, secret::Random};

/// A row of failures that a target which answers most of its requests does not have: of those that answer half of them
/// less than one in a million requests begins one.
const LONG_ROW: u64 = 20;

/// `[upstreams.NAME.eject]`: when a target gets no requests for a while.
#[derive(Clone, PartialEq, Debug)]
pub struct EjectionRule {
    /// Failures within the window that eject a target; at least 1.
    pub failures: u32,
    /// The part of the target's requests within the window that these failures have to be; from 0 to 1.
    pub share: f64,
    /// The time in which failures are counted.
    pub window: Duration,
    /// How long a target stays ejected; shortened by up to a quarter at random, so that the instances of a fleet do not
    /// try it again at the same moment.
    pub duration: Duration,
    /// The part of the upstream's targets that may be ejected at a time; from 0 to 1. Rounded down to whole targets.
    pub most: f64,
    /// Statuses of answers that count as failures.
    pub statuses: Vec<StatusCode>,
}

impl Default for EjectionRule {
    fn default() -> Self {
        Self {
            failures: 3,
            share: 0.5,
            window: Duration::from_secs(10),
            duration: Duration::from_secs(10),
            most: 0.5,
            statuses: Vec::new(),
        }
    }
}

impl EjectionRule {
    /// How many of `targets` may be ejected at a time; none if there is only one.
    fn most_of(&self, targets: usize) -> usize {
        if targets < 2 {
            return 0;
        }
        // The small addend: 0.29 · 100 is a little less than 29 as a product of floating-point numbers.
        #[expect(clippy::cast_precision_loss, reason = "an upstream has fewer than 2^52 targets")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `targets`")]
        let most = (self.most * targets as f64 + 1e-9) as usize;
        most.min(targets)
    }

    /// Whether a target with these counts is to be ejected. Failures in a row are enough even if many requests before
    /// them succeeded, because the target has just broken. If others failed before them in the same window, some of its
    /// requests fail all the time, and it takes a row of [`LONG_ROW`].
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    fn is_met(&self, counts: Counts, row: u32) -> bool {
        counts.failures >= u64::from(self.failures)
            && (counts.failures as f64 >= self.share * counts.requests as f64
                || u64::from(row) >= counts.failures.min(LONG_ROW))
    }
}

/// What the targets of one upstream have in common.
#[derive(Debug)]
pub(super) struct HealthGroup {
    upstream: String,
    rule: EjectionRule,
    /// Targets that may be ejected at a time.
    most: usize,
    /// Targets that are ejected now.
    ejected: AtomicUsize,
    /// Until when, in milliseconds, a target that loses requests wants to be ejected in the place of one that refuses
    /// connections. The latter costs no visitor an answer: another target gets the request.
    place_wanted_until: AtomicU64,
    origin: Instant,
    /// For the jitter of ejections.
    random: Random,
    /// Ejections since the process started, for `/metrics`.
    count: Counter,
}

impl HealthGroup {
    /// `None` if none of `targets` may ever be ejected; then nothing is counted.
    pub(super) fn new(
        upstream: &str,
        rule: &EjectionRule,
        targets: usize,
        random: Random,
        count: Counter,
    ) -> Option<Arc<Self>> {
        let most = rule.most_of(targets);
        (most > 0).then(|| {
            let (upstream, rule) = (upstream.to_owned(), rule.clone());
            Arc::new(Self {
                upstream,
                rule,
                most,
                ejected: AtomicUsize::new(0),
                place_wanted_until: AtomicU64::new(0),
                origin: Instant::now(),
                random,
                count,
            })
        })
    }

    /// Milliseconds since the upstream was made, from 1.
    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Whether a target that loses requests wants the place of one that refuses connections.
    fn is_place_wanted(&self, millis: u64) -> bool {
        millis < self.place_wanted_until.load(Ordering::Relaxed)
    }

    /// Wants a place until the failures that are counted now are older than the window.
    fn want_place(&self, millis: u64) {
        let window = u64::try_from(self.rule.window.as_millis()).unwrap_or(u64::MAX);
        self.place_wanted_until.store(millis.saturating_add(window), Ordering::Relaxed);
    }

    /// When an ejection that begins at `millis` ends.
    fn end(&self, millis: u64) -> u64 {
        let span = jittered(self.rule.duration, &self.random).as_millis();
        millis.saturating_add(u64::try_from(span).unwrap_or(u64::MAX)).max(millis + 1)
    }
}

/// How a request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// The target accepted no connection.
    Unsent,
    /// It got the request, and gave no answer or none that can be used.
    Lost,
}

/// Whether a target may get a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It is not ejected.
    Yes,
    /// Its ejection is over, and the caller is the one request that tries it.
    Trial,
    /// It is ejected.
    No,
}

/// The failures of one target, and its ejection. All of it is atomic: requests read it without a lock.
#[derive(Debug)]
pub(super) struct Health {
    group: Arc<HealthGroup>,
    /// The target's address, for the log.
    target: String,
    window: Window,
    /// Failures since the last success.
    row: AtomicU32,
    /// Whether the latest failure that decided about its ejection was [`Failure::Unsent`].
    refuses: AtomicBool,
    /// When the ejection ends, in milliseconds of [`HealthGroup::millis`]; 0 while the target is not ejected. When that
    /// time has passed the target stays ejected until one request has succeeded.
    ejected_until: AtomicU64,
    /// When the target was last ejected or admitted. The outcome of a request that was sent before says nothing about
    /// the time after it.
    changed: AtomicU64,
}

impl Health {
    pub(super) fn new(group: Arc<HealthGroup>, target: String) -> Self {
        let window = Window::new(group.rule.window);
        Self {
            group,
            target,
            window,
            row: AtomicU32::new(0),
            refuses: AtomicBool::new(false),
            ejected_until: AtomicU64::new(0),
            changed: AtomicU64::new(0),
        }
    }

    /// Whether answers with this status count as failures.
    pub(super) fn is_failure(&self, status: StatusCode) -> bool {
        self.group.rule.statuses.contains(&status)
    }

    /// Whether the target may get a request. [`Admission::Trial`] is given to one caller; for the others the ejection
    /// lasts once more as long, unless that request succeeds.
    pub(super) fn admit(&self, now: Instant) -> Admission {
        let until = self.ejected_until.load(Ordering::Relaxed);
        if until == 0 {
            return Admission::Yes;
        }
        let now = self.group.millis(now);
        if self.refuses.load(Ordering::Relaxed) && self.group.is_place_wanted(now) {
            self.admit_again(now);
            return Admission::Yes;
        }
        if now < until {
            return Admission::No;
        }
        let again = self.group.end(now);
        match self.ejected_until.compare_exchange(until, again, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Admission::Trial,
            Err(_) => Admission::No,
        }
    }

    /// Whether the target is ejected, or its trial has not ended.
    pub(super) fn is_ejected(&self) -> bool {
        self.ejected_until.load(Ordering::Relaxed) != 0
    }

    /// Records that a request that was sent at `sent` was answered completely. Ends an ejection.
    pub(super) fn succeeded(&self, sent: Instant, now: Instant) {
        if self.is_outdated(sent) {
            return;
        }
        let now = self.group.millis(now);
        self.window.add(now, false);
        // Read first: a store for every request would move the cache line between all cores.
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
        }
        if self.is_ejected() {
            self.admit_again(now);
        }
    }

    fn admit_again(&self, now: u64) {
        if self.ejected_until.swap(0, Ordering::Relaxed) != 0 {
            self.changed.store(now, Ordering::Relaxed);
            self.group.ejected.fetch_sub(1, Ordering::Relaxed);
            tracing::info!(upstream = self.group.upstream, target = self.target, "a target gets requests again");
        }
    }

    /// Records that a request that was sent at `sent` failed, and ejects the target if its failures meet the rule.
    pub(super) fn failed(&self, failure: Failure, sent: Instant, now: Instant) {
        if self.is_outdated(sent) {
            return;
        }
        let now = self.group.millis(now);
        self.window.add(now, true);
        let before = self.row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |row| Some(row.saturating_add(1)));
        let row = before.unwrap_or(0).saturating_add(1);
        if self.is_ejected() {
            self.refuses.store(failure == Failure::Unsent, Ordering::Relaxed);
            // 0 is left alone: another request has just ended the ejection.
            let end = self.group.end(now);
            let later = |until| (until != 0).then_some(end.max(until));
            let _ = self.ejected_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
            return;
        }
        let counts = self.window.counts(now);
        if self.group.rule.is_met(counts, row) {
            self.eject(failure, now, counts);
        }
    }

    fn eject(&self, failure: Failure, now: u64, counts: Counts) {
        let group = &self.group;
        if failure == Failure::Unsent && group.is_place_wanted(now) {
            return;
        }
        let one_more = |ejected| (ejected < group.most).then_some(ejected + 1);
        if group.ejected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            if failure == Failure::Lost {
                group.want_place(now);
            }
            return;
        }
        group.place_wanted_until.store(0, Ordering::Relaxed);
        self.refuses.store(failure == Failure::Unsent, Ordering::Relaxed);
        let end = group.end(now);
        if self.ejected_until.compare_exchange(0, end, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Another request has ejected it at the same moment.
            group.ejected.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.changed.store(now, Ordering::Relaxed);
        group.count.inc();
        let Counts { requests, failures } = counts;
        let seconds = Duration::from_millis(end - now).as_secs_f32();
        tracing::warn!(
            upstream = group.upstream,
            target = self.target,
            failures,
            requests,
            seconds,
            "a target fails and gets no requests for a while (`eject`): see whether it runs"
        );
    }

    fn is_outdated(&self, sent: Instant) -> bool {
        let changed = self.changed.load(Ordering::Relaxed);
        changed != 0 && self.group.millis(sent) < changed
    }
}

#[cfg(test)]
mod tests;
