//! Tests of phone numbers and e-mail addresses that a code may be sent to.

use super::*;

fn rules() -> Rules {
    Rules {
        countries: ["KR", "US", "JP", "DE"].iter().filter_map(|c| Country::parse(c)).collect(),
        bare_domains: false,
    }
}

fn phone(text: &str) -> Option<(String, String, String)> {
    let address = Address::parse(Channel::Sms, text, &rules())?;
    Some((address.recipient().to_owned(), address.domestic().to_owned(), address.masked()))
}

fn email(text: &str) -> Option<(String, String, String)> {
    let address = Address::parse(Channel::Email, text, &rules())?;
    Some((address.recipient().to_owned(), address.canonical().to_owned(), address.masked()))
}

#[test]
fn a_mobile_number_has_one_form_however_it_is_written() {
    for (text, e164, domestic, masked) in [
        ("01012345678", "+821012345678", "01012345678", "010-****-5678"),
        ("010-1234-5678", "+821012345678", "01012345678", "010-****-5678"),
        (" 010 1234 5678 ", "+821012345678", "01012345678", "010-****-5678"),
        ("010.1234.5678", "+821012345678", "01012345678", "010-****-5678"),
        ("(010) 1234-5678", "+821012345678", "01012345678", "010-****-5678"),
        ("+82 10-1234-5678", "+821012345678", "01012345678", "010-****-5678"),
        ("+82-010-1234-5678", "+821012345678", "01012345678", "010-****-5678"),
        ("+82 (0)10-1234-5678", "+821012345678", "01012345678", "010-****-5678"),
        ("+821012345678", "+821012345678", "01012345678", "010-****-5678"),
        ("011-234-5678", "+82112345678", "0112345678", "011-***-5678"),
        ("016-9234-5678", "+821692345678", "01692345678", "016-****-5678"),
        ("019-234-5678", "+82192345678", "0192345678", "019-***-5678"),
        ("+1 520 878 2491", "+15208782491", "+15208782491", "+1-****-2491"),
        ("+81 90-1234-5678", "+819012345678", "+819012345678", "+81-****-5678"),
        ("+49 1512 3456789", "+4915123456789", "+4915123456789", "+49-****-6789"),
    ] {
        assert_eq!(phone(text), Some((e164.to_owned(), domestic.to_owned(), masked.to_owned())), "{text}");
    }
}

#[test]
fn a_text_that_is_no_mobile_number_of_these_countries_is_refused() {
    for text in [
        "",
        " ",
        "+",
        "0",
        "010",
        "010-123-4567",
        "010-1234-567",
        "010-1234-56789",
        "0101234567",
        "010123456789",
        "02-123-4567",
        "031-123-4567",
        "070-1234-5678",
        "080-123-4567",
        "060-123-4567",
        "050-1234-5678",
        "1577-1577",
        "114",
        "112",
        "012-345-6789",
        "013-1234-5678",
        "015-1234-5678",
        "011-12-3456",
        "821012345678",
        "00821012345678",
        "001821012345678",
        "0018005551234",
        "8210-1234-5678",
        "++821012345678",
        "+82+1012345678",
        "+82 10 1234 5678 x9",
        "010-1234-5678;ext=1",
        "tel:+821012345678",
        "tel:01012345678;phone-context=+1",
        "010-1234-5678,010-8765-4321",
        "010-1234-5678 010-8765-4321",
        "010-1234-5678/9",
        "010_1234_5678",
        "010–1234–5678",
        "010\u{a0}1234\u{a0}5678",
        "０１０１２３４５６７８",
        "٠١٠١٢٣٤٥٦٧٨",
        "०१०१२३४५६७८",
        "＋821012345678",
        "010-1234-567８",
        "010-1234-5678\n",
        "010-1234\r\n-5678",
        "010-1234-5678\0",
        "\t010-1234-5678",
        "(010-1234-5678",
        "010)1234-5678",
        "((010))1234-5678",
        "-01012345678",
        "O10-1234-5678",
        "0x1012345678",
        "1-800-FLOWERS",
        "+86 138 0013 8000",
        "+44 7400 123456",
        "+1 900 555 1234",
        "+1 800 723 3456",
        "+82 2 123 4567",
        "+8210123456789",
        "+82101234567",
        "+999 1234567890",
        "+7 840 123 4567",
        "+979 123 456 789",
        "+870 773 111 632",
        "1e10",
        "12345678901234567890123456789012345678901234567890",
        "010-1234-5678                                     ",
    ] {
        assert_eq!(phone(text), None, "{text:?}");
    }
    assert_eq!(phone(&"9".repeat(100_000)), None);
    assert_eq!(phone(&"(".repeat(32)), None);
}

#[test]
fn numbers_without_a_country_code_are_of_the_first_country() {
    let rules = |codes: &[&str]| Rules {
        countries: codes.iter().filter_map(|code| Country::parse(code)).collect(),
        bare_domains: false,
    };
    let parse =
        |text, codes: &[&str]| Address::parse(Channel::Sms, text, &rules(codes)).map(|a| a.recipient().to_owned());
    assert_eq!(parse("090-1234-5678", &["JP", "KR"]).as_deref(), Some("+819012345678"));
    assert_eq!(parse("010-1234-5678", &["JP", "KR"]), None);
    assert_eq!(parse("+82 10-1234-5678", &["JP", "KR"]).as_deref(), Some("+821012345678"));
    assert_eq!(parse("+82 10-1234-5678", &["JP"]), None);
    assert_eq!(parse("+82 10-1234-5678", &[]), None);
    assert_eq!(parse("01012345678", &[]), None);
    assert_eq!(Country::parse("kr"), None);
    assert_eq!(Country::parse("Korea"), None);
}

#[test]
fn no_text_makes_the_numbering_plans_panic() {
    let alphabet: Vec<_> = "0123456789 -.()+;=xX*#,/~ab\u{ff10}\u{660}".chars().collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..(seed >> 59) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(alphabet[usize::try_from(seed >> 33).unwrap() % alphabet.len()]);
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if let Some((e164, ..)) = phone(&text) {
            assert_eq!(phone(&e164).map(|(e164, ..)| e164), Some(e164));
        }
    }
}

#[test]
fn an_e_mail_address_keeps_its_local_part_and_has_one_domain() {
    for (text, written, canonical, masked) in [
        ("a@b.kr", "a@b.kr", "a@b.kr", "a***@b***.kr"),
        (" Kim@Example.COM ", "Kim@example.com", "kim@example.com", "K***@e***.com"),
        (
            "first.last+tag@mail.example.co.kr",
            "first.last+tag@mail.example.co.kr",
            "first.last+tag@mail.example.co.kr",
            "f***@m***.kr",
        ),
        ("o'brien@example.com", "o'brien@example.com", "o'brien@example.com", "o***@e***.com"),
        (
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "!***@e***.com",
        ),
        ("a@한국.kr", "a@xn--3e0b707e.kr", "a@xn--3e0b707e.kr", "a***@x***.kr"),
        ("a@xn--3e0b707e.kr", "a@xn--3e0b707e.kr", "a@xn--3e0b707e.kr", "a***@x***.kr"),
        ("a@MÜNCHEN.de", "a@xn--mnchen-3ya.de", "a@xn--mnchen-3ya.de", "a***@x***.de"),
        ("1@1.example", "1@1.example", "1@1.example", "1***@1***.example"),
    ] {
        assert_eq!(email(text), Some((written.to_owned(), canonical.to_owned(), masked.to_owned())), "{text}");
    }
    let longest = format!("{}@{}.com", "a".repeat(64), ["b".repeat(63), "c".repeat(63), "d".repeat(57)].join("."));
    assert_eq!(longest.len(), 254);
    assert!(email(&longest).is_some());
    assert_eq!(email(&longest.replace(".com", ".comm")), None);
    assert_eq!(email(&format!("{}@b.kr", "a".repeat(65))), None);
    assert_eq!(email(&format!("a@{}.kr", "b".repeat(64))), None);
}

#[test]
fn an_address_that_could_be_read_as_another_one_is_refused() {
    for text in [
        "",
        "a",
        "@",
        "a@",
        "@b.kr",
        "a@b",
        "a@@b.kr",
        "a@b@c.kr",
        "a@evil.kr,b@c.kr",
        "a@evil.kr;b@c.kr",
        "a@evil.kr b@c.kr",
        "a,b@c.kr",
        "\"a\"@b.kr",
        "\"a@evil.kr\"@b.kr",
        "\"a b\"@b.kr",
        "a(comment)@b.kr",
        "a@(comment)b.kr",
        "a@b.kr(comment)",
        "A <a@b.kr>",
        "<a@b.kr>",
        "a＠b.kr",
        "a@evil.kr＠b.kr",
        "a＠evil.kr@b.kr",
        "ａ@b.kr",
        "ä@b.kr",
        "한@b.kr",
        "a@b。kr",
        "a@b．kr",
        "a@ｂ.kr",
        ".a@b.kr",
        "a.@b.kr",
        "a..b@b.kr",
        "a b@b.kr",
        "a\t@b.kr",
        "a@b.kr\r\nRCPT TO:<x@evil.kr>",
        "a\r\n@b.kr",
        "a@b.kr\n",
        "a@b.kr\0",
        "a\0@b.kr",
        "a@b .kr",
        "a@b..kr",
        "a@.b.kr",
        "a@b.kr.",
        "a@-b.kr",
        "a@b-.kr",
        "a@b_c.kr",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@0x7f.1",
        "a@2130706433",
        "a@[IPv6:::1]",
        "a@[::1]",
        "a@b.kr:25",
        "a@b.kr/x",
        "a@b.kr?x=y",
        "a@b.kr#x",
        "a@b%2ekr",
        "a@%62.kr",
        "a\\@b.kr",
        "a@b\\.kr",
        "a@xn--.kr",
        "a@xn--a.kr",
        "a@b.123",
        "a@\u{202e}b.kr",
        "a@b\u{200b}.kr",
        "a@b\u{ad}.kr",
        "mailto:a@b.kr",
        "a@localhost",
    ] {
        assert_eq!(email(text), None, "{text:?}");
    }
    assert_eq!(email(&format!("{}@b.kr", "a.".repeat(100_000))), None);
}

#[test]
fn a_domain_without_a_dot_is_accepted_on_loopback_alone() {
    let rules = Rules { bare_domains: true, ..rules() };
    assert!(Address::parse(Channel::Email, "a@localhost", &rules).is_some_and(|a| a.masked() == "a***@l***"));
    assert!(Address::parse(Channel::Email, "a@", &rules).is_none());
}

#[test]
fn the_debug_form_of_an_address_is_masked() {
    let address = Address::parse(Channel::Sms, "01012345678", &rules()).unwrap();
    assert_eq!(format!("{address:?}"), "010-****-5678");
}
