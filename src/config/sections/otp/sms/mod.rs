//! `[otp.sms]`, as far as it is about delivery: who sends, and in which order.

use std::time::Duration;

use url::Url;

use crate::config::{form, messages, secrets::Surroundings, section::Section, server::Server, sms_http, tree::Place};
use crate::{
    hygiene::is_loopback,
    otp::deliver::{Aligo, Sens, SmsSettings, SmsWay, Solapi, Twilio, TwilioSender, euc_kr},
};

pub(crate) mod http;

/// The names of the ways, as in `order`.
const WAYS: &[&str] = &["aligo", "solapi", "sens", "twilio", "http", "outbox"];

/// Reads the ways of `[otp.sms]`. `None` where there is none, too.
pub(crate) fn sms(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<SmsSettings> {
    if !section.is_present() {
        return None;
    }
    let order = messages::order(section, WAYS, around);
    warn_of_texts(section, &order, around);
    // All are read before any is missed.
    let ways: Vec<_> = order.iter().map(|name| way(name, &section.section(name), server, around)).collect();
    let settings = SmsSettings { ways: ways.into_iter().collect::<Option<_>>()? };
    (!settings.ways.is_empty()).then_some(settings)
}

/// Warns of an address to which keys would go readable.
pub(crate) fn warn_of_http(url: &Url, place: &Place, around: &mut Surroundings<'_>) {
    if url.scheme() == "http" && !is_loopback(url) {
        let message = "keys and codes that go by http can be read on the way";
        around.problems.warn(place, message, "write an https address");
    }
}

fn way(name: &str, section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<SmsWay> {
    Some(match name {
        "aligo" => SmsWay::Aligo(aligo(section, around)?),
        "solapi" => SmsWay::Solapi(solapi(section, around)?),
        "sens" => SmsWay::Sens(sens(section, around)?),
        "twilio" => SmsWay::Twilio(twilio(section, around)?),
        "http" => SmsWay::Http(Box::new(sms_http::http(section, around)?)),
        _ => SmsWay::Outbox(messages::outbox(section, server, around)?),
    })
}

fn aligo(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Aligo> {
    let url = url(section, around);
    let (key, user_id) = (around.secret(section, "key"), around.indirect(section, "user_id"));
    let sender = korean_sender(section, around);
    Some(Aligo {
        url,
        key: key?,
        user_id: user_id?,
        sender: sender?,
        test_mode: section.flag("test_mode"),
        timeout: timeout(section),
    })
}

fn solapi(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Solapi> {
    let url = url(section, around);
    let (key, secret) = (key_in_header(section, around), around.secret(section, "secret"));
    let sender = korean_sender(section, around);
    Some(Solapi { url, key: key?, secret: secret?, sender: sender?, timeout: timeout(section) })
}

fn sens(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Sens> {
    let url = url(section, around);
    let service_id = around.indirect(section, "service_id");
    let (key, secret) = (key_in_header(section, around), around.secret(section, "secret"));
    let sender = korean_sender(section, around);
    Some(Sens { url, service_id: service_id?, key: key?, secret: secret?, sender: sender?, timeout: timeout(section) })
}

fn twilio(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Twilio> {
    let url = url(section, around);
    let account_sid = around.indirect(section, "account_sid");
    let (key, secret) = (around.indirect(section, "key"), around.secret(section, "secret"));
    let sender = match (section.has("sender"), section.has("messaging_service_sid")) {
        (true, false) => around.indirect(section, "sender").map(TwilioSender::From),
        (false, true) => around.indirect(section, "messaging_service_sid").map(TwilioSender::MessagingService),
        (both, _) => {
            let help = if both { "leave one of the two out" } else { "write e.g. `sender = \"+15005550006\"`" };
            let message = "Twilio needs either `sender` or `messaging_service_sid`";
            around.problems.complain(section.place_of_key("messaging_service_sid"), message, help);
            None
        }
    };
    if section.has("key") && key.is_none() {
        return None;
    }
    let account_sid = account_sid?;
    Some(Twilio {
        url,
        user: key.unwrap_or_else(|| account_sid.clone()),
        account_sid,
        secret: secret?,
        sender: sender?,
        timeout: timeout(section),
    })
}

fn timeout(section: &Section<'_>) -> Duration {
    section.read("timeout", form::duration)
}

fn url(section: &Section<'_>, around: &mut Surroundings<'_>) -> Url {
    let url = section.read("url", form::url);
    warn_of_http(&url, section.place("url"), around);
    url
}

/// A caller number as Korean providers want it: digits.
fn korean_sender(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<String> {
    let sender = around.indirect(section, "sender")?;
    let digits: String = sender.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if (8..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(digits);
    }
    let help = "write the digits as they are dialled in Korea, e.g. \"01012345678\" or \"02-123-4567\"";
    around.problems.complain(section.place("sender"), "`sender` must be a caller number", help);
    None
}

/// A key's id that stands in a header.
fn key_in_header(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<String> {
    let key = around.indirect(section, "key")?;
    if key.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(key);
    }
    let message = "`key` goes into a header, which holds visible ASCII characters only";
    around.problems.complain(section.place("key"), message, "copy the key without spaces or line ends around it");
    None
}

/// What Korean operators do to texts that are too long or too colourful for them.
fn warn_of_texts(section: &Section<'_>, ways: &[&str], around: &mut Surroundings<'_>) {
    let aligo = ways.contains(&"aligo");
    if !aligo && !ways.contains(&"sens") {
        return;
    }
    let texts = section.section("text");
    for language in ["ko", "en"] {
        let Some(text) = texts.optional(language, form::text) else { continue };
        let place = texts.place(language);
        let length = euc_kr::length(&text.replace("{code}", "000000").replace("{minutes}", "10"));
        if length > euc_kr::LMS {
            let help = format!("at most {} bytes are sent, of which a Hangul syllable has two", euc_kr::LMS);
            around.problems.complain(place, format!("this text has {length} bytes"), help);
        } else if length > euc_kr::SMS {
            let help =
                format!("an SMS has at most {} bytes, of which a Hangul syllable has two: shorten it", euc_kr::SMS);
            around.problems.warn(place, format!("with {length} bytes this goes as an LMS, which costs more"), help);
        }
        if aligo && !euc_kr::is_expressible(&text) {
            let message = "Aligo sends `?` for some characters of this text";
            around.problems.warn(place, message, "leave out emoji and whatever else is not in EUC-KR");
        }
    }
}

#[cfg(test)]
mod tests;
