//! One-time codes: opened, sent again, tried, claimed and settled.

use std::time::Duration;

use bytes::Bytes;

use super::fixtures::{at, at_once, digest};
use crate::{
    channel::Channel,
    clock::Timestamp,
    store::contract::{CodeFacts, Digest, NewCode, Opened, Resent, Store, Tried},
};

const MOST_TRIES: u32 = 5;
const COOLDOWN: Duration = Duration::from_secs(30);

/// A code that was sent, with what identifies it and the digest of the right digits.
#[derive(Clone, Copy)]
pub(super) struct SentCode {
    pub(super) address: Digest,
    pub(super) browser: Digest,
    pub(super) mac: Digest,
}

impl SentCode {
    pub(super) fn new() -> Self {
        Self { address: digest(), browser: digest(), mac: digest() }
    }

    /// Another browser's code for the same address.
    fn of_another_browser(self) -> Self {
        Self { address: self.address, ..Self::new() }
    }

    /// Opens the code at `now`; it is valid for 180 s.
    pub(super) async fn open(self, store: &Store, now: i64) -> Opened {
        self.open_at(store, at(now)).await
    }

    pub(super) async fn open_at(self, store: &Store, now: Timestamp) -> Opened {
        let code = NewCode {
            address: self.address,
            browser: self.browser,
            mac: self.mac,
            sealed: Bytes::from_static(b"sealed digits"),
            expires: now.plus(Duration::from_secs(180)),
            facts: CodeFacts { channel: Channel::Sms, purpose: "verify", masked: "010-****-5678".to_owned() },
        };
        store.codes.open(code, COOLDOWN, 3, now).await.unwrap()
    }

    pub(super) async fn guess(self, store: &Store, mac: Digest, now: i64) -> Tried {
        store.codes.try_code(self.address, self.browser, mac, MOST_TRIES, at(now + 30), at(now)).await.unwrap()
    }

    pub(super) async fn claim(self, store: &Store, now: i64) -> u64 {
        match self.guess(store, self.mac, now).await {
            Tried::Right(claim) => claim,
            other => panic!("expected a claim, got {other:?}"),
        }
    }

    async fn settle(self, store: &Store, claim: u64, spent: bool, now: i64) -> bool {
        store.codes.settle_code(self.address, self.browser, claim, spent, at(now)).await.unwrap()
    }

    async fn resend(self, store: &Store, now: i64) -> Resent {
        store.codes.resend(self.address, self.browser, 3, at(now)).await.unwrap()
    }
}

async fn opened(store: &Store) -> SentCode {
    let sent = SentCode::new();
    assert_eq!(sent.open(store, 0).await, Opened::Stored);
    sent
}

pub(in crate::store) async fn a_right_code_is_claimed_by_one_caller_only(store: &Store) {
    let sent = opened(store).await;
    assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    let claim = sent.claim(store, 2).await;
    assert_eq!(sent.guess(store, sent.mac, 3).await, Tried::Gone);
    assert_eq!(sent.guess(store, digest(), 3).await, Tried::Gone);
    assert!(!sent.settle(store, claim + 1, true, 4).await);
    assert!(sent.settle(store, claim, true, 4).await);
}

pub(in crate::store) async fn a_spent_code_is_gone(store: &Store) {
    let sent = opened(store).await;
    let claim = sent.claim(store, 1).await;
    assert!(sent.settle(store, claim, true, 2).await);
    assert_eq!(sent.guess(store, sent.mac, 3).await, Tried::Gone);
    assert_eq!(sent.guess(store, sent.mac, 40).await, Tried::Gone);
    assert_eq!(sent.resend(store, 40).await, Resent::None);
    assert!(!sent.settle(store, claim, false, 40).await);
    assert_eq!(sent.guess(store, sent.mac, 41).await, Tried::Gone);
}

pub(in crate::store) async fn a_claim_that_is_given_back_restores_the_code_and_its_tries(store: &Store) {
    let sent = opened(store).await;
    for now in 0..10 {
        let claim = sent.claim(store, now).await;
        assert!(sent.settle(store, claim, false, now).await);
        assert!(!sent.settle(store, claim, true, now).await);
    }
    for _ in 0..MOST_TRIES - 1 {
        assert_eq!(sent.guess(store, digest(), 11).await, Tried::Wrong);
    }
    let claim = sent.claim(store, 12).await;
    assert!(sent.settle(store, claim, false, 13).await);
    assert_eq!(sent.guess(store, digest(), 14).await, Tried::Wrong);
    assert_eq!(sent.guess(store, sent.mac, 15).await, Tried::Gone);
}

pub(in crate::store) async fn a_claim_that_ran_out_cannot_be_settled_and_the_code_can_be_claimed_again(store: &Store) {
    let sent = opened(store).await;
    let lost = sent.claim(store, 0).await;
    assert_eq!(sent.guess(store, sent.mac, 29).await, Tried::Gone);
    let claim = sent.claim(store, 30).await;
    assert_ne!(claim, lost);
    assert!(!sent.settle(store, lost, true, 31).await);
    assert!(!sent.settle(store, lost, false, 31).await);
    assert_eq!(sent.guess(store, sent.mac, 32).await, Tried::Gone);
    assert!(sent.settle(store, claim, true, 33).await);
}

pub(in crate::store) async fn a_claim_can_be_settled_after_the_expiry_of_its_code(store: &Store) {
    let (spent, given_back) = (opened(store).await, opened(store).await);
    let (first, second) = (spent.claim(store, 179).await, given_back.claim(store, 179).await);
    assert!(spent.settle(store, first, true, 181).await);
    assert!(given_back.settle(store, second, false, 181).await);
    assert_eq!(given_back.guess(store, given_back.mac, 182).await, Tried::Gone);
}

pub(in crate::store) async fn a_claim_is_lost_when_the_browser_asks_for_another_code(store: &Store) {
    let sent = opened(store).await;
    let lost = sent.claim(store, 20).await;
    let next = SentCode { mac: digest(), ..sent };
    assert_eq!(next.open(store, 40).await, Opened::Stored);
    let claim = next.claim(store, 41).await;
    assert!(!sent.settle(store, lost, true, 42).await);
    assert!(next.settle(store, claim, true, 42).await);
}

pub(in crate::store) async fn after_5_wrong_tries_the_right_one_is_gone(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..MOST_TRIES {
        assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    }
    assert_eq!(sent.guess(store, sent.mac, 2).await, Tried::Gone);
    assert_eq!(sent.resend(store, 2).await, Resent::None);
}

pub(in crate::store) async fn the_right_try_of_an_expired_code_is_gone(store: &Store) {
    let (in_time, late) = (opened(store).await, opened(store).await);
    in_time.claim(store, 179).await;
    assert_eq!(late.guess(store, late.mac, 180).await, Tried::Gone);
}

pub(in crate::store) async fn a_try_of_another_browser_or_address_is_gone_and_not_counted(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..10 {
        let other_browser = SentCode { browser: digest(), ..sent };
        assert_eq!(other_browser.guess(store, sent.mac, 1).await, Tried::Gone);
        let to_another_address = SentCode { address: digest(), ..sent };
        assert_eq!(to_another_address.guess(store, sent.mac, 1).await, Tried::Gone);
        assert_eq!(other_browser.resend(store, 1).await, Resent::None);
    }
    for _ in 0..MOST_TRIES - 1 {
        assert_eq!(sent.guess(store, digest(), 2).await, Tried::Wrong);
    }
    sent.claim(store, 3).await;
}

pub(in crate::store) async fn of_500_wrong_tries_at_once_5_are_compared(store: &Store) {
    let sent = opened(store).await;
    let tried = at_once(500, store, |store, _| async move { sent.guess(&store, digest(), 1).await }).await;
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Wrong).count(), 5);
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Gone).count(), 495);
}

pub(in crate::store) async fn a_right_try_after_200_wrong_ones_is_gone(store: &Store) {
    let sent = opened(store).await;
    let (answered, mut answers) = tokio::sync::mpsc::channel(200);
    for _ in 0..200 {
        let (store, answered) = (store.clone(), answered.clone());
        tokio::spawn(async move { answered.send(sent.guess(&store, digest(), 1).await).await });
    }
    drop(answered);
    // The right try is sent while most others are running, but after five were answered: before that it could be one of
    // the five.
    let mut wrong = 0;
    for _ in 0..MOST_TRIES {
        wrong += usize::from(answers.recv().await.unwrap() == Tried::Wrong);
    }
    let right = sent.guess(store, sent.mac, 1).await;
    while let Some(answer) = answers.recv().await {
        assert!(!matches!(answer, Tried::Right(_)));
        wrong += usize::from(answer == Tried::Wrong);
    }
    assert_eq!((right, wrong), (Tried::Gone, 5));
}

pub(in crate::store) async fn of_100_right_tries_at_once_one_gets_the_claim(store: &Store) {
    let sent = opened(store).await;
    let tried = at_once(100, store, |store, _| async move { sent.guess(&store, sent.mac, 1).await }).await;
    assert_eq!(tried.iter().filter(|tried| matches!(tried, Tried::Right(_))).count(), 1);
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Gone).count(), 99);
}

pub(in crate::store) async fn an_address_cools_down_between_two_codes(store: &Store) {
    let sent = opened(store).await;
    let next = SentCode { mac: digest(), ..sent };
    assert_eq!(next.open(store, 7).await, Opened::TooSoon(at(30)));
    assert_eq!(sent.of_another_browser().open(store, 29).await, Opened::TooSoon(at(30)));
    // A refused call replaces no code.
    let claim = sent.claim(store, 29).await;
    assert!(sent.settle(store, claim, true, 29).await);
    assert_eq!(next.open(store, 29).await, Opened::TooSoon(at(30)));
    assert_eq!(next.open(store, 30).await, Opened::Stored);
}

pub(in crate::store) async fn of_100_openings_at_once_one_is_stored(store: &Store) {
    let address = digest();
    let opened =
        at_once(100, store, |store, _| async move { SentCode { address, ..SentCode::new() }.open(&store, 0).await });
    let opened = opened.await;
    assert_eq!(opened.iter().filter(|opened| **opened == Opened::Stored).count(), 1);
    assert_eq!(opened.iter().filter(|opened| **opened == Opened::TooSoon(at(30))).count(), 99);
}

pub(in crate::store) async fn a_browser_has_one_code_for_an_address_and_does_not_replace_those_of_other_browsers(
    store: &Store,
) {
    let sent = opened(store).await;
    let other = sent.of_another_browser();
    assert_eq!(other.open(store, 30).await, Opened::Stored);
    let next = SentCode { mac: digest(), ..sent };
    assert_eq!(sent.guess(store, digest(), 31).await, Tried::Wrong);
    assert_eq!(next.open(store, 60).await, Opened::Stored);
    assert_eq!(sent.guess(store, sent.mac, 61).await, Tried::Wrong);
    // Tries of the replaced code count neither against the new one nor against the other browser's.
    for _ in 0..MOST_TRIES - 2 {
        assert_eq!(next.guess(store, digest(), 62).await, Tried::Wrong);
    }
    next.claim(store, 63).await;
    other.claim(store, 63).await;
}

pub(in crate::store) async fn an_address_with_3_live_codes_gets_another_when_one_expires(store: &Store) {
    let first = opened(store).await;
    for now in [30, 60] {
        assert_eq!(first.of_another_browser().open(store, now).await, Opened::Stored);
    }
    let fourth = first.of_another_browser();
    assert_eq!(fourth.open(store, 100).await, Opened::TooSoon(at(180)));
    // A browser with one of the three codes may get a new one.
    let next = SentCode { mac: digest(), ..first };
    assert_eq!(next.open(store, 101).await, Opened::Stored);
    assert_eq!(fourth.open(store, 140).await, Opened::TooSoon(at(210)));
    assert_eq!(fourth.open(store, 210).await, Opened::Stored);
    fourth.claim(store, 211).await;
}

pub(in crate::store) async fn spent_and_exhausted_codes_do_not_count_as_live(store: &Store) {
    let spent = opened(store).await;
    let exhausted = spent.of_another_browser();
    assert_eq!(exhausted.open(store, 30).await, Opened::Stored);
    assert_eq!(spent.of_another_browser().open(store, 60).await, Opened::Stored);
    let claim = spent.claim(store, 61).await;
    assert!(spent.settle(store, claim, true, 62).await);
    assert_eq!(spent.of_another_browser().open(store, 90).await, Opened::Stored);
    assert!(matches!(spent.of_another_browser().open(store, 120).await, Opened::TooSoon(_)));
    for _ in 0..MOST_TRIES {
        assert_eq!(exhausted.guess(store, digest(), 121).await, Tried::Wrong);
    }
    assert_eq!(spent.of_another_browser().open(store, 122).await, Opened::Stored);
}

pub(in crate::store) async fn a_code_is_sent_again_3_times_and_keeps_its_tries(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..MOST_TRIES - 1 {
        assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    }
    for now in 2..5 {
        let code = Resent::Code { sealed: Bytes::from_static(b"sealed digits"), expires: at(180) };
        assert_eq!(sent.resend(store, now).await, code);
    }
    assert_eq!(sent.resend(store, 5).await, Resent::TooOften(at(180)));
    // Neither the tries nor the cool-down started again.
    assert_eq!(sent.guess(store, digest(), 6).await, Tried::Wrong);
    assert_eq!(sent.guess(store, sent.mac, 6).await, Tried::Gone);
    let next = SentCode { mac: digest(), ..sent };
    assert_eq!(next.open(store, 30).await, Opened::Stored);
    assert!(matches!(next.resend(store, 31).await, Resent::Code { .. }));
}

pub(in crate::store) async fn an_expired_or_unknown_code_is_not_sent_again(store: &Store) {
    let sent = opened(store).await;
    assert!(matches!(sent.resend(store, 179).await, Resent::Code { .. }));
    assert_eq!(sent.resend(store, 180).await, Resent::None);
    assert_eq!(SentCode::new().resend(store, 1).await, Resent::None);
    assert_eq!(store.codes.resend(sent.address, sent.browser, 0, at(1)).await.unwrap(), Resent::TooOften(at(180)));
}
