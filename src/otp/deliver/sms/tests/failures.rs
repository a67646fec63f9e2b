//! Failures of providers: which provider is tried next, and when a message is undelivered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_number_that_aligo_does_not_serve_goes_to_the_next_provider() {
    let korean = always(200, json!({"result_code": 1})).await;
    let other = always(201, json!({"sid": "SM1", "error_code": null})).await;
    let providers =
        vec![SmsProviderSettings::Aligo(aligo(&korean)), twilio(&other, TwilioSender::From("+15005550006".to_owned()))];
    sender(providers).send(&american("x")).await.unwrap();
    assert_eq!((korean.seen().len(), other.seen().len()), (0, 1));
    assert_eq!(sender(vec![SmsProviderSettings::Aligo(aligo(&korean))]).send(&american("x")).await, Err(Undelivered));
}

#[tokio::test]
async fn after_any_failure_of_a_provider_the_next_one_is_tried() {
    let deep = "[".repeat(50_000);
    for reply in [
        Reply::json(500, &json!({})),
        Reply::json(200, &json!({"result_code": "-101", "message": "인증오류입니다."})),
        Reply::text(200, "text/html", "<!doctype html><h1>점검 중</h1>"),
        Reply::text(200, "application/json", "{\"result_code\":1"),
        Reply::text(200, "application/json", deep),
        Reply::text(200, "application/json", vec![b' '; 1 << 20]),
        Reply::text(200, "application/json", vec![0xff; 100]),
        Reply::json(302, &json!({"result_code": 1})).with("location", "/elsewhere"),
        Reply::Cut,
        Reply::Reset,
        Reply::Hang,
    ] {
        let shown = format!("{reply:.80?}");
        let first = Server::start(move |_| reply.clone()).await;
        let second = always(200, json!({"statusCode": "2000"})).await;
        // Longer than any answer takes; only the provider that hangs reaches it.
        let impatient = Aligo { timeout: Duration::from_millis(500), ..aligo(&first) };
        sender(vec![SmsProviderSettings::Aligo(impatient), solapi(&second)]).send(&sms("x")).await.unwrap();
        assert_eq!((first.seen().len(), second.seen().len()), (1, 1), "{shown}");
    }
}

#[tokio::test]
async fn an_unreachable_provider_is_skipped_and_when_all_are_the_message_is_undelivered() {
    let server = always(200, json!({"statusCode": "2000"})).await;
    let mut unreachable = aligo(&server);
    unreachable.url.set_port(Some(dead_address().await.port())).unwrap();
    sender(vec![SmsProviderSettings::Aligo(unreachable.clone()), solapi(&server)]).send(&sms("x")).await.unwrap();
    assert_eq!(sender(vec![SmsProviderSettings::Aligo(unreachable)]).send(&sms("x")).await, Err(Undelivered));
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_tried_last_until_a_probe_succeeds() {
    let works = Arc::new(AtomicBool::new(false));
    let first = {
        let works = Arc::clone(&works);
        Server::start(move |_| Reply::json(200, &json!({"result_code": i32::from(works.load(Ordering::Relaxed))})))
            .await
    };
    let second = always(200, json!({"statusCode": "2000"})).await;
    let clock = Clock::movable();
    let sender = sender_with(vec![SmsProviderSettings::Aligo(aligo(&first)), solapi(&second)], clock.clone());
    let asked = async || {
        sender.send(&sms("x")).await.unwrap();
        (first.seen().len(), second.seen().len())
    };
    assert_eq!((asked().await, asked().await, asked().await), ((1, 1), (2, 2), (3, 3)));
    assert_eq!((asked().await, asked().await), ((3, 4), (3, 5)), "the first is not asked");
    clock.advance(Duration::from_secs(60));
    assert_eq!((asked().await, asked().await), ((4, 6), (4, 7)), "the probe fails");
    works.store(true, Ordering::Relaxed);
    clock.advance(Duration::from_secs(60));
    assert_eq!((asked().await, asked().await), ((5, 7), (6, 7)), "the probe succeeds");
}

#[tokio::test]
async fn the_outbox_receives_the_message_as_json() {
    let server = always(200, json!({})).await;
    let providers = vec![SmsProviderSettings::Outbox(OutboxSettings::Url(server.url("/outbox")))];
    sender(providers).send(&sms("[식방] 042137")).await.unwrap();
    let seen = server.seen().pop().unwrap().json();
    assert_eq!(seen, json!({"channel": "sms", "to": "01012345678", "text": "[식방] 042137"}));
}

/// Never answers.
struct Silent(Arc<AtomicUsize>);

impl ProviderInfo for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(6)
    }
}

impl SmsProvider for Silent {
    fn send<'a>(&'a self, _: &'a Sms, _: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotAccepted>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn providers_are_tried_for_ten_seconds_in_all() {
    let asked = Arc::<AtomicUsize>::default();
    let mut sender = sender(vec![]);
    sender.providers = (0..3).map(|_| -> Box<dyn SmsProvider> { Box::new(Silent(Arc::clone(&asked))) }).collect();
    sender.failover = Failover::new(3, Random::system());
    assert_eq!(sender.send(&sms("x")).await, Err(Undelivered));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
