//! `session.compat`: the client library whose pages the gateway serves.

use super::{
    SMALLEST,
    gaps::{errors, warnings},
    read,
};
use crate::session::AuthJsVersion;

fn session(keys: &str) -> String {
    format!("[session]\nbase_path = \"/api/auth\"\n{keys}")
}

#[test]
fn one_version_of_auth_js_is_taken_and_lets_the_picture_out() {
    for (word, version) in [("next-auth-4", AuthJsVersion::NextAuth4), ("authjs-5", AuthJsVersion::AuthJs5)] {
        let keys = session(&format!("compat = [\"{word}\"]"));
        assert_eq!(warnings(SMALLEST, "[session]", &keys), "");
        let of = |keys: &str| read(&SMALLEST.replace("[session]", keys)).unwrap().config.session;
        let settings = of(&keys);
        assert_eq!(settings.compat, Some(version));
        assert_eq!(settings.expose_claims, ["sub", "email", "name", "role", "picture"]);
        assert_eq!(of(&format!("{keys}\nexpose_claims = [\"sub\"]")).expose_claims, ["sub"]);
    }
    assert_eq!(read(SMALLEST).unwrap().config.session.compat, None);
}

#[test]
fn words_that_exclude_each_other_come_later_or_are_unknown_are_errors() {
    for (list, told) in [
        ("[\"next-auth-4\", \"authjs-5\"]", "answer the same paths in different ways"),
        ("[\"authjs-5\", \"authjs-5\"]", "this word is listed twice"),
        ("[\"oauth2-proxy\"]", "oauth2-proxy"),
        ("[\"next-auth\"]", "next-auth-4"),
        ("\"authjs-5\"", "must be a list"),
    ] {
        let said = errors(SMALLEST, "[session]", &session(&format!("compat = {list}")));
        assert!(said.contains(told), "{list}: {said}");
    }
}

#[test]
fn a_provider_cannot_have_the_name_of_an_endpoint_of_auth_js() {
    for name in ["credentials", "csrf", "signin", "error"] {
        let said =
            errors(SMALLEST, "[providers.google]", &format!("[providers.{name}]\nissuer = \"https://id.example\""));
        assert!(said.contains(name), "{name}: {said}");
    }
}
