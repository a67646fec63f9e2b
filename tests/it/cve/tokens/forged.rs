//! Forged tokens: other algorithms, other keys, no signature, unlimited length.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{MANY_GUESSES, all_are, asks, heads, is_alive, log_in, show, takes_access_tokens, takes_id_tokens};
use crate::harness::{Issuer, Raw, TestStack, Upstream, b64, raw};

/// Tokens with valid claims that a verifier must refuse, each with a name.
fn kit(issuer: &Issuer, attacker: &Issuer, claims: &Value) -> Vec<(String, String)> {
    let good = issuer.token(claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    let header = |text: &str| format!("{}.{payload}", b64(text.as_bytes()));
    let mut kit = Vec::new();
    let mut add = |trick: &str, token: String| kit.push((trick.to_owned(), token));
    for name in ["none", "None", "NONE", "nOnE", "", "null", "HS256\\u0000"] {
        let head = header(&format!(r#"{{"alg":"{name}","kid":"k1","typ":"JWT"}}"#));
        add(&format!("alg {name:?} without a signature"), format!("{head}."));
        add(&format!("alg {name:?} with a signature"), format!("{head}.{signature}"));
    }
    for (trick, head) in [
        ("no alg", r#"{"kid":"k1","typ":"JWT"}"#),
        ("alg null", r#"{"alg":null,"kid":"k1"}"#),
        ("alg a list", r#"{"alg":["ES256","none"],"kid":"k1"}"#),
        ("alg twice", r#"{"alg":"none","alg":"ES256","kid":"k1"}"#),
        ("kid twice", r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#),
        ("typ twice", r#"{"alg":"ES256","kid":"k1","typ":"x","typ":"JWT"}"#),
        ("crit", r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#),
        ("unencoded payload", r#"{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}"#),
        ("another kid", r#"{"alg":"ES256","kid":"k2"}"#),
        ("a path as kid", r#"{"alg":"ES256","kid":"../../../../dev/null"}"#),
        ("SQL as kid", r#"{"alg":"ES256","kid":"k1' or '1'='1"}"#),
        ("another kind", r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#),
        ("an address of ours", r#"{"alg":"ES256","kid":"k1","typ":"vestibule-proof+jwt"}"#),
        ("ES384", r#"{"alg":"ES384","kid":"k1"}"#),
        ("EdDSA", r#"{"alg":"EdDSA","kid":"k1"}"#),
        ("RS256", r#"{"alg":"RS256","kid":"k1"}"#),
    ] {
        // Signed with the right key: the header must be refused.
        add(trick, issuer.sign(head, claims));
    }
    for name in ["HS256", "HS384", "HS512"] {
        let head = format!(r#"{{"alg":"{name}","kid":"k1"}}"#);
        add(&format!("{name} with the public key"), issuer.sign_with_public_key(&head, claims));
    }
    let origin = attacker.origin();
    let (own_key, chain) = (attacker.jwk(), b64(b"a certificate"));
    for (trick, head) in [
        ("another key under our kid", r#"{"alg":"ES256","kid":"k1"}"#.to_owned()),
        ("another key without kid", r#"{"alg":"ES256"}"#.to_owned()),
        ("jku", format!(r#"{{"alg":"ES256","kid":"k1","jku":"{origin}/jwks"}}"#)),
        ("x5u", format!(r#"{{"alg":"ES256","kid":"k1","x5u":"{origin}/cert"}}"#)),
        ("jwk", format!(r#"{{"alg":"ES256","kid":"k1","jwk":{own_key}}}"#)),
        ("x5c", format!(r#"{{"alg":"ES256","kid":"k1","x5c":["{chain}"]}}"#)),
    ] {
        add(trick, attacker.sign(&head, claims));
    }
    for (trick, bytes) in [
        ("r = s = 0", vec![0; 64]),
        ("r = 0, s = 1", [vec![0; 63], vec![1]].concat()),
        ("r = s = 2^256 - 1", vec![0xff; 64]),
        ("63 octets", vec![0; 63]),
        ("a DER of zeros", vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
    ] {
        add(trick, format!("{signed}.{}", b64(&bytes)));
    }
    let mut raised = claims.clone();
    raised["sub"] = json!("admin");
    let head = signed.split_once('.').unwrap().0;
    add("other claims", format!("{head}.{}.{signature}", b64(raised.to_string().as_bytes())));
    add("four parts", format!("{good}.{signature}"));
    add("two parts", signed.to_owned());
    add("padding", format!("{signed}.{signature}=="));
    let signatures = json!([{ "protected": head, "signature": signature }, { "protected": head, "signature": "AA" }]);
    add("several signatures", json!({ "payload": payload, "signatures": signatures }).to_string());
    kit
}

/// Also CVE-2016-10555 and CVE-2022-21449, and CVE-2016-9122 (go-jose).
#[tokio::test]
async fn cve_2015_9235_tokens_with_a_forged_header_or_signature_are_refused() {
    let (issuer, attacker, page) = (Issuer::start().await, Issuer::start().await, Upstream::saying("page").await);
    let stack = takes_access_tokens(&issuer, &page).await;
    let good = issuer.token(&issuer.access_claims(&stack.clock, &json!({})));
    show(&stack, &good).await.is(200).says("valid");
    let tokens = kit(&issuer, &attacker, &issuer.access_claims(&stack.clock, &json!({})));
    assert!(tokens.len() >= 30, "{}", tokens.len());
    for (trick, token) in &tokens {
        let answer = show(&stack, token).await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (401, Some("invalid")), "{trick}: {answer}");
    }
    assert_eq!((issuer.asked(), issuer.asked_for("/jwks"), attacker.asked()), (1, 1, 0));
    assert_eq!(page.heard().len(), 1);

    let issuer = Issuer::start().await;
    let stack = takes_id_tokens(&issuer).start().await;
    log_in(&stack, &issuer.token(&issuer.id_claims(&stack.clock, &json!({})))).await.is(200);
    for (trick, token) in &kit(&issuer, &attacker, &issuer.id_claims(&stack.clock, &json!({ "n": 1 }))) {
        let answer = log_in(&stack, token).await;
        assert_eq!(answer.status, 401, "{trick}: {answer}");
        assert!(answer.problem("invalid_id_token").set_cookies().is_empty(), "{trick}");
    }
    // Its metadata and its keys, once each.
    assert_eq!((issuer.asked(), issuer.asked_for("/jwks"), attacker.asked()), (2, 1, 0));
}

/// Also CVE-2024-28180 and CVE-2025-27144 (go-jose), CVE-2025-30204 (golang-jwt).
#[tokio::test]
async fn ghsa_2c7c_3mj9_8fqh_encrypted_compressed_and_very_long_tokens_are_refused_at_once() {
    let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
    let stack = takes_access_tokens(&issuer, &page).await;
    let id_stack = takes_id_tokens(&issuer).start().await;
    let claims = b64(issuer.access_claims(&stack.clock, &json!({})).to_string().as_bytes());
    let head = |text: &str| b64(text.as_bytes());
    let slow = head(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AA"}"#);
    let packed = head(r#"{"alg":"ES256","kid":"k1","zip":"DEF","crit":["zip"]}"#);
    for token in [
        format!("{slow}.AA.AA.AA.AA"),
        format!("{slow}.{claims}.AA"),
        format!("{}.AA.AA.AA.AA", head(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#)),
        format!("{packed}.{claims}.{}", "A".repeat(86)),
        ".".repeat(30_000),
        format!("{}.", "A".repeat(15_000)).repeat(2),
        format!("{}.{}.AA", head("{").repeat(2000), claims),
        format!("{}.{}.AA", head(&"[".repeat(20_000)), claims),
    ] {
        show(&stack, &token).await.is(401).says("invalid");
        log_in(&id_stack, &token).await.is(401).problem("invalid_id_token");
        let bearer = stack.browser().plain(Method::GET, "/page").header("authorization", &format!("Bearer {token}"));
        bearer.await.is(401).says("anonymous");
    }
    // A megabyte is not read, neither as a body nor in a header.
    let dots = ".".repeat(1 << 20);
    log_in(&id_stack, &dots).await.is(413);
    let request = format!("GET /page HTTP/1.1\r\nhost: {}\r\ncookie: sb_at={dots}\r\n\r\n", stack.gateway.host());
    assert_eq!(raw::status(&Raw::exchange(stack.gateway.address(), request).await), 431);
    is_alive(&stack).await;
    is_alive(&id_stack).await;
    // A value that is not a token causes no fetch of keys.
    assert_eq!((issuer.asked_for("/jwks"), page.heard().len()), (0, 0));
}

/// Also August 2026 of `mod_auth_openidc`.
#[tokio::test]
async fn cve_2025_64527_made_up_key_ids_cause_one_fetch_in_30_seconds_and_bad_answers_leave_the_keys() {
    let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
    let stack = takes_access_tokens(&issuer, &page).await;
    let token = |n: usize| issuer.token(&issuer.access_claims(&stack.clock, &json!({ "n": n })));
    let made_up = |n: usize| {
        let head = b64(format!(r#"{{"alg":"ES256","kid":"{n:x}-{}"}}"#, n.wrapping_mul(0x9e37_79b9)).as_bytes());
        let good = token(n);
        format!("{head}.{}", good.split_once('.').unwrap().1)
    };
    show(&stack, &token(0)).await.is(200);
    let begun = stack.clock.now();
    let allowed = |since| 1 + usize::try_from(stack.clock.now().since(since).as_secs() / 30).unwrap();
    let flood = heads(&stack, (0..10_000).map(|n| asks(&stack, "/page", &format!("sb_at={}", made_up(n))))).await;
    all_are(&flood, 401);
    assert!(issuer.asked_for("/jwks") <= allowed(begun), "{} fetches", issuer.asked_for("/jwks"));

    let answer = |kind: &str, body: &str| format!("HTTP/1.1 {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let huge = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(2 << 20));
    for (n, bad) in [
        answer("500 Oops\r\ncontent-type: application/json", "{}"),
        answer("200 OK\r\ncontent-type: text/html", "<html>Sign in to the hotel's network</html>"),
        answer("200 OK\r\ncontent-type: application/json", &huge),
        answer("200 OK\r\ncontent-type: application/json", "[]"),
        answer("302 Found\r\nlocation: http://127.0.0.1:1/", ""),
    ]
    .into_iter()
    .enumerate()
    {
        issuer.answers("/jwks", bad);
        stack.advance(Duration::from_secs(31));
        let before = issuer.asked_for("/jwks");
        show(&stack, &made_up(20_000 + n)).await.is(401);
        assert_eq!(issuer.asked_for("/jwks"), before + 1);
        show(&stack, &token(100 + n)).await.is(200).says("valid");
    }
    is_alive(&stack).await;
}

#[tokio::test]
async fn cve_2025_64527_the_same_holds_for_the_keys_of_a_provider() {
    let issuer = Issuer::start().await;
    let stack = takes_id_tokens(&issuer).start().await;
    let claims = |n: usize| issuer.id_claims(&stack.clock, &json!({ "n": n }));
    log_in(&stack, &issuer.token(&claims(0))).await.is(200);
    let begun = stack.clock.now();
    let flood = (0..1000).map(|n| {
        let token = issuer.sign(&format!(r#"{{"alg":"ES256","kid":"made-up-{n}"}}"#), &claims(n));
        let body = json!({ "id_token": token }).to_string();
        let head =
            format!("POST /auth/kit HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json", stack.gateway.host());
        format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    all_are(&heads(&stack, flood).await, 401);
    let allowed = 1 + usize::try_from(stack.clock.now().since(begun).as_secs() / 30).unwrap();
    assert!(issuer.asked_for("/jwks") <= allowed, "{} fetches", issuer.asked_for("/jwks"));
    issuer.answers("/jwks", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    stack.advance(Duration::from_secs(31));
    log_in(&stack, &issuer.sign(r#"{"alg":"ES256","kid":"another"}"#, &claims(1))).await.is(401);
    log_in(&stack, &issuer.token(&claims(2))).await.is(200);
}

#[tokio::test]
async fn cve_2022_29226_an_authorization_header_of_the_visitor_is_anonymous() {
    let stack = TestStack::start().await;
    for authorization in ["Bearer x", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic eDp5", "DPoP x", "Bearer null"] {
        let ask = stack.browser().plain(Method::GET, "/api/me").header("authorization", authorization);
        ask.await.is(401).says("anonymous");
    }
    let own = stack.provider.id_token("mina", &json!({})).unwrap();
    stack.browser().plain(Method::GET, "/api/me").header("authorization", &format!("Bearer {own}")).await.is(401);
    assert_eq!(stack.backend.counters().served, 0);
}

#[tokio::test]
async fn ghsa_xmf8_cvqr_rfgj_a_malformed_authorization_header_opens_no_session() {
    let stack = TestStack::start().await;
    let long = format!("Bearer {}", "x".repeat(64 << 10));
    for (value, status) in [
        (&b"Bearer"[..], 401),
        (b"Bearer  ", 401),
        (b"bearer a b", 401),
        (b"", 401),
        (b",", 401),
        (b"Bearer \xed\x95\x9c\xea\xb8\x80", 401),
        (b"\xff\xfe", 401),
        (long.as_bytes(), 431),
    ] {
        let head =
            format!("GET /api/me HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: ", stack.gateway.host());
        let answer = Raw::exchange(stack.gateway.address(), [head.as_bytes(), value, b"\r\n\r\n"].concat()).await;
        assert_eq!(
            raw::status(&answer),
            status,
            "{:?}: {answer}",
            String::from_utf8_lossy(&value[..value.len().min(20)])
        );
    }
    is_alive(&stack).await;
    assert_eq!(stack.backend.counters().served, 0);
}

#[tokio::test]
async fn cve_2026_47775_every_flipped_bit_of_a_flow_cookie_gets_the_same_answer() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let stack = TestStack::with(MANY_GUESSES).await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let target = &callback.location()[callback.location().find("/auth/").unwrap()..];
    let cookies = browser.cookie_header();
    let (name, value) = cookies.split("; ").next().unwrap().split_once('=').unwrap();
    let (head, sealed) = value.rsplit_once('.').unwrap();
    let sealed = URL_SAFE_NO_PAD.decode(sealed).unwrap();
    let flips = (0..sealed.len() * 8).map(|bit| {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        asks(&stack, target, &format!("{name}={head}.{}", b64(&bent)))
    });
    let answers = heads(&stack, flips).await;
    assert!(answers.len() > 2000, "{}", answers.len());
    let told = |head: &String| {
        let lines = head.lines().filter(|line| !line.starts_with("x-request-id") && !line.starts_with("date"));
        lines.collect::<Vec<_>>().join("\n")
    };
    all_are(&answers, 400);
    assert!(answers.iter().all(|head| told(head) == told(&answers[0])), "one single answer");
    assert_eq!((stack.provider.token_calls(), stack.backend.counters().exchanges), (0, 0));
    browser.follow(&callback).await.is(303);
}
