//! What each provider sees, checked as it would check it; and what becomes of a message when providers fail.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_lc_rs::hmac::{HMAC_SHA256, Key};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, Method};
use serde_json::{Value, json};

use super::{
    super::{Hmac, HmacAlgorithm, HmacEncoding, Success, TwilioSender, http_client},
    *,
};
use crate::{
    call::{Body, Json, Text},
    scripted::{Reply, Seen, Server, dead_address},
    secret::Secret,
};

const WAIT: Duration = Duration::from_secs(5);

fn sender_with(ways: Vec<SmsWay>, clock: Clock) -> SmsSender {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    SmsSender::new(SmsSettings { ways }, http_client().unwrap(), clock, Random::system())
}

fn sender(ways: Vec<SmsWay>) -> SmsSender {
    sender_with(ways, Clock::system())
}

fn sms(text: &str) -> Sms {
    Sms { to_e164: "+821012345678".to_owned(), to: "01012345678".to_owned(), country: 82, text: text.to_owned() }
}

fn american(text: &str) -> Sms {
    Sms { to_e164: "+12025550123".to_owned(), to: "+12025550123".to_owned(), country: 1, text: text.to_owned() }
}

fn aligo(server: &Server) -> Aligo {
    Aligo {
        url: server.url("/send/"),
        key: Secret::new("a&key"),
        user_id: "sigbang".to_owned(),
        sender: "0212345678".to_owned(),
        test_mode: false,
        timeout: WAIT,
    }
}

fn solapi(server: &Server) -> SmsWay {
    SmsWay::Solapi(Solapi {
        url: server.url("/messages/v4/send"),
        key: "NCSKEY".to_owned(),
        secret: Secret::new("solapi secret"),
        sender: "0212345678".to_owned(),
        timeout: WAIT,
    })
}

fn sens(server: &Server, prefix: &str) -> SmsWay {
    SmsWay::Sens(Sens {
        url: server.url(prefix),
        service_id: "ncp:sms:kr:1234:sig bang".to_owned(),
        key: "ACCESS".to_owned(),
        secret: Secret::new("sens secret"),
        sender: "0212345678".to_owned(),
        timeout: WAIT,
    })
}

fn twilio(server: &Server, sender: TwilioSender) -> SmsWay {
    SmsWay::Twilio(Twilio {
        url: server.url("/"),
        account_sid: "AC1".to_owned(),
        user: "SK1".to_owned(),
        secret: Secret::new("twilio:secret"),
        sender,
        timeout: WAIT,
    })
}

fn text(text: &str) -> Text {
    let known = ["address", "address_e164", "text", "sender", "timestamp", "date", "nonce", "signature"];
    Text::parse(text, &known).unwrap()
}

fn api(server: &Server, target: &str) -> HttpApi {
    HttpApi {
        origin: format!("http://{}", server.address),
        target: text(target),
        method: Method::POST,
        headers: vec![],
        body: Body::Empty,
        sender: "0212345678".to_owned(),
        basic: None,
        hmac: None,
        success: Success::default(),
        timeout: WAIT,
    }
}

fn http(api: HttpApi) -> SmsWay {
    SmsWay::Http(Box::new(api))
}

/// Recomputed here, apart from the code that signs.
fn hmac_sha256(key: &str, text: &str) -> Vec<u8> {
    aws_lc_rs::hmac::sign(&Key::new(HMAC_SHA256, key.as_bytes()), text.as_bytes()).as_ref().to_vec()
}

async fn always(status: u16, body: Value) -> Server {
    Server::start(move |_| Reply::json(status, &body)).await
}

fn fields(seen: &Seen) -> Vec<(String, String)> {
    url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn aligo_gets_its_form() {
    let server = always(200, json!({"result_code": 1, "message": "success", "error_cnt": 0})).await;
    let tested = Aligo { test_mode: true, ..aligo(&server) };
    sender(vec![SmsWay::Aligo(tested)]).send(&sms("[식방] 1&2=3 😀")).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/send/"));
    let expected = [
        ("key", "a&key"),
        ("user_id", "sigbang"),
        ("sender", "0212345678"),
        ("receiver", "01012345678"),
        ("msg", "[식방] 1&2=3 ?"),
        ("msg_type", "SMS"),
        ("testmode_yn", "Y"),
    ];
    assert_eq!(fields(seen), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn aligo_has_taken_a_message_only_if_the_result_code_is_one_and_no_error_is_counted() {
    for (status, media_type, body, taken) in [
        (
            200,
            "text/html; charset=UTF-8",
            r#"{"result_code":1,"message":"success","msg_id":123,"success_cnt":1,"error_cnt":0}"#,
            true,
        ),
        (200, "application/json", r#"{"result_code":"1","msg_id":"123","error_cnt":"0"}"#, true),
        (200, "application/json", "\u{feff} {\"result_code\":\"1\"}", true),
        (200, "application/json", r#"{"result_code":1,"error_cnt":1}"#, false),
        (200, "application/json", r#"{"result_code":"1","error_cnt":"2"}"#, false),
        (200, "application/json", r#"{"result_code":1,"error_cnt":null}"#, false),
        (200, "application/json", r#"{"result_code":-101,"message":"인증오류입니다."}"#, false),
        (200, "application/json", r#"{"result_code":"-101","message":"인증오류입니다.-IP"}"#, false),
        (200, "application/json", r#"{"result_code":true}"#, false),
        (200, "application/json", r#"{"result_code":[1]}"#, false),
        (200, "application/json", r#"{"result_code":"01x"}"#, false),
        (200, "application/json", "[1]", false),
        (200, "application/json", "1", false),
        (200, "application/json", "", false),
        (500, "application/json", r#"{"result_code":1}"#, false),
    ] {
        let server = Server::start(move |_| Reply::text(status, media_type, body)).await;
        let sent = sender(vec![SmsWay::Aligo(aligo(&server))]).send(&sms("x")).await;
        assert_eq!(sent.is_ok(), taken, "{body}");
    }
}

#[tokio::test]
async fn a_text_of_more_than_ninety_bytes_of_euc_kr_is_an_lms_and_one_of_more_than_two_thousand_is_not_sent() {
    let (hangul, most) = ("가".repeat(45), "가".repeat(1000));
    let server = always(200, json!({"result_code": 1})).await;
    let sender_of = |server| sender(vec![SmsWay::Aligo(aligo(server))]);
    for (text, kind, title) in [
        (hangul.clone(), "SMS", None),
        (format!("{hangul}a"), "LMS", Some("가".repeat(22))),
        (format!("title\n{hangul}"), "LMS", Some("title".to_owned())),
        (most.clone(), "LMS", Some("가".repeat(22))),
    ] {
        sender_of(&server).send(&sms(&text)).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.field("msg_type").as_deref(), Some(kind), "{text}");
        assert_eq!((seen.field("title"), seen.field("msg")), (title, Some(text)));
    }
    let asked = server.seen().len();
    assert_eq!(sender_of(&server).send(&sms(&format!("{most}a"))).await, Err(Undelivered));
    assert_eq!(server.seen().len(), asked);

    let server = always(202, json!({"requestId": "r"})).await;
    for (text, kind, subject) in
        [(hangul.clone(), "SMS", Value::Null), (format!("{hangul}a"), "LMS", json!("가".repeat(20)))]
    {
        sender(vec![sens(&server, "/")]).send(&sms(&text)).await.unwrap();
        let body = server.seen().pop().unwrap().json();
        assert_eq!((&body["type"], &body["subject"]), (&json!(kind), &subject));
    }
}

#[tokio::test]
async fn numbers_that_aligo_does_not_serve_go_by_the_next_way() {
    let korean = always(200, json!({"result_code": 1})).await;
    let other = always(201, json!({"sid": "SM1", "error_code": null})).await;
    let ways = vec![SmsWay::Aligo(aligo(&korean)), twilio(&other, TwilioSender::From("+15005550006".to_owned()))];
    sender(ways).send(&american("x")).await.unwrap();
    assert_eq!((korean.seen().len(), other.seen().len()), (0, 1));
    assert_eq!(sender(vec![SmsWay::Aligo(aligo(&korean))]).send(&american("x")).await, Err(Undelivered));
}

/// Answers as Solapi does, and only where the signature is right and new.
fn as_solapi(used: &std::sync::Mutex<Vec<String>>, seen: &Seen) -> Reply {
    let bad = |message: &str| Reply::json(400, &json!({"errorCode": "SignatureDoesNotMatch", "errorMessage": message}));
    let Some(credentials) = seen.header("authorization").and_then(|value| value.strip_prefix("HMAC-SHA256 ")) else {
        return bad("no credentials");
    };
    let part = |name: &str| {
        credentials.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let (date, salt) = (part("date"), part("salt"));
    let tag = hmac_sha256("solapi secret", &format!("{date}{salt}"));
    let expected = tag.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let parsed = time::OffsetDateTime::parse(date, &time::format_description::well_known::Rfc3339);
    if part("apiKey") != "NCSKEY" || part("signature") != expected || parsed.is_err() {
        return bad("wrong");
    }
    let mut used = used.lock().unwrap();
    if !(12..=64).contains(&salt.len()) || used.iter().any(|known| known == salt) {
        return bad("salt");
    }
    used.push(salt.to_owned());
    Reply::json(
        200,
        &json!({"groupId": "G", "messageId": "M", "statusCode": "2000", "statusMessage": "정상 접수", "to": "x"}),
    )
}

#[tokio::test]
async fn solapi_accepts_the_signature_which_is_another_one_each_time() {
    let used = Arc::default();
    let server = Server::start(move |seen| as_solapi(&used, seen)).await;
    let sender = sender(vec![solapi(&server)]);
    sender.send(&sms("\"[식방]\" 😀")).await.unwrap();
    sender.send(&american("hi")).await.unwrap();
    let bodies: Vec<_> = server.seen().iter().map(Seen::json).collect();
    let korean = json!({"message": {"to": "01012345678", "from": "0212345678", "text": "\"[식방]\" 😀"}});
    let other = json!({"message": {"to": "2025550123", "from": "0212345678", "text": "hi", "country": "1"}});
    assert_eq!(bodies, [korean, other]);
    assert_eq!(server.seen()[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn solapi_has_taken_a_message_only_with_status_code_2000_or_none_and_an_id() {
    for (status, body, taken) in [
        (200, json!({"statusCode": "2000", "messageId": "M"}), true),
        (200, json!({"statusCode": 2000}), true),
        (200, json!({"groupId": "G"}), true),
        (200, json!({"statusCode": "3030", "messageId": "M"}), false),
        (200, json!({"errorCode": "NotEnoughBalance", "errorMessage": "x", "messageId": "M"}), false),
        (200, json!({}), false),
        (400, json!({"errorCode": "ValidationError", "errorMessage": "x"}), false),
        (400, json!({"statusCode": "2000"}), false),
    ] {
        let server = always(status, body.clone()).await;
        assert_eq!(sender(vec![solapi(&server)]).send(&sms("x")).await.is_ok(), taken, "{body}");
    }
}

/// Answers as SENS does, and only where the signature is that of the path as it arrived.
fn as_sens(seen: &Seen) -> Reply {
    let header = |name| seen.header(name).unwrap_or_default();
    let (timestamp, key) = (header("x-ncp-apigw-timestamp"), header("x-ncp-iam-access-key"));
    let signed = format!("{} {}\n{timestamp}\n{key}", seen.method, seen.target);
    let expected = STANDARD.encode(hmac_sha256("sens secret", &signed));
    let fresh = timestamp.len() == 13 && timestamp.parse::<u64>().is_ok();
    if key == "ACCESS" && fresh && header("x-ncp-apigw-signature-v2") == expected {
        Reply::json(202, &json!({"requestId": "r", "statusCode": "202", "statusName": "success"}))
    } else {
        Reply::json(401, &json!({"error": {"errorCode": "200", "message": "Authentication Failed"}}))
    }
}

#[tokio::test]
async fn sens_accepts_the_signature_of_the_path_as_it_goes_on_the_wire() {
    let server = Server::start(as_sens).await;
    for (prefix, message, country, to) in
        [("/", sms("식방 1"), "82", "01012345678"), ("/relay/?a=b c", american("식방 1"), "1", "2025550123")]
    {
        sender(vec![sens(&server, prefix)]).send(&message).await.unwrap();
        let body = json!({
            "type": "SMS", "contentType": "COMM", "countryCode": country, "from": "0212345678", "content": "식방 1",
            "messages": [{"to": to}],
        });
        assert_eq!(server.seen().pop().unwrap().json(), body);
    }
    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    let path = "/sms/v2/services/ncp:sms:kr:1234:sig%20bang/messages";
    assert_eq!(targets, [path.to_owned(), format!("/relay{path}?a=b%20c")]);
}

#[tokio::test]
async fn sens_has_taken_a_message_only_with_202_and_the_request_s_id() {
    for (status, body, taken) in [
        (202, json!({"requestId": "r"}), true),
        (202, json!({}), false),
        (200, json!({"requestId": "r"}), false),
        (429, json!({"error": {"errorCode": "400", "message": "Quota Exceeded"}}), false),
    ] {
        let server = always(status, body.clone()).await;
        assert_eq!(sender(vec![sens(&server, "/")]).send(&sms("x")).await.is_ok(), taken, "{body}");
    }
}

#[tokio::test]
async fn twilio_gets_e_164_and_basic_authentication() {
    let server = always(201, json!({"sid": "SM1", "status": "queued", "error_code": null})).await;
    let service = TwilioSender::MessagingService("MG1".to_owned());
    sender(vec![twilio(&server, TwilioSender::From("+15005550006".to_owned()))]).send(&sms("a&b 식방")).await.unwrap();
    sender(vec![twilio(&server, service)]).send(&sms("a&b 식방")).await.unwrap();
    let seen = server.seen();
    for (seen, from) in seen.iter().zip([("From", "+15005550006"), ("MessagingServiceSid", "MG1")]) {
        assert_eq!(seen.target, "/2010-04-01/Accounts/AC1/Messages.json");
        assert_eq!(seen.header("authorization"), Some(&*format!("Basic {}", STANDARD.encode("SK1:twilio:secret"))));
        let expected = [("To", "+821012345678"), from, ("Body", "a&b 식방")];
        assert_eq!(fields(seen), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    for (status, body) in [
        (400, json!({"code": 21211, "message": "The 'To' number +821012345678 is not valid", "status": 400})),
        (201, json!({"sid": "SM1", "error_code": 30007, "error_message": "filtered"})),
        (201, json!({})),
        (200, json!({"sid": "SM1"})),
    ] {
        let server = always(status, body).await;
        let from = TwilioSender::From("+15005550006".to_owned());
        assert_eq!(sender(vec![twilio(&server, from)]).send(&sms("x")).await, Err(Undelivered));
    }
}

#[tokio::test]
async fn aligo_can_be_written_as_a_template() {
    let server = Server::start(|seen| {
        Reply::text(200, "text/html", format!("{{\"result_code\":{}}}", i32::from(seen.field("msg").is_some())))
    })
    .await;
    let form =
        [("key", "k"), ("sender", "{sender}"), ("receiver", "{address}"), ("msg", "{text}"), ("msg_type", "SMS")];
    let api = HttpApi {
        body: Body::Form(form.map(|(name, value)| (name.to_owned(), text(value))).to_vec()),
        success: Success { statuses: vec![], field: Some(("/result_code".to_owned(), vec!["1".to_owned()])) },
        ..api(&server, "/send/")
    };
    sender(vec![http(api)]).send(&sms("1&key=2")).await.unwrap();
    let expected =
        [("key", "k"), ("sender", "0212345678"), ("receiver", "01012345678"), ("msg", "1&key=2"), ("msg_type", "SMS")];
    assert_eq!(fields(&server.seen()[0]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn in_a_template_a_value_is_data_wherever_it_stands() {
    let server = always(200, json!({"header": {"code": 0}})).await;
    let known = ["address", "address_e164", "text", "sender", "timestamp", "date", "nonce", "signature"];
    let body =
        json!({"to": ["{address_e164}"], "text": "{text}", "both": "{address}: {text}", "n": 1, "t": "{timestamp}"});
    let signing = Hmac {
        secret: Secret::new("k"),
        algorithm: HmacAlgorithm::Sha256,
        text: text("{timestamp}.{nonce}.{text}"),
        encoding: HmacEncoding::Base64,
    };
    let template = HttpApi {
        headers: vec![
            (HeaderName::from_static("authorization"), text("Bearer t")),
            (HeaderName::from_static("x-text"), text("{text}")),
            (HeaderName::from_static("x-signed"), text("{timestamp} {nonce} {signature} {date}")),
        ],
        body: Body::Json(Json::from_value(&body, &known).unwrap()),
        hmac: Some(signing),
        success: Success {
            statuses: vec![200, 202],
            field: Some(("/header/code".to_owned(), vec!["0".to_owned(), "ok".to_owned()])),
        },
        ..api(&server, "/v1/{address_e164}/{text}?q={text}&s={signature}")
    };
    let said = "a/b?c&d=\"e\"\r\nx: 식";
    let clock = Clock::movable();
    let sender = sender_with(vec![http(template)], clock);
    sender.send(&sms(said)).await.unwrap();
    sender.send(&sms(said)).await.unwrap();
    let seen = server.seen();
    let coded = "a%2Fb%3Fc%26d%3D%22e%22%0D%0Ax%3A%20%EC%8B%9D";
    let signed: Vec<_> = seen[0].header("x-signed").unwrap().split(' ').collect();
    let [timestamp, nonce, signature, date] = signed[..] else { panic!("{signed:?}") };
    assert_eq!(signature, STANDARD.encode(hmac_sha256("k", &format!("{timestamp}.{nonce}.{said}"))));
    assert!(nonce.len() == 22 && date.ends_with('Z'));
    assert_ne!(seen[1].header("x-signed").unwrap().split(' ').nth(1), Some(nonce));
    let (path, query) = seen[0].target.split_once('?').unwrap();
    assert_eq!(path, format!("/v1/%2B821012345678/{coded}"));
    let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!(query, [("q".to_owned(), said.to_owned()), ("s".to_owned(), signature.to_owned())]);
    assert_eq!(seen[0].header("x-text"), Some("a/b?c&d=\"e\"%0D%0Ax:%20%EC%8B%9D"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer t"));
    assert_eq!(
        seen[0].json(),
        json!({"to": ["+821012345678"], "text": said, "both": format!("01012345678: {said}"), "n": 1, "t": timestamp})
    );
}

#[tokio::test]
async fn a_template_says_when_a_message_counts_as_sent() {
    let field = |pointer: &str| Some((pointer.to_owned(), vec!["0".to_owned(), "true".to_owned()]));
    for (statuses, field, status, media_type, body, taken) in [
        (vec![], None, 204, "text/plain", "", true),
        (vec![], None, 200, "text/xml", "<ok/>", true),
        (vec![], None, 200, "text/html", "ok", false),
        (vec![], None, 200, "text/plain", "<!DOCTYPE html><p>log in", false),
        (vec![], None, 302, "text/plain", "", false),
        (vec![202], None, 200, "text/plain", "", false),
        (vec![404], None, 404, "text/plain", "", true),
        (vec![], field("/a/0"), 200, "text/plain", r#"{"a":[0]}"#, true),
        (vec![], field("/a"), 200, "text/plain", r#"{"a":"0"}"#, true),
        (vec![], field("/a"), 200, "text/plain", r#"{"a":true}"#, true),
        (vec![], field("/a"), 200, "text/plain", r#"{"a":1}"#, false),
        (vec![], field("/a"), 200, "text/plain", r#"{"a":null}"#, false),
        (vec![], field("/a"), 200, "text/plain", "{}", false),
        (vec![], field("/a"), 500, "text/plain", r#"{"a":0}"#, false),
        (vec![], field("/a"), 200, "text/html", "<html>", false),
    ] {
        let server = Server::start(move |_| Reply::text(status, media_type, body)).await;
        let api = HttpApi { success: Success { statuses, field }, ..api(&server, "/") };
        assert_eq!(sender(vec![http(api)]).send(&sms("x")).await.is_ok(), taken, "{status} {body}");
    }
}

#[tokio::test]
async fn basic_authentication_and_a_method_can_be_said_and_an_empty_value_makes_no_path() {
    let server = always(200, json!({})).await;
    let api = HttpApi {
        method: Method::GET,
        basic: Some(("user".to_owned(), Secret::new("p"))),
        ..api(&server, "/{text}?to={address}")
    };
    let sender = sender(vec![http(api)]);
    assert_eq!(sender.send(&sms("..")).await, Err(Undelivered));
    assert_eq!(sender.send(&sms("")).await, Err(Undelivered));
    sender.send(&sms("...")).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/...?to=01012345678"));
    assert_eq!(seen.header("authorization"), Some("Basic dXNlcjpw"));
}

#[tokio::test]
async fn whatever_a_provider_does_wrong_the_next_one_takes_over() {
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
        // Long enough for every answer; only the one that hangs takes as long.
        let impatient = Aligo { timeout: Duration::from_millis(500), ..aligo(&first) };
        sender(vec![SmsWay::Aligo(impatient), solapi(&second)]).send(&sms("x")).await.unwrap();
        assert_eq!((first.seen().len(), second.seen().len()), (1, 1), "{shown}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_passed_over_and_when_all_are_away_that_is_said() {
    let server = always(200, json!({"statusCode": "2000"})).await;
    let mut away = aligo(&server);
    away.url.set_port(Some(dead_address().await.port())).unwrap();
    sender(vec![SmsWay::Aligo(away.clone()), solapi(&server)]).send(&sms("x")).await.unwrap();
    assert_eq!(sender(vec![SmsWay::Aligo(away)]).send(&sms("x")).await, Err(Undelivered));
}

#[tokio::test]
async fn what_keeps_failing_is_asked_last_until_a_probe_succeeds() {
    let works = Arc::new(AtomicBool::new(false));
    let first = {
        let works = Arc::clone(&works);
        Server::start(move |_| Reply::json(200, &json!({"result_code": i32::from(works.load(Ordering::Relaxed))})))
            .await
    };
    let second = always(200, json!({"statusCode": "2000"})).await;
    let clock = Clock::movable();
    let sender = sender_with(vec![SmsWay::Aligo(aligo(&first)), solapi(&second)], clock.clone());
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
async fn in_development_the_outbox_gets_the_message() {
    let server = always(200, json!({})).await;
    let ways = vec![SmsWay::Outbox(OutboxSettings::Url(server.url("/outbox")))];
    sender(ways).send(&sms("[식방] 042137")).await.unwrap();
    let seen = server.seen().pop().unwrap().json();
    assert_eq!(seen, json!({"channel": "sms", "to": "01012345678", "text": "[식방] 042137"}));
}

/// Never answers.
struct Silent(Arc<AtomicUsize>);

impl Way for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(6)
    }

    fn send<'a>(&'a self, _sms: &'a Sms, _wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn ways_are_tried_only_while_there_is_time() {
    let asked = Arc::<AtomicUsize>::default();
    let mut sender = sender(vec![]);
    sender.ways = (0..3).map(|_| -> Box<dyn Way> { Box::new(Silent(Arc::clone(&asked))) }).collect();
    sender.breaker = Breaker::new(3);
    assert_eq!(sender.send(&sms("x")).await, Err(Undelivered));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
