//! Wrong codes: how many are compared, what they count against, and when they end a code.

use super::*;

#[tokio::test]
async fn of_five_hundred_parallel_guesses_five_are_compared_and_the_right_one_comes_too_late() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let right: u32 = code.parse().unwrap();
    let mut guesses: Vec<_> = (1..=500).map(|step| format!("{:06}", (right + step) % 1_000_000)).collect();
    guesses.push(code.clone());
    let answers = join_all(guesses.iter().map(|guess| {
        let (mut visitor, fixture) = (visitor.clone(), &fixture);
        async move { fixture.verify(&mut visitor, PHONE, guess).await }
    }))
    .await;
    assert!(answers.iter().all(|got| got.code() == "code_wrong"), "all alike");
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    // The five compared guesses count against the address, so five of its ten are left.
    fixture.clock.advance(Duration::from_secs(60));
    fixture.send_code(&mut visitor, PHONE).await;
    let wrong = fixture.recorder.other_than_code();
    for _ in 0..5 {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &wrong).await.code(), "code_wrong");
    }
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.send(&mut visitor, PHONE).await.code(), "too_many");
}

#[tokio::test]
async fn the_right_code_is_refused_after_two_hundred_parallel_wrong_ones() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let wrong = fixture.recorder.other_than_code();
    let guesses = std::iter::repeat_n(wrong, 200).chain([code]);
    let answers = join_all(guesses.map(|guess| {
        let (mut visitor, fixture) = (visitor.clone(), &fixture);
        async move { fixture.verify(&mut visitor, PHONE, &guess).await.answer.is_ok() }
    }))
    .await;
    assert!(answers.iter().all(|right| !right));
}

#[tokio::test]
async fn of_a_hundred_parallel_right_codes_one_is_accepted() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let answers = join_all((0..100).map(|_| {
        let (mut visitor, fixture, code) = (visitor.clone(), &fixture, &code);
        async move { fixture.verify(&mut visitor, PHONE, code).await.answer.is_ok() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|right| **right).count(), 1);
}

#[tokio::test]
async fn the_fifth_wrong_try_ends_the_code_and_sending_it_again_does_not_reset_its_tries() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let wrong = fixture.recorder.other_than_code();
    for _ in 0..4 {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &wrong).await.code(), "code_wrong");
        if fixture.recorder.count() < 3 {
            assert_eq!(fixture.resend(&mut visitor, PHONE).await.json()["success"], true);
        }
    }
    let mut lucky = visitor.clone();
    let mut unlucky = visitor;
    assert_eq!(fixture.verify(&mut unlucky, PHONE, &wrong).await.code(), "code_wrong");
    assert_eq!(fixture.resend(&mut unlucky, PHONE).await.code(), "no_live_code");
    assert_eq!(fixture.verify(&mut lucky, PHONE, &code).await.code(), "code_wrong");
}

#[tokio::test]
async fn guesses_without_the_challenge_do_not_count_as_tries_of_the_code() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let mut visitor = browser();
    let code = fixture.send_code(&mut visitor, PHONE).await;
    let wrong = fixture.recorder.other_than_code();
    for _ in 0..50 {
        assert_eq!(fixture.verify(&mut browser(), PHONE, &wrong).await.code(), "code_wrong");
        assert_eq!(fixture.verify(&mut browser(), PHONE, &code).await.code(), "code_wrong");
    }
    assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
}

#[tokio::test]
async fn an_address_has_ten_wrong_codes_an_hour_and_right_ones_are_not_counted() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    for _ in 0..30 {
        let mut visitor = browser();
        let code = fixture.send_code(&mut visitor, PHONE).await;
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.json()["success"], true);
        fixture.clock.advance(Duration::from_secs(60));
    }
    let mut compared = 0;
    for _ in 0..4 {
        let mut attacker = browser();
        match fixture.send(&mut attacker, PHONE).await.answer.map_err(|failed| failed.error) {
            Ok(_) => {}
            Err(OtpError::TooMany(wait)) => {
                assert!(wait > Duration::from_secs(60));
                continue;
            }
            Err(other) => panic!("{other:?}"),
        }
        let wrong = fixture.recorder.other_than_code();
        for _ in 0..5 {
            assert_eq!(fixture.verify(&mut attacker, PHONE, &wrong).await.code(), "code_wrong");
            compared += 1;
        }
        fixture.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(compared, 10);
    let mut other = browser();
    let code = fixture.send_code(&mut other, "010-8765-4321").await;
    assert_eq!(fixture.verify(&mut other, "010-8765-4321", &code).await.json()["success"], true, "another address");
}

#[tokio::test]
async fn a_new_code_replaces_the_older_one_of_the_same_browser_and_of_no_other() {
    let fixture = OtpFixture::of(CodePurpose::Prove);
    let (mut mine, mut stranger) = (browser(), browser());
    let first = fixture.send_code(&mut mine, PHONE).await;
    fixture.clock.advance(Duration::from_secs(60));
    let theirs = fixture.send_code(&mut stranger, PHONE).await;
    assert_eq!(
        fixture.verify(&mut mine.clone(), PHONE, &fixture.recorder.other_than_code()).await.code(),
        "code_wrong"
    );
    if theirs != first {
        assert_eq!(fixture.verify(&mut mine.clone(), PHONE, &theirs).await.code(), "code_wrong", "not mine");
    }
    assert_eq!(fixture.verify(&mut mine.clone(), PHONE, &first).await.json()["success"], true, "still good");
    fixture.clock.advance(Duration::from_secs(60));
    let older = fixture.send_code(&mut mine, PHONE).await;
    let before = mine.clone();
    fixture.clock.advance(Duration::from_secs(60));
    let newer = fixture.send_code(&mut mine, PHONE).await;
    if older != newer {
        assert_eq!(fixture.verify(&mut before.clone(), PHONE, &older).await.code(), "code_wrong", "ended");
    }
    assert_eq!(fixture.verify(&mut mine, PHONE, &newer).await.json()["success"], true);
}

/// Three browsers, each with its own valid code for one address, and their codes.
async fn three_live_codes(fixture: &mut OtpFixture) -> Vec<(Visitor, String)> {
    fixture.otps.settings.cooldown = Duration::ZERO;
    fixture.otps.settings.lifetime = LONGEST_LIFETIME;
    let mut live = vec![];
    for _ in 0..3 {
        let mut visitor = browser();
        let code = fixture.send_code(&mut visitor, PHONE).await;
        live.push((visitor, code));
    }
    live
}

#[tokio::test]
async fn of_sixty_parallel_guesses_at_three_codes_fifteen_are_compared_and_five_get_too_many() {
    let mut fixture = OtpFixture::of(CodePurpose::Prove);
    let live = three_live_codes(&mut fixture).await;
    let guesses = live.iter().flat_map(|(visitor, code)| {
        let right: u32 = code.parse().unwrap();
        (1..=20).map(move |step| (visitor.clone(), format!("{:06}", (right + step) % 1_000_000)))
    });
    let answers = join_all(guesses.map(|(mut visitor, guess)| {
        let fixture = &fixture;
        async move { fixture.verify(&mut visitor, PHONE, &guess).await.code() }
    }))
    .await;
    let count = |code| answers.iter().filter(|answer| **answer == code).count();
    assert_eq!(
        (count("code_wrong"), count("too_many")),
        (55, 5),
        "ten failures, five over the limit, and what was gone"
    );
    for (mut visitor, code) in live {
        assert_eq!(fixture.verify(&mut visitor, PHONE, &code).await.code(), "code_wrong");
    }
}

#[tokio::test]
async fn over_the_limit_of_an_address_right_and_wrong_codes_get_the_same_answer_and_the_right_one_is_not_spent() {
    let mut fixture = OtpFixture::of(CodePurpose::Prove);
    fixture.clock.advance(Duration::from_mins(59));
    let live = three_live_codes(&mut fixture).await;
    let off = |code: &str| format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for (visitor, code) in &live[..2] {
        for _ in 0..5 {
            assert_eq!(fixture.verify(&mut visitor.clone(), PHONE, &off(code)).await.code(), "code_wrong");
        }
    }
    let (visitor, code) = &live[2];
    for guess in [&off(code), code, code] {
        let refused = fixture.verify(&mut visitor.clone(), PHONE, guess).await;
        assert_eq!(refused.code(), "too_many");
        assert!(refused.set_cookie.is_empty());
    }
    // A tenth of the window has passed, and with it the first failure.
    fixture.clock.advance(Duration::from_mins(8));
    assert_eq!(fixture.verify(&mut visitor.clone(), PHONE, code).await.json()["success"], true);
}
