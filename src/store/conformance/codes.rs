//! One-time codes: opened, sent again, tried, claimed and settled.

use bytes::Bytes;

use super::{super::*, at, at_once, digest};

const MOST_TRIES: u32 = 5;
const COOLDOWN: Duration = Duration::from_secs(30);

/// A code as a browser knows it, right digits and all.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) address: Digest,
    pub(super) browser: Digest,
    pub(super) mac: Digest,
}

impl Sent {
    pub(super) fn new() -> Self {
        Self { address: digest(), browser: digest(), mac: digest() }
    }

    /// Another browser's code for the same address.
    fn elsewhere(self) -> Self {
        Self { address: self.address, ..Self::new() }
    }

    /// Opened at `now`, good for 180 s.
    pub(super) async fn open(self, store: &Store, now: i64) -> Opened {
        let code = NewCode {
            address: self.address,
            browser: self.browser,
            mac: self.mac,
            sealed: Bytes::from_static(b"sealed digits"),
            expires: at(now + 180),
            facts: CodeFacts { channel: Channel::Sms, purpose: "verify", masked: "010-****-5678".to_owned() },
        };
        store.codes.open(code, COOLDOWN, 3, at(now)).await.unwrap()
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

    async fn again(self, store: &Store, now: i64) -> Again {
        store.codes.again(self.address, self.browser, 3, at(now)).await.unwrap()
    }
}

async fn opened(store: &Store) -> Sent {
    let sent = Sent::new();
    assert_eq!(sent.open(store, 0).await, Opened::Stored);
    sent
}

pub(in super::super) async fn a_right_code_is_claimed_and_no_second_taker_gets_it(store: &Store) {
    let sent = opened(store).await;
    assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    let claim = sent.claim(store, 2).await;
    assert_eq!(sent.guess(store, sent.mac, 3).await, Tried::Gone);
    assert_eq!(sent.guess(store, digest(), 3).await, Tried::Gone);
    assert!(!sent.settle(store, claim + 1, true, 4).await);
    assert!(sent.settle(store, claim, true, 4).await);
}

pub(in super::super) async fn a_code_spent_is_gone_for_ever(store: &Store) {
    let sent = opened(store).await;
    let claim = sent.claim(store, 1).await;
    assert!(sent.settle(store, claim, true, 2).await);
    assert_eq!(sent.guess(store, sent.mac, 3).await, Tried::Gone);
    assert_eq!(sent.guess(store, sent.mac, 40).await, Tried::Gone);
    assert_eq!(sent.again(store, 40).await, Again::None);
    assert!(!sent.settle(store, claim, false, 40).await);
    assert_eq!(sent.guess(store, sent.mac, 41).await, Tried::Gone);
}

pub(in super::super) async fn a_claim_given_up_leaves_the_code_and_its_tries_as_they_were(store: &Store) {
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

pub(in super::super) async fn a_claim_that_runs_out_can_be_taken_again_and_its_holder_has_lost_it(store: &Store) {
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

pub(in super::super) async fn a_claim_holds_past_the_death_of_its_code(store: &Store) {
    let (spent, given_up) = (opened(store).await, opened(store).await);
    let (first, second) = (spent.claim(store, 179).await, given_up.claim(store, 179).await);
    assert!(spent.settle(store, first, true, 181).await);
    assert!(given_up.settle(store, second, false, 181).await);
    assert_eq!(given_up.guess(store, given_up.mac, 182).await, Tried::Gone);
}

pub(in super::super) async fn a_claim_is_lost_when_the_browser_asks_for_another_code(store: &Store) {
    let sent = opened(store).await;
    let lost = sent.claim(store, 20).await;
    let next = Sent { mac: digest(), ..sent };
    assert_eq!(next.open(store, 40).await, Opened::Stored);
    let claim = next.claim(store, 41).await;
    assert!(!sent.settle(store, lost, true, 42).await);
    assert!(next.settle(store, claim, true, 42).await);
}

pub(in super::super) async fn wrong_tries_use_a_code_up_and_the_right_one_comes_too_late(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..MOST_TRIES {
        assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    }
    assert_eq!(sent.guess(store, sent.mac, 2).await, Tried::Gone);
    assert_eq!(sent.again(store, 2).await, Again::None);
}

pub(in super::super) async fn an_expired_code_is_gone_though_right(store: &Store) {
    let (in_time, late) = (opened(store).await, opened(store).await);
    in_time.claim(store, 179).await;
    assert_eq!(late.guess(store, late.mac, 180).await, Tried::Gone);
}

pub(in super::super) async fn another_browser_or_address_finds_nothing_and_counts_nothing(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..10 {
        let stranger = Sent { browser: digest(), ..sent };
        assert_eq!(stranger.guess(store, sent.mac, 1).await, Tried::Gone);
        let elsewhere = Sent { address: digest(), ..sent };
        assert_eq!(elsewhere.guess(store, sent.mac, 1).await, Tried::Gone);
        assert_eq!(stranger.again(store, 1).await, Again::None);
    }
    for _ in 0..MOST_TRIES - 1 {
        assert_eq!(sent.guess(store, digest(), 2).await, Tried::Wrong);
    }
    sent.claim(store, 3).await;
}

pub(in super::super) async fn of_five_hundred_wrong_tries_at_once_five_are_compared(store: &Store) {
    let sent = opened(store).await;
    let tried = at_once(500, store, |store, _| async move { sent.guess(&store, digest(), 1).await }).await;
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Wrong).count(), 5);
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Gone).count(), 495);
}

pub(in super::super) async fn a_right_guess_after_two_hundred_wrong_ones_finds_nothing(store: &Store) {
    let sent = opened(store).await;
    let (answered, mut answers) = tokio::sync::mpsc::channel(200);
    for _ in 0..200 {
        let (store, answered) = (store.clone(), answered.clone());
        tokio::spawn(async move { answered.send(sent.guess(&store, digest(), 1).await).await });
    }
    drop(answered);
    // The last one comes while most are under way, but not before five were answered: it would be among the tries then.
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

pub(in super::super) async fn one_of_many_right_tries_at_once_gets_the_claim(store: &Store) {
    let sent = opened(store).await;
    let tried = at_once(100, store, |store, _| async move { sent.guess(&store, sent.mac, 1).await }).await;
    assert_eq!(tried.iter().filter(|tried| matches!(tried, Tried::Right(_))).count(), 1);
    assert_eq!(tried.iter().filter(|tried| **tried == Tried::Gone).count(), 99);
}

pub(in super::super) async fn an_address_cools_down_between_two_codes(store: &Store) {
    let sent = opened(store).await;
    let next = Sent { mac: digest(), ..sent };
    assert_eq!(next.open(store, 7).await, Opened::TooSoon(at(30)));
    assert_eq!(sent.elsewhere().open(store, 29).await, Opened::TooSoon(at(30)));
    // What was refused replaced nothing.
    let claim = sent.claim(store, 29).await;
    assert!(sent.settle(store, claim, true, 29).await);
    assert_eq!(next.open(store, 29).await, Opened::TooSoon(at(30)));
    assert_eq!(next.open(store, 30).await, Opened::Stored);
}

pub(in super::super) async fn of_a_hundred_openings_at_once_one_is_stored(store: &Store) {
    let address = digest();
    let opened = at_once(100, store, |store, _| async move { Sent { address, ..Sent::new() }.open(&store, 0).await });
    let opened = opened.await;
    assert_eq!(opened.iter().filter(|opened| **opened == Opened::Stored).count(), 1);
    assert_eq!(opened.iter().filter(|opened| **opened == Opened::TooSoon(at(30))).count(), 99);
}

pub(in super::super) async fn a_browser_has_one_code_for_an_address_and_leaves_those_of_others_alone(store: &Store) {
    let sent = opened(store).await;
    let other = sent.elsewhere();
    assert_eq!(other.open(store, 30).await, Opened::Stored);
    let next = Sent { mac: digest(), ..sent };
    assert_eq!(sent.guess(store, digest(), 31).await, Tried::Wrong);
    assert_eq!(next.open(store, 60).await, Opened::Stored);
    assert_eq!(sent.guess(store, sent.mac, 61).await, Tried::Wrong);
    // The tries of the code before do not count against this one, nor against the other browser's.
    for _ in 0..MOST_TRIES - 2 {
        assert_eq!(next.guess(store, digest(), 62).await, Tried::Wrong);
    }
    next.claim(store, 63).await;
    other.claim(store, 63).await;
}

pub(in super::super) async fn an_address_has_so_many_live_codes_until_one_dies(store: &Store) {
    let first = opened(store).await;
    for now in [30, 60] {
        assert_eq!(first.elsewhere().open(store, now).await, Opened::Stored);
    }
    let fourth = first.elsewhere();
    assert_eq!(fourth.open(store, 100).await, Opened::TooSoon(at(180)));
    // One of the three may have a new one.
    let next = Sent { mac: digest(), ..first };
    assert_eq!(next.open(store, 101).await, Opened::Stored);
    assert_eq!(fourth.open(store, 140).await, Opened::TooSoon(at(210)));
    assert_eq!(fourth.open(store, 210).await, Opened::Stored);
    fourth.claim(store, 211).await;
}

pub(in super::super) async fn codes_that_are_dead_before_their_time_make_room(store: &Store) {
    let spent = opened(store).await;
    let exhausted = spent.elsewhere();
    assert_eq!(exhausted.open(store, 30).await, Opened::Stored);
    assert_eq!(spent.elsewhere().open(store, 60).await, Opened::Stored);
    let claim = spent.claim(store, 61).await;
    assert!(spent.settle(store, claim, true, 62).await);
    assert_eq!(spent.elsewhere().open(store, 90).await, Opened::Stored);
    assert!(matches!(spent.elsewhere().open(store, 120).await, Opened::TooSoon(_)));
    for _ in 0..MOST_TRIES {
        assert_eq!(exhausted.guess(store, digest(), 121).await, Tried::Wrong);
    }
    assert_eq!(spent.elsewhere().open(store, 122).await, Opened::Stored);
}

pub(in super::super) async fn a_code_is_sent_again_so_many_times_and_its_tries_stay(store: &Store) {
    let sent = opened(store).await;
    for _ in 0..MOST_TRIES - 1 {
        assert_eq!(sent.guess(store, digest(), 1).await, Tried::Wrong);
    }
    for now in 2..5 {
        let code = Again::Code { sealed: Bytes::from_static(b"sealed digits"), expires: at(180) };
        assert_eq!(sent.again(store, now).await, code);
    }
    assert_eq!(sent.again(store, 5).await, Again::TooOften(at(180)));
    // Neither the tries nor the cool-down began anew.
    assert_eq!(sent.guess(store, digest(), 6).await, Tried::Wrong);
    assert_eq!(sent.guess(store, sent.mac, 6).await, Tried::Gone);
    let next = Sent { mac: digest(), ..sent };
    assert_eq!(next.open(store, 30).await, Opened::Stored);
    assert!(matches!(next.again(store, 31).await, Again::Code { .. }));
}

pub(in super::super) async fn a_dead_code_is_not_sent_again(store: &Store) {
    let sent = opened(store).await;
    assert!(matches!(sent.again(store, 179).await, Again::Code { .. }));
    assert_eq!(sent.again(store, 180).await, Again::None);
    assert_eq!(Sent::new().again(store, 1).await, Again::None);
    assert_eq!(store.codes.again(sent.address, sent.browser, 0, at(1)).await.unwrap(), Again::TooOften(at(180)));
}
