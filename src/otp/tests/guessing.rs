//! Wrong codes: how many are compared, whose they are, and what they end.

use super::*;

#[tokio::test]
async fn of_five_hundred_parallel_guesses_five_are_compared_and_the_right_one_comes_too_late() {
    let world = World::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    let right: u32 = code.parse().unwrap();
    let mut guesses: Vec<_> = (1..=500).map(|step| format!("{:06}", (right + step) % 1_000_000)).collect();
    guesses.push(code.clone());
    let answers = join_all(guesses.iter().map(|guess| {
        let (mut visitor, world) = (visitor.clone(), &world);
        async move { world.verify(&mut visitor, PHONE, guess).await }
    }))
    .await;
    assert!(answers.iter().all(|got| got.code() == "code_wrong"), "all alike");
    assert_eq!(world.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    // What was compared counts against the address: five, so five more of ten are left.
    world.clock.advance(Duration::from_secs(60));
    world.send_code(&mut visitor, PHONE).await;
    let wrong = world.recorder.other_than_code();
    for _ in 0..5 {
        assert_eq!(world.verify(&mut visitor, PHONE, &wrong).await.code(), "code_wrong");
    }
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.send(&mut visitor, PHONE).await.code(), "too_many");
}

#[tokio::test]
async fn the_right_code_after_two_hundred_parallel_wrong_ones_is_none() {
    let world = World::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    let wrong = world.recorder.other_than_code();
    let guesses = std::iter::repeat_n(wrong, 200).chain([code]);
    let answers = join_all(guesses.map(|guess| {
        let (mut visitor, world) = (visitor.clone(), &world);
        async move { world.verify(&mut visitor, PHONE, &guess).await.answer.is_ok() }
    }))
    .await;
    assert!(answers.iter().all(|right| !right));
}

#[tokio::test]
async fn of_a_hundred_parallel_right_codes_one_is_taken() {
    let world = World::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    let answers = join_all((0..100).map(|_| {
        let (mut visitor, world, code) = (visitor.clone(), &world, &code);
        async move { world.verify(&mut visitor, PHONE, code).await.answer.is_ok() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|right| **right).count(), 1);
}

#[tokio::test]
async fn the_fifth_wrong_try_ends_the_code_and_sending_it_again_does_not_refill_them() {
    let world = World::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    let wrong = world.recorder.other_than_code();
    for _ in 0..4 {
        assert_eq!(world.verify(&mut visitor, PHONE, &wrong).await.code(), "code_wrong");
        if world.recorder.count() < 3 {
            assert_eq!(world.resend(&mut visitor, PHONE).await.json()["success"], true);
        }
    }
    let mut lucky = visitor.clone();
    let mut unlucky = visitor;
    assert_eq!(world.verify(&mut unlucky, PHONE, &wrong).await.code(), "code_wrong");
    assert_eq!(world.resend(&mut unlucky, PHONE).await.code(), "no_live_code");
    assert_eq!(world.verify(&mut lucky, PHONE, &code).await.code(), "code_wrong");
}

#[tokio::test]
async fn guesses_without_the_challenge_cost_the_code_nothing() {
    let world = World::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = world.send_code(&mut visitor, PHONE).await;
    let wrong = world.recorder.other_than_code();
    for _ in 0..50 {
        assert_eq!(world.verify(&mut browser(), PHONE, &wrong).await.code(), "code_wrong");
        assert_eq!(world.verify(&mut browser(), PHONE, &code).await.code(), "code_wrong");
    }
    assert_eq!(world.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
}

#[tokio::test]
async fn ten_wrong_codes_an_hour_are_taken_for_an_address_and_right_ones_cost_nothing() {
    let world = World::of(CodePurpose::Prove);
    for _ in 0..30 {
        let mut visitor = browser();
        let code = world.send_code(&mut visitor, PHONE).await;
        assert_eq!(world.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
        world.clock.advance(Duration::from_secs(60));
    }
    let mut compared = 0;
    for _ in 0..4 {
        let mut attacker = browser();
        match world.send(&mut attacker, PHONE).await.answer.map_err(|failed| failed.error) {
            Ok(_) => {}
            Err(OtpError::TooMany(wait)) => {
                assert!(wait > Duration::from_secs(60));
                continue;
            }
            Err(other) => panic!("{other:?}"),
        }
        let wrong = world.recorder.other_than_code();
        for _ in 0..5 {
            assert_eq!(world.verify(&mut attacker, PHONE, &wrong).await.code(), "code_wrong");
            compared += 1;
        }
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(compared, 10);
    let mut other = browser();
    let code = world.send_code(&mut other, "010-8765-4321").await;
    assert_eq!(world.verify(&mut other, "010-8765-4321", &code).await.json()["success"], true, "another address");
}

#[tokio::test]
async fn a_newer_code_of_the_same_browser_ends_the_older_and_another_browsers_never_does() {
    let world = World::of(CodePurpose::Prove);
    let (mut mine, mut stranger) = (browser(), browser());
    let first = world.send_code(&mut mine, PHONE).await;
    world.clock.advance(Duration::from_secs(60));
    let theirs = world.send_code(&mut stranger, PHONE).await;
    assert_eq!(world.verify(&mut mine.clone(), PHONE, &world.recorder.other_than_code()).await.code(), "code_wrong");
    if theirs != first {
        assert_eq!(world.verify(&mut mine.clone(), PHONE, &theirs).await.code(), "code_wrong", "not mine");
    }
    assert_eq!(world.verify(&mut mine.clone(), PHONE, &first).await.json()["success"], true, "still good");
    world.clock.advance(Duration::from_secs(60));
    let older = world.send_code(&mut mine, PHONE).await;
    let before = mine.clone();
    world.clock.advance(Duration::from_secs(60));
    let newer = world.send_code(&mut mine, PHONE).await;
    if older != newer {
        assert_eq!(world.verify(&mut before.clone(), PHONE, &older).await.code(), "code_wrong", "ended");
    }
    assert_eq!(world.verify(&mut mine, PHONE, &newer).await.json()["success"], true);
}

/// Three browsers, each with a live code of its own for one address, and their codes.
async fn three_live_codes(world: &mut World) -> Vec<(Visitor, String)> {
    world.otps.settings.cooldown = Duration::ZERO;
    world.otps.settings.lifetime = LONGEST_LIFETIME;
    let mut live = vec![];
    for _ in 0..3 {
        let mut visitor = browser();
        let code = world.send_code(&mut visitor, PHONE).await;
        live.push((visitor, code));
    }
    live
}

#[tokio::test]
async fn of_a_burst_at_three_live_codes_fifteen_are_compared_and_whoever_is_over_the_limit_is_told_so() {
    let mut world = World::of(CodePurpose::Prove);
    let live = three_live_codes(&mut world).await;
    let guesses = live.iter().flat_map(|(visitor, code)| {
        let right: u32 = code.parse().unwrap();
        (1..=20).map(move |step| (visitor.clone(), format!("{:06}", (right + step) % 1_000_000)))
    });
    let answers = join_all(guesses.map(|(mut visitor, guess)| {
        let world = &world;
        async move { world.verify(&mut visitor, PHONE, &guess).await.code() }
    }))
    .await;
    let count = |code| answers.iter().filter(|answer| **answer == code).count();
    assert_eq!(
        (count("code_wrong"), count("too_many")),
        (55, 5),
        "ten failures, five over the limit, and what was gone"
    );
    for (mut visitor, code) in live {
        assert_eq!(world.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    }
}

#[tokio::test]
async fn over_the_limit_of_an_address_right_and_wrong_are_told_the_same_and_the_right_code_stays() {
    let mut world = World::of(CodePurpose::Prove);
    world.clock.advance(Duration::from_mins(59));
    let live = three_live_codes(&mut world).await;
    let off = |code: &str| format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for (visitor, code) in &live[..2] {
        for _ in 0..5 {
            assert_eq!(world.verify(&mut visitor.clone(), PHONE, &off(code)).await.code(), "code_wrong");
        }
    }
    let (visitor, code) = &live[2];
    for guess in [&off(code), code, code] {
        let refused = world.verify(&mut visitor.clone(), PHONE, guess).await;
        assert_eq!(refused.code(), "too_many");
        assert!(refused.set_cookie.is_empty());
    }
    // A tenth of the window has passed, and with it the first failure.
    world.clock.advance(Duration::from_mins(8));
    assert_eq!(world.verify(&mut visitor.clone(), PHONE, code).await.json()["success"], true);
}
