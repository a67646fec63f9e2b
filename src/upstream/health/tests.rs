//! When targets are ejected and admitted again. No test waits: each passes the moments.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The targets of an upstream with this rule, and the moment it was made.
fn targets(count: usize, rule: &EjectionRule) -> (Vec<Health>, Instant, Counter) {
    let counter = Counter::default();
    let group = HealthGroup::new("app", rule, count, Random::repeated(255), counter.clone()).unwrap();
    let origin = group.origin;
    let health = |n| Health::new(Arc::clone(&group), format!("http://10.0.0.{n}"));
    ((0..count).map(health).collect(), origin, counter)
}

fn succeed(target: &Health, times: usize, at: Instant) {
    (0..times).for_each(|_| target.succeeded(at, at));
}

fn fail(target: &Health, times: usize, at: Instant) {
    (0..times).for_each(|_| target.failed(Failure::Lost, at, at));
}

#[test]
fn failures_that_are_half_of_the_requests_eject() {
    let (all, start, counter) = targets(2, &EjectionRule::default());
    // One of six fails before the others, so the failures are not one row.
    fail(&all[0], 1, start);
    succeed(&all[0], 3, start);
    fail(&all[0], 1, start);
    assert!(!all[0].is_ejected(), "two failures");
    fail(&all[0], 1, start);
    assert!(all[0].is_ejected(), "three of six");
    assert_eq!(counter.get(), 1);
}

#[test]
fn failures_that_are_less_than_the_share_do_not_eject_however_many() {
    let (all, start, counter) = targets(2, &EjectionRule::default());
    fail(&all[0], 1, start);
    for _ in 0..100 {
        succeed(&all[0], 5, start);
        fail(&all[0], 3, start);
    }
    assert!(!all[0].is_ejected(), "301 of 801");
    assert_eq!(counter.get(), 0);
}

#[test]
fn failures_in_a_row_eject_a_target_that_answered_all_requests_before() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    succeed(&all[0], 10_000, start);
    fail(&all[0], 2, start);
    assert!(!all[0].is_ejected());
    fail(&all[0], 1, start);
    assert!(all[0].is_ejected());
}

#[test]
fn a_target_that_fails_now_and_then_is_ejected_by_twenty_failures_in_a_row() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    succeed(&all[0], 5_000, start);
    fail(&all[0], 1, start);
    succeed(&all[0], 5_000, start);
    fail(&all[0], 19, start);
    assert!(!all[0].is_ejected());
    fail(&all[0], 1, start);
    assert!(all[0].is_ejected());
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    fail(&all[0], 2, start);
    fail(&all[0], 1, start + 10 * SECOND + SECOND / 2);
    assert!(!all[0].is_ejected());
}

#[test]
fn an_ejected_target_is_tried_by_one_request_and_admitted_when_it_succeeds() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    assert_eq!(all[0].admit(start), Admission::Yes);
    fail(&all[0], 3, start);
    assert_eq!(all[0].admit(start + 9 * SECOND), Admission::No);
    let over = start + 10 * SECOND;
    assert_eq!(all[0].admit(over), Admission::Trial);
    assert_eq!(all[0].admit(over), Admission::No, "another request at the same moment");
    all[0].failed(Failure::Lost, over, over + SECOND);
    assert_eq!(all[0].admit(over + 10 * SECOND), Admission::No, "it failed a second after it was tried");
    let later = over + 11 * SECOND;
    assert_eq!(all[0].admit(later), Admission::Trial);
    all[0].succeeded(later, later);
    assert!(!all[0].is_ejected());
    assert_eq!(all[0].admit(later), Admission::Yes);
}

#[test]
fn the_outcome_of_a_request_sent_before_the_ejection_changes_nothing() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    let ejected = start + 2 * SECOND;
    fail(&all[0], 3, ejected);
    all[0].succeeded(start, ejected + SECOND);
    assert!(all[0].is_ejected());
    let tried = ejected + 10 * SECOND;
    assert_eq!(all[0].admit(tried), Admission::Trial);
    all[0].succeeded(tried, tried);
    for _ in 0..3 {
        all[0].failed(Failure::Lost, start + SECOND, tried + SECOND);
    }
    assert!(!all[0].is_ejected(), "those three had been sent before");
}

#[test]
fn at_most_the_given_part_of_the_targets_is_ejected_at_a_time() {
    let rule = |most| EjectionRule { most, ..EjectionRule::default() };
    for (count, most, expected) in
        [(2, 0.5, 1), (3, 0.5, 1), (4, 0.5, 2), (5, 0.5, 2), (3, 1.0, 3), (4, 0.75, 3), (100, 0.29, 29)]
    {
        let (all, start, _) = targets(count, &rule(most));
        for target in &all {
            fail(target, 5, start);
        }
        assert_eq!(all.iter().filter(|target| target.is_ejected()).count(), expected, "{count} targets, {most}");
    }
    for (count, most) in [(1, 1.0), (1, 0.5), (3, 0.3), (9, 0.0)] {
        assert!(HealthGroup::new("app", &rule(most), count, Random::repeated(0), Counter::default()).is_none());
    }
}

#[test]
fn a_target_that_loses_requests_is_ejected_in_the_place_of_one_that_refuses_connections() {
    let (all, start, _) = targets(3, &EjectionRule::default());
    let refuse = |times, at| (0..times).for_each(|_| all[0].failed(Failure::Unsent, at, at));
    refuse(3, start);
    fail(&all[1], 2, start);
    assert_eq!(all[0].admit(start), Admission::No);
    fail(&all[1], 1, start);
    assert!(all[0].is_ejected() && !all[1].is_ejected(), "one of three at a time");
    assert_eq!(all[0].admit(start), Admission::Yes, "it makes place");
    refuse(9, start);
    assert!(!all[0].is_ejected(), "the place is kept");
    fail(&all[1], 1, start);
    assert!(all[1].is_ejected());
    refuse(1, start);
    fail(&all[2], 9, start);
    assert!(!all[0].is_ejected() && !all[2].is_ejected());
    assert_eq!(all[1].admit(start), Admission::No, "it loses requests too");
}

#[test]
fn a_place_that_is_wanted_is_kept_for_one_window() {
    let (all, start, _) = targets(3, &EjectionRule::default());
    let refuse = |times, at| (0..times).for_each(|_| all[0].failed(Failure::Unsent, at, at));
    refuse(3, start);
    fail(&all[1], 3, start);
    assert_eq!(all[0].admit(start + 9 * SECOND), Admission::Yes);
    refuse(3, start + 9 * SECOND);
    assert!(!all[0].is_ejected());
    refuse(1, start + 10 * SECOND);
    assert!(all[0].is_ejected());
}

#[test]
fn when_an_ejection_ends_another_target_may_be_ejected() {
    let (all, start, _) = targets(2, &EjectionRule::default());
    fail(&all[0], 3, start);
    fail(&all[1], 3, start);
    assert!(all[0].is_ejected() && !all[1].is_ejected());
    let over = start + 10 * SECOND;
    assert_eq!(all[0].admit(over), Admission::Trial);
    all[0].succeeded(over, over);
    fail(&all[1], 3, over);
    assert!(!all[0].is_ejected() && all[1].is_ejected());
}

#[test]
fn the_rules_numbers_are_obeyed() {
    let rule = EjectionRule {
        failures: 5,
        share: 0.9,
        window: 2 * SECOND,
        duration: 4 * SECOND,
        statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
        ..EjectionRule::default()
    };
    let (all, start, _) = targets(2, &rule);
    fail(&all[0], 1, start);
    succeed(&all[0], 1, start);
    fail(&all[0], 7, start);
    assert!(!all[0].is_ejected(), "8 of 9");
    fail(&all[0], 1, start);
    assert!(all[0].is_ejected(), "9 of 10");
    assert_eq!(all[0].admit(start + 3 * SECOND), Admission::No);
    assert_eq!(all[0].admit(start + 4 * SECOND), Admission::Trial);
    assert!(all[0].is_failure(StatusCode::SERVICE_UNAVAILABLE) && !all[0].is_failure(StatusCode::BAD_GATEWAY));
}
