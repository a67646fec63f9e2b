//! Tests of SMS with a scripted server for each provider.

use aws_lc_rs::hmac::{HMAC_SHA256, Key};
use http::{HeaderName, Method};
use serde_json::Value;

use super::{
    hmac::{HmacAlgorithm, HmacEncoding},
    http_api::{Hmac, SuccessRule},
    twilio::TwilioSender,
    *,
};
use crate::{
    call::{Body, Json, Text},
    otp::deliver::http_client,
    scripted::{Reply, Seen, Server, dead_address},
    secret::Secret,
};

mod failures;
mod providers;
mod templates;

const WAIT: Duration = Duration::from_secs(5);

fn sender_with(providers: Vec<SmsProviderSettings>, clock: Clock) -> SmsSender {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    SmsSender::new(SmsSettings { providers }, http_client().unwrap(), clock, Random::system())
}

fn sender(providers: Vec<SmsProviderSettings>) -> SmsSender {
    sender_with(providers, Clock::system())
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

fn solapi(server: &Server) -> SmsProviderSettings {
    SmsProviderSettings::Solapi(Solapi {
        url: server.url("/messages/v4/send"),
        key: "NCSKEY".to_owned(),
        secret: Secret::new("solapi secret"),
        sender: "0212345678".to_owned(),
        timeout: WAIT,
    })
}

fn sens(server: &Server, prefix: &str) -> SmsProviderSettings {
    SmsProviderSettings::Sens(Sens {
        url: server.url(prefix),
        service_id: "ncp:sms:kr:1234:sig bang".to_owned(),
        key: "ACCESS".to_owned(),
        secret: Secret::new("sens secret"),
        sender: "0212345678".to_owned(),
        timeout: WAIT,
    })
}

fn twilio(server: &Server, sender: TwilioSender) -> SmsProviderSettings {
    SmsProviderSettings::Twilio(Twilio {
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
        success: SuccessRule::default(),
        timeout: WAIT,
    }
}

fn http(api: HttpApi) -> SmsProviderSettings {
    SmsProviderSettings::Http(Box::new(api))
}

/// Independent of the code under test.
fn hmac_sha256(key: &str, text: &str) -> Vec<u8> {
    aws_lc_rs::hmac::sign(&Key::new(HMAC_SHA256, key.as_bytes()), text.as_bytes()).as_ref().to_vec()
}

async fn always(status: u16, body: Value) -> Server {
    Server::start(move |_| Reply::json(status, &body)).await
}

fn fields(seen: &Seen) -> Vec<(String, String)> {
    url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect()
}
