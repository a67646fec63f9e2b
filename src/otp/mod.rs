//! One-time codes by SMS and e-mail: sent, sent again, verified; and what a verified one is worth.

pub mod deliver;

/// How a code travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// To a mobile phone.
    Sms,
    /// By e-mail.
    Email,
}

impl Channel {
    /// Its name in paths, records and templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}
