//! One-time codes by SMS and e-mail: sending, sending again, verifying, and what follows a right code.
//!
//! A code is bound to its channel, address and purpose, and to the browser that requested it: `send` gives that browser
//! a sealed challenge, and without it no code is compared. No step checks whether an account exists for an address.

mod address;
mod challenge;
mod code;
pub mod deliver;
mod endpoints;
mod error;
mod limits;
mod message;
mod page;
mod proof;
mod request;
mod send;
mod settings;
mod verify;

pub use crate::endpoint::Rate;
pub use address::{Country, Rules};
pub use endpoints::{Deps, Failed, Otps, Senders};
pub use error::{NotifyError, OtpError, Retry};
pub use settings::{
    ChannelSettings, CodePurpose, EmailChannel, FieldNames, LONGEST_LIFETIME, Limits, OWN_FIELDS, Settings, SmsChannel,
};

#[cfg(test)]
mod tests;
