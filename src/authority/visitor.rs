//! The client and the device for which the authority is asked.

use std::net::IpAddr;

use crate::call::{About, Placeholder, Values};

/// The client and the device for which the authority is asked.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The visitor's address.
    pub client: IpAddr,
    /// What its `User-Agent` said.
    pub user_agent: Option<String>,
    /// The device: with a session, the one that is sealed in it.
    pub device: Device,
}

/// A device, as the client names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its id.
    pub id: uuid::Uuid,
    /// Its name for people; may be empty.
    pub name: String,
}

impl Visitor {
    pub(super) fn about(&self) -> About {
        About { client: self.client, user_agent: self.user_agent.clone() }
    }

    /// The values that every call to a backend may use.
    pub(super) fn values(&self) -> Values {
        self.add_to(Values::new())
    }

    pub(super) fn add_to(&self, values: Values) -> Values {
        values
            .with(Placeholder::DeviceId, self.device.id.to_string())
            .with(Placeholder::DeviceName, self.device.name.clone())
    }
}
