//! Valid and invalid tables `[otp.sms]`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::*;
use crate::{
    call::{Body, Json, Piece, Text},
    config::{
        Complaint, Environment,
        sections::{RootTable, limits, otp::OtpTable, server},
        tests::read_checked_tables,
    },
    otp::deliver::{HmacAlgorithm, HmacEncoding, OutboxSettings, TwilioSender},
};

const LOCAL: &str = "[server]\nlisten = \"127.0.0.1:8080\"\npublic_url = \"http://localhost:8080\"\n";
const PUBLIC: &str = "[server]\nlisten = \"127.0.0.1:8080\"\npublic_url = \"https://app.example\"\n";
const SMS: &str = "[otp.sms.aligo]\nkey = \"env:KEY\"\nuser_id = \"u\"\nsender = \"02-123-4567\"\n";
const HTTP: &str = "[otp.sms.http]\nurl = \"https://sms.example/{address}\"\n";

/// The settings, and every complaint and warning as `line: message → help`.
fn read_in(text: &str, settings: &[(&str, &str)]) -> (Option<SmsSettings>, Vec<String>, Vec<String>) {
    let mut environment: Environment = BTreeMap::from([("KEY".to_owned(), "hunter2".to_owned())]);
    environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let (settings, complaints) = read_checked_tables(text, Path::new("/etc"), &environment, |root, cx| {
        let sockets = limits::of_sockets(&root.section(&RootTable::LIMITS), cx);
        let server = server::server(&root.section(&RootTable::SERVER), sockets, cx);
        sms(&root.section(&RootTable::OTP).section(&OtpTable::SMS), &server, cx)
    });
    assert!(!complaints.to_string().contains("hunter2"), "{complaints}");
    let listed = |complaints: Vec<Complaint>| {
        complaints.into_iter().map(|listed| format!("{}: {} → {}", listed.line, listed.message, listed.help)).collect()
    };
    (settings, listed(complaints.errors), listed(complaints.warnings))
}

fn good(text: &str) -> (SmsSettings, Vec<String>) {
    let (settings, errors, warnings) = read_in(text, &[]);
    assert_eq!(errors, Vec::<String>::new(), "{text}");
    (settings.expect("settings without errors"), warnings)
}

fn http(text: &str) -> (crate::otp::deliver::HttpApi, Vec<String>) {
    let (settings, warnings) = good(text);
    let [SmsProviderSettings::Http(api)] = <[_; 1]>::try_from(settings.providers).unwrap() else {
        panic!("one provider")
    };
    (*api, warnings)
}

fn names(settings: &SmsSettings) -> Vec<&'static str> {
    let name = |provider: &SmsProviderSettings| match provider {
        SmsProviderSettings::Aligo(_) => "aligo",
        SmsProviderSettings::Solapi(_) => "solapi",
        SmsProviderSettings::Sens(_) => "sens",
        SmsProviderSettings::Twilio(_) => "twilio",
        SmsProviderSettings::Http(_) => "http",
        SmsProviderSettings::Outbox(_) => "outbox",
    };
    settings.providers.iter().map(name).collect()
}

#[test]
fn every_provider_is_read_in_the_order_of_the_file() {
    let text = format!(
        r#"{LOCAL}
[otp.sms.outbox]
[otp.sms.sens]
service_id = "ncp:sms:kr:1:x"
key = "AK"
secret = "env:KEY"
sender = "01012345678"
[otp.sms.twilio]
account_sid = "AC1"
secret = "env:KEY"
messaging_service_sid = "MG1"
[otp.sms.solapi]
key = "NCS"
secret = "env:KEY"
sender = "1588-1234"
timeout = "2s"
{HTTP}{SMS}"#
    );
    let (settings, warnings) = good(&text);
    assert_eq!(names(&settings), ["outbox", "sens", "twilio", "solapi", "http", "aligo"]);
    assert_eq!(warnings, Vec::<String>::new());
    let [
        SmsProviderSettings::Outbox(OutboxSettings::File(path)),
        SmsProviderSettings::Sens(sens),
        SmsProviderSettings::Twilio(twilio),
        SmsProviderSettings::Solapi(solapi),
        SmsProviderSettings::Http(_),
        SmsProviderSettings::Aligo(aligo),
    ] = &settings.providers[..]
    else {
        panic!("{settings:?}")
    };
    assert_eq!(path, Path::new("/etc/outbox.jsonl"));
    assert_eq!(sens.url.as_str(), "https://sens.apigw.ntruss.com/");
    assert!(matches!(&twilio.sender, TwilioSender::MessagingService(sid) if sid == "MG1"));
    assert_eq!((&*twilio.user, twilio.url.as_str()), ("AC1", "https://api.twilio.com/"));
    assert_eq!((&*solapi.sender, solapi.timeout), ("15881234", Duration::from_secs(2)));
    assert_eq!(solapi.url.as_str(), "https://api.solapi.com/messages/v4/send");
    assert_eq!((aligo.key.expose(), &*aligo.sender, aligo.test_mode), ("hunter2", "021234567", false));
    assert_eq!((aligo.url.as_str(), aligo.timeout), ("https://apis.aligo.in/send/", Duration::from_secs(5)));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn order_selects_the_senders_and_the_environment_can_add_one() {
    let both = format!("{PUBLIC}[otp.sms]\norder = [\"http\", \"aligo\"]\n{SMS}{HTTP}");
    assert_eq!(names(&good(&both).0), ["http", "aligo"]);
    let (settings, errors, _) = read_in(
        &format!("{LOCAL}{SMS}"),
        &[
            ("VESTIBULE_OTP__SMS__OUTBOX__URL", "http://127.0.0.1:9/o"),
            ("VESTIBULE_OTP__SMS__ALIGO__TEST_MODE", "true"),
        ],
    );
    assert_eq!(errors, Vec::<String>::new());
    let settings = settings.unwrap();
    assert_eq!(names(&settings), ["aligo", "outbox"]);
    assert!(matches!(&settings.providers[0], SmsProviderSettings::Aligo(aligo) if aligo.test_mode));
}

#[test]
fn each_mistake_of_a_sender_is_a_complaint_with_help() {
    for (text, expected) in [
        (
            format!("{PUBLIC}[otp.sms]\npurpose = \"prove\"\n"),
            vec![
                "4: there is nothing that could send the codes → write one of the tables `aligo`, `solapi`, `sens`, `twilio`, `http`, `outbox` below this one",
            ],
        ),
        (
            format!("{PUBLIC}[otp.sms]\norder = [\"alligo\", \"solapi\", \"aligo\", \"aligo\", \"fax\"]\n{SMS}"),
            vec![
                "5: nothing is called `alligo` here → did you mean \"aligo\"?",
                "5: `solapi` is not configured → write its table, or leave \"solapi\" out",
                "5: `aligo` is listed twice → leave one of the two out",
                "5: nothing is called `fax` here → there are \"aligo\", \"solapi\", \"sens\", \"twilio\", \"http\", \"outbox\"",
            ],
        ),
        (
            format!("{PUBLIC}[otp.sms]\norder = []\n{SMS}"),
            vec!["6: `aligo` is never used: it is not in `order` → add it to `order`, or leave it out"],
        ),
        (
            format!("{PUBLIC}[otp.sms.outbox]\n"),
            vec![
                "4: an outbox shows codes to every program that can read it: it is for development, with `public_url` and every listen address on loopback → leave it out, and write how messages are really sent",
            ],
        ),
        (
            format!("{LOCAL}[otp.sms.outbox]\nurl = \"http://10.0.0.1/\"\npath = \"x\"\n"),
            vec![
                "5: an outbox is on this machine → write an address on loopback, e.g. \"http://127.0.0.1:8025/\"",
                "6: an outbox is a file (`path`) or a server (`url`) → leave one of the two out",
            ],
        ),
        (
            format!("{PUBLIC}{}", SMS.replace("02-123-4567", "+8221234567").replace("env:KEY", "env:NONE")),
            vec![
                "5: there is no environment variable `NONE` → set `NONE`",
                "7: `sender` must be a caller number → write the digits as they are dialled in Korea, e.g. \"01012345678\" or \"02-123-4567\"",
            ],
        ),
        (
            format!("{PUBLIC}[otp.sms.solapi]\nkey = \"a b\"\nsecret = \"env:KEY\"\nsender = \"01012345678\"\n"),
            vec![
                "5: `key` goes into a header, which holds visible ASCII characters only → copy the key without spaces or line ends around it",
            ],
        ),
        (
            format!("{PUBLIC}[otp.sms.twilio]\naccount_sid = \"AC\"\nsecret = \"env:KEY\"\n"),
            vec!["4: Twilio needs either `sender` or `messaging_service_sid` → write e.g. `sender = \"+15005550006\"`"],
        ),
        (
            format!(
                "{PUBLIC}[otp.sms.twilio]\naccount_sid = \"AC\"\nsecret = \"env:KEY\"\nsender = \"+1\"\nmessaging_service_sid = \"MG\"\n"
            ),
            vec!["8: Twilio needs either `sender` or `messaging_service_sid` → leave one of the two out"],
        ),
        (
            format!("{PUBLIC}[otp.sms]\ntext = {{ ko = \"{}\" }}\n{SMS}", "가".repeat(1001)),
            vec!["5: this text has 2002 bytes → at most 2000 bytes are sent, of which a Hangul syllable has two"],
        ),
    ] {
        assert_eq!(read_in(&text, &[]).1, expected, "{text}");
    }
}

#[test]
fn long_texts_and_addresses_without_tls_are_warned_of() {
    let text = format!(
        "{PUBLIC}[otp.sms]\ntext = {{ ko = \"{}{{code}}\", en = \"😀 {{code}}\" }}\n{SMS}url = \"http://relay:8080/\"\n",
        "가".repeat(43)
    );
    assert_eq!(
        good(&text).1,
        [
            "5: with 92 bytes this goes as an LMS, which costs more → an SMS has at most 90 bytes, of which a Hangul syllable has two: shorten it",
            "5: Aligo sends `?` for some characters of this text → leave out emoji and whatever else is not in EUC-KR",
            "10: keys and codes that go by http can be read on the way → write an https address",
        ]
    );
    assert_eq!(good(&text.replace("relay", "127.0.0.1")).1.len(), 2);
    assert_eq!(good(&text.replace("가가", "가").replace("😀", "").replace("relay", "[::1]")).1.len(), 0);
}

#[test]
fn a_template_of_any_api_is_read() {
    let (api, warnings) = http(&format!(
        r#"{PUBLIC}
[otp.sms.http]
url = "https://sms.example:8443?to={{address}}"
method = "PUT"
headers = {{ authorization = "env:KEY", x-signature = "{{signature}}" }}
json = {{ apiKey = "env:KEY", to = ["{{address_e164}}"], from = "{{sender}}", n = 1 }}
sender = "02"
hmac = {{ secret = "env:KEY", algorithm = "sha1", text = "{{timestamp}}{{nonce}}", encoding = "base64" }}
success = {{ status = [200, 202], pointer = "/code", equals = [0, "ok", true] }}
timeout = "3s"
"#
    ));
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((&*api.origin, api.method.as_str(), &*api.sender), ("https://sms.example:8443", "PUT", "02"));
    assert_eq!(api.target, Text::parse("/?to={address}", &["address"]).unwrap());
    assert_eq!(api.headers[0].1, Text(vec![Piece::Literal("hunter2".to_owned())]));
    let Body::Json(Json::Object(members)) = &api.body else { panic!("{:?}", api.body) };
    assert_eq!(members[0], ("apiKey".to_owned(), Json::Plain("hunter2".into())));
    let hmac = api.hmac.as_ref().unwrap();
    assert_eq!((hmac.algorithm, hmac.encoding), (HmacAlgorithm::Sha1, HmacEncoding::Base64));
    assert_eq!(api.success.statuses, [200, 202]);
    let values = ["0", "ok", "true"].map(str::to_owned).to_vec();
    assert_eq!(api.success.field, Some(("/code".to_owned(), values)));
    assert_eq!(api.timeout, Duration::from_secs(3));

    let (api, warnings) = http(&format!(
        "{PUBLIC}{HTTP}form = {{ key = \"env:KEY\", msg = \"{{text}}\" }}\nuser = \"u\"\npassword = \"env:KEY\"\nsuccess = {{ pointer = \"/result_code\", equals = 1 }}\n"
    ));
    assert_eq!(warnings, Vec::<String>::new());
    assert!(matches!(&api.body, Body::Form(form) if form.len() == 2));
    assert_eq!(api.basic.as_ref().map(|(user, _)| &**user), Some("u"));
    assert_eq!(api.success.field, Some(("/result_code".to_owned(), vec!["1".to_owned()])));
    assert!(!format!("{api:?}").contains("hunter2"));
}

#[test]
fn values_of_env_are_used_without_placeholders_and_never_printed() {
    let text = format!("{PUBLIC}{HTTP}headers = {{ x-key = \"env:BRACES\" }}\n");
    let (settings, errors, _) = read_in(&text, &[("BRACES", "{hunter2}")]);
    assert_eq!(errors, Vec::<String>::new());
    let SmsProviderSettings::Http(api) = &settings.unwrap().providers[0] else { panic!("http") };
    assert_eq!(api.headers[0].1, Text(vec![Piece::Literal("{hunter2}".to_owned())]));
    let (_, errors, _) = read_in(&text, &[("BRACES", "hunter2\nx")]);
    assert_eq!(errors, ["6: a header holds visible ASCII characters only → percent-encode the rest"]);
}

#[test]
fn each_mistake_of_a_template_is_a_complaint_with_help() {
    for (lines, expected) in [
        ("headers = { x-a = \"{adress}\" }", "6: there is no `{adress}` here → did you mean `{address}`?"),
        (
            "form = { code = \"{code}\" }",
            "6: there is no `{code}` here → here there are `{address}`, `{address_e164}`, `{text}`, `{sender}`, `{timestamp}`, `{date}`, `{nonce}`, `{signature}`",
        ),
        (
            "json = { to = [{ from = \"{sender}\" }] }",
            "6: there is no sender for `{sender}` → write `sender = \"…\"` beside `url`",
        ),
        (
            "json = { s = \"v1={signature}\" }",
            "6: nothing says how `{signature}` is made → write `hmac = { secret = \"env:NAME\", text = \"{timestamp}{nonce}\" }` beside `url`",
        ),
        (
            "hmac = { secret = \"env:KEY\", text = \"{signature}\" }",
            "6: there is no `{signature}` here → here there are `{address}`, `{address_e164}`, `{text}`, `{sender}`, `{timestamp}`, `{date}`, `{nonce}`",
        ),
        ("form = {}\njson = {}", "6: a call has one body: `json` or `form` → leave one of the two out"),
        ("headers = { host = \"x\" }", "6: a call does not set the header `host` → leave it out"),
        ("user = \"u\"", "6: `user` without `password` → write `password` too, or leave `user` out"),
        (
            "user = \"u\"\npassword = \"env:KEY\"\nheaders = { Authorization = \"env:KEY\" }",
            "6: `user` and `password` are sent as the header `authorization`, which `headers` sets too → leave one of the two out",
        ),
        (
            "success = { pointer = \"/a\" }",
            "6: `pointer` without `equals` → write both, e.g. `success = { pointer = \"/result_code\", equals = 1 }`",
        ),
        (
            "success = { pointer = \"/a\", equals = [] }",
            "6: `equals` must be a text, a number or a flag, or a list of them → write e.g. `equals = 1`",
        ),
    ] {
        assert_eq!(read_in(&format!("{PUBLIC}{HTTP}{lines}\n"), &[]).1, [expected], "{lines}");
    }
    for (url, expected) in [
        ("https://{address}/", "begin with `https://` and a host; placeholders stand in the path and the query"),
        ("sms.example/x", "begin with `https://` and a host; placeholders stand in the path and the query"),
        ("https://u:p@sms.example/", "begin with `https://` and a host; placeholders stand in the path and the query"),
        ("ftp://sms.example/", "begin with `https://` and a host; placeholders stand in the path and the query"),
        ("https://sms.example/#x", "leave out spaces, single braces and `#`, and percent-encode what is not ASCII"),
        ("https://sms.example/{ x }", "leave out spaces, single braces and `#`, and percent-encode what is not ASCII"),
    ] {
        let (_, errors, _) = read_in(&format!("{PUBLIC}[otp.sms.http]\nurl = \"{url}\"\n"), &[]);
        assert_eq!(errors, [format!("5: `url` must be a web address → {expected}")], "{url}");
    }
}

#[test]
fn a_plain_text_secret_in_a_template_is_warned_of_and_masked() {
    for lines in [
        "headers = { authorization = \"Bearer hunter2\" }",
        "form = { api_key = \"hunter2\" }",
        "json = { auth = { token = \"hunter2\" } }",
    ] {
        let (_, _, warnings) = read_in(&format!("{PUBLIC}{HTTP}{lines}\n"), &[]);
        let expected =
            "6: a secret stands in the file itself → write \"env:NAME\" or \"file:PATH\", and keep the secret there";
        assert_eq!(warnings, [expected], "{lines}");
    }
}
