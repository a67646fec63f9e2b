//! `[otp.sms]`, as far as it is about delivery: who sends, and in which order.

use super::{messages, secrets::Surroundings, section::Section, server::Server};
use crate::otp::deliver::{SmsSettings, SmsWay};

/// Reads the ways of `[otp.sms]`.
pub(super) fn sms(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<SmsSettings> {
    let outbox = section.section("outbox");
    if !outbox.is_present() {
        around.problems.complain(section.own_place(), "there is nobody who sends the messages", "write `outbox`");
        return None;
    }
    Some(SmsSettings { ways: vec![SmsWay::Outbox(messages::outbox(&outbox, server, around)?)] })
}
