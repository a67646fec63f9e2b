//! The token endpoint (RFC 6749 section 3.2), user information, revocation and logout.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{
    super::{
        families::{FamilyState, Issued, Presented},
        hook::GrantType,
        reply::{self, Parameters},
        server::Reply,
        signing::Claims,
    },
    Grant, ProviderState,
    authorize::Redeemed,
    page,
};
use crate::secret::ct_eq;

impl ProviderState {
    pub(super) fn token(&self, headers: &HeaderMap, form: &Parameters) -> Reply {
        if !self.is_client(headers, form) {
            return bad_client();
        }
        match form.one("grant_type") {
            Some("authorization_code") => self.redeem(form),
            Some("refresh_token") => self.refresh(form),
            Some(_) => bad_request("unsupported_grant_type", "authorization_code and refresh_token are"),
            None => bad_request("invalid_request", "grant_type is missing"),
        }
    }

    fn redeem(&self, form: &Parameters) -> Reply {
        let (Some(code), Some(verifier)) = (form.one("code"), form.one("code_verifier")) else {
            return bad_request("invalid_request", "code and code_verifier are needed");
        };
        let now = self.options.clock.now();
        let pending = match self.codes.redeem(code, now) {
            Redeemed::Granted(pending) => pending,
            Redeemed::UsedBefore(family) => {
                // RFC 6749 section 4.1.2: tokens issued for a code that is used twice should be revoked.
                family.map(|family| self.families.revoke(family));
                return bad_grant("the code was used before");
            }
            Redeemed::Unknown => return bad_grant("the code is unknown or too old"),
        };
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        if !ct_eq(challenge.as_bytes(), pending.challenge.as_bytes()) {
            return bad_grant("the code verifier does not match the challenge");
        }
        if form.one("redirect_uri") != Some(&pending.redirect_uri) {
            return bad_grant("redirect_uri is not that of the authorization request");
        }
        let issued = self.families.open(pending.grant.clone(), now);
        self.codes.opened(code, issued.family);
        self.counters.send_modify(|counters| counters.codes_redeemed += 1);
        self.tokens(&issued, &pending.grant, GrantType::AuthorizationCode)
    }

    fn refresh(&self, form: &Parameters) -> Reply {
        let Some(token) = form.one("refresh_token") else {
            return bad_request("invalid_request", "refresh_token is missing");
        };
        match self.families.present(token, self.rotation(), self.options.clock.now(), |_| true) {
            Presented::Rotated(issued, grant) => {
                self.counters.send_modify(|counters| counters.refreshes_ok += 1);
                self.tokens(&issued, &grant, GrantType::RefreshToken)
            }
            Presented::Reused { .. } => {
                self.counters.send_modify(|counters| counters.reuse_detected += 1);
                bad_grant("the refresh token was used before: its family is revoked")
            }
            Presented::Ended { .. } => bad_grant("the refresh token has ended"),
            Presented::Unknown => bad_grant("the refresh token is unknown"),
        }
    }

    fn tokens(&self, issued: &Issued, grant: &Grant, grant_type: GrantType) -> Reply {
        let now = self.options.clock.now();
        let life = self.options.access_token_life;
        let mut claims = grant.person.claims();
        claims.extend(object(json!({
            "iss": self.issuer, "aud": self.options.client_id, "client_id": self.options.client_id,
            "iat": now.as_secs(), "exp": now.plus(life).as_secs(), "jti": self.options.random.token::<12>(),
            "scope": grant.scope, "fam": issued.family, "gen": issued.generation,
        })));
        let access_token = self.key.sign("at+jwt", &claims);
        // A refreshed ID token should have no nonce (OIDC Core section 12.2).
        let nonce = grant.nonce.as_deref().filter(|_| grant_type == GrantType::AuthorizationCode);
        let id_token = self.options.hook.sign_id_token(&self.key, self.id_token_claims(grant, nonce), grant_type);
        let mut answer = object(json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": life.as_secs(), "scope": grant.scope,
        }));
        answer.extend(id_token.map(|token| ("id_token".to_owned(), json!(token))));
        let refresh_token = issued.refresh_token.expose();
        let is_new = grant_type == GrantType::AuthorizationCode || self.options.rotate_refresh_tokens;
        if is_new && self.options.hook.issues_refresh_tokens() {
            answer.insert("refresh_token".to_owned(), json!(refresh_token));
        }
        reply::json(StatusCode::OK, &Value::Object(answer))
    }

    pub(super) fn id_token_claims(&self, grant: &Grant, nonce: Option<&str>) -> Claims {
        let now = self.options.clock.now();
        let mut claims = grant.person.claims();
        claims.extend(object(json!({
            "iss": self.issuer, "aud": self.options.client_id, "iat": now.as_secs(),
            "exp": now.plus(self.options.id_token_life).as_secs(), "auth_time": grant.auth_time, "sid": grant.sid,
        })));
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
        claims
    }

    pub(super) fn userinfo(&self, headers: &HeaderMap) -> Reply {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
        let now = self.options.clock.now().as_secs();
        let live = self.key.verify(token).filter(|claims| {
            let (family, generation) = (claims["fam"].as_u64(), claims["gen"].as_u64());
            claims["exp"].as_i64().is_some_and(|exp| exp > now)
                && family.zip(generation).is_some_and(|(f, g)| self.families.state(f, g) == FamilyState::Live)
        });
        let Some(mut claims) = live else {
            let refusal = reply::error(StatusCode::UNAUTHORIZED, "invalid_token", "the access token is not valid");
            return reply::with(refusal, header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#);
        };
        claims.retain(|name, _| matches!(name.as_str(), "sub" | "name" | "email" | "email_verified" | "role"));
        reply::json(StatusCode::OK, &Value::Object(claims))
    }

    /// RFC 7009 section 2.2: 200 also for an unknown token.
    pub(super) fn revoke(&self, headers: &HeaderMap, form: &Parameters) -> Reply {
        if !self.is_client(headers, form) {
            return bad_client();
        }
        let Some(token) = form.one("token") else { return bad_request("invalid_request", "token is missing") };
        let by_access_token = || self.key.verify(token).and_then(|claims| claims.get("fam").and_then(Value::as_u64));
        let family = self.families.identify(token).map(|(family, _)| family).or_else(by_access_token);
        family.map(|family| self.families.revoke(family));
        reply::json(StatusCode::OK, &json!({}))
    }

    /// OIDC RP-Initiated Logout 1.0.
    pub(super) fn end_session(&self, asked: &Parameters) -> Reply {
        let hint = asked.one("id_token_hint").and_then(|token| self.key.verify(token));
        if let Some(sid) = hint.as_ref().and_then(|claims| claims.get("sid")).and_then(Value::as_str) {
            self.families.revoke_where(|grant| grant.sid == sid);
        }
        self.counters.send_modify(|counters| counters.logouts += 1);
        let is_identified = hint.is_some() || asked.one("client_id") == Some(&self.options.client_id);
        let target = asked.one("post_logout_redirect_uri").filter(|_| is_identified).and_then(|uri| self.redirect(uri));
        let Some(mut target) = target else { return page::signed_out() };
        if let Some(state) = asked.one("state") {
            target.query_pairs_mut().append_pair("state", state);
        }
        reply::see_other(target.as_str())
    }

    /// Whether the client authenticates by `client_secret_basic` or `client_secret_post`, and not by both (RFC 6749
    /// section 2.3).
    fn is_client(&self, headers: &HeaderMap, form: &Parameters) -> bool {
        let basic = headers.get(header::AUTHORIZATION).map(|value| basic(value).unwrap_or_default());
        let posted = form.one("client_secret").map(|s| (form.one("client_id").unwrap_or("").to_owned(), s.to_owned()));
        let ((Some((id, secret)), None) | (None, Some((id, secret)))) = (basic, posted) else { return false };
        id == self.options.client_id && ct_eq(secret.as_bytes(), self.options.client_secret.expose().as_bytes())
    }
}

/// Id and secret of an HTTP Basic header; both are form-encoded inside (RFC 6749 section 2.3.1).
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        let plus = part.replace('+', " ");
        percent_encoding::percent_decode_str(&plus).decode_utf8().map(std::borrow::Cow::into_owned).ok()
    };
    Some((decode(id)?, decode(secret)?))
}

fn object(value: Value) -> Claims {
    match value {
        Value::Object(object) => object,
        _ => Claims::new(),
    }
}

fn bad_client() -> Reply {
    let refusal = reply::error(StatusCode::UNAUTHORIZED, "invalid_client", "the client id or secret is wrong");
    reply::with(refusal, header::WWW_AUTHENTICATE, r#"Basic realm="demo provider""#)
}

fn bad_grant(description: &str) -> Reply {
    bad_request("invalid_grant", description)
}

fn bad_request(code: &str, description: &str) -> Reply {
    reply::error(StatusCode::BAD_REQUEST, code, description)
}
