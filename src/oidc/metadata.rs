//! A provider's metadata (OpenID Connect Discovery 1.0, RFC 8414): its endpoints and supported methods.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::{
    claims::Claims,
    endpoints::{Endpoints, Revocation, TokenAuth},
    fetch::{self, Http, Unavailable},
    issuer,
    presets::Preset,
    settings::{Addresses, Settings},
};
use crate::{clock::Timestamp, received, scheme::Scheme};

/// The members of the metadata that the gateway uses. Without the first four no login is possible; of the others, one
/// with an odd value counts as absent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) userinfo_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) revocation_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) end_session_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "unless_odd")]
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207: the callback carries `iss`.
    #[serde(default, deserialize_with = "unless_odd")]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

fn unless_odd<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(member: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(member)?).unwrap_or_default())
}

/// Fetches and checks the metadata of a provider, and puts the addresses of the configuration in place.
pub(crate) async fn discover(http: &Http, settings: &Settings, now: Timestamp) -> Result<Metadata, Unavailable> {
    let answer = http.document(address(settings)?).await?;
    let document = fetch::read_json::<Claims>(&answer, "metadata", now)?;
    Metadata::read(document, &settings.addresses)?.checked(settings)
}

/// The members without which no login is possible, and whether each is an address.
const NEEDED: [(&str, bool); 4] =
    [("issuer", false), ("authorization_endpoint", true), ("token_endpoint", true), ("jwks_uri", true)];

/// Where the metadata is: `discovery_url`, else under the issuer.
fn address(settings: &Settings) -> Result<Url, Unavailable> {
    if let Some(given) = &settings.addresses.discovery {
        return Ok(given.clone());
    }
    let url = format!("{}/.well-known/openid-configuration", settings.issuer.as_str().trim_end_matches('/'));
    Url::parse(&url).map_err(|_| Unavailable::Malformed("metadata"))
}

impl Metadata {
    /// The metadata by the configuration alone; `None` if an address is missing that a login needs.
    pub(super) fn given(settings: &Settings) -> Option<Self> {
        let Addresses { discovery: _, authorize, token, jwks, userinfo, revoke } = settings.addresses.clone();
        Some(Self {
            issuer: settings.issuer_as_written.clone(),
            authorization_endpoint: authorize?,
            token_endpoint: token?,
            jwks_uri: jwks?,
            userinfo_endpoint: userinfo,
            revocation_endpoint: revoke,
            end_session_endpoint: None,
            token_endpoint_auth_methods_supported: None,
            id_token_signing_alg_values_supported: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
        })
    }

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

    /// The document's members, with the addresses that the configuration gives: what is replaced is not read.
    fn read(mut document: Claims, given: &Addresses) -> Result<Self, Unavailable> {
        let Addresses { discovery: _, authorize, token, jwks, userinfo, revoke } = given;
        for (name, given) in [
            ("authorization_endpoint", authorize),
            ("token_endpoint", token),
            ("jwks_uri", jwks),
            ("userinfo_endpoint", userinfo),
            ("revocation_endpoint", revoke),
        ] {
            if let Some(given) = given {
                document.insert(name.to_owned(), given.as_str().into());
            }
        }
        for (name, is_address) in NEEDED {
            let is_readable = |text: &str| !is_address || Url::parse(text).is_ok();
            let member = document.get(name).filter(|value| !value.is_null());
            if !member.and_then(Value::as_str).is_some_and(is_readable) {
                let found = member.map_or_else(|| "is absent".to_owned(), |value| format!("cannot be read: {value}"));
                return Err(Unavailable::Member { name, found: received::for_log(&found, LONGEST_NAMED, &[]) });
            }
        }
        serde_json::from_value(Value::Object(document)).map_err(|_| Unavailable::Malformed("metadata"))
    }

    fn checked(self, settings: &Settings) -> Result<Self, Unavailable> {
        let (issuer, preset) = (&settings.issuer, settings.preset);
        let stands_for_it = issuer::has_tenant(&self.issuer) && issuer::is_of(&self.issuer, issuer.as_str());
        if !stands_for_it && !issuer::is_issuer(issuer, &self.issuer) {
            let configured = settings.issuer_as_written.clone();
            let named = received::for_log(&self.issuer, LONGEST_NAMED, &[]);
            return Err(Unavailable::WrongIssuer { configured, named });
        }
        let supported = self.code_challenge_methods_supported.as_ref();
        // Many servers support S256 without metadata about it; one that lists only other methods does not.
        let s256 = supported.is_none_or(|methods| methods.iter().any(|method| method == "S256"));
        if !s256 && !preset.pkce_is_certain() {
            return Err(Unavailable::NoPkce);
        }
        // The metadata must not make the gateway send secrets without TLS. An operator who asks for the metadata by
        // http reaches the provider by http inside.
        let given = &settings.addresses;
        let without_tls = |url: &&Url| {
            let schemes = [Some(issuer), given.discovery.as_ref()].into_iter().flatten().map(Url::scheme);
            url.scheme() != Scheme::Https.as_str() && !schemes.into_iter().any(|scheme| scheme == url.scheme())
        };
        // An address that the configuration replaces does not matter.
        let used = [
            given.authorize.is_none().then_some(&self.authorization_endpoint),
            given.token.is_none().then_some(&self.token_endpoint),
            given.jwks.is_none().then_some(&self.jwks_uri),
            self.userinfo_endpoint.as_ref().filter(|_| given.userinfo.is_none()),
            self.revocation_endpoint.as_ref().filter(|_| given.revoke.is_none()),
            self.end_session_endpoint.as_ref(),
        ];
        if let Some(url) = used.into_iter().flatten().find(without_tls) {
            return Err(Unavailable::WithoutTls(received::for_log(url.as_str(), LONGEST_NAMED, &[])));
        }
        Ok(self)
    }
}

/// Longest text of the metadata in a log line, in characters.
const LONGEST_NAMED: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k",
            "code_challenge_methods_supported": ["plain", "S256"]
        })
    }

    fn settings(issuer: &str, preset: Preset) -> Settings {
        Settings { preset, ..Settings::for_tests(issuer.parse().unwrap()) }
    }

    fn check(issuer: &str, document: Value, preset: Preset) -> Result<Metadata, Unavailable> {
        read(document, &settings(issuer, preset))
    }

    fn read(document: Value, settings: &Settings) -> Result<Metadata, Unavailable> {
        let Value::Object(document) = document else { panic!("an object") };
        Metadata::read(document, &settings.addresses)?.checked(settings)
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
            assert!(matches!(checked, Err(Unavailable::WrongIssuer { .. })), "{other}");
        }
        let slash = check("https://id.example/x", changed("issuer", json!("https://id.example/x/")), Preset::Generic);
        assert!(matches!(slash, Err(Unavailable::WrongIssuer { .. })));
    }

    #[test]
    fn an_odd_value_of_a_member_that_no_login_needs_counts_as_absent() {
        for odd in [json!(7), json!(""), json!({}), json!([7]), json!("S256")] {
            let mut document = document();
            for name in [
                "userinfo_endpoint",
                "revocation_endpoint",
                "end_session_endpoint",
                "token_endpoint_auth_methods_supported",
                "id_token_signing_alg_values_supported",
                "code_challenge_methods_supported",
                "authorization_response_iss_parameter_supported",
            ] {
                document[name] = odd.clone();
            }
            let metadata = check("https://id.example", document, Preset::Generic).unwrap();
            assert_eq!((&metadata.userinfo_endpoint, &metadata.end_session_endpoint), (&None, &None), "{odd}");
            assert_eq!(metadata.endpoints(Preset::Generic).token_auth, TokenAuth::Basic, "{odd}");
        }
        for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(serde_json::from_value::<Metadata>(changed(name, json!(7))).is_err(), "{name}");
        }
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

    #[test]
    fn a_wrong_issuer_is_told_with_both_values() {
        let slash = check("https://id.example/x", changed("issuer", json!("https://id.example/x/\n")), Preset::Generic);
        let told = slash.unwrap_err().to_string();
        assert!(told.contains("`https://id.example/x/`") && told.contains("`https://id.example/x`"), "{told}");
    }

    #[test]
    fn a_shared_issuer_of_entra_is_taken_for_the_configured_path() {
        let shared = || changed("issuer", json!("https://id.example/{tenantid}/v2.0"));
        assert!(check("https://id.example/common/v2.0", shared(), Preset::Generic).is_ok());
        for other in
            ["https://id.example/common/v1.0", "https://evil.example/common/v2.0", "https://id.example/a/b/v2.0"]
        {
            assert!(check(other, shared(), Preset::Generic).is_err(), "{other}");
        }
    }

    #[test]
    fn an_address_of_the_configuration_wins_and_may_be_without_tls() {
        let url = |text: &str| Some(Url::parse(text).unwrap());
        let addresses = Addresses {
            discovery: None,
            authorize: url("https://outside.example/a"),
            token: url("http://inside:8080/t"),
            jwks: url("http://inside:8080/k"),
            userinfo: url("http://inside:8080/u"),
            revoke: url("http://inside:8080/r"),
        };
        let given = Settings { addresses, ..settings("https://id.example", Preset::Generic) };
        let metadata = read(changed("token_endpoint", json!("http://id.example/t")), &given).unwrap();
        let (token, keys) = (metadata.token_endpoint.as_str(), metadata.jwks_uri.as_str());
        assert_eq!((token, keys), ("http://inside:8080/t", "http://inside:8080/k"));
        assert_eq!(metadata.authorization_endpoint.as_str(), "https://outside.example/a");
        assert!(metadata.userinfo_endpoint.is_some() && metadata.revocation_endpoint.is_some());
        // Metadata that is asked for by http may name addresses by http.
        let mut inside = settings("https://id.example", Preset::Generic);
        inside.addresses.discovery = url("http://inside:8080/.well-known/openid-configuration");
        assert!(read(changed("token_endpoint", json!("http://inside:8080/t")), &inside).is_ok());
    }

    #[test]
    fn an_address_of_the_configuration_stands_for_one_that_the_metadata_lacks_or_has_unreadable() {
        type Key = fn(&mut Addresses) -> &mut Option<Url>;
        let given = || Some(Url::parse("https://inside.example/x").unwrap());
        let give: [(_, Key, _); 5] = [
            ("authorization_endpoint", |addresses| &mut addresses.authorize, true),
            ("token_endpoint", |addresses| &mut addresses.token, true),
            ("jwks_uri", |addresses| &mut addresses.jwks, true),
            ("userinfo_endpoint", |addresses| &mut addresses.userinfo, false),
            ("revocation_endpoint", |addresses| &mut addresses.revoke, false),
        ];
        for (name, key, is_needed) in give {
            for (odd, told) in [
                (Value::Null, "is absent"),
                (json!("/relative"), "cannot be read: \"/relative\""),
                (json!(""), "cannot be read: \"\""),
                (json!(7), "cannot be read: 7"),
            ] {
                let mut settings = settings("https://id.example", Preset::Generic);
                let document = changed(name, odd);
                if is_needed {
                    let error = read(document.clone(), &settings).unwrap_err().to_string();
                    assert_eq!(error, format!("`{name}` of the provider's metadata {told}"));
                }
                *key(&mut settings.addresses) = given();
                let metadata = read(document.clone(), &settings).unwrap_or_else(|e| panic!("{document}: {e}"));
                let used = [
                    Some(&metadata.authorization_endpoint),
                    Some(&metadata.token_endpoint),
                    Some(&metadata.jwks_uri),
                    metadata.userinfo_endpoint.as_ref(),
                    metadata.revocation_endpoint.as_ref(),
                ];
                assert_eq!(used.into_iter().flatten().filter(|url| Some(*url) == given().as_ref()).count(), 1);
            }
        }
        for (document, told) in [(changed("issuer", json!(null)), "is absent"), (changed("issuer", json!(7)), ": 7")] {
            let error = read(document, &settings("https://id.example", Preset::Generic)).unwrap_err().to_string();
            assert!(error.starts_with("`issuer` of the provider's metadata ") && error.ends_with(told), "{error}");
        }
    }
}
