//! How many messages are sent, to whom and for whom.

use super::*;
use crate::{clock::Timestamp, store::OneTime};

fn limits() -> Limits {
    Limits { per_address: AMPLE, per_ip: AMPLE, per_country: None, total: AMPLE, daily_cap: 100_000 }
}

fn per_hour(most: u32) -> Rate {
    Rate { most, window: Duration::from_secs(3600) }
}

fn world(limits: Limits) -> World {
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
    let world = world(limits());
    let mut mine = browser();
    world.send_code(&mut mine, PHONE).await;
    world.clock.advance(Duration::from_secs(23));
    let refused = world.send(&mut mine, PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooSoon(wait) if (36..=37).contains(&wait.as_secs())));
    assert_eq!(world.send(&mut browser(), PHONE).await.code(), "too_soon", "whoever asks");
    assert!(refused.set_cookie.is_empty() && world.recorder.count() == 1);
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
async fn what_the_cool_down_refuses_does_not_count() {
    let world = world(Limits { per_address: per_hour(2), ..limits() });
    let mut visitor = browser();
    world.send_code(&mut visitor, PHONE).await;
    for _ in 0..20 {
        assert_eq!(world.send(&mut visitor, PHONE).await.code(), "too_soon");
    }
    world.clock.advance(Duration::from_secs(60));
    world.send_code(&mut visitor, PHONE).await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.send(&mut visitor, PHONE).await.code(), "too_many");
}

#[tokio::test]
async fn messages_to_an_address_are_limited_those_sent_again_too_and_verifying_is_not() {
    let world = world(Limits { per_address: per_hour(3), ..limits() });
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    assert_eq!(world.resend(&mut visitor, PHONE).await.json()["success"], true);
    assert_eq!(world.resend(&mut visitor, PHONE).await.json()["success"], true);
    let refused = world.resend(&mut visitor, PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooMany(_)));
    assert_eq!(world.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
    world.clock.advance(Duration::from_secs(60));
    let refused = world.send(&mut visitor, "+82 10-1234-5678").await;
    let OtpError::TooMany(wait) = refused.error() else { panic!("{:?}", refused.answer) };
    world.clock.advance(*wait);
    world.send_code(&mut visitor, PHONE).await;
}

#[tokio::test]
async fn a_client_is_limited_whatever_addresses_it_tries() {
    let world = world(Limits { per_ip: per_hour(2), ..limits() });
    let mut index = 0;
    let mut next = || {
        index += 1;
        number(index)
    };
    for (first, second) in [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:1")] {
        assert!(world.send(&mut from(first), &next()).await.answer.is_ok());
        assert!(world.send(&mut from(second), &next()).await.answer.is_ok());
        assert_eq!(world.send(&mut from(first), &next()).await.code(), "too_many");
        assert_eq!(world.send(&mut from(second), &next()).await.code(), "too_many");
    }
    assert!(world.send(&mut from("192.0.2.2"), &next()).await.answer.is_ok());
    assert!(world.send(&mut from("2001:db8:0:1::1"), &next()).await.answer.is_ok());
}

#[tokio::test]
async fn foreign_countries_get_a_tenth_of_all_messages_each_unless_the_file_says_otherwise() {
    let american = |index: u32| format!("+1 520 878 {index:04}");
    let world = world(Limits { total: per_hour(20), ..limits() });
    for index in 0..2 {
        assert!(world.send(&mut browser(), &american(2000 + index)).await.answer.is_ok());
    }
    assert_eq!(world.send(&mut browser(), &american(3000)).await.code(), "too_many");
    assert!(world.send(&mut browser(), "+81 90-1234-5678").await.answer.is_ok());
    for index in 0..7 {
        assert!(world.send(&mut browser(), &number(index)).await.answer.is_ok(), "what strangers have is not used up");
    }

    let world = self::world(Limits { per_country: Some(per_hour(1)), ..limits() });
    assert!(world.send(&mut browser(), &number(1)).await.answer.is_ok());
    assert_eq!(world.send(&mut browser(), &number(2)).await.code(), "too_many", "the first country too");
    assert!(world.send(&mut browser(), &american(2000)).await.answer.is_ok());
}

#[tokio::test]
async fn strangers_leave_half_of_all_messages_to_those_who_have_logged_in() {
    let world = world(Limits { total: per_hour(10), ..limits() });
    for index in 0..5 {
        let client = format!("198.51.100.{index}");
        assert!(world.send(&mut from(&client), &number(index)).await.answer.is_ok());
    }
    let mut stranger = browser();
    stranger.cookies.insert("sb_did".into(), "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11".into());
    stranger.cookies.insert("sb_at".into(), "made up".into());
    assert_eq!(world.send(&mut stranger, &number(10)).await.code(), "too_many", "a label proves nothing");
    let mut known = world.logged_in("kim").await;
    for index in 20..25 {
        assert!(world.send(&mut known, &number(index)).await.answer.is_ok());
    }
    assert_eq!(world.send(&mut known, &number(30)).await.code(), "too_many", "all in all");
}

#[tokio::test]
async fn an_attack_from_everywhere_on_everybody_costs_no_more_than_the_daily_cap() {
    let world = world(Limits { per_address: per_hour(5), per_ip: per_hour(20), daily_cap: 300, ..limits() });
    for attempt in 0..10_000_u32 {
        let client =
            IpAddr::from([203, 0, u8::try_from(attempt / 250 % 250).unwrap(), u8::try_from(attempt % 250).unwrap()]);
        let mut attacker = Visitor { address: client, ..app() };
        world.send(&mut attacker, &number(attempt % 2000)).await;
        if attempt % 100 == 0 {
            world.clock.advance(Duration::from_secs(60));
        }
    }
    assert_eq!(world.recorder.count(), 300);
    let shown = world.metrics.text();
    assert!(
        shown.contains(&format!("vestibule_otp_total{{channel=\"sms\",event=\"sent\"}} {}", world.recorder.count()))
    );
}

#[tokio::test]
async fn both_channels_count_towards_the_whole_and_an_address_of_each_is_its_own() {
    let world = world(Limits { per_address: per_hour(1), ..limits() });
    assert!(world.send(&mut browser(), PHONE).await.answer.is_ok());
    assert!(world.post(&mut browser(), Step::Send, Channel::Email, json!({ "email": MAIL })).await.answer.is_ok());
    world.clock.advance(Duration::from_secs(60));
    let again = json!({ "email": MAIL.to_lowercase() });
    assert_eq!(world.post(&mut browser(), Step::Send, Channel::Email, again).await.code(), "too_many");
    let small = self::world(Limits { daily_cap: 1, ..limits() });
    assert!(small.send(&mut browser(), PHONE).await.answer.is_ok());
    let mail = json!({ "email": MAIL });
    assert_eq!(small.post(&mut browser(), Step::Send, Channel::Email, mail).await.code(), "too_many");
}

#[tokio::test]
async fn nothing_is_sent_to_an_address_that_no_code_is_taken_for() {
    let mut world = world(limits());
    world.otps.settings.cooldown = Duration::ZERO;
    let mut waiting = browser();
    for _ in 0..15 {
        world.send_code(&mut waiting, PHONE).await;
    }
    for _ in 0..2 {
        let mut guesser = browser();
        world.send_code(&mut guesser, PHONE).await;
        let wrong = world.recorder.other_than_code();
        for _ in 0..5 {
            let got = world.verify(&mut guesser, PHONE, &wrong).await;
            assert_eq!(got.code(), "code_wrong", "messages are no failures");
        }
    }
    let sent = world.recorder.count();
    let refused = world.send(&mut browser(), PHONE).await;
    assert!(matches!(refused.error(), OtpError::TooMany(wait) if *wait > Duration::from_secs(60)));
    assert_eq!(world.resend(&mut waiting, PHONE).await.code(), "too_many");
    assert_eq!(world.recorder.count(), sent);
    assert!(world.send(&mut browser(), &number(1)).await.answer.is_ok(), "another address");
}

/// Single-use keys that take a moment, as those of a shared store do.
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

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            tokio::task::yield_now().await;
            self.0.give_back(key, now).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_made_up_device_is_a_stranger_however_many_show_it_at_once() {
    let mut setup = Setup { limits: Limits { total: per_hour(10), ..limits() }, ..Setup::of(CodePurpose::Prove) };
    setup.store.one_time = Arc::new(Distant(setup.store.one_time.clone()));
    let world = setup.build();
    let mut made_up = browser();
    made_up.cookies.insert("sb_did".into(), "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11".into());
    let answers = join_all((0..40).map(|index| {
        let (mut visitor, world) = (made_up.clone(), &world);
        async move { world.send(&mut visitor, &number(index)).await.answer.is_ok() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|sent| **sent).count(), 5);
    assert_eq!(world.send(&mut made_up, &number(50)).await.code(), "too_many", "asking makes nobody known");
}
