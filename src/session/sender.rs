//! Who sent a request, as far as the authority is told.

use std::net::IpAddr;

use http::HeaderValue;

use super::grant::Login;
use crate::authority::Visitor;

/// Who sent a request, as far as the authority is told.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(super) client: IpAddr,
    pub(super) agent: Option<HeaderValue>,
}

impl Sender {
    pub(super) fn visitor(&self, login: &Login) -> Visitor {
        Visitor {
            client: self.client,
            user_agent: self.agent.as_ref().and_then(|a| a.to_str().ok()).map(str::to_owned),
            device: login.device.clone(),
        }
    }
}
