//! Limits on messages: per address, client, country, unknown devices, and in total.

use super::*;
use crate::{
    clock::Timestamp,
    store::{OneTime, Owner},
};

fn limits() -> Limits {
    Limits { per_address: AMPLE, per_ip: AMPLE, per_country: None, total: AMPLE, daily_cap: 100_000 }
}

fn per_hour(most: u32) -> Rate {
    Rate { most, window: Duration::from_secs(3600) }
}

fn fixture(limits: Limits) -> OtpFixture {
    Setup { limits, ..Setup::of(CodePurpose::Prove) }.build()
}

fn number(index: u32) -> String {
    format!("010-{:04}-{:04}", 2000 + index / 10_000, index % 10_000)
}

fn from(address: &str) -> Visitor {
    Visitor { address: address.parse().unwrap(), ..browser() }
}

#[tokio::test]
async fn the_next_code_waits_for_the_cool_down_and_three_browsers_may_have_one() {
    let fixture = fixture(limits());
    let mut mine = browser();
    fixture.send_code(&mut mine, PHONE).await;
    fixture.clock.advance(Duration::from_secs(23));
    let refused = fixture.send(&mut mine, PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooSoon(wait) if (36..=37).contains(&wait.as_secs())));
    assert_eq!(fixture.send(&mut browser(), PHONE).await.code(), "too_soon", "whoever asks");
    assert!(refused.set_cookie.is_empty() && fixture.recorder.count() == 1);
    let setup = Setup { limits: limits(), ..Setup::of(CodePurpose::Prove) };
    let mut quick = setup.build();
    quick.otps.settings.cooldown = Duration::ZERO;
    let mut visitors = [browser(), browser(), browser()];
    for visitor in &mut visitors {
        quick.send_code(visitor, PHONE).await;
    }
    assert_eq!(quick.send(&mut browser(), PHONE).await.code(), "too_soon", "a fourth");
    quick.send_code(&mut visitors[0], PHONE).await;
}

#[tokio::test]
async fn requests_that_the_cool_down_refuses_are_not_counted() {
    let fixture = fixture(Limits { per_address: per_hour(2), ..limits() });
    let mut visitor = browser();
    fixture.send_code(&mut visitor, PHONE).await;
    for _ in 0..20 {
        assert_eq!(fixture.send(&mut visitor, PHONE).await.code(), "too_soon");
    }
    fixture.clock.advance(Duration::from_secs(60));
    fixture.send_code(&mut visitor, PHONE).await;
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.send(&mut visitor, PHONE).await.code(), "too_many");
}

#[tokio::test]
async fn messages_to_an_address_are_limited_also_repeated_ones_and_verifying_is_not() {
    let fixture = fixture(Limits { per_address: per_hour(3), ..limits() });
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    assert_eq!(fixture.resend(&mut visitor, PHONE).await.json()["success"], true);
    assert_eq!(fixture.resend(&mut visitor, PHONE).await.json()["success"], true);
    let refused = fixture.resend(&mut visitor, PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooMany(_)));
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
    fixture.clock.advance(Duration::from_secs(60));
    let refused = fixture.send(&mut visitor, "+82 10-1234-5678").await;
    let OtpError::TooMany(wait) = refused.error() else { panic!("{:?}", refused.answer) };
    fixture.clock.advance(*wait);
    fixture.send_code(&mut visitor, PHONE).await;
}

#[tokio::test]
async fn a_client_is_limited_whatever_addresses_it_tries() {
    let fixture = fixture(Limits { per_ip: per_hour(2), ..limits() });
    let mut index = 0;
    let mut next = || {
        index += 1;
        number(index)
    };
    for (first, second) in [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:1")] {
        assert!(fixture.send(&mut from(first), &next()).await.answer.is_ok());
        assert!(fixture.send(&mut from(second), &next()).await.answer.is_ok());
        assert_eq!(fixture.send(&mut from(first), &next()).await.code(), "too_many");
        assert_eq!(fixture.send(&mut from(second), &next()).await.code(), "too_many");
    }
    assert!(fixture.send(&mut from("192.0.2.2"), &next()).await.answer.is_ok());
    assert!(fixture.send(&mut from("2001:db8:0:1::1"), &next()).await.answer.is_ok());
}

#[tokio::test]
async fn each_country_but_the_first_gets_a_tenth_of_all_messages_by_default() {
    let american = |index: u32| format!("+1 520 878 {index:04}");
    let fixture = fixture(Limits { total: per_hour(20), ..limits() });
    for index in 0..2 {
        assert!(fixture.send(&mut browser(), &american(2000 + index)).await.answer.is_ok());
    }
    assert_eq!(fixture.send(&mut browser(), &american(3000)).await.code(), "too_many");
    assert!(fixture.send(&mut browser(), "+81 90-1234-5678").await.answer.is_ok());
    for index in 0..7 {
        assert!(
            fixture.send(&mut browser(), &number(index)).await.answer.is_ok(),
            "what strangers have is not used up"
        );
    }

    let fixture = self::fixture(Limits { per_country: Some(per_hour(1)), ..limits() });
    assert!(fixture.send(&mut browser(), &number(1)).await.answer.is_ok());
    assert_eq!(fixture.send(&mut browser(), &number(2)).await.code(), "too_many", "the first country too");
    assert!(fixture.send(&mut browser(), &american(2000)).await.answer.is_ok());
}

#[tokio::test]
async fn unknown_devices_get_at_most_half_of_all_messages() {
    let fixture = fixture(Limits { total: per_hour(10), ..limits() });
    for index in 0..5 {
        let client = format!("198.51.100.{index}");
        assert!(fixture.send(&mut from(&client), &number(index)).await.answer.is_ok());
    }
    let mut stranger = browser();
    stranger.cookies.insert("sb_did".into(), "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11".into());
    stranger.cookies.insert("sb_at".into(), "made up".into());
    assert_eq!(fixture.send(&mut stranger, &number(10)).await.code(), "too_many", "a label proves nothing");
    let mut known = fixture.logged_in("kim").await;
    for index in 20..25 {
        assert!(fixture.send(&mut known, &number(index)).await.answer.is_ok());
    }
    assert_eq!(fixture.send(&mut known, &number(30)).await.code(), "too_many", "all in all");
}

#[tokio::test]
async fn messages_from_many_clients_to_many_addresses_end_at_the_daily_cap() {
    let fixture = fixture(Limits { per_address: per_hour(5), per_ip: per_hour(20), daily_cap: 300, ..limits() });
    for attempt in 0..10_000_u32 {
        let client =
            IpAddr::from([203, 0, u8::try_from(attempt / 250 % 250).unwrap(), u8::try_from(attempt % 250).unwrap()]);
        let mut attacker = Visitor { address: client, ..app() };
        fixture.send(&mut attacker, &number(attempt % 2000)).await;
        if attempt % 100 == 0 {
            fixture.clock.advance(Duration::from_secs(60));
        }
    }
    assert_eq!(fixture.recorder.count(), 300);
    let shown = fixture.metrics.text();
    assert!(
        shown.contains(&format!("vestibule_otp_total{{channel=\"sms\",event=\"sent\"}} {}", fixture.recorder.count()))
    );
}

#[tokio::test]
async fn the_total_counts_both_channels_and_each_address_is_counted_separately() {
    let fixture = fixture(Limits { per_address: per_hour(1), ..limits() });
    assert!(fixture.send(&mut browser(), PHONE).await.answer.is_ok());
    assert!(fixture.post(&mut browser(), Step::Send, Channel::Email, json!({ "email": MAIL })).await.answer.is_ok());
    fixture.clock.advance(Duration::from_secs(60));
    let again = json!({ "email": MAIL.to_lowercase() });
    assert_eq!(fixture.post(&mut browser(), Step::Send, Channel::Email, again).await.code(), "too_many");
    let small = self::fixture(Limits { daily_cap: 1, ..limits() });
    assert!(small.send(&mut browser(), PHONE).await.answer.is_ok());
    let mail = json!({ "email": MAIL });
    assert_eq!(small.post(&mut browser(), Step::Send, Channel::Email, mail).await.code(), "too_many");
}

#[tokio::test]
async fn no_message_is_sent_to_an_address_over_its_limit_of_wrong_codes() {
    let mut fixture = fixture(limits());
    fixture.otps.settings.cooldown = Duration::ZERO;
    let mut waiting = browser();
    for _ in 0..15 {
        fixture.send_code(&mut waiting, PHONE).await;
    }
    for _ in 0..2 {
        let mut guesser = browser();
        fixture.send_code(&mut guesser, PHONE).await;
        let wrong = fixture.recorder.other_than_code();
        for _ in 0..5 {
            let got = fixture.verify(&mut guesser, PHONE, &wrong).await;
            assert_eq!(got.code(), "code_wrong", "messages are no failures");
        }
    }
    let sent = fixture.recorder.count();
    let refused = fixture.send(&mut browser(), PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooMany(wait) if *wait > Duration::from_secs(60)));
    assert_eq!(fixture.resend(&mut waiting, PHONE).await.code(), "too_many");
    assert_eq!(fixture.recorder.count(), sent);
    assert!(fixture.send(&mut browser(), &number(1)).await.answer.is_ok(), "another address");
}

/// Single-use keys with a delay, as in a shared store.
struct Distant(Arc<dyn OneTime>);

impl OneTime for Distant {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            tokio::task::yield_now().await;
            let taken = self.0.take(key, until, now).await;
            tokio::task::yield_now().await;
            taken
        }
        .boxed()
    }

    fn take_of(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            tokio::task::yield_now().await;
            self.0.take_of(owner, key, until, now).await
        }
        .boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            tokio::task::yield_now().await;
            self.0.give_back(key, now).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn parallel_requests_with_an_invented_device_id_all_count_as_unknown_devices() {
    let mut setup = Setup { limits: Limits { total: per_hour(10), ..limits() }, ..Setup::of(CodePurpose::Prove) };
    setup.store.one_time = Arc::new(Distant(setup.store.one_time.clone()));
    let fixture = setup.build();
    let mut made_up = browser();
    made_up.cookies.insert("sb_did".into(), "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11".into());
    let answers = join_all((0..40).map(|index| {
        let (mut visitor, fixture) = (made_up.clone(), &fixture);
        async move { fixture.send(&mut visitor, &number(index)).await.answer.is_ok() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|sent| **sent).count(), 5);
    assert_eq!(fixture.send(&mut made_up, &number(50)).await.code(), "too_many", "asking makes nobody known");
}
