//! Two instances whose clocks are 90 s behind and 90 s ahead, with one store whose server's clock decides. No case
//! waits: a store that used a caller's clock would see the other's entries as expired, or as not yet begun.

use std::time::Duration;

use bytes::Bytes;

use super::{
    codes::SentCode,
    families,
    fixtures::{DEADLINE, digest, family, holder, receives_end, secs, sid},
};
use crate::{
    clock::{Clock, Timestamp},
    store::contract::{Advanced, Lease, Opened, Quota, Resent, Settled, Spent, Store, Tried},
};

const SKEW: Duration = Duration::from_secs(90);

/// The clocks of the two instances.
pub(in crate::store) fn clocks() -> [Clock; 2] {
    [Clock::ahead_by(-90_000), Clock::ahead_by(90_000)]
}

/// The lease of the gateway.
const LEASE: Duration = Duration::from_secs(4);
/// How long the calls of a case may take in all on a busy machine.
const BUSY: Duration = Duration::from_secs(3);

fn behind() -> Timestamp {
    Clock::system().now().minus(SKEW)
}

fn ahead() -> Timestamp {
    Clock::system().now().plus(SKEW)
}

type Now = fn() -> Timestamp;

/// The two handles with the clocks of their callers, and the same the other way round.
fn both_ways<'s>(one: &'s Store, other: &'s Store) -> [(&'s Store, Now, &'s Store, Now); 2] {
    [(one, behind, other, ahead), (other, ahead, one, behind)]
}

pub(in crate::store) async fn a_lease_is_held_whatever_the_callers_clocks_show(one: &Store, other: &Store) {
    for (one, first, other, second) in both_ways(one, other) {
        let (sid, rt) = (sid(), digest());
        let granted = one.refreshes.lease(sid, rt, 0, holder(), secs(60), first()).await.unwrap();
        let Lease::Granted(grant) = granted else { panic!("nobody has it") };
        match other.refreshes.lease(sid, rt, 0, holder(), LEASE, second()).await.unwrap() {
            Lease::Held(left) => assert!(left <= secs(60) && left >= secs(30), "{left:?}"),
            lease => panic!("it is held, but {lease:?}"),
        }
        assert!(one.refreshes.renew(sid, rt, grant.fence, secs(60), first()).await.unwrap());
        let result = Some((1, Bytes::from_static(b"sealed")));
        let keep_until = first().plus(secs(60));
        let settled = one.refreshes.settle(sid, rt, grant.fence, result, keep_until, first()).await.unwrap();
        assert_eq!(settled, Settled::Stored);
        let lease = other.refreshes.lease(sid, rt, 0, holder(), LEASE, second()).await.unwrap();
        assert!(matches!(lease, Lease::Result(_)), "{lease:?}");
    }
}

pub(in crate::store) async fn results_ends_keys_and_counts_are_the_same_whatever_the_callers_clocks_show(
    one: &Store,
    other: &Store,
) {
    for (one, first, other, second) in both_ways(one, other) {
        let key = digest();
        assert!(one.one_time.take(key, first().plus(secs(60)), first()).await.unwrap());
        assert!(!other.one_time.take(key, second().plus(secs(60)), second()).await.unwrap());

        let three = Quota { key: digest(), most: 3, window: secs(3600 * 24 * 365) };
        let counted_at = first();
        for _ in 0..3 {
            assert_eq!(one.counters.spend(vec![three], first()).await.unwrap(), Spent::Within);
        }
        assert!(matches!(other.counters.spend(vec![three], second()).await.unwrap(), Spent::Over { which: 0, .. }));
        one.counters.refund(vec![three], counted_at, first()).await.unwrap();
        assert_eq!(other.counters.spend(vec![three], second()).await.unwrap(), Spent::Within);
        assert!(matches!(one.counters.spend(vec![three], first()).await.unwrap(), Spent::Over { which: 0, .. }));

        let (sid, mut endings) = (sid(), other.refreshes.endings());
        one.refreshes.end(sid, first().plus(secs(60)), first()).await.unwrap();
        assert!(receives_end(other, &mut endings, sid, second(), DEADLINE).await);
        let lease = other.refreshes.lease(sid, digest(), 0, holder(), LEASE, second()).await.unwrap();
        assert!(matches!(lease, Lease::Ended), "{lease:?}");
        assert!(!other.refreshes.has_ended(sid, second().plus(secs(62))), "it is remembered for 60 s");
    }
}

pub(in crate::store) async fn codes_and_families_are_the_same_whatever_the_callers_clocks_show(
    one: &Store,
    other: &Store,
) {
    for (one, first, other, second) in both_ways(one, other) {
        let sent = SentCode::new();
        assert_eq!(sent.open_at(one, first()).await, Opened::Stored);
        assert!(matches!(sent.open_at(other, second()).await, Opened::TooSoon(_)), "the address cools down");
        let tried = other.codes.try_code(sent.address, sent.browser, sent.mac, 5, second().plus(secs(60)), second());
        let Tried::Right(claim) = tried.await.unwrap() else { panic!("the code is live") };
        let again = one.codes.try_code(sent.address, sent.browser, sent.mac, 5, first().plus(secs(60)), first());
        assert_eq!(again.await.unwrap(), Tried::Gone, "it is claimed");
        assert!(other.codes.settle_code(sent.address, sent.browser, claim, true, second()).await.unwrap());

        let family = family();
        one.families.begin(family, Bytes::from_static(b"record"), first().plus(secs(60)), first()).await.unwrap();
        let advance = async |store: &Store, shown, now: Timestamp| {
            store.families.advance(family, shown, secs(30), now.plus(secs(60)), now).await.unwrap()
        };
        assert_eq!(advance(other, 0, second()).await, families::to(1));
        assert_eq!(advance(one, 0, first()).await, families::to(1), "within the grace");
        assert_eq!(advance(one, 1, first()).await, families::to(2));
        assert_eq!(advance(other, 0, second()).await, Advanced::Reused);
    }
}

pub(in crate::store) async fn times_are_answered_by_the_callers_clock(one: &Store, other: &Store) {
    let is_at = |answered: Timestamp, expected: Timestamp| {
        assert!(answered <= expected.plus(BUSY) && answered.plus(BUSY) >= expected, "{answered:?} for {expected:?}");
    };
    let (sid, rt, sent) = (sid(), digest(), SentCode::new());
    assert_eq!(sent.open_at(one, behind()).await, Opened::Stored);
    let resent = other.codes.resend(sent.address, sent.browser, 3, ahead()).await.unwrap();
    let Resent::Code { expires, .. } = resent else { panic!("the code is live, but {resent:?}") };
    is_at(expires, ahead().plus(secs(180)));
    let Opened::TooSoon(again) = sent.open_at(other, ahead()).await else { panic!("the address cools down") };
    is_at(again, ahead().plus(secs(30)));
    let result = Some((1, Bytes::from_static(b"sealed")));
    one.refreshes.settle(sid, rt, 1, result, behind().plus(secs(60)), behind()).await.unwrap();
    is_at(other.refreshes.result(sid, rt, ahead()).await.unwrap().unwrap().stored_at, ahead());
    let one_in_60 = Quota { key: digest(), most: 1, window: secs(60) };
    assert_eq!(one.counters.spend(vec![one_in_60], behind()).await.unwrap(), Spent::Within);
    let asked_at = ahead();
    match other.counters.spend(vec![one_in_60], asked_at).await.unwrap() {
        Spent::Over { again_at, .. } => assert!(again_at > asked_at && again_at.since(asked_at) <= secs(120)),
        // A window of the server began between the two calls, and the first count's share is below one event.
        Spent::Within => {}
    }
}

/// The system's clock is also the clock of the servers of these tests.
pub(in crate::store) async fn the_difference_of_the_clocks_is_known(one: &Store, other: &Store) {
    for (store, expected) in [(one, 90_000), (other, -90_000)] {
        let measured = async {
            while store.health.clock_difference().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, measured).await.unwrap();
        let difference = store.health.clock_difference().unwrap();
        assert!((difference - expected).abs() < 1000, "{difference}");
    }
}
