//! What is known of some providers by their name.

use crate::oidc::Preset;

/// The preset of a provider's name.
pub(super) fn preset(name: &str) -> Preset {
    match name {
        "google" => Preset::Google,
        "kakao" => Preset::Kakao,
        "naver" => Preset::Naver,
        _ => Preset::Generic,
    }
}

/// The issuer, where it is known.
pub(super) fn issuer(preset: Preset) -> Option<&'static str> {
    match preset {
        Preset::Generic => None,
        Preset::Google => Some("https://accounts.google.com"),
        Preset::Kakao => Some("https://kauth.kakao.com"),
        Preset::Naver => Some("https://nid.naver.com"),
    }
}

/// The scopes that work with an account that was just set up.
pub(super) fn scopes(preset: Preset) -> &'static [&'static str] {
    match preset {
        Preset::Generic | Preset::Google => &["openid", "email", "profile"],
        // Anything that is not switched on in Kakao's console gives KOE205 and no login at all; an e-mail address needs a reviewed app.
        Preset::Kakao => &["openid", "profile_nickname"],
        Preset::Naver => &["openid"],
    }
}

/// Parameters of the authorization request. `keeps_tokens`: whether the provider's own refresh token is what a session lives on.
pub(super) fn authorize_params(preset: Preset, keeps_tokens: bool) -> &'static [(&'static str, &'static str)] {
    match preset {
        // Google gives a refresh token for this alone (it knows no `offline_access`), and a second one only with consent asked anew.
        Preset::Google if keeps_tokens => &[("access_type", "offline"), ("prompt", "consent")],
        _ => &[],
    }
}
