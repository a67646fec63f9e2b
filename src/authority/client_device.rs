//! The client and the device for which the authority is asked.

use crate::{
    call::{Placeholder, Values},
    client::Client,
};

/// The client and the device for which the authority is asked.
#[derive(Clone, Debug)]
pub struct ClientDevice {
    /// The client.
    pub client: Client,
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

impl ClientDevice {
    /// This client with this device.
    pub fn of(client: &Client, device: &Device) -> Self {
        Self { client: client.clone(), device: device.clone() }
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
