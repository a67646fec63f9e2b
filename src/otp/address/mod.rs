//! The address that a code is sent to: parsed strictly, with one canonical form, masked in logs and pages.

mod email;
mod phone;

pub(super) use email::Email;
pub use phone::Country;

use phone::Phone;

use crate::channel::Channel;

/// The address that a code is sent to.
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
    /// Countries whose mobile numbers are accepted, at least one. A number without a country code is read as one of the
    /// first country.
    pub countries: Vec<Country>,
    /// Whether an e-mail domain may have no dot (`localhost`). Only set when `public_url` is on loopback.
    pub bare_domains: bool,
}

impl Address {
    /// Parses what a visitor wrote; `None` if no code can be sent to it.
    pub(super) fn parse(channel: Channel, text: &str, rules: &Rules) -> Option<Self> {
        match channel {
            Channel::Sms => Phone::parse(text, &rules.countries).map(Self::Phone),
            Channel::Email => Email::parse(text, rules.bare_domains).map(Self::Email),
        }
    }

    /// The same text for every spelling of an address. Limits count by it, codes are bound to it, and authorities,
    /// backends and proofs get it.
    pub(super) fn canonical(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.canonical,
        }
    }

    /// The recipient of a message: the number in E.164, or the e-mail address with its local part as typed, because its
    /// mail server may distinguish upper and lower case.
    pub(super) fn recipient(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.written,
        }
    }

    /// The form for templates: like [`Address::canonical`], but Korean numbers in domestic digits (`01012345678`).
    pub(super) fn domestic(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.domestic,
            Self::Email(email) => &email.canonical,
        }
    }

    pub(super) fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// The country of a phone number; `None` for an e-mail address.
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
