//! The identity providers of the configuration, and their `allow`.

use std::sync::Arc;

use super::issued::IssueError;
use crate::oidc::{Identity, Provider};

/// The identity providers of the configuration.
pub(super) struct Providers(Vec<Arc<Provider>>);

impl Providers {
    pub(super) fn new(providers: Vec<Arc<Provider>>) -> Self {
        Self(providers)
    }

    /// The provider of this name; `None` if the configuration has none.
    pub(super) fn named(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.settings().name == name).map(AsRef::as_ref)
    }

    /// Fails if `allow` of the person's provider does not permit the person.
    pub(super) fn check_allowed(&self, identity: &Identity) -> Result<(), IssueError> {
        let allow = self.named(&identity.provider).and_then(|provider| provider.settings().allow.as_ref());
        allow.map_or(Ok(()), |allow| allow.check(&identity.profile)).map_err(|refused| {
            IssueError::NotAllowed(match &identity.email_verified_as_given {
                Some(given) => refused.with_verified_as_given(given),
                None => refused,
            })
        })
    }
}
