//! The requests to an API by template, and which of its answers confirm a message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_template_can_express_aligo() {
    let server = Server::start(|seen| {
        Reply::text(200, "text/html", format!("{{\"result_code\":{}}}", i32::from(seen.field("msg").is_some())))
    })
    .await;
    let form =
        [("key", "k"), ("sender", "{sender}"), ("receiver", "{address}"), ("msg", "{text}"), ("msg_type", "SMS")];
    let api = HttpApi {
        body: Body::Form(form.map(|(name, value)| (name.to_owned(), text(value))).to_vec()),
        success: SuccessRule { statuses: vec![], field: Some(("/result_code".to_owned(), vec!["1".to_owned()])) },
        ..api(&server, "/send/")
    };
    sender(vec![http(api)]).send(&sms("1&key=2")).await.unwrap();
    let expected =
        [("key", "k"), ("sender", "0212345678"), ("receiver", "01012345678"), ("msg", "1&key=2"), ("msg_type", "SMS")];
    assert_eq!(fields(&server.seen()[0]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn values_cannot_change_the_structure_of_a_template() {
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
        success: SuccessRule {
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
async fn a_template_decides_which_answers_count_as_taken() {
    let field = |pointer: &str| Some((pointer.to_owned(), vec!["0".to_owned(), "true".to_owned()]));
    for (statuses, field, status, media_type, body, taken) in [
        (vec![], None, 204, "text/plain", "", true),
        (vec![], None, 200, "text/xml", "<ok/>", true),
        (vec![], None, 200, "text/html", "ok", true),
        (vec![], None, 200, "text/plain", "\u{feff} <html>", false),
        (vec![], field("/a"), 200, "text/html", "\u{feff}{\"a\":0}", true),
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
        let api = HttpApi { success: SuccessRule { statuses, field }, ..api(&server, "/") };
        assert_eq!(sender(vec![http(api)]).send(&sms("x")).await.is_ok(), taken, "{status} {body}");
    }
}

#[tokio::test]
async fn a_template_may_set_method_and_basic_authentication_and_an_empty_path_segment_is_refused() {
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
