//! The gateway's own endpoints, all under `base_path` but its public keys.

use http::Method;

use super::Found;
use crate::channel::Channel;

/// What the table must know of the gateway's own endpoints.
#[derive(Clone, Debug)]
pub struct OwnPaths {
    /// `session.base_path`, e.g. `/auth`; owned wholly.
    pub base_path: String,
    /// The names of the providers, in the order of the file.
    pub providers: Vec<String>,
    /// Whether `POST /login` exists (`authority.credentials`).
    pub credentials: bool,
    /// The channels of one-time codes, and whether each has a page (those that log people in).
    pub codes: Vec<(Channel, HasPage)>,
}

/// Whether a channel of one-time codes has a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HasPage {
    /// `GET /login/{channel}`
    Yes,
    /// The app has its own.
    No,
}

/// One of the gateway's own endpoints; the comments leave `base_path` out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnEndpoint {
    /// `GET /login`
    LoginPage,
    /// `GET /login/{provider}`
    Start(Provider),
    /// `GET` and `POST /callback/{provider}`
    Callback(Provider),
    /// `POST /{provider}`
    IdToken(Provider),
    /// `POST /{provider}/nonce`
    Nonce(Provider),
    /// `POST /login`
    Credentials,
    /// `POST /refresh`
    Refresh,
    /// `GET /session`
    Session,
    /// `POST /logout`
    Logout,
    /// `GET /assets/page.js`: what our pages do more where scripts run
    Script,
    /// `GET /assets/logo`
    Logo,
    /// `POST /{channel}/send`
    SendCode(Channel),
    /// `POST /{channel}/resend`
    ResendCode(Channel),
    /// `POST /{channel}/verify`
    VerifyCode(Channel),
    /// `GET /login/{channel}`
    CodePage(Channel),
    /// `GET /.well-known/jwks.json`, at the root
    Jwks,
}

/// Where the gateway's public keys are, under every host (RFC 8615).
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// A configured provider, by its place in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Provider(usize);

/// First segments that endpoints have or will have.
const RESERVED: [&str; 14] = [
    "assets",
    "login",
    "logout",
    "session",
    "refresh",
    "callback",
    "sms",
    "email",
    "magic",
    "passkey",
    "devices",
    "verify",
    "backchannel-logout",
    ".well-known",
];

/// Whether a provider of this name would collide with the path of an endpoint.
pub fn reserved_provider_name(name: &str) -> bool {
    RESERVED.contains(&name)
}

impl OwnPaths {
    /// Whether a path is the gateway's own, be there an endpoint or not.
    pub(super) fn covers(&self, path: &str) -> bool {
        path == JWKS_PATH || self.owns_all_below(path)
    }

    /// Whether a path is under `base_path`.
    pub(super) fn owns_all_below(&self, path: &str) -> bool {
        self.below(path).is_some()
    }

    /// `None`: not the gateway's own path.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Found<'_>> {
        if path == JWKS_PATH {
            return Some(get(method, OwnEndpoint::Jwks));
        }
        let below = self.below(path)?;
        let mut segments = below.strip_prefix('/').unwrap_or(below).split('/');
        let place = (segments.next(), segments.next(), segments.next());
        let provider = |name: &str| self.provider(name);
        let found = match place {
            (Some("login"), None, _) if self.credentials => {
                choose(method, "GET, HEAD, POST", Some(OwnEndpoint::LoginPage), Some(OwnEndpoint::Credentials))
            }
            (Some("login"), None, _) => get(method, OwnEndpoint::LoginPage),
            (Some("refresh"), None, _) => post(method, OwnEndpoint::Refresh),
            (Some("session"), None, _) => get(method, OwnEndpoint::Session),
            (Some("logout"), None, _) => post(method, OwnEndpoint::Logout),
            (Some("assets"), Some("page.js"), None) => get(method, OwnEndpoint::Script),
            (Some("assets"), Some("logo"), None) => get(method, OwnEndpoint::Logo),
            (Some("login"), Some(name), None) => match self.channel(name) {
                Some((channel, HasPage::Yes)) => get(method, OwnEndpoint::CodePage(channel)),
                Some((_, HasPage::No)) => Found::None,
                None => provider(name).map_or(Found::None, |provider| get(method, OwnEndpoint::Start(provider))),
            },
            (Some(name), Some(step), None) if self.channel(name).is_some() => {
                let endpoint = match step {
                    "send" => OwnEndpoint::SendCode,
                    "resend" => OwnEndpoint::ResendCode,
                    "verify" => OwnEndpoint::VerifyCode,
                    _ => return Some(Found::None),
                };
                self.channel(name).map_or(Found::None, |(channel, _)| post(method, endpoint(channel)))
            }
            // A HEAD that some scanner sends must not use up the login attempt.
            (Some("callback"), Some(name), None) => provider(name).map_or(Found::None, |provider| match *method {
                Method::GET | Method::POST => Found::Own(OwnEndpoint::Callback(provider)),
                _ => Found::WrongMethod("GET, POST"),
            }),
            (Some(name), None, _) => {
                provider(name).map_or(Found::None, |provider| post(method, OwnEndpoint::IdToken(provider)))
            }
            (Some(name), Some("nonce"), None) => {
                provider(name).map_or(Found::None, |provider| post(method, OwnEndpoint::Nonce(provider)))
            }
            _ => Found::None,
        };
        Some(found)
    }

    /// What follows `base_path`: empty, or with its slash.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.base_path.trim_end_matches('/'))
            .filter(|below| below.is_empty() || below.starts_with('/'))
    }

    pub(super) fn provider_name(&self, provider: Provider) -> &str {
        &self.providers[provider.0]
    }

    fn channel(&self, name: &str) -> Option<(Channel, HasPage)> {
        let named = Channel::named(name)?;
        self.codes.iter().find(|(channel, _)| *channel == named).copied()
    }

    fn provider(&self, name: &str) -> Option<Provider> {
        self.providers.iter().position(|provider| provider == name && !reserved_provider_name(name)).map(Provider)
    }
}

fn get(method: &Method, endpoint: OwnEndpoint) -> Found<'static> {
    choose(method, "GET, HEAD", Some(endpoint), None)
}

fn post(method: &Method, endpoint: OwnEndpoint) -> Found<'static> {
    choose(method, "POST", None, Some(endpoint))
}

fn choose<'t>(method: &Method, allow: &'static str, get: Option<OwnEndpoint>, post: Option<OwnEndpoint>) -> Found<'t> {
    let endpoint = match *method {
        Method::GET | Method::HEAD => get,
        Method::POST => post,
        _ => None,
    };
    endpoint.map_or(Found::WrongMethod(allow), Found::Own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(credentials: bool) -> OwnPaths {
        OwnPaths {
            base_path: "/api/auth".into(),
            providers: vec!["google".into(), "corp".into(), "sms".into()],
            credentials,
            codes: vec![],
        }
    }

    #[test]
    fn codes_have_endpoints_for_the_channels_that_are_there_alone() {
        let all = OwnPaths { codes: vec![(Channel::Sms, HasPage::No), (Channel::Email, HasPage::Yes)], ..own(true) };
        let sms = OwnPaths { codes: vec![(Channel::Sms, HasPage::Yes)], ..own(true) };
        let (phone, mail) = (Channel::Sms, Channel::Email);
        for (own, method, path, expected) in [
            (&all, "POST", "/sms/send", format!("Own({:?})", OwnEndpoint::SendCode(phone))),
            (&all, "POST", "/sms/resend", format!("Own({:?})", OwnEndpoint::ResendCode(phone))),
            (&all, "POST", "/sms/verify", format!("Own({:?})", OwnEndpoint::VerifyCode(phone))),
            (&all, "POST", "/email/verify", format!("Own({:?})", OwnEndpoint::VerifyCode(mail))),
            (&all, "GET", "/login/email", format!("Own({:?})", OwnEndpoint::CodePage(mail))),
            (&all, "HEAD", "/login/email", format!("Own({:?})", OwnEndpoint::CodePage(mail))),
            (&all, "POST", "/login/email", "WrongMethod(\"GET, HEAD\")".to_owned()),
            (&all, "GET", "/sms/send", "WrongMethod(\"POST\")".to_owned()),
            (&all, "GET", "/login/sms", "None".to_owned()),
            (&all, "POST", "/sms", "None".to_owned()),
            (&all, "POST", "/sms/", "None".to_owned()),
            (&all, "POST", "/sms/send/", "None".to_owned()),
            (&all, "POST", "/sms/nonce", "None".to_owned()),
            (&all, "POST", "/SMS/send", "None".to_owned()),
            (&sms, "POST", "/email/send", "None".to_owned()),
            (&sms, "GET", "/login/email", "None".to_owned()),
            (&sms, "GET", "/login/sms", format!("Own({:?})", OwnEndpoint::CodePage(phone))),
        ] {
            let path = format!("/api/auth{path}");
            assert_eq!(found(own, method, &path).as_deref(), Some(expected.as_str()), "{method} {path}");
        }
    }

    fn found(own: &OwnPaths, method: &str, path: &str) -> Option<String> {
        own.find(&method.parse().unwrap(), path).map(|found| format!("{found:?}"))
    }

    #[test]
    fn each_endpoint_has_its_method_and_path() {
        let own = own(true);
        let google = Provider(0);
        let corp = Provider(1);
        for (method, path, endpoint) in [
            ("GET", "/login", OwnEndpoint::LoginPage),
            ("HEAD", "/login", OwnEndpoint::LoginPage),
            ("POST", "/login", OwnEndpoint::Credentials),
            ("GET", "/login/google", OwnEndpoint::Start(google)),
            ("GET", "/callback/corp", OwnEndpoint::Callback(corp)),
            ("POST", "/callback/corp", OwnEndpoint::Callback(corp)),
            ("POST", "/google", OwnEndpoint::IdToken(google)),
            ("POST", "/google/nonce", OwnEndpoint::Nonce(google)),
            ("POST", "/refresh", OwnEndpoint::Refresh),
            ("GET", "/session", OwnEndpoint::Session),
            ("POST", "/logout", OwnEndpoint::Logout),
            ("GET", "/assets/page.js", OwnEndpoint::Script),
            ("HEAD", "/assets/logo", OwnEndpoint::Logo),
        ] {
            let path = format!("/api/auth{path}");
            assert_eq!(found(&own, method, &path), Some(format!("Own({endpoint:?})")), "{method} {path}");
        }
    }

    #[test]
    fn the_public_keys_are_at_the_root() {
        let own = own(true);
        for method in ["GET", "HEAD"] {
            assert_eq!(found(&own, method, JWKS_PATH).as_deref(), Some("Own(Jwks)"), "{method}");
        }
        assert_eq!(found(&own, "POST", JWKS_PATH).as_deref(), Some("WrongMethod(\"GET, HEAD\")"));
        for path in ["/.well-known", "/.well-known/jwks.json/", "/.well-known/JWKS.json", "/x/.well-known/jwks.json"] {
            assert_eq!(found(&own, "GET", path), None, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        for (credentials, method, path, allow) in [
            (true, "PUT", "/login", "GET, HEAD, POST"),
            (false, "POST", "/login", "GET, HEAD"),
            (true, "POST", "/login/google", "GET, HEAD"),
            (true, "HEAD", "/callback/google", "GET, POST"),
            (true, "GET", "/google", "POST"),
            (true, "GET", "/google/nonce", "POST"),
            (true, "GET", "/refresh", "POST"),
            (true, "OPTIONS", "/session", "GET, HEAD"),
            (true, "GET", "/logout", "POST"),
        ] {
            let path = format!("/api/auth{path}");
            assert_eq!(
                found(&own(credentials), method, &path),
                Some(format!("WrongMethod({allow:?})")),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn the_whole_of_base_path_is_ours_and_nothing_beside_it() {
        let own = own(true);
        for path in [
            "",
            "/",
            "/x",
            "/login/",
            "/login/x",
            "/login/google/",
            "/callback",
            "/callback/x",
            "/nonce",
            "/google/x",
            "/google/nonce/x",
            "//login",
            "/sms",
            "/sms/send",
            "/Login",
            "/devices",
        ] {
            assert_eq!(found(&own, "POST", &format!("/api/auth{path}")).as_deref(), Some("None"), "{path}");
        }
        for path in [
            "/",
            "/api",
            "/api/authx",
            "/api/authentication/login",
            "/API/auth/login",
            "/auth/login",
            "/x/api/auth/login",
        ] {
            assert_eq!(found(&own, "POST", path), None, "{path}");
        }
    }
}
