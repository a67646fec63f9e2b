//! Valid and invalid tables `[otp]`.

use super::*;
use crate::otp::{CodePurpose, Rate};

const CODES: &str = "
[otp.sms]
outbox = {}
";

/// A file on loopback with authority `backend`, and `more`.
fn with(more: &str) -> String {
    let local =
        BACKEND.replace("0.0.0.0:8080", "127.0.0.1:8080").replace("https://app.example", "http://localhost:8080");
    format!("{local}{more}")
}

fn errors(more: &str) -> String {
    printed(&read(&with(more)).unwrap_err().errors)
}

#[test]
fn codes_have_defaults_and_need_a_channel() {
    let none = read(&with("")).unwrap().config.otp;
    assert!(none.sms.is_none() && none.email.is_none());
    let otp = read(&with(CODES)).unwrap().config.otp;
    assert_eq!((otp.lifetime, otp.cooldown, otp.attempts), (Duration::from_mins(3), Duration::from_mins(1), 5));
    assert_eq!(format!("{:?}", otp.addresses.countries), "[KR]");
    assert!(otp.addresses.bare_domains, "on loopback");
    let hour = Duration::from_hours(1);
    assert_eq!(otp.limits.per_address, Rate { most: 5, window: hour });
    assert_eq!(otp.limits.per_ip, Rate { most: 20, window: hour });
    assert_eq!(otp.limits.total, Rate { most: 1000, window: hour });
    assert_eq!((otp.limits.per_country, otp.limits.daily_cap), (None, 1000));
    assert_eq!((otp.proof_audience.as_str(), otp.site.as_str()), ("vestibule-proof", "localhost"));
    let sms = otp.sms.unwrap();
    assert_eq!(sms.channel.purpose, CodePurpose::Verify);
    assert!(sms.channel.notify.is_none() && sms.channel.allow.is_none() && sms.text.is_none());
}

#[test]
fn every_key_of_codes_is_read() {
    let otp = read(&with(
        r#"
[pages]
name = "식방"
[otp]
lifetime = "5m"
cooldown = "0s"
attempts = 3
countries = ["JP", "KR"]
daily_cap = 7
limits = { per_address = "2/h", per_ip = "3/10m", per_country = "4/h", total = "9/d" }
proof_audience = "sigbang-proof"
[otp.sms]
purpose = "prove"
outbox = {}
text = { ko = "인증번호 {code}" }
[otp.email]
purpose = "prove"
from = "a@example.kr"
outbox = {}
"#,
    ))
    .unwrap()
    .config
    .otp;
    assert_eq!((otp.lifetime, otp.cooldown, otp.attempts), (Duration::from_mins(5), Duration::ZERO, 3));
    assert_eq!(format!("{:?}", otp.addresses.countries), "[JP, KR]");
    assert_eq!(otp.limits.per_country, Some(Rate { most: 4, window: Duration::from_hours(1) }));
    assert_eq!(
        (otp.limits.per_ip.window, otp.limits.total.most, otp.limits.daily_cap),
        (Duration::from_mins(10), 9, 7)
    );
    assert_eq!((otp.proof_audience.as_str(), otp.site.as_str()), ("sigbang-proof", "식방"));
    let text = otp.sms.unwrap().text.unwrap();
    assert_eq!((text.korean.as_str(), text.english.as_str()), ("인증번호 {code}", "인증번호 {code}"));
    assert!(otp.email.is_some());
}

#[test]
fn notify_carries_the_visitors_token_and_clients_cannot_make_this_call() {
    let notify = r#"
[otp.sms.notify]
path = "/users/me/phone"
json = { phone = "{address}", tenant = "{claims.tenant}" }
"#;
    let config = read(&with(&format!("{CODES}{notify}"))).unwrap().config;
    let template = config.otp.sms.as_ref().unwrap().channel.notify.clone().unwrap();
    assert_eq!(template.upstream, 0);
    let bearer = Text(vec![Piece::Literal("Bearer ".to_owned()), Piece::Placeholder(Placeholder::AccessToken)]);
    assert_eq!(template.headers, [(http::header::AUTHORIZATION, bearer)]);
    assert!(config.own_calls().include(0, &http::Method::POST, &LaxPath::new("/users/me/phone")));
    assert!(config.session.template_claims.contains(&"tenant".to_owned()));
    let own = notify.replace("json =", "headers = { authorization = \"Basic x\" }\njson =");
    let config = read(&with(&format!("{CODES}{own}"))).unwrap().config;
    let template = config.otp.sms.unwrap().channel.notify.unwrap();
    assert_eq!(template.headers[0].1, Text(vec![Piece::Literal("Basic x".to_owned())]));
    assert_eq!(template.headers.len(), 1);
}

#[test]
fn wrong_values_of_otp_are_complaints() {
    for (more, expected) in [
        ("[otp]\nlifetime = \"11m\"\n", "a code that lives longer than 10 minutes"),
        ("[otp]\ncountries = []\n", "without a country no number gets a code"),
        ("[otp]\ncountries = [\"Korea\"]\n", "there is no country `Korea`"),
        ("[otp]\ncountries = [\"kr\"]\n", "there is no country `kr`"),
        ("[otp]\ncountries = [\"KR\", \"KR\"]\n", "`KR` is listed twice"),
        ("[otp]\nattempts = 0\n", "`attempts` must be a number from 1 to 10"),
        ("[otp]\nlimits = { total = \"0/h\" }\n", "`total` must be a rate"),
        ("[otp]\nproof_audience = \"http://localhost:8080\"\n", "access tokens have this audience"),
        ("[otp.sms]\noutbox = {}\nallow = \"anyone\"\n", "`allow` is for `purpose = \"login\"`"),
        ("[otp.sms]\noutbox = {}\ntext = { ko = \"hello\" }\n", "does not have the code in it"),
        ("[otp.sms]\noutbox = {}\ntext = { ko = \"{code} {cod}\" }\n", "there is no `{cod}` here"),
        (
            "[otp.sms]\noutbox = {}\npurpose = \"prove\"\n[otp.sms.notify]\npath = \"/x\"\n",
            "`notify` is for `purpose = \"verify\"`",
        ),
        ("[otp.sms]\noutbox = {}\n[otp.sms.notify]\npath = \"/{phone}\"\n", "there is no `{phone}` here"),
        ("[otp.sms]\noutbox = {}\n[otp.sms.notify]\npath = \"/x\"\nupstream = \"web\"\n", "there is no upstream `web`"),
    ] {
        let errors = errors(more);
        assert!(errors.contains(expected), "{more}\n{errors}");
    }
    let unnamed = read(
        &SMALLEST
            .replace("[upstreams.app]", "[otp.sms]\noutbox = {}\n[otp.sms.notify]\npath = \"/x\"\n[upstreams.app]"),
    );
    assert!(printed(&unnamed.unwrap_err().errors).contains("`upstream` is missing in `notify`"));
    let unused = read(&with("[otp]\nattempts = 3\n")).unwrap();
    assert!(printed(&unused.warnings).contains("`[otp]` has no channel: no code can be sent"));
}

#[test]
fn countries_without_a_sender_are_warned_of() {
    let aligo = "[otp.sms.aligo]\nkey = \"env:SECRET\"\nuser_id = \"u\"\nsender = \"02-123-4567\"\n";
    let twilio = "[otp.sms.twilio]\naccount_sid = \"AC1\"\nsecret = \"env:SECRET\"\nsender = \"+15005550006\"\n";
    let warned =
        |more: &str| printed(&read(&with(more)).unwrap().warnings).contains("Aligo sends to Korean numbers only");
    let abroad = "[otp]\ncountries = [\"KR\", \"JP\"]\n[otp.sms]\npurpose = \"prove\"\n";
    assert!(warned(&format!("{abroad}{aligo}")));
    assert!(!warned(&format!("{abroad}{aligo}{twilio}")));
    assert!(!warned(&format!("[otp.sms]\npurpose = \"prove\"\n{aligo}")));
}

#[test]
fn sms_as_the_only_login_is_warned_of() {
    let warned =
        |text: &str| printed(&read(text).unwrap().warnings).contains("codes by SMS are the only way to log in");
    assert!(!warned(GATEWAY), "a provider is another way");
    let (before, rest) = GATEWAY.split_once("[providers.google]").unwrap();
    let only_sms = format!("{before}{}", &rest[rest.find("[otp.sms]").unwrap()..]);
    assert!(warned(&only_sms));
    let mail = "[otp.email]\npurpose = \"login\"\nallow = \"anyone\"\nfrom = \"a@b.example\"\n[otp.email.smtp]\nurl = \"smtp://mail.example\"\n";
    assert!(!warned(&format!("{only_sms}{mail}")));
}

#[test]
fn the_help_for_allow_of_sms_names_phone_numbers() {
    let without_allow = GATEWAY.replace("allow = { claims = { phone_number = [\"+821012345678\"] } }\n", "");
    let help = "write `allow = \"anyone\"`, or `allow = { claims = { phone_number = [\"+821012345678\"] } }`\n";
    for text in [without_allow.clone(), without_allow.replace("purpose = \"login\"", "purpose = \"login\"\nallow = {}")]
    {
        let printed = printed(&read(&text).unwrap_err().errors);
        assert!(printed.ends_with(help) && printed.lines().count() == 1, "{printed}");
    }
}

#[test]
fn a_header_of_a_call_may_be_an_env_reference_and_braces_in_its_value_are_no_placeholder() {
    let text = BACKEND.replace(
        "[session]",
        "[otp.sms]\npurpose = \"verify\"\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[otp.sms.notify]\npath = \"/v1/graphql\"\nheaders = { x-hasura-admin-secret = \"env:BRACES\" }\njson = { key = \"env:SECRET\" }\n[session]",
    );
    let loaded = read_with(&text, &[("BRACES", "a{b}c")]);
    let config = loaded.unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let notify = config.otp.sms.unwrap().channel.notify.unwrap();
    let header = notify.headers.iter().find(|(name, _)| name == "x-hasura-admin-secret").unwrap();
    assert_eq!(header.1, Text(vec![Piece::Literal("a{b}c".to_owned())]));
    let Body::Json(Json::Object(members)) = notify.body else { panic!("{:?}", notify.body) };
    assert_eq!(members, [("key".to_owned(), Json::Plain("hunter2".into()))]);
}
