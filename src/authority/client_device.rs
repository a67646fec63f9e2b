//! The client and the device of a login, refresh or sign-out.

use crate::{
    call::{Placeholder, Values},
    client::Client,
};

/// The client and the device of a login, refresh or sign-out.
#[derive(Clone, Debug)]
pub struct ClientDevice {
    /// The client that the request came from.
    pub client: Client,
    /// With a session: the device that is sealed in it.
    pub device: Device,
}

/// A device, with the id and name that the client sends or the gateway gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Made by the gateway or sent by an app.
    pub id: uuid::Uuid,
    /// A display name, such as `Chrome on Windows`; may be empty.
    pub name: String,
}

impl ClientDevice {
    /// Clones of both.
    pub fn of(client: &Client, device: &Device) -> Self {
        Self { client: client.clone(), device: device.clone() }
    }

    /// The values that are available to every call to a backend.
    pub(super) fn values(&self) -> Values {
        self.add_to(Values::new())
    }

    pub(super) fn add_to(&self, values: Values) -> Values {
        values
            .with(Placeholder::DeviceId, self.device.id.to_string())
            .with(Placeholder::DeviceName, self.device.name.clone())
    }
}
