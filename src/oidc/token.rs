//! The token endpoint (RFC 6749 sections 2.3, 3.2 and 5): client authentication, and how answers are read.

use std::{fmt, time::Duration};

use http::{Method, header};
use reqwest::RequestBuilder;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{
    endpoints::{Endpoints, TokenAuth},
    fetch::{self, Http, Unavailable},
    provider::Provider,
    settings::Settings,
};
use crate::{
    clock::Timestamp,
    outbound::HttpAnswer,
    received,
    secret::{AccessToken, IdToken, RefreshToken},
};

/// The tokens in an answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// Visible ASCII.
    pub access_token: AccessToken,
    /// At a refresh, `None` means that the old one stays valid (RFC 6749 section 6).
    pub refresh_token: Option<RefreshToken>,
    /// The ID token; not verified yet.
    pub id_token: Option<IdToken>,
    /// `expires_in` as received: `authority/lifetime.rs` reads it.
    pub expires_in: Option<Value>,
}

/// Why the token endpoint gave no tokens.
pub(crate) enum TokenError {
    /// `error=…`, well formed (RFC 6749 section 5.2).
    Refused(Refusal),
    /// No answer, or one without tokens or `error`.
    Unavailable(Unavailable),
}

/// The error of a token endpoint (RFC 6749 section 5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// `error`: the code.
    pub error: String,
    /// `error_description`, for the log: one line of 300 characters at most, without the secrets of the request.
    pub description: Option<String>,
}

impl Refusal {
    /// The error, with its description as it came; `secrets` are masked in it.
    pub fn new(error: &str, description: Option<&str>, secrets: &[&str]) -> Self {
        let description = description.map(|text| received::for_log(text, LONGEST_DESCRIPTION, secrets));
        Self { error: error.to_owned(), description: description.filter(|text| !text.is_empty()) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The code decides what happens, but it is text of another party too.
        write!(f, "`{}`", received::for_log(&self.error, 100, &[]))?;
        self.description.iter().try_for_each(|description| write!(f, " ({description})"))
    }
}

/// A POST of `fields` that authenticates the client.
pub(crate) fn request(
    http: &Http,
    endpoint: &Url,
    settings: &Settings,
    token_auth: TokenAuth,
    mut fields: Vec<(&str, String)>,
) -> RequestBuilder {
    let request = http.request(Method::POST, endpoint.clone()).header(header::ACCEPT, "application/json");
    let request = match &settings.client_secret {
        Some(secret) if token_auth == TokenAuth::Basic => {
            request.basic_auth(encoded(&settings.client_id), Some(encoded(secret.expose())))
        }
        secret => {
            fields.push(("client_id", settings.client_id.clone()));
            fields.extend(secret.iter().map(|secret| ("client_secret", secret.expose().to_owned())));
            request
        }
    };
    request.form(&fields)
}

impl Provider {
    /// Asks the token endpoint.
    pub(super) async fn tokens(
        &self,
        endpoints: &Endpoints,
        fields: Vec<(&str, String)>,
        deadline: Duration,
    ) -> Result<TokenAnswer, TokenError> {
        // A provider may repeat them in its error.
        let secrets = fields.iter().filter(|(name, _)| IS_SECRET.contains(name)).map(|(_, value)| value.clone());
        let secrets: Vec<_> =
            secrets.chain(self.settings.client_secret.iter().map(|secret| secret.expose().to_owned())).collect();
        let request = request(&self.http, &endpoints.token, &self.settings, endpoints.token_auth, fields);
        let answer = self.ask(request, deadline).await.map_err(TokenError::Unavailable)?;
        read(&answer, &secrets.iter().map(String::as_str).collect::<Vec<_>>(), self.clock.now())
    }
}

/// The fields of a token request whose values are secret.
const IS_SECRET: [&str; 3] = ["code", "code_verifier", "refresh_token"];

/// Client id and secret are form-encoded before HTTP Basic joins them (RFC 6749 section 2.3.1).
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The tokens in an answer; `secrets` are masked in its error. Statuses 408, 429 and those that are neither 2xx nor 4xx
/// are never a refusal.
pub(crate) fn read(answer: &HttpAnswer, secrets: &[&str], now: Timestamp) -> Result<TokenAnswer, TokenError> {
    let body = members(answer);
    let is_about_the_grant = answer.status.is_success() || fetch::is_refusal(answer);
    let refusal = body.as_ref().and_then(|body| refusal(body, secrets));
    match (refusal, body) {
        (Some(refusal), _) if is_about_the_grant => Err(TokenError::Refused(refusal)),
        (refusal, _) if !answer.status.is_success() => {
            let said = refusal.map_or_else(String::new, |refusal| format!(": {refusal}"));
            Err(TokenError::Unavailable(Unavailable::status_of(answer, now).with(said)))
        }
        (_, Some(body)) => tokens(&body).map_err(|why| TokenError::Unavailable(Unavailable::TokenAnswer(why))),
        (_, None) => Err(TokenError::Unavailable(Unavailable::unreadable(answer, NAME))),
    }
}

/// The error in an answer, if it names one.
fn refusal(body: &Map<String, Value>, secrets: &[&str]) -> Option<Refusal> {
    let description = body.get("error_description").and_then(Value::as_str);
    let error = body.get("error")?.as_str().filter(|error| !error.is_empty())?;
    Some(Refusal::new(error, description, secrets))
}

/// The members of a JSON answer, or of a form: drafts of OAuth 2.0 had forms, and GitHub still sends them. The first
/// character decides which of them it is; the media type is not believed.
fn members(answer: &HttpAnswer) -> Option<Map<String, Value>> {
    let content = received::content(&answer.body);
    if !content.first()?.is_ascii_alphabetic() {
        return answer.json().ok();
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(&content) {
        // RFC 6749 section 3.2: no parameter may occur twice.
        if members.insert(name.into_owned(), value.into()).is_some() {
            return None;
        }
    }
    Some(members)
}

/// The answer's name in errors.
const NAME: &str = "token answer";
/// Longest `error_description` in a log line, in characters.
const LONGEST_DESCRIPTION: usize = 300;

/// The tokens of an answer, or which member cannot be used, for the log.
fn tokens(body: &Map<String, Value>) -> Result<TokenAnswer, String> {
    let token = |name: &str| body.get(name).and_then(Value::as_str).filter(|token| is_token(token));
    // A token of another type cannot be used as a Bearer token (RFC 6749 section 7.1).
    let is_bearer = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if let Some(kind) = body.get("token_type").filter(|kind| !is_bearer(kind)) {
        let kind = received::for_log(&kind.to_string(), 100, &[]);
        return Err(format!("`token_type` is {kind}, and only \"Bearer\" can be used"));
    }
    let access_token = match body.get("access_token") {
        None => return Err("`access_token` is absent".to_owned()),
        Some(token) => {
            token.as_str().and_then(bearer_token).ok_or("`access_token` is not a text that can be a token")?
        }
    };
    Ok(TokenAnswer {
        access_token: AccessToken::new(access_token),
        refresh_token: token("refresh_token").map(RefreshToken::new),
        id_token: token("id_token").map(IdToken::new),
        expires_in: body.get("expires_in").cloned(),
    })
}

/// An access token as some servers send it: with `Bearer ` in front, in any case, which is no part of it. `None` if the
/// rest cannot be a token.
pub(crate) fn bearer_token(text: &str) -> Option<&str> {
    let text = text.trim();
    let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let token = scheme.map_or(text, |scheme| text[scheme.len()..].trim_start());
    (is_token(token) && !token.eq_ignore_ascii_case("bearer")).then_some(token)
}

/// Whether a text can be a token: visible ASCII, which a header can carry unchanged.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn each_answer_is_tokens_an_error_or_an_outage() {
        let read = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let received = HttpAnswer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
            match read(&received, &[], Timestamp::default()) {
                Ok(answer) => format!("tokens {:?}", answer.expires_in.map(|stated| stated.to_string())),
                Err(TokenError::Refused(refusal)) => refusal.error,
                Err(TokenError::Unavailable(Unavailable::Malformed(_))) => "malformed".to_owned(),
                Err(TokenError::Unavailable(Unavailable::TokenAnswer(_))) => "unusable".to_owned(),
                Err(TokenError::Unavailable(Unavailable::Page(_))) => "page".to_owned(),
                Err(TokenError::Unavailable(_)) => "status".to_owned(),
            }
        };
        for (status, body, meaning) in [
            (200, r#"{"access_token":"a","token_type":"bearer","expires_in":"3600"}"#, r#"tokens Some("\"3600\"")"#),
            (200, r#"{"access_token":"a"}"#, "tokens None"),
            (200, r#"{"error":"invalid_grant","access_token":"a"}"#, "invalid_grant"),
            (400, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (200, r#"{"error":"","access_token":"a"}"#, "tokens None"),
            (200, "error=&access_token=a", "tokens None"),
            (200, r#"{"error":null,"access_token":"a"}"#, "tokens None"),
            (400, r#"{"error":""}"#, "status"),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (403, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (400, "<html>", "status"),
            (401, "{}", "status"),
            (429, r#"{"error":"invalid_grant"}"#, "status"),
            (503, r#"{"error":"invalid_grant"}"#, "status"),
            (302, r#"{"access_token":"a"}"#, "status"),
            (200, r#"{"access_tok"#, "malformed"),
            (200, "[]", "malformed"),
            (200, r#"{"access_token":"a\r\nb: c"}"#, "unusable"),
            (200, r#"{"access_token":""}"#, "unusable"),
            (200, r#"{"access_token":7}"#, "unusable"),
            (200, r#"{"access_token":"a","token_type":"DPoP"}"#, "unusable"),
            (200, "access_token=a&token_type=bearer", "tokens None"),
            (200, "\u{feff}{\"access_token\":\"a\"}", "tokens None"),
            (200, "\u{feff} <html>", "page"),
            (200, "", "malformed"),
            (400, "\u{feff}{\"error\":\"invalid_grant\"}", "invalid_grant"),
            (408, r#"{"error":"invalid_grant"}"#, "status"),
        ] {
            assert_eq!(read(status, body), meaning, "{status} {body}");
        }
    }

    #[test]
    fn an_access_token_with_bearer_in_front_is_read_without_it() {
        for (text, token) in [
            ("abc", Some("abc")),
            ("Bearer abc", Some("abc")),
            ("bearer  abc\n", Some("abc")),
            (" BEARER a.b.c ", Some("a.b.c")),
            ("Bearerabc", Some("Bearerabc")),
            ("Bearer ", None),
            ("bearer", None),
            ("Bearer a b", None),
            ("Bearer Bearer abc", None),
            ("abc def", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(text), token, "{text:?}");
        }
    }

    #[test]
    fn a_form_is_read_as_a_form_and_json_as_json_whatever_the_media_type_says() {
        let meaning = |media_type: &str, body: &str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())]);
            let received = HttpAnswer { status: StatusCode::OK, headers, body: body.as_bytes().to_vec() };
            match read(&received, &[], Timestamp::default()) {
                Ok(answer) => {
                    format!("{} {:?}", answer.access_token.expose(), answer.expires_in.map(|stated| stated.to_string()))
                }
                Err(TokenError::Refused(refusal)) => refusal.error,
                Err(TokenError::Unavailable(_)) => "unavailable".to_owned(),
            }
        };
        for media_type in ["application/x-www-form-urlencoded; charset=utf-8", "text/html", "application/json"] {
            for (body, expected) in [
                ("access_token=a%2Bb&scope=user%3Aemail&token_type=bearer&expires_in=60", r#"a+b Some("\"60\"")"#),
                ("access_token=a", "a None"),
                ("error=bad_verification_code&error_description=The+code", "bad_verification_code"),
                ("access_token=a&access_token=b", "unavailable"),
                (r#"{"access_token":"a"}"#, "a None"),
                ("OK", "unavailable"),
                ("", "unavailable"),
            ] {
                assert_eq!(meaning(media_type, body), expected, "{media_type} {body}");
            }
        }
    }

    #[test]
    fn an_answer_without_usable_tokens_is_told_by_its_member_or_by_the_error_that_it_names() {
        let told = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let received = HttpAnswer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
            match read(&received, &["refresh-1"], Timestamp::default()) {
                Err(TokenError::Unavailable(error)) => error.to_string(),
                _ => panic!("{body}"),
            }
        };
        for (status, body, expected) in [
            (
                200,
                r#"{"access_token":"a","token_type":"mac"}"#,
                r#"`token_type` is "mac", and only "Bearer" can be used"#,
            ),
            (200, r#"{"access_token":"a","token_type":7}"#, r#"`token_type` is 7, and only "Bearer" can be used"#),
            (200, r#"{"accessToken":"a"}"#, "`access_token` is absent"),
            (200, r#"{"access_token":"a b"}"#, "`access_token` is not a text that can be a token"),
        ] {
            assert_eq!(told(status, body), format!("the provider's token answer cannot be used: {expected}"));
        }
        let busy = r#"{"error":"temporarily_unavailable","error_description":"refresh-1:\r\nlater"}"#;
        for status in [429, 503] {
            assert!(told(status, busy).ends_with(": `temporarily_unavailable` (***: later)"), "{}", told(status, busy));
        }
        assert_eq!(told(503, "{}"), "the provider answered with status 503 Service Unavailable");
    }

    #[test]
    fn the_description_of_an_error_is_one_line_without_the_secrets_of_the_request() {
        let body = br#"{"error":"invalid_grant","error_description":"AADSTS70008:\r\nrefresh token 0.AXsecret-token is expired\u001b[0m"}"#;
        let received = HttpAnswer { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: body.to_vec() };
        let Err(TokenError::Refused(refusal)) = read(&received, &["0.AXsecret-token"], Timestamp::default()) else {
            panic!("a refusal")
        };
        assert_eq!(refusal.to_string(), "`invalid_grant` (AADSTS70008: refresh token *** is expired [0m)");
    }
}
