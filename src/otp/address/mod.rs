//! The address that a code goes to: parsed strictly, with one canonical form, masked in logs and pages.

mod email;
mod phone;

pub use phone::Country;

use email::Email;
use phone::Phone;

use crate::channel::Channel;

/// The address that a code goes to.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A mobile number, by SMS.
    Phone(Phone),
    /// An e-mail address.
    Email(Email),
}

/// Which addresses are accepted.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Countries whose mobile numbers get codes, at least one; numbers without a country code are of the first.
    pub countries: Vec<Country>,
    /// E-mail may go to a host without a dot: on loopback only.
    pub bare_domains: bool,
}

impl Address {
    /// Parses what a visitor wrote; `None` where nothing can be sent there.
    pub(super) fn parse(channel: Channel, text: &str, rules: &Rules) -> Option<Self> {
        match channel {
            Channel::Sms => Phone::parse(text, &rules.countries).map(Self::Phone),
            Channel::Email => Email::parse(text, rules.bare_domains).map(Self::Email),
        }
    }

    /// One text for each address, however it was typed: limits count by it, codes are bound to it, and authorities,
    /// backends and proofs know the person by it.
    pub(super) fn canonical(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.canonical,
        }
    }

    /// The recipient of a message: the number in E.164, an e-mail address in the case that was typed, which its server
    /// may tell apart.
    pub(super) fn recipient(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.written,
        }
    }

    /// The form for templates: Korean numbers in domestic digits. As canonical as [`Address::canonical`].
    pub(super) fn domestic(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.domestic,
            Self::Email(email) => &email.canonical,
        }
    }

    /// The masked form, for logs and pages.
    pub(super) fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// The country of a phone number.
    pub(super) fn country(&self) -> Option<Country> {
        match self {
            Self::Phone(phone) => Some(phone.country),
            Self::Email(_) => None,
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests;
