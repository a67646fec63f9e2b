//! `[otp.sms.aligo]`, `solapi`, `sens` and `twilio`: providers of SMS.

use url::Url;

use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Always, Flag, Includes, Key, table},
        section::Section,
        tree::Place,
    },
    hygiene::is_loopback,
    otp::deliver::{Aligo, Sens, Solapi, Twilio, TwilioSender},
};

table! {
    /// What all senders of SMS have.
    pub(crate) struct SenderTimeoutTable {
        /// How long the whole call may take; then the next sender is tried. All senders together have 10 seconds.
        TIMEOUT: form::Duration = default("timeout", "\"5s\"");
    }
}

table! {
    /// `[otp.sms.aligo]`
    pub(crate) struct AligoTable {
        /// The address of its API; another one for a relay or a test. Aligo serves only the IP addresses that are
        /// registered with it: behind NAT that is the egress address. Messages to numbers that are not Korean go to the
        /// next sender.
        URL: form::Url = default("url", "\"https://apis.aligo.in/send/\"");
        /// The API key.
        KEY: form::Secret = required("key");
        /// The user id.
        USER_ID: form::Indirect = required("user_id");
        /// The caller number, registered with the provider; hyphens are allowed.
        SENDER: form::Indirect = required("sender");
        /// `testmode_yn=Y`: accepted and not delivered.
        TEST_MODE: Flag = default("test_mode", "false");
    }
    then SenderTimeoutTable
}

table! {
    /// `[otp.sms.solapi]`
    pub(crate) struct SolapiTable {
        /// The address of its API.
        URL: form::Url = default("url", "\"https://api.solapi.com/messages/v4/send\"");
        /// The API key.
        KEY: form::Indirect = required("key");
        /// The API secret, which signs each call.
        SECRET: form::Secret = required("secret");
        /// The caller number, registered with the provider; hyphens are allowed.
        SENDER: form::Indirect = required("sender");
    }
    then SenderTimeoutTable
}

table! {
    /// `[otp.sms.sens]`
    pub(crate) struct SensTable {
        /// The address before `/sms/v2/…`; for the public sector `"https://sens.apigw.gov-ntruss.com"`.
        URL: form::Url = default("url", "\"https://sens.apigw.ntruss.com\"");
        /// The service id, e.g. `ncp:sms:kr:…`.
        SERVICE_ID: form::Indirect = required("service_id");
        /// The access key id.
        KEY: form::Indirect = required("key");
        /// The secret key, which signs each call.
        SECRET: form::Secret = required("secret");
        /// The caller number, registered with the provider; hyphens are allowed.
        SENDER: form::Indirect = required("sender");
    }
    then SenderTimeoutTable
}

table! {
    /// `[otp.sms.twilio]`
    pub(crate) struct TwilioTable {
        /// The address before `/2010-04-01/…`.
        URL: form::Url = default("url", "\"https://api.twilio.com\"");
        /// The account (`AC…`).
        ACCOUNT_SID: form::Indirect = required("account_sid");
        /// An API key (`SK…`). Default: `account_sid`.
        KEY: form::Indirect = optional("key");
        /// The secret of the key, or the account's auth token.
        SECRET: form::Secret = required("secret");
        /// The number in E.164. Either this or `messaging_service_sid`.
        SENDER: form::Indirect = optional("sender");
        /// The messaging service that chooses the number.
        MESSAGING_SERVICE_SID: form::Indirect = optional("messaging_service_sid");
    }
    then SenderTimeoutTable
}

/// Reads `[otp.sms.aligo]`.
pub(super) fn aligo(section: &Section<'_, AligoTable>, cx: &mut Context<'_>) -> Option<Aligo> {
    let url = url(section, &AligoTable::URL, cx);
    let (key, user_id) = (cx.secret(section, &AligoTable::KEY), cx.indirect(section, &AligoTable::USER_ID));
    let sender = korean_sender(section, &AligoTable::SENDER, cx);
    Some(Aligo {
        url,
        key: key?,
        user_id: user_id?,
        sender: sender?,
        test_mode: section.read(&AligoTable::TEST_MODE),
        timeout: section.read(&SenderTimeoutTable::TIMEOUT),
    })
}

/// Reads `[otp.sms.solapi]`.
pub(super) fn solapi(section: &Section<'_, SolapiTable>, cx: &mut Context<'_>) -> Option<Solapi> {
    let url = url(section, &SolapiTable::URL, cx);
    let (key, secret) = (key_in_header(section, &SolapiTable::KEY, cx), cx.secret(section, &SolapiTable::SECRET));
    let sender = korean_sender(section, &SolapiTable::SENDER, cx);
    Some(Solapi {
        url,
        key: key?,
        secret: secret?,
        sender: sender?,
        timeout: section.read(&SenderTimeoutTable::TIMEOUT),
    })
}

/// Reads `[otp.sms.sens]`.
pub(super) fn sens(section: &Section<'_, SensTable>, cx: &mut Context<'_>) -> Option<Sens> {
    let url = url(section, &SensTable::URL, cx);
    let service_id = cx.indirect(section, &SensTable::SERVICE_ID);
    let (key, secret) = (key_in_header(section, &SensTable::KEY, cx), cx.secret(section, &SensTable::SECRET));
    let sender = korean_sender(section, &SensTable::SENDER, cx);
    Some(Sens {
        url,
        service_id: service_id?,
        key: key?,
        secret: secret?,
        sender: sender?,
        timeout: section.read(&SenderTimeoutTable::TIMEOUT),
    })
}

/// Reads `[otp.sms.twilio]`.
pub(super) fn twilio(section: &Section<'_, TwilioTable>, cx: &mut Context<'_>) -> Option<Twilio> {
    let url = url(section, &TwilioTable::URL, cx);
    let account_sid = cx.indirect(section, &TwilioTable::ACCOUNT_SID);
    let (key, secret) = (cx.indirect(section, &TwilioTable::KEY), cx.secret(section, &TwilioTable::SECRET));
    let sender = match (section.has(&TwilioTable::SENDER), section.has(&TwilioTable::MESSAGING_SERVICE_SID)) {
        (true, false) => cx.indirect(section, &TwilioTable::SENDER).map(TwilioSender::From),
        (false, true) => cx.indirect(section, &TwilioTable::MESSAGING_SERVICE_SID).map(TwilioSender::MessagingService),
        (both, _) => {
            let help = if both { "leave one of the two out" } else { "write e.g. `sender = \"+15005550006\"`" };
            let message = "Twilio needs either `sender` or `messaging_service_sid`";
            cx.complain(section.place_of_key(&TwilioTable::MESSAGING_SERVICE_SID), message, help);
            None
        }
    };
    if section.has(&TwilioTable::KEY) && key.is_none() {
        return None;
    }
    let account_sid = account_sid?;
    Some(Twilio {
        url,
        user: key.unwrap_or_else(|| account_sid.clone()),
        account_sid,
        secret: secret?,
        sender: sender?,
        timeout: section.read(&SenderTimeoutTable::TIMEOUT),
    })
}

/// Warns of an address to which keys and codes would go unencrypted.
pub(super) fn warn_of_http(url: &Url, place: &Place, cx: &mut Context<'_>) {
    if url.scheme() == "http" && !is_loopback(url) {
        let message = "keys and codes that go by http can be read on the way";
        cx.warn(place, message, "write an https address");
    }
}

fn url<S: Includes<S>>(section: &Section<'_, S>, key: &Key<S, form::Url, Always>, cx: &mut Context<'_>) -> Url {
    let url = section.read(key);
    warn_of_http(&url, section.place(key), cx);
    url
}

/// A caller number as Korean providers take it: digits only.
fn korean_sender<S: Includes<S>>(
    section: &Section<'_, S>,
    key: &Key<S, form::Indirect>,
    cx: &mut Context<'_>,
) -> Option<String> {
    let sender = cx.indirect(section, key)?;
    let digits: String = sender.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if (8..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(digits);
    }
    let help = "write the digits as they are dialled in Korea, e.g. \"01012345678\" or \"02-123-4567\"";
    cx.complain(section.place(key), "`sender` must be a caller number", help);
    None
}

/// The id of a key, which is sent in a header.
fn key_in_header<S: Includes<S>>(
    section: &Section<'_, S>,
    key: &Key<S, form::Indirect>,
    cx: &mut Context<'_>,
) -> Option<String> {
    let id = cx.indirect(section, key)?;
    if id.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(id);
    }
    let message = "`key` goes into a header, which holds visible ASCII characters only";
    cx.complain(section.place(key), message, "copy the key without spaces or line ends around it");
    None
}
