//! Tests of the addresses that a login or logout may lead to.

use proptest::prelude::*;

use super::*;
use crate::endpoint::{OriginSettings, Origins};

const HOME: &str = "/home";

fn origin(host: &str) -> VisitorOrigin {
    let public_url = Url::parse("https://app.example.kr").unwrap();
    Origins::new(&OriginSettings { public_url: &public_url, hosts: &["admin.example.kr".to_owned()] }).of(host)
}

fn follow(asked: &str) -> String {
    return_to().follow(Some(asked), &origin("app.example.kr")).into_owned()
}

fn return_to() -> ReturnTo {
    ReturnTo::new(&ReturnToSettings {
        base_path: "/auth",
        after_login: HOME,
        origins: &["https://partner.example.kr".to_owned(), "https://ports.example.kr:8443".to_owned()],
    })
}

#[test]
fn own_paths_are_kept_as_they_are() {
    for asked in [
        "/",
        "/a",
        "/a/",
        "/a/b?c=d&e=f",
        "/?x=1",
        "/a?next=https%3A%2F%2Fother.example%2F",
        "/a?next=https://other.example/",
        "/a?q=//x",
        "/a#part",
        "/@someone",
        "/a%20b",
        "/%ED%95%9C%EA%B8%80?q=%EA%B0%80",
        "/files/a%2Fb",
        "/100%25",
        "/a;b=c/d",
        "/authors",
        "/authority/login",
        "/a/auth/logout",
        "/a?next=/auth/logout",
        "/a:b",
        "/https:x",
        "/..a",
    ] {
        assert_eq!(follow(asked), asked);
    }
}

#[test]
fn addresses_on_a_listed_origin_are_kept() {
    for asked in [
        "https://partner.example.kr/",
        "https://partner.example.kr",
        "https://partner.example.kr/a?b#c",
        "https://partner.example.kr/auth/profile",
        "https://ports.example.kr:8443/a",
        "https://app.example.kr/a",
    ] {
        assert_eq!(follow(asked), asked);
    }
}

#[test]
fn without_an_address_a_login_ends_at_home() {
    assert_eq!(return_to().follow(None, &origin("app.example.kr")), HOME);
}

#[test]
fn up_to_8_kib_are_kept_then_the_path_without_its_query_then_nothing() {
    let long = format!("/a?b={}", "c".repeat(LONGEST_RETURN_TO - 5));
    assert_eq!(follow(&long), long);
    assert_eq!(follow(&format!("{long}d")), "/a");
    assert_eq!(follow(&format!("/a#{}", "c".repeat(LONGEST_RETURN_TO))), "/a");
    let path = format!("/{}", "a".repeat(LONGEST_RETURN_TO - 1));
    assert_eq!(follow(&path), path);
    assert_eq!(follow(&format!("{path}?b")), path);
    assert_eq!(follow(&format!("{path}a")), HOME);
    assert_eq!(follow(&format!("//evil.example?{}", "c".repeat(LONGEST_RETURN_TO))), HOME);
}

#[test]
fn what_bends_nothing_is_kept() {
    for asked in [
        "/a//b",
        "/a//evil.example",
        "/a%2f%2fevil.example",
        "/a//",
        "/a%C2%A0b",
        "/Screenshot%20at%208.55.11%E2%80%AFPM.png",
        "/%E8%AB%8B%E6%B1%82%E6%9B%B8%E3%80%808%E6%9C%88.pdf",
        "/%e2%80%a8/a",
        "/%EF%BC%8Fa",
        "/a%FF%B0%A1",
        "/a/..b/.c/d..",
        "/a?..//../%5c",
        "/a?x=%0d%0a",
        "/a|b^c`d{e}f[g]",
        "/a?{}^`|",
        "/a;b=1,2/c'd(e)!*~",
        "/a?x[]=1&y=a:b@c",
    ] {
        assert_eq!(follow(asked), asked);
    }
}

#[test]
fn letters_of_other_scripts_are_kept_and_percent_encoded() {
    for (asked, written) in [
        ("/page/한글", "/page/%ED%95%9C%EA%B8%80"),
        ("/page/한%20글?q=한#글", "/page/%ED%95%9C%20%EA%B8%80?q=%ED%95%9C#%EA%B8%80"),
        ("/a'é", "/a'%C3%A9"),
        ("/x?q=한", "/x?q=%ED%95%9C"),
        ("/x?q=a b&r=한#d e", "/x?q=a%20b&r=%ED%95%9C#d%20e"),
        ("/a\u{202f}PM.png", "/a%E2%80%AFPM.png"),
        ("/\u{a0}/a", "/%C2%A0/a"),
        ("/\u{2028}/a", "/%E2%80%A8/a"),
        ("/\u{ff0f}a", "/%EF%BC%8Fa"),
        ("/\u{202e}a", "/%E2%80%AEa"),
        ("https://app.example.kr/한", "https://app.example.kr/%ED%95%9C"),
    ] {
        assert_eq!(follow(asked), written);
        assert_eq!(return_to().in_cookie(asked, &origin("app.example.kr")).unwrap(), written);
    }
    let long = format!("/a?{}", "한".repeat(LONGEST_RETURN_TO / 4));
    assert_eq!(follow(&long), "/a", "its length counts as it is sent");
    assert_eq!(follow("/a\u{85}b"), HOME);
    assert_eq!(follow("/a?b\u{9b}"), HOME);
}

#[test]
fn an_origin_is_the_same_in_upper_case_or_with_its_default_port() {
    for (asked, written) in [
        ("HTTPS://APP.example.kr/a", "https://app.example.kr/a"),
        ("https://app.example.kr:443/a?b", "https://app.example.kr/a?b"),
        ("https://APP.EXAMPLE.KR", "https://app.example.kr"),
        ("https://Partner.example.kr:443", "https://partner.example.kr"),
        ("https://PORTS.example.kr:8443/A", "https://ports.example.kr:8443/A"),
    ] {
        assert_eq!(follow(asked), written);
    }
}

#[test]
fn an_address_on_the_visitors_own_host_is_kept_and_one_on_another_host_of_ours_is_not() {
    let (app, admin) = (origin("app.example.kr"), origin("admin.example.kr"));
    let asked = "https://admin.example.kr/a";
    assert_eq!(return_to().follow(Some(asked), &admin), asked);
    assert_eq!(return_to().follow(Some(asked), &app), HOME);
    assert_eq!(return_to().follow(Some("https://app.example.kr/a"), &admin), HOME);
    assert_eq!(return_to().follow(Some("/a"), &admin), "/a");
    assert_eq!(return_to().follow(Some("https://partner.example.kr/a"), &admin), "https://partner.example.kr/a");
}

#[test]
fn an_address_that_could_leave_the_site_is_replaced_by_after_login() {
    for asked in EVIL {
        assert_eq!(follow(asked), HOME, "{asked:?}");
    }
}

const EVIL: &[&str] = &[
    // no path at all
    "",
    " ",
    "evil.example",
    "evil.example/a",
    "www.evil.example",
    "a",
    "./a",
    "../a",
    "?a",
    "#a",
    ".evil.example",
    "@evil.example",
    ":80",
    "%2Fa",
    // other sites, spelt out
    "http://evil.example",
    "https://evil.example/",
    "HTTPS://EVIL.EXAMPLE/",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "http:/\\evil.example",
    "https://evil.example#app.example.kr",
    "https://evil.example?app.example.kr",
    "https://evil.example\\@app.example.kr",
    "https://app.example.kr.evil.example/",
    "https://app.example.kr@evil.example/",
    "https://app.example.kr@@evil.example/",
    "https://app.example.kr:pass@evil.example/",
    "https://app.example.kr%2eevil.example/",
    "https://app.example.kr%00.evil.example/",
    "https://app.example.kr\u{ff0e}evil.example/",
    "https://evilapp.example.kr/",
    "https://badpartner.example.kr/",
    "https://sub.partner.example.kr/",
    "https://partner.example.kr.evil.example/",
    "https://partner.example.kr@evil.example/",
    "https://user@partner.example.kr/",
    "https://user:pass@partner.example.kr/",
    "https://:@partner.example.kr/",
    "https://partner.example.kr:8443/",
    "https://ports.example.kr/",
    "http://partner.example.kr/",
    "http://app.example.kr/",
    "https://partner.example.kr//evil.example",
    "https://partner.example.kr\\evil.example",
    "https://partner\u{3002}example.kr/",
    "https://PARTNER.example.kr:8443/",
    "https://partner.example.kr:443@evil.example/",
    "https://partner.example.kr:443.evil.example/",
    "https://PARTNER.example.kr.evil.example/",
    "https://partner.example.kr:/a",
    "HTTPS://APP.EXAMPLE.KR/auth/logout",
    "https://\u{ff41}pp.example.kr/",
    "http://localhost.evil.example/",
    "http://127.0.0.1.evil.example/",
    "http://2130706433/",
    "http://[::1]/",
    // no scheme
    "//evil.example",
    "//evil.example/%2f..",
    "///evil.example",
    "////evil.example",
    "//app.example.kr@evil.example",
    "//app.example.kr/",
    "//partner.example.kr/",
    "//",
    "/\\evil.example",
    "/\\/evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "\\evil.example",
    "/a\\b",
    "//\\evil.example",
    "//%0devil.example",
    // encoded separators
    "/%2f/evil.example",
    "/%2fevil.example",
    "/%2F%2Fevil.example",
    "/%5cevil.example",
    "/%5C%5Cevil.example",
    "/%5c/evil.example",
    "/%252fevil.example",
    "/%252f%252fevil.example",
    "/%255cevil.example",
    "/%25252fevil.example",
    "/%2525252525252fevil.example",
    "/a%5cevil.example",
    // invisible characters
    "/\tevil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "/\0/evil.example",
    "/ /evil.example",
    " //evil.example",
    "/a ",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d%0aSet-Cookie:a=b",
    "/%00/evil.example",
    "/%0b/evil.example",
    "/%2509/evil.example",
    "/%c2%85/evil.example",
    // steps that end in an empty segment
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/a/../..//evil.example",
    "/%2e//evil.example",
    "/%2e%2e//evil.example",
    "/.%2e//evil.example",
    "/a/%2e%2e/%2fevil.example",
    "/%252e%252e/%252fevil.example",
    "/a/../b",
    "/./a",
    // other schemes
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "javascript://partner.example.kr/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://partner.example.kr/",
    "blob:https://partner.example.kr/1",
    "filesystem:https://partner.example.kr/1",
    "ws://app.example.kr/",
    "intent://evil#Intent;scheme=https;end",
    "about:blank",
    "mailto:a@b",
    "kakaotalk://web/openExternal?url=https://evil.example",
    // what no header may hold, or reads differently on the way
    "/<script>",
    "/a\"b",
    "/a?<b>",
    // in circles
    "/auth/login",
    "/auth/login?return_to=/a",
    "/auth/login/google",
    "/auth/callback/google?code=a&state=b",
    "/auth/logged-out",
    "/auth",
    "/auth/",
    "/auth/logout",
    "/auth/logout?a=b#c",
    "/auth//logout",
    "/auth/refresh",
    "/auth/session",
    "/auth/google",
    "/auth/sms/send",
    "/auth/assets/page.js",
    "/auth/devices",
    "https://app.example.kr/auth/logout",
    "https://app.example.kr/%61uth/refresh",
    "https://partner.example.kr/auth/login",
    "/auth%2Flogout",
    "/auth/%6cogin",
    "/%61uth/callback/google",
    // steps and separators that only some parsers see
    "/..;//evil.example",
    "/a/..;x=y//evil.example",
    "/.;//evil.example",
    "/%2e%2e;//evil.example",
    "/..%2f/evil.example",
    "/.%2f%2fevil.example",
    "/a/%252e%252e%252f%252fevil.example",
    "/%2f%2e%2e%2fevil.example",
    "/;/..//evil.example",
    "/a/%2e%2e%5cevil.example",
    "/%c2%9b/evil.example",
    "/%7f/evil.example",
    "https://partner.example.kr/..//evil.example",
    "https://partner.example.kr/%2fevil.example",
    "https://partner.example.kr?/evil.example",
    "https://evil.example/auth/login",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_input_leaves_our_origins(asked in evil_text()) {
        let (return_to, own) = (return_to(), Url::parse("https://app.example.kr").unwrap());
        let followed = return_to.follow(Some(&asked), &origin("app.example.kr"));
        let read = |text: &str| own.join(text).unwrap();
        let is_ours = |url: &Url| url.origin() == own.origin() || return_to.origins.contains(&url.origin());
        prop_assert!(is_ours(&read(&followed)), "{followed}");
        prop_assert!(followed.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
        // A backend that answers with the path that it read, decoded once or with its steps resolved.
        let path = followed.split(['?', '#']).next().unwrap();
        let once = percent_decode_str(path).decode_utf8_lossy();
        prop_assert!(is_ours(&read(&once)), "{followed}");
        for read_as in [read(path), read(&once)] {
            prop_assert!(!read_as.path().starts_with("//"), "{followed}");
            prop_assert!(is_ours(&read(read_as.path())), "{followed}");
        }
    }
}

/// Texts made of the pieces of such attacks.
fn evil_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/",
        "//",
        "\\",
        "%2f",
        "%5c",
        "%2F",
        "%252f",
        "%09",
        "%0a",
        "%00",
        "%2e",
        ".",
        "..",
        "@",
        ":",
        "?",
        "#",
        ";",
        " ",
        "\t",
        "\n",
        "\r",
        "\0",
        "a",
        "evil.example",
        "app.example.kr",
        "partner.example.kr",
        "https:",
        "http:",
        "javascript:",
        "data:",
        "%",
        "%25",
        "%c2%a0",
        "%e2%80%af",
        "%e3%80%80",
        "..;",
        "%2f%2f",
        "\u{ff0f}",
        "\u{3002}",
        "\u{2028}",
        "[",
        "]",
        "&",
        "=",
    ]);
    prop_oneof![
        4 => prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}
