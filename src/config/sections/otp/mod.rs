//! `[otp]`: one-time codes, their limits, and the two channels.

use super::{authority::Issuer, call::Upstreams, server::ServerSettings};
use crate::{
    authority::CodeLogin,
    channel::Channel,
    config::schema::{
        context::Context,
        form,
        key::{List, Number, Table, table},
        section::Section,
    },
    otp::{
        CodePurpose, Country, EmailChannel, LONGEST_LIFETIME, Limits, Rate, Rules, Settings, SmsChannel,
        deliver::{PLACEHOLDERS, SmsProviderSettings},
    },
};

mod channel;
mod email;
mod outbox;
mod sms;
pub(crate) mod texts;

pub(crate) use channel::ChannelTable;
use email::EmailTable;
use sms::SmsTable;

table! {
    /// `[otp]`
    pub(crate) struct OtpTable {
        /// How long a code is valid; at most 10 minutes.
        LIFETIME: form::Duration = default("lifetime", "\"3m\"");
        /// The shortest time between two codes to one address. Sending the same code again needs no wait.
        COOLDOWN: form::Delay = default("cooldown", "\"60s\"");
        /// The number of wrong tries after which a code is no longer valid.
        ATTEMPTS: Number<u32, 1, 10> = default("attempts", "5");
        /// Countries whose mobile numbers get codes (ISO 3166-1, e.g. `"KR"`); a number without a country code belongs
        /// to the first.
        COUNTRIES: List<form::Text> = default("countries", "[\"KR\"]");
        /// Most messages per day (UTC), in addition to the other limits. It bounds what an attack can cost.
        DAILY_CAP: Number<u32, 1, 100_000_000> = default("daily_cap", "1000");
        /// Messages sent: codes sent again count, verifying does not.
        LIMITS: Table<OtpLimitsTable> = optional("limits");
        /// The claim `aud` of the `proof` of a verified address.
        PROOF_AUDIENCE: form::Text = default("proof_audience", "\"vestibule-proof\"");
        /// Codes by SMS. Absent: none.
        SMS: Table<SmsTable> = optional("sms");
        /// Codes by e-mail. Absent: none.
        EMAIL: Table<EmailTable> = optional("email");
    }
}

table! {
    /// `[otp.limits]`
    pub(crate) struct OtpLimitsTable {
        /// Messages to one address.
        PER_ADDRESS: form::Rate = default("per_address", "\"5/h\"");
        /// Messages for one client (an IPv4 address or an IPv6 /64).
        PER_IP: form::Rate = default("per_ip", "\"20/h\"");
        /// Messages to the numbers of one country. Default: a tenth of `total` for each but the first of `countries`.
        PER_COUNTRY: form::Rate = optional("per_country");
        /// All messages; half of them are reserved for clients with a session, or with a browser that has logged in
        /// before.
        TOTAL: form::Rate = default("total", "\"1000/h\"");
    }
}

/// The values from other tables that the reader needs.
pub(crate) struct OtpInputs<'c> {
    pub(crate) server: &'c ServerSettings,
    /// `pages.name`.
    pub(crate) site: Option<String>,
    /// The channels whose codes log in.
    pub(crate) logins: &'c [CodeLogin],
    /// The upstreams of calls; a call that names none goes to the authority's.
    pub(crate) upstreams: Upstreams<'c>,
}

impl OtpInputs<'_> {
    fn login(&self, channel: Channel) -> Option<&CodeLogin> {
        self.logins.iter().find(|login| login.channel == channel)
    }
}

/// Both channels, present or not.
pub(crate) fn channels<'t>(section: &Section<'t, OtpTable>) -> [(Channel, Section<'t, ChannelTable>); 2] {
    [
        (Channel::Sms, section.section(&OtpTable::SMS).shared()),
        (Channel::Email, section.section(&OtpTable::EMAIL).shared()),
    ]
}

/// The channels whose codes log in, with who may log in by them.
pub(crate) fn logins(
    section: &Section<'_, OtpTable>,
    issuer: Issuer,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Vec<CodeLogin> {
    let logins = channels(section).into_iter();
    logins.filter_map(|(channel, section)| channel::login(channel, &section, issuer, server, cx)).collect()
}

/// Reads `[otp]`; an absent table has no channels.
pub(crate) fn otp(section: &Section<'_, OtpTable>, inputs: &OtpInputs<'_>, cx: &mut Context<'_>) -> Option<Settings> {
    let lifetime = section.read(&OtpTable::LIFETIME);
    if lifetime > LONGEST_LIFETIME {
        cx.complain(
            section.place(&OtpTable::LIFETIME),
            "a code that lives longer than 10 minutes can be guessed or intercepted",
            "write `lifetime = \"3m\"`",
        );
    }
    let countries = countries(section, cx);
    let (sms, email) = (section.section(&OtpTable::SMS), section.section(&OtpTable::EMAIL));
    if section.is_present() && !sms.is_present() && !email.is_present() {
        cx.warn(
            section.own_place(),
            "`[otp]` has no channel: no code can be sent",
            "write `[otp.sms]` or `[otp.email]`",
        );
    }
    // Both channels are read before `?`, so that the mistakes of both are reported.
    let sms = if sms.is_present() { sms_channel(&sms, inputs, cx).map(Some) } else { Some(None) };
    if let Some(Some(sms)) = &sms {
        warn_of_foreign_countries(section, sms, cx);
    }
    let email = if email.is_present() { email_channel(&email, inputs, cx).map(Some) } else { Some(None) };
    let host = || inputs.server.public_url.as_ref()?.host_str().map(str::to_owned);
    Some(Settings {
        lifetime,
        cooldown: section.read(&OtpTable::COOLDOWN),
        attempts: section.read(&OtpTable::ATTEMPTS),
        addresses: Rules { countries, bare_domains: inputs.server.local },
        limits: limits(section),
        proof_audience: section.read(&OtpTable::PROOF_AUDIENCE),
        site: inputs.site.clone().or_else(host).unwrap_or_default(),
        sms: sms?,
        email: email?,
    })
}

/// The channels that the login page offers, each with the name of the field for the address.
pub(crate) fn pages(settings: &Settings) -> Vec<(Channel, String)> {
    let logins = settings.channels().filter(|(_, settings)| settings.purpose == CodePurpose::Login);
    logins.map(|(channel, settings)| (channel, settings.fields.address.clone())).collect()
}

fn sms_channel(section: &Section<'_, SmsTable>, inputs: &OtpInputs<'_>, cx: &mut Context<'_>) -> Option<SmsChannel> {
    let channel = channel::channel(Channel::Sms, &section.shared(), inputs.login(Channel::Sms), inputs.upstreams, cx);
    let text = texts::texts(section, &SmsTable::TEXT, PLACEHOLDERS, Some("code"), cx);
    let delivery = sms::sms(section, inputs.server, cx);
    Some(SmsChannel { channel: channel?, text, delivery: delivery? })
}

fn email_channel(
    section: &Section<'_, EmailTable>,
    inputs: &OtpInputs<'_>,
    cx: &mut Context<'_>,
) -> Option<EmailChannel> {
    let channel =
        channel::channel(Channel::Email, &section.shared(), inputs.login(Channel::Email), inputs.upstreams, cx);
    let delivery = email::mail(section, inputs.server, cx);
    Some(EmailChannel { channel: channel?, delivery: delivery? })
}

fn countries(section: &Section<'_, OtpTable>, cx: &mut Context<'_>) -> Vec<Country> {
    if section.is_empty_list(&OtpTable::COUNTRIES) {
        cx.complain(
            section.place(&OtpTable::COUNTRIES),
            "without a country no number gets a code",
            "write `countries = [\"KR\"]`, or leave it out",
        );
    }
    let mut countries: Vec<Country> = Vec::new();
    for (code, place) in section.list(&OtpTable::COUNTRIES) {
        match Country::parse(&code) {
            Some(country) if countries.contains(&country) => {
                cx.complain(&place, format!("`{code}` is listed twice"), "leave one of the two out");
            }
            Some(country) => countries.push(country),
            None => cx.complain(
                &place,
                format!("there is no country `{code}`"),
                "write its ISO 3166-1 code of two capitals, e.g. \"KR\"",
            ),
        }
    }
    countries
}

/// Warns of a country other than Korea if every sender delivers to Korean numbers only.
fn warn_of_foreign_countries(section: &Section<'_, OtpTable>, sms: &SmsChannel, cx: &mut Context<'_>) {
    if !sms.delivery.providers.iter().all(|way| matches!(way, SmsProviderSettings::Aligo(_))) {
        return;
    }
    if let Some((code, place)) = section.list(&OtpTable::COUNTRIES).into_iter().find(|(code, _)| code != "KR") {
        cx.warn(
            &place,
            format!("Aligo sends to Korean numbers only, and there is no other sender for those of `{code}`"),
            "leave it out, or write `[otp.sms.twilio]` or another sender beside `[otp.sms.aligo]`",
        );
    }
}

fn limits(section: &Section<'_, OtpTable>) -> Limits {
    let limits = section.section(&OtpTable::LIMITS);
    let rate = |(most, window)| Rate { most, window };
    Limits {
        per_address: rate(limits.read(&OtpLimitsTable::PER_ADDRESS)),
        per_ip: rate(limits.read(&OtpLimitsTable::PER_IP)),
        per_country: limits.optional(&OtpLimitsTable::PER_COUNTRY).map(rate),
        total: rate(limits.read(&OtpLimitsTable::TOTAL)),
        daily_cap: section.read(&OtpTable::DAILY_CAP),
    }
}
