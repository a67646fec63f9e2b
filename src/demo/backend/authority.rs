//! The token authority: login, exchange, refresh with rotation and reuse detection, sign-out.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use super::{
    super::{
        families::{Issued, Presented, Rotation},
        hook::ScriptedAnswer,
        people::Person,
        reply,
        server::{Hangup, Reply, lock},
        signing::Claims,
    },
    BackendState, Event, Grant, RefreshTokenVia,
};
use crate::secret::ct_eq;

/// The only e-mail address that can log in with a password.
pub const EMAIL: &str = "demo@example.test";
/// The password of [`EMAIL`], shown on the page.
pub const PASSWORD: &str = "demo1234";

/// The name of the refresh token's cookie.
const COOKIE: &str = "refreshToken";

type Object = Map<String, Value>;

/// Whether that path is an endpoint of the authority.
pub(super) fn is_endpoint(path: &str) -> bool {
    path == "/social-login" || path.strip_prefix("/auth/").is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

impl BackendState {
    pub(super) async fn authority(&self, head: &Parts, body: &Bytes) -> Result<Reply, Hangup> {
        if head.method != Method::POST {
            return Ok(reply::wrong_method());
        }
        let Ok(asked) = serde_json::from_slice::<Object>(body) else {
            return Ok(reply::error(StatusCode::BAD_REQUEST, "bad_request", "a JSON object is expected"));
        };
        match head.uri.path() {
            "/auth/login" => Ok(self.login(&asked)),
            "/auth/refresh" => self.refresh(&head.headers, &asked).await,
            "/auth/otp" => Ok(self.code(head, body, &asked).await),
            "/auth/signout" => Ok(self.sign_out(&head.headers, &asked)),
            "/social-login" => Ok(self.social_login(&asked).await),
            exchange => Ok(self.exchange(exchange, &asked).await),
        }
    }

    /// `{email, password}`.
    fn login(&self, asked: &Object) -> Reply {
        let (Some(email), Some(password)) = (text(asked, "email"), text(asked, "password")) else {
            return missing("email and password");
        };
        if !email.eq_ignore_ascii_case(EMAIL) || !ct_eq(password.as_bytes(), PASSWORD.as_bytes()) {
            return reply::error(StatusCode::UNAUTHORIZED, "invalid_credentials", "e-mail or password is wrong");
        }
        let person = Person {
            subject: "demo-password".to_owned(),
            name: "데모 Demo".to_owned(),
            email: EMAIL.to_owned(),
            role: "user",
        };
        self.counters.send_modify(|counters| counters.credential_logins += 1);
        self.open("credentials", "/auth/login", person, asked)
    }

    /// `{channel, address, deviceId}`, with an assertion signed by the gateway.
    async fn code(&self, head: &Parts, body: &Bytes, asked: &Object) -> Reply {
        let (Some(channel), Some(address)) = (text(asked, "channel"), text(asked, "address")) else {
            return missing("channel and address");
        };
        if !self.gateway.has_signed(head, body, self.options.clock.now()).await {
            return reply::error(
                StatusCode::UNAUTHORIZED,
                "invalid_assertion",
                "the request has no valid assertion of the gateway",
            );
        }
        let email = if channel == "email" { address.to_owned() } else { format!("{address}@phone.example.test") };
        let person = Person {
            subject: format!("demo-{channel}-{address}"),
            name: address.to_owned(),
            role: Person::role_of(&email),
            email,
        };
        self.counters.send_modify(|counters| counters.code_logins += 1);
        self.open("code", "/auth/otp", person, asked)
    }

    /// `{id_token, deviceId, deviceName}`.
    async fn exchange(&self, path: &str, asked: &Object) -> Reply {
        let Some(id_token) = text(asked, "id_token") else { return missing("id_token") };
        let Some(claims) = self.id_token_claims(id_token).await else {
            return reply::error(StatusCode::UNAUTHORIZED, "invalid_id_token", "the ID token is not valid");
        };
        self.open_for(path, &claims, asked)
    }

    /// `{provider, token, profile}`: `token` is an access or ID token, `profile` must have the same `sub`.
    async fn social_login(&self, asked: &Object) -> Reply {
        let (Some(_), Some(token)) = (text(asked, "provider"), text(asked, "token")) else {
            return missing("provider and token");
        };
        let Some(claims) = self.id_token_claims(token).await else {
            return reply::error(StatusCode::UNAUTHORIZED, "invalid_token", "the provider's token is not valid");
        };
        let profile = asked.get("profile").and_then(Value::as_object);
        if !profile.is_some_and(|profile| profile.get("sub") == claims.get("sub")) {
            return reply::error(StatusCode::UNAUTHORIZED, "invalid_profile", "the profile is not the token's");
        }
        self.open_for("/social-login", &claims, asked)
    }

    /// The claims of an accepted ID token.
    async fn id_token_claims(&self, token: &str) -> Option<Claims> {
        let accepted = self.options.hook.accept_id_token(token);
        if accepted.is_some() { accepted } else { self.trusted.verify(token, self.options.clock.now()).await }
    }

    fn open_for(&self, path: &str, claims: &Claims, asked: &Object) -> Reply {
        let (Some(subject), Some(email)) = (text(claims, "sub"), text(claims, "email")) else {
            return reply::error(StatusCode::UNAUTHORIZED, "invalid_id_token", "sub and email are needed");
        };
        let person = Person {
            subject: subject.to_owned(),
            name: text(claims, "name").unwrap_or(email).to_owned(),
            email: email.to_owned(),
            role: Person::role_of(email),
        };
        self.counters.send_modify(|counters| counters.exchanges += 1);
        self.open("exchange", path, person, asked)
    }

    fn open(&self, kind: &'static str, path: &str, person: Person, asked: &Object) -> Reply {
        let grant = Grant { person, device_id: text(asked, "deviceId").map(str::to_owned) };
        let issued = self.families.open(grant.clone(), self.options.clock.now());
        self.journal.push(Event::new(kind).path(path).token(issued.family, issued.generation));
        self.tokens(&issued, &grant, Rotation::On)
    }

    /// `{refreshToken, deviceId}`; the token can also come as a cookie.
    async fn refresh(&self, headers: &HeaderMap, asked: &Object) -> Result<Reply, Hangup> {
        match self.options.hook.refresh_answer() {
            Some(ScriptedAnswer::Answer { status, content_type, body }) => {
                self.journal.push(Event::new("refresh_refused").reason("scripted"));
                return Ok(reply::reply(status, content_type, body));
            }
            Some(ScriptedAnswer::LoseAnswer) => {
                self.rotate(headers, asked);
                return Err(Hangup);
            }
            None => {}
        }
        if std::mem::take(&mut lock(&self.orders).refuse_refresh) {
            self.journal.push(Event::new("refresh_refused").reason("told_to"));
            return Ok(reply::error(StatusCode::UNAUTHORIZED, "invalid_refresh_token", "a button said so"));
        }
        let answer = self.rotate(headers, asked);
        let ordered = lock(&self.orders).refresh_delay.take();
        let delay = ordered.unwrap_or_else(|| self.options.hook.refresh_delay());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(answer)
    }

    fn rotate(&self, headers: &HeaderMap, asked: &Object) -> Reply {
        let Some(token) = refresh_token(headers, asked) else { return missing("refreshToken") };
        let device_id = text(asked, "deviceId");
        // A refresh token is accepted only from the device that it was issued to, if both device ids are present.
        let allowed =
            |grant: &Grant| device_id.is_none() || grant.device_id.is_none() || grant.device_id.as_deref() == device_id;
        let rotation = if self.options.hook.rotates_refresh_tokens() { Rotation::On } else { Rotation::Off };
        let refuse = |event: Event| {
            self.journal.push(event);
            reply::error(StatusCode::UNAUTHORIZED, "invalid_refresh_token", "the refresh token is not valid")
        };
        match self.families.present(&token, rotation, self.options.clock.now(), allowed) {
            Presented::Rotated(issued, grant) => {
                self.journal.push(Event::new("refresh").token(issued.family, issued.generation));
                self.counters.send_modify(|counters| counters.refreshes_ok += 1);
                self.tokens(&issued, &grant, rotation)
            }
            Presented::Reused { family, generation } => {
                self.counters.send_modify(|counters| counters.reuse_detected += 1);
                refuse(Event::new("reuse_detected").token(family, generation))
            }
            Presented::Ended { family, generation } => {
                refuse(Event::new("refresh_refused").token(family, generation).reason("ended"))
            }
            Presented::Unknown => refuse(Event::new("refresh_refused").reason("unknown")),
        }
    }

    /// `{refreshToken}`; an unknown token is no error.
    fn sign_out(&self, headers: &HeaderMap, asked: &Object) -> Reply {
        let Some(token) = refresh_token(headers, asked) else { return missing("refreshToken") };
        self.counters.send_modify(|counters| counters.signouts += 1);
        if let Some((family, generation)) = self.families.identify(&token) {
            self.families.revoke(family);
            self.journal.push(Event::new("signout").token(family, generation));
        }
        reply::json(StatusCode::OK, &json!({ "success": true }))
    }

    fn tokens(&self, issued: &Issued, grant: &Grant, rotation: Rotation) -> Reply {
        let now = self.options.clock.now();
        let ordered = lock(&self.orders).token_life.take();
        let life = ordered.unwrap_or_else(|| self.options.hook.access_token_life(self.options.access_token_life));
        let mut claims = grant.person.claims();
        let own = json!({
            "iss": self.origin, "aud": AUDIENCE, "iat": now.as_secs(), "exp": now.plus(life).as_secs(),
            "jti": self.options.random.token::<12>(), "fam": issued.family, "gen": issued.generation,
        });
        claims.extend(own.as_object().cloned().unwrap_or_default());
        let mut answer = Object::new();
        answer.insert("accessToken".to_owned(), json!(self.key.sign("at+jwt", &claims)));
        answer.insert("expiresIn".to_owned(), json!(life.as_secs()));
        let refresh_token = issued.refresh_token.expose();
        let has_refresh_token = rotation == Rotation::On;
        if has_refresh_token && self.options.refresh_token_via == RefreshTokenVia::Body {
            answer.insert("refreshToken".to_owned(), json!(refresh_token));
        }
        let mut reply = reply::json(StatusCode::OK, &Value::Object(answer));
        if has_refresh_token && self.options.refresh_token_via == RefreshTokenVia::Cookie {
            let cookie = format!("{COOKIE}={refresh_token}; Path=/auth; HttpOnly; SameSite=Strict");
            reply.headers_mut().extend(HeaderValue::from_str(&cookie).ok().map(|cookie| (header::SET_COOKIE, cookie)));
        }
        reply
    }
}

/// `aud` of the backend's access tokens.
pub(in crate::demo) const AUDIENCE: &str = "vestibule-demo";

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn refresh_token(headers: &HeaderMap, asked: &Object) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(cookie::Cookie::split_parse).filter_map(Result::ok);
    let posted = text(asked, "refreshToken").map(str::to_owned);
    posted.or_else(|| cookies.find(|cookie| cookie.name() == COOKIE).map(|cookie| cookie.value().to_owned()))
}

fn missing(what: &str) -> Reply {
    reply::error(StatusCode::BAD_REQUEST, "bad_request", &format!("{what} missing"))
}
