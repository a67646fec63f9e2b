//! The requests to each known provider, checked as the provider checks them, and which of its answers confirm a
//! message.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn aligo_receives_a_form_with_key_numbers_and_text() {
    let server = always(200, json!({"result_code": 1, "message": "success", "error_cnt": 0})).await;
    let tested = Aligo { test_mode: true, ..aligo(&server) };
    sender(vec![SmsProviderSettings::Aligo(tested)]).send(&sms("[식방] 1&2=3 😀")).await.unwrap();
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
async fn aligo_took_a_message_only_with_result_code_1_and_no_error_counted() {
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
        let sent = sender(vec![SmsProviderSettings::Aligo(aligo(&server))]).send(&sms("x")).await;
        assert_eq!(sent.is_ok(), taken, "{body}");
    }
}

#[tokio::test]
async fn a_text_over_90_bytes_of_euc_kr_is_an_lms_and_one_over_2000_is_not_sent() {
    let (hangul, most) = ("가".repeat(45), "가".repeat(1000));
    let server = always(200, json!({"result_code": 1})).await;
    let sender_of = |server| sender(vec![SmsProviderSettings::Aligo(aligo(server))]);
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

/// Answers like Solapi; accepts a message only with a valid signature that was not used before.
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
async fn solapi_receives_a_valid_signature_that_differs_each_time() {
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
async fn solapi_took_a_message_only_with_status_code_2000_or_with_none_and_an_id() {
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

/// Answers like SENS; accepts a message only with a valid signature of the received path.
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
async fn sens_receives_a_valid_signature_of_the_path_as_it_is_on_the_wire() {
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
async fn sens_took_a_message_only_with_202_and_a_request_id() {
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
async fn twilio_receives_e_164_and_basic_authentication() {
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
