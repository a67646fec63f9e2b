//! The address that a code goes to: read strictly, one canonical form each, masked wherever people read it.

mod email;
mod phone;

pub use phone::Country;

use email::Email;
use phone::Phone;

use super::Limits;
use crate::channel::Channel;

/// Where a code goes.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// By SMS.
    Phone(Phone),
    /// By e-mail.
    Email(Email),
}

/// What addresses there are.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Countries whose mobile numbers get codes, at least one; numbers without a country code are of the first.
    pub countries: Vec<Country>,
    /// E-mail may go to a host without a dot: on loopback only.
    pub bare_domains: bool,
}

impl Address {
    /// Reads what a visitor wrote; `None` where nothing can be sent there.
    pub(super) fn parse(channel: Channel, text: &str, rules: &Rules) -> Option<Self> {
        match channel {
            Channel::Sms => Phone::parse(text, &rules.countries).map(Self::Phone),
            Channel::Email => Email::parse(text, rules.bare_domains).map(Self::Email),
        }
    }

    /// One text for each address, however it was written: what limits count, codes are bound to, and authorities, backends and proofs know.
    pub(super) fn canonical(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.canonical,
        }
    }

    /// What a message is sent to: the number in E.164, an e-mail address in the letters that were typed, which its server may tell apart.
    pub(super) fn recipient(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.e164,
            Self::Email(email) => &email.written,
        }
    }

    /// As templates have it: Korean numbers as domestic digits. Canonical like [`Address::canonical`], so that backends know one person by one text.
    pub(super) fn domestic(&self) -> &str {
        match self {
            Self::Phone(phone) => &phone.domestic,
            Self::Email(email) => &email.canonical,
        }
    }

    /// For logs and pages.
    pub(super) fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// The country that a message costs money in, and how many it may get.
    pub(super) fn country_limit(&self, rules: &Rules, limits: &Limits) -> Option<(Country, super::Rate)> {
        let Self::Phone(phone) = self else { return None };
        let is_first = rules.countries.first() == Some(&phone.country);
        let limit = limits.per_country.or_else(|| (!is_first).then(|| limits.total.tenth()))?;
        Some((phone.country, limit))
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests;
