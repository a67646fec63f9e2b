//! `Otps`, the endpoints of one-time codes, and the parts that they use. Each endpoint has its own file.

use std::sync::Arc;

use super::{
    deliver::{MailSender, SmsSender},
    error::OtpError,
    message::{self, MessageSender},
    settings::{ChannelSettings, CodePurpose, FieldNames, Settings},
};
use crate::{
    authority::Allow,
    call::{Caller, Template},
    channel::Channel,
    clock::Clock,
    endpoint::{Counts, ReturnTo},
    pages::Pages,
    seal::KeyRing,
    secret::Random,
    session::Sessions,
    signing::Signer,
    store::Store,
    telemetry::Metrics,
};

/// A failure, with the session status and cookies of its answer.
pub type Failed = crate::endpoint::Failed<OtpError>;

/// The endpoints of one-time codes, built once.
pub struct Otps {
    pub(super) settings: Settings,
    /// The path prefix of the gateway's own endpoints, e.g. `/auth`.
    base_path: String,
    pub(super) setups: Vec<ChannelSetup>,
    pub(super) ring: KeyRing,
    pub(super) counts: Counts,
    pub(super) signer: Signer,
    pub(super) caller: Arc<Caller>,
    pub(super) sessions: Sessions,
    pub(super) store: Store,
    pub(super) pages: Arc<Pages>,
    pub(super) return_to: ReturnTo,
    /// The login page's address.
    pub(super) login_page: String,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) metrics: Arc<Metrics>,
}

/// A channel that is configured and has a sender.
pub(super) struct ChannelSetup {
    pub(super) channel: Channel,
    pub(super) purpose: CodePurpose,
    pub(super) allow: Option<Allow>,
    pub(super) notify: Option<Template>,
    pub(super) fields: FieldNames,
    pub(super) sender: MessageSender,
}

/// The senders of the channels that are configured.
pub struct Senders {
    /// For `[otp.sms]`.
    pub sms: Option<SmsSender>,
    /// For `[otp.email]`.
    pub mail: Option<MailSender>,
}

/// The parts that the endpoints use.
pub struct Deps {
    /// The path prefix of the gateway's own endpoints, e.g. `/auth`.
    pub base_path: String,
    /// Seals challenges and codes.
    pub ring: KeyRing,
    /// Signs proofs.
    pub signer: Signer,
    /// Calls backends.
    pub caller: Arc<Caller>,
    /// Begins sessions.
    pub sessions: Sessions,
    /// Stores codes and counts.
    pub store: Store,
    /// Renders the code page.
    pub pages: Arc<Pages>,
    /// Checks `return_to`.
    pub return_to: ReturnTo,
    /// The login page's address.
    pub login_page: String,
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// The source of codes and ids.
    pub random: Random,
    /// Counts sent and verified codes.
    pub metrics: Arc<Metrics>,
}

impl Otps {
    /// Builds the endpoints for each channel that has both settings and a sender.
    pub fn new(settings: Settings, senders: Senders, deps: Deps) -> Self {
        let sms = settings.sms.as_ref().zip(senders.sms).map(|(sms, sender)| {
            let sender = MessageSender::Sms { text: sms.text.clone().unwrap_or_else(message::built_in), sender };
            ChannelSetup::new(Channel::Sms, &sms.channel, sender)
        });
        let email = settings.email.as_ref().zip(senders.mail);
        let email =
            email.map(|(email, sender)| ChannelSetup::new(Channel::Email, &email.channel, MessageSender::Mail(sender)));
        let setups = sms.into_iter().chain(email).collect();
        Self::with_setups(settings, setups, deps)
    }

    pub(super) fn with_setups(settings: Settings, setups: Vec<ChannelSetup>, deps: Deps) -> Self {
        Self {
            counts: Counts::new(&deps.store, deps.ring.mac_key()),
            settings,
            setups,
            base_path: deps.base_path,
            ring: deps.ring,
            signer: deps.signer,
            caller: deps.caller,
            sessions: deps.sessions,
            store: deps.store,
            pages: deps.pages,
            return_to: deps.return_to,
            login_page: deps.login_page,
            clock: deps.clock,
            random: deps.random,
            metrics: deps.metrics,
        }
    }

    pub(super) fn setup(&self, channel: Channel) -> Option<&ChannelSetup> {
        self.setups.iter().find(|setup| setup.channel == channel)
    }

    /// The path of an own endpoint.
    pub(super) fn at(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.base_path)
    }
}

impl ChannelSetup {
    fn new(channel: Channel, settings: &ChannelSettings, sender: MessageSender) -> Self {
        let ChannelSettings { purpose, allow, notify, fields } = settings.clone();
        Self { channel, purpose, allow, notify, fields, sender }
    }
}
