//! The client side of OAuth 2.0 and OpenID Connect: discovery, keys, PKCE, the token endpoint, ID tokens, and presets
//! of known providers.

mod allow;
mod claims;
mod document_cache;
mod endpoints;
#[cfg(test)]
pub(crate) mod fake;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod id_token;
mod issuer;
mod jws;
mod keys;
mod login;
mod logout;
mod metadata;
mod oauth2;
pub mod presets;
mod probe;
mod provider;
mod refresh;
mod settings;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;

pub use allow::{Allow, NotPermitted};
pub use claims::Claims;
pub(crate) use claims::numeric_date;
pub use endpoints::TokenAuth;
pub use fetch::{AnswerSizes, Http, Unavailable, http_client};
pub use id_token::{Flaw, IdTokenError, Rejection};
pub use issuer::Tenants;
pub(crate) use jws::{ASYMMETRIC, Jws, SignatureVerdict, Unparsable, claims_as_received, names as algorithm_names};
pub(crate) use keys::KeySource;
pub use login::{Attempt, Authorization, CallbackParams, Identity, OidcError};
pub use logout::ProviderLogout;
pub use oauth2::{OAuth2, Profile, ProfileSuccess};
pub use presets::Preset;
pub use probe::ProbeError;
pub use provider::{Provider, Reachability};
pub use refresh::{RefreshError, Refreshed};
pub use settings::{Addresses, ProviderKind, RESERVED_PARAMS, ResponseMode, Settings};
pub(crate) use token::bearer_token;
pub use token::{Refusal, TokenAnswer};
