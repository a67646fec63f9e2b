//! Requests to identity providers: their deadlines, the limits on answers, and why a provider counts as unavailable.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    clock::Timestamp,
    outbound::{self, CallLimits, HttpAnswer, Network, NoAnswer, Outbound},
};

/// Why a provider or key server gave no usable answer. Each is temporary or the provider's fault, never the visitor's.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No complete answer came.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The status of its answer is neither success nor a refusal.
    #[error("the provider answered with status {status}{said}")]
    Status {
        /// The status code of the answer.
        status: StatusCode,
        /// The wait in its `Retry-After`.
        retry_after: Option<Duration>,
        /// The error that the token endpoint names, with a colon before it; else empty.
        said: String,
    },
    /// Its answer does not have the form that the specification requires.
    #[error("the provider's {0} cannot be read")]
    Malformed(&'static str),
    /// A member of its metadata that a login needs is absent or no address, and the configuration does not give it.
    #[error("`{name}` of the provider's metadata {found}")]
    Member {
        /// The member.
        name: &'static str,
        /// What is there instead, cleaned for the log.
        found: String,
    },
    /// Instead of the document came a page, from a proxy on the way or from an error handler.
    #[error("instead of the provider's {0} came a page")]
    Page(&'static str),
    /// Its metadata names another issuer than the one configured (OpenID Connect Discovery section 4.3).
    #[error(
        "the provider's metadata says `issuer` is `{named}`, and the configuration says `{configured}`: write it exactly as the metadata has it"
    )]
    WrongIssuer {
        /// `issuer` of `[providers.NAME]`.
        configured: String,
        /// `issuer` of the metadata, cleaned for the log.
        named: String,
    },
    /// An address in its metadata has no TLS, though the issuer has it.
    #[error("the provider's metadata has an address without TLS: `{0}`")]
    WithoutTls(String),
    /// Its metadata announces PKCE without S256 (RFC 8414, `code_challenge_methods_supported`).
    #[error("the provider's metadata does not announce PKCE with S256")]
    NoPkce,
    /// A member of its token answer is absent, or has a value that cannot be used.
    #[error("the provider's token answer cannot be used: {0}")]
    TokenAnswer(String),
    /// The task of the request was ended, for example at shutdown.
    #[error("the request to the provider was interrupted")]
    Interrupted,
}

/// Largest answers in bytes. They bound the memory that an endless answer uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerSizes {
    /// For answers with tokens or a profile; default 64 KiB.
    pub answer: usize,
    /// For metadata and key sets; default 1 MiB.
    pub document: usize,
}

impl Default for AnswerSizes {
    fn default() -> Self {
        Self { answer: 64 << 10, document: 1 << 20 }
    }
}

/// A client for providers, and the largest answers that it reads.
#[derive(Clone, Debug)]
pub struct Http {
    outbound: Outbound,
    sizes: AnswerSizes,
}

/// A client for providers; connecting takes 5 s at most.
pub fn http_client(sizes: AnswerSizes) -> reqwest::Result<Http> {
    Ok(Http { outbound: outbound(None)?, sizes })
}

fn outbound(authorities: Option<&[CertificateDer<'static>]>) -> reqwest::Result<Outbound> {
    let connect_timeout = Duration::from_secs(5);
    let network = Network::Internet;
    Outbound::new(outbound::Settings { peer: "provider", connect_timeout, network, repeats_gets: true, authorities })
}

/// Deadline of every call except refreshes.
pub(crate) const CALL: Duration = Duration::from_secs(10);
/// Deadline of a refresh. It is long because the answer may have the only valid tokens.
pub(crate) const REFRESH: Duration = Duration::from_secs(60);

impl Http {
    /// A client with a separate limit on concurrent calls, for one provider. With `authorities`, only their
    /// certificates are accepted.
    pub(super) fn for_provider(self, authorities: Option<&[CertificateDer<'static>]>) -> reqwest::Result<Self> {
        let outbound = match authorities {
            Some(authorities) => outbound(Some(authorities))?,
            None => self.outbound.for_another_peer(),
        };
        Ok(Self { outbound, sizes: self.sizes })
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.outbound.request(method, url)
    }

    /// Sends `request`, whose answer has tokens or a profile.
    pub(super) async fn answer(&self, request: RequestBuilder, deadline: Duration) -> Result<HttpAnswer, NoAnswer> {
        self.outbound.send(request, CallLimits { deadline, answer: self.sizes.answer }).await
    }

    /// Fetches metadata or a key set.
    pub(super) async fn document(&self, url: Url) -> Result<HttpAnswer, NoAnswer> {
        let limits = CallLimits { deadline: CALL, answer: self.sizes.document };
        self.outbound.send(self.request(Method::GET, url), limits).await
    }
}

/// The body of an answer with status 200, as JSON. `name` is the name of the document in errors.
pub(super) fn read_json<T: DeserializeOwned>(
    answer: &HttpAnswer,
    name: &'static str,
    now: Timestamp,
) -> Result<T, Unavailable> {
    if answer.status != StatusCode::OK {
        return Err(Unavailable::status_of(answer, now));
    }
    answer.json().map_err(|_| Unavailable::unreadable(answer, name))
}

/// Whether an answer refuses the token of its request. A page, 408 and 429 do not, and count as an outage like all
/// other failures.
pub(super) fn is_refusal(answer: &HttpAnswer) -> bool {
    let is_about_load = matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    answer.status.is_client_error() && !is_about_load && !answer.is_page()
}

impl Unavailable {
    /// An answer with a status that is neither success nor a refusal.
    pub(super) fn status_of(answer: &HttpAnswer, now: Timestamp) -> Self {
        let retry_after = outbound::retry_after(&answer.headers, now);
        Self::Status { status: answer.status, retry_after, said: String::new() }
    }

    /// With the error that the answer names.
    pub(super) fn with(self, named: String) -> Self {
        match self {
            Self::Status { status, retry_after, .. } => Self::Status { status, retry_after, said: named },
            other => other,
        }
    }

    /// An answer that is not the document `name`.
    pub(super) fn unreadable(answer: &HttpAnswer, name: &'static str) -> Self {
        if answer.is_page() { Self::Page(name) } else { Self::Malformed(name) }
    }

    /// Whether a document came and its content does not fit, so that no other source may replace it.
    pub(super) fn is_from_document(&self) -> bool {
        matches!(self, Self::WrongIssuer { .. } | Self::WithoutTls(_) | Self::NoPkce)
    }

    /// Whether the provider did nothing for the request: it was not sent, or the answer says that it is not handled now
    /// (429: RFC 6585 section 4; 503: RFC 9110 section 15.6.4). Any other failure may have come after the effect.
    pub(super) fn is_unheard(&self) -> bool {
        match self {
            Self::NoAnswer(error) => matches!(error, NoAnswer::Unsent { .. }),
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Malformed(_)
            | Self::Member { .. }
            | Self::Page(_)
            | Self::WrongIssuer { .. }
            | Self::WithoutTls(_)
            | Self::NoPkce
            | Self::TokenAnswer(_)
            | Self::Interrupted => false,
        }
    }

    /// Whether only the operator can mend it: another try fails in the same way.
    pub fn is_misconfigured(&self) -> bool {
        match self {
            Self::Member { .. }
            | Self::WrongIssuer { .. }
            | Self::WithoutTls(_)
            | Self::NoPkce
            | Self::TokenAnswer(_) => true,
            Self::NoAnswer(error) => outbound::has_bad_certificate(error),
            Self::Status { .. } | Self::Malformed(_) | Self::Page(_) | Self::Interrupted => false,
        }
    }
}
