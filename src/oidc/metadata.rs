//! A provider's metadata (OpenID Connect Discovery 1.0, RFC 8414): its endpoints and supported methods.

use serde::Deserialize;
use url::Url;

use super::{
    endpoints::{Endpoints, Revocation, TokenAuth},
    fetch::{self, Http, Unavailable},
    presets::Preset,
};
use crate::{clock::Timestamp, scheme::Scheme};

/// The members of the metadata that the gateway uses.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) revocation_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207: the callback carries `iss`.
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// Fetches and checks the metadata of `issuer`.
pub(crate) async fn discover(
    http: &Http,
    issuer: &Url,
    preset: Preset,
    now: Timestamp,
) -> Result<Metadata, Unavailable> {
    let url = format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| Unavailable::WrongIssuer)?;
    let answer = http.document(url).await?;
    fetch::read_json::<Metadata>(&answer, "metadata", now)?.checked(issuer, preset)
}

impl Metadata {
    /// The endpoints by the metadata, except where `preset` differs.
    pub(super) fn endpoints(&self, preset: Preset) -> Endpoints {
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        let lists = |method: &str| methods.is_some_and(|methods| methods.iter().any(|listed| listed == method));
        let in_form = preset.secret_in_form() || (lists("client_secret_post") && !lists("client_secret_basic"));
        Endpoints {
            authorization: self.authorization_endpoint.clone(),
            token: self.token_endpoint.clone(),
            token_auth: if in_form { TokenAuth::Post } else { TokenAuth::Basic },
            revocation: match &self.revocation_endpoint {
                _ if preset.deletes_at_token_endpoint() => Revocation::DeleteAtTokenEndpoint,
                Some(endpoint) => Revocation::At(endpoint.clone()),
                None => Revocation::None,
            },
        }
    }

    fn checked(self, issuer: &Url, preset: Preset) -> Result<Self, Unavailable> {
        if !is_issuer(issuer, &self.issuer) {
            return Err(Unavailable::WrongIssuer);
        }
        let supported = self.code_challenge_methods_supported.as_ref();
        // Many servers support S256 without metadata about it; one that lists only other methods does not.
        let s256 = supported.is_none_or(|methods| methods.iter().any(|method| method == "S256"));
        if !s256 && !preset.pkce_is_certain() {
            return Err(Unavailable::NoPkce);
        }
        // The metadata must not make the gateway send secrets without TLS.
        let endpoints = [Some(&self.authorization_endpoint), Some(&self.token_endpoint), Some(&self.jwks_uri)];
        let optional = [&self.userinfo_endpoint, &self.revocation_endpoint, &self.end_session_endpoint];
        let all = endpoints.into_iter().chain(optional.map(Option::as_ref)).flatten();
        let protected = |url: &Url| url.scheme() == Scheme::Https.as_str() || url.scheme() == issuer.scheme();
        if all.into_iter().all(protected) { Ok(self) } else { Err(Unavailable::Malformed("metadata")) }
    }
}

/// Whether `text` equals the issuer, character by character. For an issuer without a path the final slash is optional,
/// because `Url` adds one.
pub(super) fn is_issuer(issuer: &Url, text: &str) -> bool {
    issuer.as_str() == text || (issuer.path() == "/" && issuer.as_str().strip_suffix('/') == Some(text))
}

/// The issuer as text; without the final slash that `Url` adds if it has no path.
pub(super) fn issuer_text(issuer: &Url) -> &str {
    let text = issuer.as_str();
    if issuer.path() == "/" { text.trim_end_matches('/') } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k",
            "code_challenge_methods_supported": ["plain", "S256"]
        })
    }

    fn check(issuer: &str, document: Value, preset: Preset) -> Result<Metadata, Unavailable> {
        serde_json::from_value::<Metadata>(document).unwrap().checked(&issuer.parse().unwrap(), preset)
    }

    fn changed(name: &str, value: Value) -> Value {
        let mut document = document();
        document[name] = value;
        document
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        assert!(check("https://id.example", document(), Preset::Generic).is_ok());
        assert!(check("https://id.example", changed("issuer", json!("https://id.example/")), Preset::Generic).is_ok());
        for other in [
            "https://id.example.evil",
            "https://ID.example",
            "http://id.example",
            "https://id.example/x",
            "https://id.example//",
        ] {
            let checked = check("https://id.example", changed("issuer", json!(other)), Preset::Generic);
            assert!(matches!(checked, Err(Unavailable::WrongIssuer)), "{other}");
        }
        let slash = check("https://id.example/x", changed("issuer", json!("https://id.example/x/")), Preset::Generic);
        assert!(matches!(slash, Err(Unavailable::WrongIssuer)));
    }

    #[test]
    fn metadata_with_pkce_methods_but_not_s256_is_refused_unless_the_preset_supports_it() {
        assert!(
            check("https://id.example", changed("code_challenge_methods_supported", json!(null)), Preset::Generic)
                .is_ok()
        );
        for methods in [json!([]), json!(["plain"])] {
            let document = changed("code_challenge_methods_supported", methods);
            assert!(matches!(check("https://id.example", document.clone(), Preset::Generic), Err(Unavailable::NoPkce)));
            assert!(check("https://id.example", document, Preset::Naver).is_ok());
        }
    }

    #[test]
    fn an_http_endpoint_of_an_https_issuer_is_refused() {
        for name in ["token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"] {
            let document = changed(name, json!("http://id.example/x"));
            assert!(check("https://id.example", document, Preset::Generic).is_err(), "{name}");
        }
    }
}
