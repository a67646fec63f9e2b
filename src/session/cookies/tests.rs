//! Which cookies are found, removed, set and deleted, in the bytes that browsers and upstreams see.

use std::time::Duration;

use super::*;
use crate::seal::SealKey;

pub(crate) fn settings(public_url: &str) -> Settings {
    Settings {
        public_url: public_url.parse().unwrap(),
        cookie_prefix: "sb_".into(),
        host_prefix: false,
        seal: true,
        keys: vec![SealKey(zeroize::Zeroizing::new([7; 32]))],
        key_was_made: false,
        refresh_ahead: Duration::from_secs(60),
        refresh_grace: Duration::from_secs(60),
        refresh_token_lifetime: Duration::from_secs(30 * 86400),
        idle: Duration::from_secs(30 * 86400),
        absolute: Duration::from_secs(90 * 86400),
        leeway: Duration::from_secs(5),
        roles_claim: "/role".into(),
        expose_claims: vec!["sub".into(), "email".into()],
        template_claims: Vec::new(),
        store_down: crate::session::StoreDown::Wait,
        longest_timeout: Duration::from_secs(30),
        compat: None,
    }
}

fn jar() -> Jar {
    Jar::new(&settings("https://app.example"))
}

fn cookies(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::COOKIE, value.parse().unwrap());
    }
    headers
}

fn lines(changes: &CookieChanges) -> Vec<String> {
    changes.0.iter().map(|v| v.to_str().unwrap().to_owned()).collect()
}

#[test]
fn our_cookies_are_found_in_every_cookie_header() {
    let headers = cookies(&["theme=dark; sb_at=A; sb_at.1=B", "sb_rt=R;sb_did=D; sb_tx9=T; sb_at.x=no; sb_atx=no"]);
    let found = jar().find(headers.get_all(header::COOKIE).iter());
    let candidates = found.access.candidates(|_| 2);
    let joined: Vec<_> = found.access.joined(&candidates, 100).flatten().collect();
    assert_eq!(joined, [(b"AB".to_vec(), 2)]);
    assert_eq!(found.refresh.single(), Some(&b"R"[..]));
    assert_eq!(found.device, Some(&b"D"[..]));
    assert_eq!(found.attempts, [("9", &b"T"[..])]);
    assert_eq!(found.access.extent(), 2);
}

#[test]
fn a_part_with_a_higher_number_than_any_that_is_set_is_not_found_and_reaches_no_upstream() {
    let mut headers = cookies(&["sb_at.4=x; sb_at.5=x; sb_at.99=x; sb_rt.5=x"]);
    let found = jar().find(headers.get_all(header::COOKIE).iter());
    assert_eq!((found.access.extent(), found.refresh.is_absent()), (5, true));
    jar().strip_request(&mut headers, &[]);
    assert!(headers.is_empty());
}

#[test]
fn malformed_cookie_headers_have_no_cookie_of_ours() {
    for odd in ["", ";;;", "=", "a", "sb_at", "sb_at.=x", "sb_at.999999=x", "sb_at.01=x", "sb_at.-1=x", " ; = ;=;"] {
        let headers = cookies(&[odd]);
        assert!(jar().find(headers.get_all(header::COOKIE).iter()).access.is_absent(), "{odd:?}");
    }
}

#[test]
fn other_cookies_reach_the_upstream_unchanged_and_ours_are_removed() {
    let stripped = |value: &[&str], keep: &[String]| {
        let mut headers = cookies(value);
        jar().strip_request(&mut headers, keep);
        headers.get(header::COOKIE).map(|v| v.to_str().unwrap().to_owned())
    };
    let whole = "a=1; sb_at=A; b=\"x y\"; sb_rt=R; sb_tx1=t; a=2; sb_did=D";
    assert_eq!(stripped(&[whole], &[]).unwrap(), "a=1; b=\"x y\"; a=2");
    assert_eq!(stripped(&[whole], &["sb_at".into(), "sb_rt".into()]).unwrap(), "a=1; sb_at=A; b=\"x y\"; a=2");
    assert_eq!(stripped(&["a=1;  b"], &[]).unwrap(), "a=1;  b");
    assert_eq!(stripped(&["a=1", "b=2"], &[]).unwrap(), "a=1; b=2");
    assert_eq!(stripped(&["sb_at=A"], &[]), None);
    // A cookie is ours by its name, also without a value and with a space before the `=`.
    assert_eq!(stripped(&["sb_rt; a=1"], &[]).unwrap(), "a=1");
    assert_eq!(stripped(&["sb_rt =R; a=1"], &[]).unwrap(), "a=1");
}

#[test]
fn each_channel_has_a_challenge_cookie_that_no_upstream_sees() {
    let jar = jar();
    assert_eq!(
        lines(&jar.set_challenge(Channel::Sms, "S", 180).and(jar.clear_challenge(Channel::Email))),
        [
            "sb_otp_sms=S; Max-Age=180; Path=/; HttpOnly; Secure; SameSite=Lax",
            "sb_otp_email=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax"
        ]
    );
    let mut headers = cookies(&["sb_otp_sms=S; a=1; sb_otp_email=E; sb_otp_sms=T; sb_otp_pigeon=P"]);
    let found = jar.find(headers.get_all(header::COOKIE).iter());
    assert_eq!(found.challenges, [(Channel::Sms, &b"S"[..]), (Channel::Email, b"E"), (Channel::Sms, b"T")]);
    jar.strip_request(&mut headers, &["sb_otp_sms".into()]);
    assert_eq!(headers[header::COOKIE], "a=1; sb_otp_pigeon=P");
    let mut headers = HeaderMap::new();
    headers.append(header::SET_COOKIE, "sb_otp_sms=x; Path=/".parse().unwrap());
    jar.strip_answer(&mut headers);
    assert!(headers.is_empty());
}

#[test]
fn an_upstream_cannot_set_our_cookies() {
    let mut headers = HeaderMap::new();
    let others = ["a=1; Path=/", "b=sb_at=2", "=c=3", "=", "", "sb_atx=1", "x; sb_at=1"];
    let ours = ["sb_at=x", " sb_rt = y", "sb_tx1=z; Max-Age=0", "sb_at.1=q", "sb_at", "sb_rt; Path=/"];
    let nameless = ["=sb_at=x", "= sb_rt=y; Path=/", " =\tsb_did =z", "==sb_at=x", "=sb_tx1", "=sb_otp_sms=x"];
    for value in others.iter().chain(&ours).chain(&nameless) {
        headers.append(header::SET_COOKIE, value.parse().unwrap());
    }
    jar().strip_answer(&mut headers);
    let left: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(left, others);
}

#[test]
fn a_large_value_is_split_and_stale_parts_are_deleted() {
    let text = "x".repeat(9000);
    let set = lines(&jar().set(TokenCookie::Access, &text, 60).and(jar().clear_beyond(TokenCookie::Access, 3, 5)));
    let names: Vec<_> = set.iter().map(|l| &l[..l.find('=').unwrap()]).collect();
    assert_eq!(names, ["sb_at", "sb_at.1", "sb_at.2", "sb_at.3", "sb_at.4"]);
    assert!(set.iter().all(|l| l.find(';').unwrap() <= 4096));
    assert!(set[4].starts_with(
        "sb_at.4=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax"
    ));
}

#[test]
fn no_cookie_is_set_for_longer_than_400_days() {
    let long = Settings { refresh_token_lifetime: Duration::from_secs(u64::MAX), ..settings("https://app.example") };
    let jar = Jar::new(&long);
    let set = lines(&jar.set(TokenCookie::Refresh, "x", jar.refresh_lifetime()).and(jar.set_device(uuid::Uuid::nil())));
    assert_eq!(set.len(), 2);
    assert!(set.iter().all(|line| line.contains("; Max-Age=34560000;")), "{set:?}");
}

#[test]
fn a_cookie_is_deleted_with_the_attributes_it_was_set_with() {
    let jar = Jar::new(&Settings { host_prefix: true, ..settings("https://app.example") });
    assert_eq!(
        lines(&jar.clear(TokenCookie::Refresh, 1)),
        ["__Host-sb_rt=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax"]
    );
    let plain = Jar::new(&settings("http://localhost:8080"));
    assert_eq!(
        lines(&plain.clear(TokenCookie::Access, 1)),
        ["sb_at=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"]
    );
}
