//! The channel that a one-time code travels by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A channel of one-time codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An SMS to a mobile phone.
    Sms,
    /// An e-mail.
    Email,
}

impl Channel {
    /// Every channel, in the order of metrics and documentation.
    pub const ALL: [Self; 2] = [Self::Sms, Self::Email];

    /// Its name in paths, in `gateway.toml`, in stored records, templates and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }

    /// The field that holds an address of it, in the bodies of its endpoints and in the forms of its pages.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Sms => "phone",
            Self::Email => "email",
        }
    }

    /// The channel of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_found_by_its_name_and_no_other_text_is_one() {
        for channel in Channel::ALL {
            assert_eq!(Channel::named(channel.as_str()), Some(channel));
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
        }
        for name in ["", "SMS", "mail", "google"] {
            assert_eq!(Channel::named(name), None, "{name}");
        }
    }
}
