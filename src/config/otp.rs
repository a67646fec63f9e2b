//! `[otp]`: one-time codes, how many are sent, and what those of each channel are for.

use http::header;

use super::{authority, form, key, mail, messages, secrets::Surroundings, section::Section, server::Server, sms};
use crate::{
    authority::{CodeLogin, OTP_NOTIFY},
    call::{Piece, Placeholder, Template, Text},
    channel::Channel,
    otp::{
        ChannelSettings, CodePurpose, Country, EmailChannel, LONGEST_LIFETIME, Limits, Rate, Rules, Settings,
        SmsChannel,
        deliver::{PLACEHOLDERS, SmsWay},
    },
};

/// What `[otp]` leans on in the rest of the file.
pub(super) struct Context<'c, 't> {
    pub(super) authority: Section<'t>,
    /// The channels whose codes log in, as the authority knows them.
    pub(super) code_logins: &'c [CodeLogin],
    pub(super) pages: Section<'t>,
    pub(super) server: &'c Server,
    /// The names that calls can use.
    pub(super) upstreams: &'c [&'c str],
}

/// Reads `[otp]`; where there is none it has no channels.
pub(super) fn otp(section: &Section<'_>, context: &Context<'_, '_>, around: &mut Surroundings<'_>) -> Option<Settings> {
    let lifetime = section.read("lifetime", form::duration);
    if lifetime > LONGEST_LIFETIME {
        around.problems.complain(
            section.place("lifetime"),
            "a code that lives longer than 10 minutes can be found out or overheard",
            "write `lifetime = \"3m\"`",
        );
    }
    let countries = countries(section, around);
    check_audience(section, context, around);
    let (sms_section, email_section) = (section.section("sms"), section.section("email"));
    if section.is_present() && !sms_section.is_present() && !email_section.is_present() {
        around.problems.warn(section.own_place(), "codes have no way to travel", "write `[otp.sms]` or `[otp.email]`");
    }
    // Both are read before either is missed.
    let sms = if sms_section.is_present() { sms_channel(&sms_section, context, around).map(Some) } else { Some(None) };
    if let Some(Some(sms)) = &sms {
        warn_of_korean_ways(section, sms, around);
    }
    let email =
        if email_section.is_present() { email_channel(&email_section, context, around).map(Some) } else { Some(None) };
    let name = context.pages.optional("name", form::text);
    let host = || context.server.public_url.as_ref()?.host_str().map(str::to_owned);
    Some(Settings {
        lifetime,
        cooldown: section.read("cooldown", form::delay),
        attempts: section.number("attempts"),
        addresses: Rules { countries, bare_domains: context.server.local },
        limits: limits(section),
        proof_audience: section.read("proof_audience", form::text),
        site: name.or_else(host).unwrap_or_default(),
        sms: sms?,
        email: email?,
    })
}

/// The channels that the login page offers.
pub(super) fn pages(settings: &Settings) -> Vec<Channel> {
    let logins = settings.channels().filter(|(_, settings)| settings.purpose == CodePurpose::Login);
    logins.map(|(channel, _)| channel).collect()
}

fn sms_channel(section: &Section<'_>, context: &Context<'_, '_>, around: &mut Surroundings<'_>) -> Option<SmsChannel> {
    let channel = channel(Channel::Sms, section, context, around);
    let text = messages::texts(section, "text", PLACEHOLDERS, Some("code"), around);
    let delivery = sms::sms(section, context.server, around);
    Some(SmsChannel { channel: channel?, text, delivery: delivery? })
}

fn email_channel(
    section: &Section<'_>,
    context: &Context<'_, '_>,
    around: &mut Surroundings<'_>,
) -> Option<EmailChannel> {
    let channel = channel(Channel::Email, section, context, around);
    let delivery = mail::mail(section, context.server, around);
    Some(EmailChannel { channel: channel?, delivery: delivery? })
}

fn channel(
    name: Channel,
    section: &Section<'_>,
    context: &Context<'_, '_>,
    around: &mut Surroundings<'_>,
) -> Option<ChannelSettings> {
    let purpose = match section.read("purpose", form::text).as_str() {
        "login" => CodePurpose::Login,
        "prove" => CodePurpose::Prove,
        _ => CodePurpose::Verify,
    };
    for (key, of, wanted) in [("allow", "login", CodePurpose::Login), ("notify", "verify", CodePurpose::Verify)] {
        if section.has(key) && purpose != wanted {
            let message = format!("`{key}` is for `purpose = \"{of}\"`, and this one is \"{}\"", purpose.as_str());
            around.problems.complain(section.place_of_key(key), message, "leave it out, or write the other purpose");
        }
    }
    // Complained about, where need be, together with the authority.
    let allow = context.code_logins.iter().find(|login| login.channel == name).and_then(|login| login.allow.clone());
    let notify = section.section("notify");
    let notify = if notify.is_present() { Some(self::notify(&notify, context, around)?) } else { None };
    Some(ChannelSettings { purpose, allow, notify })
}

/// The call as the visitor: it carries the visitor's access token, unless the file says what stands there.
fn notify(section: &Section<'_>, context: &Context<'_, '_>, around: &mut Surroundings<'_>) -> Option<Template> {
    let of_authority = context.authority.optional("upstream", form::text);
    let own = of_authority.and_then(|name| context.upstreams.iter().position(|upstream| *upstream == name));
    if own.is_none() && !section.has("upstream") {
        let help = format!("write `upstream = \"NAME\"`; there are {}", key::quoted(context.upstreams));
        around.problems.complain(section.own_place(), "`upstream` is missing in `notify`", help);
    }
    let mut template = authority::call(section, own, context.upstreams, OTP_NOTIFY, around)?;
    template.assertion = Some("otp.notify");
    if template.headers.iter().all(|(name, _)| *name != header::AUTHORIZATION) {
        let bearer = vec![Piece::Literal("Bearer ".to_owned()), Piece::Placeholder(Placeholder::AccessToken)];
        template.headers.push((header::AUTHORIZATION, Text(bearer)));
    }
    Some(template)
}

fn countries(section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<Country> {
    if section.is_empty_list("countries") {
        around.problems.complain(
            section.place("countries"),
            "without a country no number gets a code",
            "write `countries = [\"KR\"]`, or leave it out",
        );
    }
    let mut countries: Vec<Country> = Vec::new();
    for (code, place) in section.list("countries", form::text) {
        match Country::parse(&code) {
            Some(country) if countries.contains(&country) => {
                around.problems.complain(&place, format!("`{code}` is listed twice"), "leave one of the two out");
            }
            Some(country) => countries.push(country),
            None => around.problems.complain(
                &place,
                format!("there is no country `{code}`"),
                "write its ISO 3166-1 code of two capitals, e.g. \"KR\"",
            ),
        }
    }
    countries
}

/// A country whose numbers get codes that nobody delivers.
fn warn_of_korean_ways(section: &Section<'_>, sms: &SmsChannel, around: &mut Surroundings<'_>) {
    if !sms.delivery.ways.iter().all(|way| matches!(way, SmsWay::Aligo(_))) {
        return;
    }
    if let Some((code, place)) = section.list("countries", form::text).into_iter().find(|(code, _)| code != "KR") {
        around.problems.warn(
            &place,
            format!("Aligo sends to Korean numbers only, and nobody else sends to those of `{code}`"),
            "leave it out, or write `[otp.sms.twilio]` or another way beside `[otp.sms.aligo]`",
        );
    }
}

fn limits(section: &Section<'_>) -> Limits {
    let limits = section.section("limits");
    let rate = |(most, window)| Rate { most, window };
    Limits {
        per_address: rate(limits.read("per_address", form::rate)),
        per_ip: rate(limits.read("per_ip", form::rate)),
        per_country: limits.optional("per_country", form::rate).map(rate),
        total: rate(limits.read("total", form::rate)),
        daily_cap: section.number("daily_cap"),
    }
}

/// A proof that passes for an access token would be one: the audience of the one is never that of the other.
fn check_audience(section: &Section<'_>, context: &Context<'_, '_>, around: &mut Surroundings<'_>) {
    let audience = section.read("proof_audience", form::text);
    let said = |key: &str| context.authority.section(key).optional("audience", form::text);
    let public_url = context.server.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    if [said("verify"), said("gateway"), public_url].iter().flatten().any(|other| *other == audience) {
        around.problems.complain(
            section.place("proof_audience"),
            "access tokens have this audience: a proof could pass for one",
            "write another, e.g. `proof_audience = \"example-proof\"`",
        );
    }
}
