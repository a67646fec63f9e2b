//! What `check --probe` finds out about a provider: whether its metadata, keys and methods fit the gateway, and whether
//! it knows the client.

use std::sync::Arc;

use super::{
    fetch::Unavailable,
    issuer, jws,
    login::{Attempt, CallbackParams, OidcError},
    metadata::Metadata,
    provider::{Protocol, Provider, Published},
    token::Refusal,
};
use crate::{received, secret::Secret};

/// Why logins at a provider cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The metadata was not fetched, or does not fit.
    #[error("discovery")]
    Discovery(#[source] Arc<Unavailable>),
    /// The key set was not fetched.
    #[error("keys")]
    Keys(#[source] Arc<Unavailable>),
    /// The key set has no usable key.
    #[error("keys: there is no key that could verify a token")]
    NoKey,
    /// The provider signs ID tokens with none of the algorithms that are taken.
    #[error("it signs ID tokens with {listed}; these are taken: {taken}")]
    Algorithms {
        /// Those in its metadata.
        listed: String,
        /// Ours.
        taken: String,
    },
    /// The client cannot authenticate at the token endpoint.
    #[error("its token endpoint takes {listed}; the gateway sends client_secret_basic or client_secret_post")]
    Authentication {
        /// The methods in its metadata.
        listed: String,
    },
    /// The token endpoint does not know the client.
    #[error("token endpoint: {0}: are `client_id` and `client_secret` right?")]
    Client(Refusal),
    /// The token endpoint did not answer, or not as the specification says.
    #[error("token endpoint")]
    Token(#[source] Arc<Unavailable>),
}

impl ProbeError {
    /// Why the provider gave no usable answer; `None` if it gave one that does not fit.
    pub fn unavailable(&self) -> Option<&Unavailable> {
        match self {
            Self::Discovery(error) | Self::Keys(error) | Self::Token(error) => Some(error),
            Self::NoKey | Self::Algorithms { .. } | Self::Authentication { .. } | Self::Client(_) => None,
        }
    }
}

impl Provider {
    /// Tries discovery, keys and the token endpoint, which is sent a made-up code: a provider that knows the client
    /// refuses the code and not the client. `redirect_uri` is that of a login. Returns what was found, in words.
    pub async fn probe(&self, redirect_uri: &str) -> Result<String, ProbeError> {
        let mut found = Vec::new();
        if let Protocol::OpenId(published) = &self.protocol {
            let metadata = self.metadata(published).await.map_err(ProbeError::Discovery)?;
            found.push(self.said_of_discovery(published, &metadata).await);
            self.check_methods(&metadata)?;
            found.push(match self.count_keys().await.map_err(ProbeError::Keys)? {
                0 => return Err(ProbeError::NoKey),
                1 => "1 key".to_owned(),
                number => format!("{number} keys"),
            });
        }
        found.push(self.probe_client(redirect_uri).await?);
        Ok(found.join(", "))
    }

    /// The issuer that the provider's document names; `None` without a document.
    pub async fn named_issuer(&self) -> Option<String> {
        match &self.protocol {
            Protocol::OpenId(published) => Some(self.published_metadata(published).await.ok()?.issuer.clone()),
            Protocol::OAuth2(_) => None,
        }
    }

    /// Whether the document was fetched, and its issuer if the file writes that differently.
    async fn said_of_discovery(&self, published: &Published, metadata: &Metadata) -> String {
        // The document was asked for just before, so this waits for no second request.
        if let Err(error) = self.published_metadata(published).await {
            return format!("no discovery ({error}): the addresses of the configuration are used");
        }
        let (named, written) = (&metadata.issuer, &self.settings.issuer_as_written);
        if named == written || issuer::has_tenant(named) {
            return "discovery".to_owned();
        }
        let named = received::for_log(named, 300, &[]);
        format!(
            "discovery, whose `issuer` is `{named}` and in the configuration `{written}`: tokens must have the former"
        )
    }

    /// Compares the algorithms and the authentication methods in the metadata with ours.
    fn check_methods(&self, metadata: &Metadata) -> Result<(), ProbeError> {
        let list = |names: &[String]| received::for_log(&names.join(", "), 300, &[]);
        if let Some(listed) = &metadata.id_token_signing_alg_values_supported {
            let is_taken = |name: &String| jws::algorithm(name).is_some_and(|alg| jws::ASYMMETRIC.contains(&alg));
            if !listed.iter().any(is_taken) {
                return Err(ProbeError::Algorithms { listed: list(listed), taken: jws::names(jws::ASYMMETRIC) });
            }
        }
        // A public client has nothing to authenticate with, and few providers list `none`.
        if let Some(listed) = metadata.token_endpoint_auth_methods_supported.as_ref()
            && self.settings.client_secret.is_some()
            && !listed.iter().any(|method| method == "client_secret_basic" || method == "client_secret_post")
        {
            return Err(ProbeError::Authentication { listed: list(listed) });
        }
        Ok(())
    }

    async fn probe_client(&self, redirect_uri: &str) -> Result<String, ProbeError> {
        let endpoints = self.endpoints().await.map_err(ProbeError::Discovery)?;
        let made_up = || Secret::new(self.random.token::<32>());
        let attempt = Attempt { state: made_up(), nonce: made_up(), verifier: made_up() };
        let callback = CallbackParams { code: made_up(), state: attempt.state.clone(), iss: None };
        match self.exchange_code(&endpoints, &callback, &attempt, redirect_uri).await {
            Err(OidcError::Refused(refusal)) => match refusal.error.as_str() {
                "invalid_client" | "unauthorized_client" | "incorrect_client_credentials" => {
                    Err(ProbeError::Client(refusal))
                }
                // GitHub has a code of its own.
                "invalid_grant" | "bad_verification_code" => Ok("client known".to_owned()),
                _ => Ok(format!("token endpoint: {refusal} to a made-up code")),
            },
            Err(OidcError::Unavailable(error) | OidcError::CodeUnused(error)) => Err(ProbeError::Token(error)),
            Ok(_) | Err(OidcError::Attempt | OidcError::Untrusted(_)) => {
                Ok("token endpoint: tokens for a made-up code".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        oidc::{
            Addresses, Settings,
            fake::{Fake, METADATA},
        },
        outbound::chain,
        scripted::Reply,
    };

    const REDIRECT: &str = "https://app.example.kr/auth/callback/corp";

    async fn probed(metadata: Value, token: Reply) -> Result<String, String> {
        let fake = Fake::start().await;
        fake.answer(METADATA, fake.metadata_with(metadata));
        fake.answer("/token", token);
        fake.provider().probe(REDIRECT).await.map_err(|error| chain(&error))
    }

    fn refused(error: &str) -> Reply {
        Reply::json(400, &json!({"error": error, "error_description": "AADSTS7000215: Invalid client secret."}))
    }

    #[tokio::test]
    async fn a_made_up_code_tells_a_wrong_client_from_a_right_one() {
        assert_eq!(probed(json!({}), refused("invalid_grant")).await, Ok("discovery, 1 key, client known".to_owned()));
        let wrong = probed(json!({}), refused("invalid_client")).await.unwrap_err();
        assert!(wrong.contains("`invalid_client` (AADSTS7000215") && wrong.contains("`client_secret`"), "{wrong}");
        let other = probed(json!({}), refused("invalid_request")).await.unwrap();
        assert!(other.contains("`invalid_request`"), "{other}");
        let down = probed(json!({}), Reply::text(200, "application/json", "<html>")).await.unwrap_err();
        assert_eq!(down, "token endpoint: instead of the provider's token answer came a page");
    }

    #[tokio::test]
    async fn an_issuer_that_the_document_writes_otherwise_is_told_with_both_values() {
        let fake = Fake::start().await;
        fake.answer("/token", refused("invalid_grant"));
        let (bare, slash) = (fake.issuer(), format!("{}/", fake.issuer()));
        for (written, named) in [(&bare, &slash), (&slash, &bare)] {
            fake.answer(METADATA, fake.metadata_with(json!({"issuer": named})));
            let settings = Settings { issuer_as_written: written.clone(), ..fake.settings() };
            let told = fake.provider_with(settings).probe(REDIRECT).await.unwrap();
            assert!(told.contains(&format!("`{named}`")) && told.contains(&format!("`{written}`")), "{told}");
        }
    }

    #[tokio::test]
    async fn a_provider_whose_addresses_are_all_given_is_probed_without_discovery() {
        let fake = Fake::start().await;
        fake.answer(METADATA, Reply::json(404, &json!({})));
        fake.answer("/token", refused("invalid_grant"));
        let at = |path: &str| Some(fake.server.url(path));
        let addresses =
            Addresses { authorize: at("/authorize"), token: at("/token"), jwks: at("/jwks"), ..Addresses::default() };
        let told = fake.provider_with(Settings { addresses, ..fake.settings() }).probe(REDIRECT).await.unwrap();
        assert!(told.starts_with("no discovery (") && told.contains("404") && told.contains("1 key"), "{told}");
    }

    #[tokio::test]
    async fn methods_that_the_gateway_does_not_have_are_told() {
        for (metadata, expected) in [
            (
                json!({"id_token_signing_alg_values_supported": ["HS256", "ES256K"]}),
                "it signs ID tokens with HS256, ES256K; these are taken: RS256,",
            ),
            (
                json!({"token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"]}),
                "its token endpoint takes private_key_jwt, tls_client_auth; the gateway sends",
            ),
        ] {
            let told = probed(metadata, refused("invalid_grant")).await.unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
        let fitting = json!({"id_token_signing_alg_values_supported": ["HS256", "ES256"], "token_endpoint_auth_methods_supported": ["none", "client_secret_post"]});
        assert!(probed(fitting, refused("invalid_grant")).await.is_ok());
    }
}
