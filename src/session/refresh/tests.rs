//! Holds, outages and the brake at two instances that share a store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};

use super::{
    brake::Refusal,
    gate::{Admission, Asker},
    hold::CallFailure,
    outage::{Event, Verdict},
    watch::{Authorities, AuthorityWatch, WatchDeps},
};
use crate::{
    clock::{Clock, Timestamp},
    secret::Random,
    store::{Digest, MemoryStore, Note, Notes, Replaced, Store, StoreError},
    telemetry::Metrics,
};

const NO_PATIENCE: Duration = Duration::ZERO;
const PATIENCE: Duration = Duration::from_secs(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

struct Instances {
    store: Store,
    clock: Clock,
}

impl Instances {
    fn new() -> Self {
        Self { store: MemoryStore::shared(), clock: Clock::movable() }
    }

    fn instance(&self) -> Arc<AuthorityWatch> {
        let deps = WatchDeps {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: Random::repeated(255),
            metrics: Arc::new(Metrics::new()),
            background: tokio::runtime::Handle::current(),
        };
        Arc::new(AuthorityWatch::new("the backend", deps))
    }
}

fn asker(number: u8) -> Asker {
    Asker { rt: Digest([number; 32]), session: number.into(), person: number.into() }
}

async fn may_ask(watch: &AuthorityWatch, number: u8) -> bool {
    matches!(watch.admit(asker(number), NO_PATIENCE).await, Admission::MayAsk(_))
}

/// Asks, and fails.
async fn fails(watch: &AuthorityWatch, number: u8, failure: CallFailure) -> Duration {
    let Admission::MayAsk(hold) = watch.admit(asker(number), NO_PATIENCE).await else { panic!("{number} may not ask") };
    rounded(watch.failed(asker(number).rt, asker(number).person, hold, failure).await.until.since(watch.now()))
}

/// Whole seconds: the clock goes on while a test runs.
fn rounded(wait: Duration) -> Duration {
    secs(wait.as_millis().div_ceil(1000).try_into().unwrap())
}

async fn held(watch: &AuthorityWatch, number: u8, patience: Duration) -> Option<Duration> {
    match watch.admit(asker(number), patience).await {
        Admission::Held(wait) => Some(rounded(wait)),
        Admission::MayAsk(_) => None,
    }
}

#[tokio::test]
async fn a_failure_holds_its_own_session_at_every_instance_and_no_other() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    for expected in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(fails(&one, 1, CallFailure::BadAnswer).await, secs(expected));
        for watch in [&one, &other] {
            assert_eq!(held(watch, 1, NO_PATIENCE).await, Some(secs(expected)));
            assert!(may_ask(watch, 2).await);
        }
        // No success of another session shortens the hold.
        other.succeeded(asker(2).rt, None).await;
        fleet.clock.advance(secs(expected) / 2);
        assert!(!may_ask(&one, 1).await && !may_ask(&other, 1).await);
        fleet.clock.advance(secs(expected) / 2);
    }
    let Admission::MayAsk(hold) = other.admit(asker(1), NO_PATIENCE).await else { panic!("the hold is over") };
    other.succeeded(asker(1).rt, hold).await;
    // The first failure after its own success is the first in a row.
    fleet.clock.advance(secs(1));
    assert_eq!(fails(&one, 1, CallFailure::Unanswered).await, secs(1));
}

#[tokio::test]
async fn a_429_holds_its_session_for_its_retry_after_and_a_hundred_of_them_are_no_outage() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    for number in 0..100 {
        let wait = fails(&one, number, CallFailure::TooMany(Some(secs(17)))).await;
        assert_eq!(wait, secs(17));
        assert_eq!(held(&other, number, PATIENCE).await, Some(secs(17)));
    }
    assert!(may_ask(&one, 200).await && may_ask(&other, 201).await);
}

#[tokio::test]
async fn failures_of_three_people_at_two_instances_are_an_outage_of_the_fleet_and_the_first_success_ends_it() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    fails(&one, 1, CallFailure::BadAnswer).await;
    fails(&other, 2, CallFailure::BadAnswer).await;
    assert!(may_ask(&one, 9).await && may_ask(&other, 9).await, "two people");
    fails(&one, 3, CallFailure::Unanswered).await;
    fleet.clock.advance(Duration::from_millis(200));
    assert!(!may_ask(&one, 4).await && !may_ask(&other, 5).await);
    fleet.clock.advance(Duration::from_millis(800));
    assert!(may_ask(&other, 5).await, "the probe");
    fleet.clock.advance(Duration::from_millis(200));
    assert!(!may_ask(&one, 4).await, "one probe a second for the fleet");
    other.failed(asker(5).rt, 5, None, CallFailure::BadAnswer).await;
    fleet.clock.advance(Duration::from_millis(800));
    assert!(may_ask(&one, 4).await, "another session");

    let waiting: Vec<_> = [(&one, 6), (&other, 7), (&other, 1)]
        .into_iter()
        .map(|(watch, number)| {
            let watch = watch.clone();
            tokio::spawn(async move { matches!(watch.admit(asker(number), PATIENCE).await, Admission::MayAsk(None)) })
        })
        .collect();
    tokio::task::yield_now().await;
    one.succeeded(asker(4).rt, None).await;
    for admitted in waiting {
        assert!(admitted.await.unwrap(), "released to ask, without a hold");
    }
    fleet.clock.advance(Duration::from_millis(200));
    assert!(may_ask(&one, 2).await && may_ask(&other, 3).await && may_ask(&other, 5).await);
}

#[tokio::test]
async fn a_hold_from_before_an_outage_and_a_429_outlast_it() {
    let fleet = Instances::new();
    let one = fleet.instance();
    for wait in [1, 2, 4, 8] {
        assert_eq!(fails(&one, 1, CallFailure::BadAnswer).await, secs(wait));
        fleet.clock.advance(secs(wait));
    }
    assert_eq!(fails(&one, 1, CallFailure::BadAnswer).await, secs(16));
    fleet.clock.advance(secs(6));
    for number in 2..=4 {
        fails(&one, number, CallFailure::BadAnswer).await;
    }
    fleet.clock.advance(secs(1));
    fails(&one, 5, CallFailure::TooMany(Some(secs(30)))).await;
    fleet.clock.advance(secs(1));
    assert!(may_ask(&one, 6).await);
    one.succeeded(asker(6).rt, None).await;
    assert!(may_ask(&one, 2).await);
    assert!(!may_ask(&one, 1).await && !may_ask(&one, 5).await);
}

#[tokio::test]
async fn three_connections_in_a_row_that_fail_are_an_outage_and_until_then_the_next_is_tried_at_once() {
    let fleet = Instances::new();
    let one = fleet.instance();
    assert_eq!(fails(&one, 1, CallFailure::Unsent).await, Duration::ZERO);
    assert_eq!(fails(&one, 1, CallFailure::Unsent).await, Duration::ZERO);
    assert!(may_ask(&one, 2).await);
    fails(&one, 1, CallFailure::Unsent).await;
    assert!(!may_ask(&one, 2).await);
    fleet.clock.advance(secs(1));
    assert!(may_ask(&one, 2).await);
}

#[tokio::test]
async fn the_brake_counts_the_refusals_of_all_instances_and_holds_at_all_of_them() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    let mut ended = 0;
    for number in 0..40 {
        let watch = if number % 2 == 0 { &one } else { &other };
        let verdict = watch.record(Event::Refused(number)).await;
        ended += usize::from(verdict == Verdict::Refusal(Refusal::EndsSession));
    }
    assert_eq!(ended, 19);
    fleet.clock.advance(Duration::from_millis(200));
    assert!(!may_ask(&one, 100).await && !may_ask(&other, 101).await, "asked as in an outage");
    fleet.clock.advance(secs(1));
    assert!(may_ask(&one, 100).await);
    one.succeeded(asker(100).rt, None).await;
    fleet.clock.advance(Duration::from_millis(200));
    assert!(may_ask(&other, 101).await);
}

#[tokio::test]
async fn successes_of_one_instance_weigh_against_the_failures_of_another() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    for number in 100..110 {
        one.succeeded(asker(number).rt, None).await;
    }
    // An event takes the collected successes along.
    one.record(Event::SessionHeld { until: Timestamp::default() }).await;
    for number in 1..=9 {
        fails(&other, number, CallFailure::BadAnswer).await;
    }
    assert!(may_ask(&other, 50).await);
}

#[tokio::test]
async fn hundreds_of_events_at_once_are_each_counted_and_answered() {
    let fleet = Instances::new();
    let (one, other) = (fleet.instance(), fleet.instance());
    let refusals = (0..400).map(|number| {
        let watch = if number % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { watch.record(Event::Refused(number)).await })
    });
    let verdicts = futures_util::future::join_all(refusals).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let count = |refusal| verdicts.iter().filter(|verdict| **verdict == Verdict::Refusal(refusal)).count();
    assert_eq!((count(Refusal::EndsSession), count(Refusal::EngagesBrake)), (19, 1));
    assert_eq!(count(Refusal::BrakeEngaged), 380);
}

/// Notes of a store that is away.
struct NoNotes;

impl Notes for NoNotes {
    fn read(&self, _key: Digest, _now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>> {
        ready(Err(StoreError::Unavailable("away".to_owned()))).boxed()
    }

    fn replace(
        &self,
        _key: Digest,
        _before: Bytes,
        _after: Bytes,
        _keep: Duration,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        ready(Err(StoreError::Unavailable("away".to_owned()))).boxed()
    }
}

#[tokio::test]
async fn while_the_store_is_away_each_instance_goes_by_what_it_knows_itself() {
    let mut fleet = Instances::new();
    fleet.store.notes = Arc::new(NoNotes);
    let (one, other) = (fleet.instance(), fleet.instance());
    assert_eq!(fails(&one, 1, CallFailure::BadAnswer).await, secs(1));
    assert!(!may_ask(&one, 1).await && may_ask(&other, 1).await);
    fails(&one, 2, CallFailure::BadAnswer).await;
    fails(&one, 3, CallFailure::BadAnswer).await;
    assert!(!may_ask(&one, 4).await && may_ask(&other, 4).await);
    fleet.clock.advance(secs(1));
    assert!(may_ask(&one, 4).await);
    one.succeeded(asker(4).rt, None).await;
    assert!(may_ask(&one, 2).await);
}

/// Watches of one process, whose gauges they share.
struct Process {
    fleet: Instances,
    metrics: Arc<Metrics>,
}

impl Process {
    fn new() -> Self {
        Self { fleet: Instances::new(), metrics: Arc::new(Metrics::new()) }
    }

    fn deps(&self) -> WatchDeps {
        WatchDeps {
            store: self.fleet.store.clone(),
            clock: self.fleet.clock.clone(),
            random: Random::system(),
            metrics: self.metrics.clone(),
            background: tokio::runtime::Handle::current(),
        }
    }
}

#[tokio::test]
async fn the_gauge_of_the_brake_falls_with_a_success_and_with_a_reload() {
    let process = Process::new();
    let metrics = &process.metrics;
    let engaged = || async {
        let watch = Arc::new(AuthorityWatch::new("the backend", process.deps()));
        for number in 0..20 {
            watch.record(Event::Refused(number)).await;
        }
        watch
    };
    let watch = engaged().await;
    assert_eq!(metrics.brake.get(), 1);
    watch.succeeded(asker(1).rt, None).await;
    assert_eq!(metrics.brake.get(), 0);
    process.fleet.clock.advance(secs(120));
    let watch = engaged().await;
    assert_eq!(metrics.brake.get(), 1);
    drop(watch);
    assert_eq!(metrics.brake.get(), 0);
}

#[tokio::test]
async fn the_gauge_of_an_authority_that_is_down_falls_with_a_success_and_with_a_reload() {
    let process = Process::new();
    let (down, other) = (process.metrics.authority_down("the backend"), process.metrics.authority_down("demo"));
    let watch = || Arc::new(AuthorityWatch::new("the backend", process.deps()));
    let before = watch();
    for _ in 0..3 {
        assert_eq!(down.get(), 0);
        before.record(Event::Unsent).await;
    }
    assert_eq!((down.get(), other.get()), (1, 0));
    let after = watch();
    drop(before);
    after.look().await;
    assert_eq!(down.get(), 1, "the watch after a reload has read the note");
    after.succeeded(asker(1).rt, None).await;
    assert_eq!(down.get(), 0);
}

#[tokio::test]
async fn an_instance_without_refreshes_learns_that_another_instances_refresh_has_succeeded() {
    let process = Process::new();
    let authorities = Authorities::new(process.deps());
    let other = process.fleet.instance();
    let own = authorities.named("the backend");
    for _ in 0..3 {
        own.record(Event::Unsent).await;
    }
    assert_eq!(authorities.are_down(), [("the backend".to_owned(), true)].into());
    other.look().await;
    other.succeeded(asker(1).rt, None).await;
    process.fleet.clock.advance(secs(1));
    while authorities.are_down()["the backend"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(process.metrics.authority_down("the backend").get(), 0);
}
