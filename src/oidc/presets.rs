//! Known providers: defaults for the configuration, and their differences from the specification.

use serde_json::Value;
use url::Url;

use super::claims::Claims;

/// A known provider that differs from the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Any other provider.
    Generic,
    /// Google.
    Google,
    /// Kakao.
    Kakao,
    /// Naver.
    Naver,
    /// GitHub, which has no OpenID Connect for logins.
    GitHub,
}

/// Defaults for keys that the configuration does not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// The preset that the name selects.
    pub preset: Preset,
    /// The issuer.
    pub issuer: &'static str,
    /// Scopes.
    pub scopes: &'static [&'static str],
    /// Authorization parameters without which the provider issues no refresh token; used only with the authority
    /// `provider`.
    pub for_refresh: &'static [(&'static str, &'static str)],
}

/// The defaults for `[providers.NAME]`, where NAME is that of a known provider.
pub fn by_name(name: &str) -> Option<Defaults> {
    Some(match name {
        "google" => Defaults {
            preset: Preset::Google,
            issuer: "https://accounts.google.com",
            scopes: &["openid", "email", "profile"],
            // A refresh token is issued only at the first consent, unless consent is requested again.
            for_refresh: &[("access_type", "offline"), ("prompt", "consent")],
        },
        "kakao" => Defaults {
            preset: Preset::Kakao,
            issuer: "https://kauth.kakao.com",
            // Any item that is not switched on in Kakao's console fails the login (KOE205); e-mail needs a reviewed
            // app.
            scopes: &["openid", "profile_nickname"],
            for_refresh: &[],
        },
        "naver" => {
            Defaults { preset: Preset::Naver, issuer: "https://nid.naver.com", scopes: &["openid"], for_refresh: &[] }
        }
        _ => return None,
    })
}

/// Defaults for keys of a provider of `kind = "oauth2"` that the configuration does not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OAuth2Defaults {
    /// The preset that the name selects.
    pub preset: Preset,
    /// The authorization endpoint.
    pub authorize_url: &'static str,
    /// The token endpoint.
    pub token_url: &'static str,
    /// Scopes; empty if they are set in the provider's console.
    pub scopes: &'static [&'static str],
    /// The profile request.
    pub profile: ProfileDefaults,
}

/// The profile request of a preset: URLs and JSON pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProfileDefaults {
    /// The URL of the request.
    pub url: &'static str,
    /// Place and value that mark a successful answer.
    pub success: Option<(&'static str, &'static str)>,
    /// Place of the person's id.
    pub subject: &'static str,
    /// Place of the e-mail address.
    pub email: &'static str,
    /// Places that must all be `true` for the address to be verified.
    pub email_verified: &'static [&'static str],
    /// Place of the person's name.
    pub name: &'static str,
    /// Place of a picture's URL.
    pub picture: &'static str,
    /// URL of the list of e-mail addresses.
    pub emails_url: Option<&'static str>,
}

/// The defaults for `[providers.NAME]` with `kind = "oauth2"`, where NAME is that of a known provider.
pub fn oauth2_by_name(name: &str) -> Option<OAuth2Defaults> {
    Some(match name {
        "github" => OAuth2Defaults {
            preset: Preset::GitHub,
            authorize_url: "https://github.com/login/oauth/authorize",
            token_url: "https://github.com/login/oauth/access_token",
            // Name and picture are public; addresses are not.
            scopes: &["user:email"],
            profile: ProfileDefaults {
                url: "https://api.github.com/user",
                success: None,
                subject: "/id",
                email: "/email",
                email_verified: &[],
                name: "/name",
                picture: "/avatar_url",
                emails_url: Some("https://api.github.com/user/emails"),
            },
        },
        "kakao" => OAuth2Defaults {
            preset: Preset::Kakao,
            authorize_url: "https://kauth.kakao.com/oauth/authorize",
            token_url: "https://kauth.kakao.com/oauth/token",
            scopes: &[],
            profile: ProfileDefaults {
                url: "https://kapi.kakao.com/v2/user/me",
                success: None,
                subject: "/id",
                email: "/kakao_account/email",
                email_verified: &["/kakao_account/is_email_valid", "/kakao_account/is_email_verified"],
                name: "/kakao_account/profile/nickname",
                picture: "/kakao_account/profile/profile_image_url",
                emails_url: None,
            },
        },
        "naver" => OAuth2Defaults {
            preset: Preset::Naver,
            // Naver's `/oauth2/…` is OpenID Connect; this is its older service.
            authorize_url: "https://nid.naver.com/oauth2.0/authorize",
            token_url: "https://nid.naver.com/oauth2.0/token",
            scopes: &[],
            profile: ProfileDefaults {
                url: "https://openapi.naver.com/v1/nid/me",
                success: Some(("/resultcode", "00")),
                subject: "/response/id",
                email: "/response/email",
                email_verified: &[],
                name: "/response/name",
                picture: "/response/profile_image",
                emails_url: None,
            },
        },
        _ => return None,
    })
}

impl Preset {
    /// Whether the provider's documentation states PKCE with S256, so that its metadata need not.
    pub(super) fn pkce_is_certain(self) -> bool {
        matches!(self, Self::Google | Self::Kakao | Self::Naver)
    }

    /// Whether the provider accepts the client secret only as a form field.
    pub(super) fn secret_in_form(self) -> bool {
        matches!(self, Self::Kakao | Self::Naver)
    }

    /// Whether the provider requires `state` also in the code exchange.
    pub(super) fn state_at_exchange(self) -> bool {
        self == Self::Naver
    }

    /// Whether the ID token has all requested claims, so that no userinfo request is needed.
    pub(crate) fn id_token_is_complete(self) -> bool {
        matches!(self, Self::Google | Self::Kakao)
    }

    /// Whether `iss` of an ID token may also be `claimed`: Google's older tokens leave out the scheme.
    pub(super) fn also_issues_as(self, claimed: &str, issuer: &str) -> bool {
        self == Self::Google && issuer.strip_prefix("https://") == Some(claimed)
    }

    /// The provider's name and value for an authorization parameter.
    pub(super) fn authorize_param<'a>(self, name: &'a str, value: &'a str) -> (&'a str, &'a str) {
        match (self, name, value) {
            (Self::Naver, "prompt", "login") => ("auth_type", "reauthenticate"),
            (Self::Naver, "prompt", "consent") => ("auth_type", "reprompt"),
            _ => (name, value),
        }
    }

    /// The provider's logout endpoint, if its metadata does not name it.
    pub(super) fn logout_endpoint(self, issuer: &Url) -> Option<Url> {
        (self == Self::Kakao).then(|| issuer.join("/oauth/logout").ok()).flatten()
    }

    /// The provider's name for the parameter `post_logout_redirect_uri`.
    pub(super) fn logout_redirect_param(self) -> &'static str {
        if self == Self::Kakao { "logout_redirect_uri" } else { "post_logout_redirect_uri" }
    }

    /// Whether tokens are revoked at the token endpoint with `grant_type=delete`, access tokens only.
    pub(super) fn deletes_at_token_endpoint(self) -> bool {
        self == Self::Naver
    }

    /// Whether `error` of the token endpoint refuses the refresh token for good (RFC 6749 section 5.2). The codes of
    /// OpenID Connect Core section 3.1.2.6 do so too: Entra uses them at refreshes, and only a new login helps. GitHub
    /// has a code of its own, and a provider without a preset may be a GitHub of another name.
    pub(super) fn refuses_refresh(self, error: &str) -> bool {
        match error {
            "invalid_grant"
            | "interaction_required"
            | "login_required"
            | "consent_required"
            | "account_selection_required" => true,
            "bad_refresh_token" => matches!(self, Self::GitHub | Self::Generic),
            _ => false,
        }
    }

    /// The claims in an answer of the userinfo endpoint; `None` if the answer reports a failure.
    pub(super) fn userinfo_claims(self, mut members: Claims) -> Option<Claims> {
        if self != Self::Naver || !members.contains_key("resultcode") {
            return Some(members);
        }
        if members.get("resultcode").and_then(Value::as_str) != Some("00") {
            return None;
        }
        let Some(Value::Object(mut claims)) = members.remove("response") else { return None };
        if let Some(id) = claims.get("id").cloned() {
            claims.entry("sub").or_insert(id);
        }
        Some(claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_providers_have_defaults_with_valid_urls() {
        for name in ["google", "kakao", "naver"] {
            let defaults = by_name(name).unwrap();
            assert!(defaults.scopes.contains(&"openid") && Url::parse(defaults.issuer).is_ok());
        }
        assert_eq!(by_name("corp"), None);
        for name in ["github", "kakao", "naver"] {
            let OAuth2Defaults { authorize_url, token_url, profile, .. } = oauth2_by_name(name).unwrap();
            let urls = [authorize_url, token_url, profile.url].into_iter().chain(profile.emails_url);
            assert!(urls.map(|url| Url::parse(url).unwrap()).all(|url| url.scheme() == "https"), "{name}");
        }
        assert_eq!(oauth2_by_name("google"), None);
    }

    #[test]
    fn naver_userinfo_without_result_code_00_is_no_profile() {
        let answer =
            |code: &str| json!({"resultcode": code, "message": "m", "response": {"id": "7", "email": "a@naver.com"}});
        let answer = |code: &str| answer(code).as_object().unwrap().clone();
        let claims = Preset::Naver.userinfo_claims(answer("00")).unwrap();
        assert_eq!((&claims["sub"], &claims["email"]), (&json!("7"), &json!("a@naver.com")));
        assert_eq!(Preset::Naver.userinfo_claims(answer("024")), None);
    }

    #[test]
    fn what_differs_at_one_provider_is_not_applied_to_others() {
        assert!(Preset::Google.also_issues_as("accounts.google.com", "https://accounts.google.com"));
        assert!(!Preset::Generic.also_issues_as("id.corp.example", "https://id.corp.example"));
        assert_eq!(Preset::Naver.authorize_param("prompt", "login"), ("auth_type", "reauthenticate"));
        assert_eq!(Preset::Kakao.authorize_param("prompt", "login"), ("prompt", "login"));
    }
}
