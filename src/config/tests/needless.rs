//! Keys that another setting leaves without effect, each warned of in the same words.

use super::{
    BACKEND, GATEWAY, SMALLEST,
    gaps::{errors, warnings},
};

const CORP: &str = "[providers.corp]\nissuer = \"https://id.example/x\"\nclient_id = \"x\"\nallow = \"anyone\"\n";
const SMS: &str = "[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n";

fn corp(more: &str) -> String {
    format!("{CORP}{more}\n[upstreams")
}

#[test]
fn a_key_that_another_setting_leaves_without_effect_is_warned_of_in_one_way() {
    let route = "access = \"user\"";
    let exchange = BACKEND.replace("[upstreams", "[authority.exchange]\npath = \"/exchange\"\n[upstreams");
    let email = "[otp]\ncountries = [\"KR\"]\nlimits = { per_country = \"5/h\" }\n[otp.email]\nfrom = \"a@b.kr\"\n[otp.email.smtp]\nurl = \"smtps://mail.example\"\n[upstreams";
    for (base, old, new, keys) in [
        (GATEWAY, "[upstreams", corp("refresh_params = { a = \"b\" }"), &["refresh_params"][..]),
        (&exchange, "[upstreams", corp("revoke_url = \"https://id.example/r\""), &["revoke_url"]),
        (SMALLEST, "[upstreams", corp("id_token_login = { audiences = [\"a\"] }"), &["id_token_login"]),
        (SMALLEST, "[upstreams", "userinfo_url = \"https://a.example/u\"\n[upstreams".to_owned(), &["userinfo_url"]),
        (
            SMALLEST,
            "[upstreams",
            "[providers.github]\nkind = \"oauth2\"\nclient_id = \"x\"\ntoken_auth = \"basic\"\n[upstreams".to_owned(),
            &["token_auth"],
        ),
        (SMALLEST, "[[routes]]", "eject = { failures = 5 }\n[[routes]]".to_owned(), &["eject"]),
        (
            &SMALLEST.replace(route, "access = \"public\""),
            "[[routes]]",
            "bearer = \"access\"\n[[routes]]".to_owned(),
            &["bearer"],
        ),
        (
            BACKEND,
            route,
            "access = \"public\"\nretry_on_401 = \"safe\"\non_second_401 = \"pass\"\nheaders = { set = { x-user = \"{claims.sub}\" } }"
                .to_owned(),
            &["retry_on_401", "on_second_401", "x-user"],
        ),
        (SMALLEST, route, format!("{route}\nretry_on_401 = \"off\""), &["retry_on_401"]),
        (SMALLEST, route, format!("{route}\nown_calls = \"open\""), &["own_calls"]),
        (
            BACKEND,
            "[upstreams",
            "[authority.exchange]\npath = \"/exchange\"\n[upstreams".to_owned(),
            &["exchange"],
        ),
        (SMALLEST, "[session]", "[store]\nstore_down = \"refresh\"\n[session]".to_owned(), &["store_down"]),
        (SMALLEST, "[session]", "[session]\nidle = \"90d\"".to_owned(), &["idle"]),
        (
            SMALLEST,
            "[session]",
            "[limits]\ntls_timeout = \"9s\"\nfailures_per_account = \"9/h\"\n[session]".to_owned(),
            &["tls_timeout", "failures_per_account"],
        ),
        (BACKEND, "[upstreams", email.to_owned(), &["countries", "per_country"]),
    ] {
        let warned = warnings(base, old, &new);
        for key in keys {
            assert!(warned.contains(&format!("`{key}` has no effect here: ")), "{key}: {warned}");
        }
        assert_eq!(warned.matches("has no effect here").count(), keys.len(), "{warned}");
    }
}

#[test]
fn a_key_that_has_an_effect_is_not_warned_of() {
    let route = "access = \"user\"";
    for (base, old, new) in [
        (SMALLEST, "[upstreams", corp("refresh_params = { a = \"b\" }\nrevoke_url = \"https://id.example/r\"")),
        (GATEWAY, "[upstreams", corp("id_token_login = { audiences = [\"a\"] }")),
        (SMALLEST, "[upstreams", corp("userinfo_url = \"https://id.example/u\"")),
        (SMALLEST, "[[routes]]", "eject = { failures = 5 }\n[[routes]]".to_owned()),
        (BACKEND, route, format!("{route}\nretry_on_401 = \"safe\"\non_second_401 = \"pass\"\nown_calls = \"open\"")),
        (BACKEND, route, "access = \"public\"\nheaders = { set = { x-kind = \"public\" } }".to_owned()),
        (SMALLEST, "[session]", "[session]\nabsolute = \"1d\"".to_owned()),
        (BACKEND, "[session]", "[limits]\nfailures_per_account = \"9/h\"\n[session]".to_owned()),
        (GATEWAY, "[otp.sms]", "[otp]\ncountries = [\"KR\"]\n[otp.sms]".to_owned()),
    ] {
        let two_targets =
            base.replace("[\"http://127.0.0.1:3000\"]", "[\"http://127.0.0.1:3000\", \"http://127.0.0.1:3001\"]");
        let warned = warnings(&two_targets, old, &new);
        assert!(!warned.contains("has no effect here"), "{new}: {warned}");
    }
}

#[test]
fn tenants_beside_an_issuer_that_stands_for_one_are_warned_of() {
    let warned = |issuer: &str, more: &str| {
        let corp = corp(&format!("tenants = [\"t1\"]\n{more}")).replace("https://id.example/x", issuer);
        warnings(SMALLEST, "[upstreams", &corp).contains("`tenants` is for an issuer that stands for many tenants")
    };
    assert!(warned("https://id.example", "") && warned("https://login.example/9188040d-6c67/v2.0", ""));
    assert!(
        !warned("https://login.example/common/v2.0", "") && !warned("https://login.example/organizations/v2.0", "")
    );
    assert!(!warned("https://id.example", "discovery_url = \"https://login.example/common/discovery\""));
    assert!(warnings(SMALLEST, "[upstreams", "tenants = [\"t1\"]\n[upstreams").starts_with("8:1 `tenants` is for"));
}

#[test]
fn an_id_token_that_no_refresh_renews_is_warned_of() {
    for (base, authority) in [(GATEWAY, "gateway"), (BACKEND, "backend")] {
        let warned = warnings(base, "[[routes]]", "bearer = \"id\"\n[[routes]]");
        assert!(warned.contains(&format!("with the authority `{authority}` no refresh brings another")), "{warned}");
    }
    let provider = warnings(SMALLEST, "[[routes]]", "bearer = \"id\"\n[[routes]]");
    assert!(!provider.contains("no refresh"), "{provider}");
}

#[test]
fn cookies_that_do_not_fit_into_a_head_are_warned_of_with_all_that_may_be_under_way() {
    let codes = format!("[otp.sms]\npurpose = \"prove\"\n{SMS}[upstreams");
    let warned = |base: &str, old: &str, new: &str| warnings(base, old, new).contains("our own cookies can take");
    assert!(!warned(SMALLEST, "[session]", "[session]\nidle = \"1d\""), "five logins fit");
    assert!(!warned(SMALLEST, "[upstreams", &codes), "the default limit is not the choice of the file: a hint says so");
    let limited = |bytes| codes.replace("[upstreams", &format!("[limits]\nheader_bytes = \"{bytes}\"\n[upstreams"));
    assert!(warned(SMALLEST, "[upstreams", &limited("32KiB")), "five logins and a code do not fit");
    assert!(!warned(BACKEND, "[upstreams", &codes), "without a provider no login has a cookie");
    assert!(!warned(SMALLEST, "[upstreams", &limited("48KiB")));
    assert!(warned(SMALLEST, "[session]", "[limits]\nheader_bytes = \"16KiB\"\n[session]"));
}

#[test]
fn an_error_of_a_malformed_value_is_told_once() {
    for (new, count) in
        [("scopes = \"openid email\"", 1), ("allow = [\"a.kr\"]", 1), ("allow = { domain = \"a.kr\" }", 1)]
    {
        let told = errors(SMALLEST, "[upstreams", &format!("{new}\n[upstreams"));
        assert_eq!(told.lines().count(), count, "{told}");
    }
}
