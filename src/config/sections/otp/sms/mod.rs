//! `[otp.sms]`: the senders of messages, and their order.

use super::{
    super::server::ServerSettings,
    channel::{Candidate, ChannelTable, order},
    outbox,
    texts::TextTable,
};
use crate::{
    config::schema::{
        context::Context,
        key::{Table, table},
        section::Section,
    },
    otp::deliver::{SmsProviderSettings, SmsSettings, euc_kr},
};

mod http;
mod providers;
mod success;

use http::SmsHttpTable;
use providers::{AligoTable, SensTable, SolapiTable, TwilioTable};

table! {
    /// `[otp.sms]`
    pub(crate) struct SmsTable: ChannelTable {
        /// The message; `{code}` is the code, `{minutes}` its life. Default: the name of the site, the code and its
        /// life.
        TEXT: Table<TextTable> = optional("text");
        /// Aligo.
        ALIGO: Table<AligoTable> = optional("aligo");
        /// Solapi, or `CoolSMS`.
        SOLAPI: Table<SolapiTable> = optional("solapi");
        /// NAVER Cloud SENS.
        SENS: Table<SensTable> = optional("sens");
        /// Twilio.
        TWILIO: Table<TwilioTable> = optional("twilio");
        /// Any other HTTP API.
        HTTP: Table<SmsHttpTable> = optional("http");
    }
}

/// A sender of SMS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SmsSender {
    Aligo,
    Solapi,
    Sens,
    Twilio,
    Http,
    Outbox,
}

/// Reads the senders of `[otp.sms]`; `None` also where the table is absent.
pub(super) fn sms(
    section: &Section<'_, SmsTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<SmsSettings> {
    if !section.is_present() {
        return None;
    }
    let candidates = [
        Candidate::new(section, &SmsTable::ALIGO, SmsSender::Aligo),
        Candidate::new(section, &SmsTable::SOLAPI, SmsSender::Solapi),
        Candidate::new(section, &SmsTable::SENS, SmsSender::Sens),
        Candidate::new(section, &SmsTable::TWILIO, SmsSender::Twilio),
        Candidate::new(section, &SmsTable::HTTP, SmsSender::Http),
        Candidate::new(section, &ChannelTable::OUTBOX, SmsSender::Outbox),
    ];
    let senders = order(&section.shared(), &candidates, cx);
    warn_of_texts(section, &senders, cx);
    // Collected before `?`, so that the mistakes of all tables are reported.
    let settings_of_each: Vec<_> = senders.iter().map(|sender| provider(*sender, section, server, cx)).collect();
    let settings = SmsSettings { providers: settings_of_each.into_iter().collect::<Option<_>>()? };
    (!settings.providers.is_empty()).then_some(settings)
}

fn provider(
    sender: SmsSender,
    section: &Section<'_, SmsTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<SmsProviderSettings> {
    Some(match sender {
        SmsSender::Aligo => SmsProviderSettings::Aligo(providers::aligo(&section.section(&SmsTable::ALIGO), cx)?),
        SmsSender::Solapi => SmsProviderSettings::Solapi(providers::solapi(&section.section(&SmsTable::SOLAPI), cx)?),
        SmsSender::Sens => SmsProviderSettings::Sens(providers::sens(&section.section(&SmsTable::SENS), cx)?),
        SmsSender::Twilio => SmsProviderSettings::Twilio(providers::twilio(&section.section(&SmsTable::TWILIO), cx)?),
        SmsSender::Http => SmsProviderSettings::Http(Box::new(http::http(&section.section(&SmsTable::HTTP), cx)?)),
        SmsSender::Outbox => {
            SmsProviderSettings::Outbox(outbox::outbox(&section.section(&ChannelTable::OUTBOX), server, cx)?)
        }
    })
}

/// Warns of texts that a Korean provider sends as a more expensive LMS, or with characters replaced.
fn warn_of_texts(section: &Section<'_, SmsTable>, senders: &[SmsSender], cx: &mut Context<'_>) {
    let aligo = senders.contains(&SmsSender::Aligo);
    if !aligo && !senders.contains(&SmsSender::Sens) {
        return;
    }
    let texts = section.section(&SmsTable::TEXT);
    for language in [&TextTable::KO, &TextTable::EN] {
        let Some(text) = texts.optional(language) else { continue };
        let place = texts.place(language);
        let length = euc_kr::length(&text.replace("{code}", "000000").replace("{minutes}", "10"));
        if length > euc_kr::LMS {
            let help = format!("at most {} bytes are sent, of which a Hangul syllable has two", euc_kr::LMS);
            cx.complain(place, format!("this text has {length} bytes"), help);
        } else if length > euc_kr::SMS {
            let help =
                format!("an SMS has at most {} bytes, of which a Hangul syllable has two: shorten it", euc_kr::SMS);
            cx.warn(place, format!("with {length} bytes this goes as an LMS, which costs more"), help);
        }
        if aligo && !euc_kr::is_expressible(&text) {
            let message = "Aligo sends `?` for some characters of this text";
            cx.warn(place, message, "leave out emoji and whatever else is not in EUC-KR");
        }
    }
}

#[cfg(test)]
mod tests;
