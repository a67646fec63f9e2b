//! One bounded exchange with an identity provider: a deadline, a size limit, no redirect, and whether a failure left anything sent.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, IntoUrl, RequestBuilder, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use crate::clock::Timestamp;

/// Why a provider (or a server of keys) gave nothing usable. All of them mean: not now, and no fault of the visitor.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Nothing reached it: asking again cannot do anything twice.
    #[error("the provider could not be reached")]
    Unsent(#[source] reqwest::Error),
    /// It was asked, but its answer did not come, or not to its end.
    #[error("the provider did not answer")]
    Unanswered(#[source] reqwest::Error),
    /// Its answer is larger than any that makes sense.
    #[error("the provider's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It answered with a status that helps nobody.
    #[error("the provider answered with status {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// What its `Retry-After` says.
        retry_after: Option<Duration>,
    },
    /// Its answer is not what the specification says it is.
    #[error("the provider's {0} cannot be read")]
    Malformed(&'static str),
    /// Its metadata names another issuer than the one configured (OpenID Connect Discovery section 4.3).
    #[error("the provider's metadata names another issuer than the configured one")]
    WrongIssuer,
    /// Its metadata announces PKCE without S256 (RFC 8414, `code_challenge_methods_supported`).
    #[error("the provider's metadata does not announce PKCE with S256")]
    NoPkce,
    /// The task that asked was ended, as at shutdown.
    #[error("the request to the provider was interrupted")]
    Interrupted,
}

/// How large an answer may be: one without an end must not fill our memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerSizes {
    /// Bytes of an answer that holds tokens or a profile.
    pub answer: usize,
    /// Bytes of metadata and key sets.
    pub document: usize,
}

impl Default for AnswerSizes {
    fn default() -> Self {
        Self { answer: 64 << 10, document: 1 << 20 }
    }
}

/// A client for providers, and how much it reads of their answers.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    sizes: AnswerSizes,
}

impl Http {
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn head(&self, url: Url) -> RequestBuilder {
        self.client.head(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Asks, and reads an answer that holds tokens or a profile.
    pub(super) async fn answer(&self, request: RequestBuilder, deadline: Duration) -> Result<Received, Unavailable> {
        exchange(request, deadline, self.sizes.answer).await
    }

    /// Fetches metadata or a key set.
    pub(super) async fn document(&self, url: impl IntoUrl) -> Result<Received, Unavailable> {
        exchange(self.client.get(url), CALL, self.sizes.document).await
    }
}

/// A client fit for providers: redirects are not followed, connecting takes 5 s at most, and a connection that idles is soon dropped, so
/// that a refresh seldom meets one that is just being closed.
pub fn http_client(sizes: AnswerSizes) -> reqwest::Result<Http> {
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(4))
        .user_agent("vestibule")
        .build()?;
    Ok(Http { client, sizes })
}

/// For every call but a refresh.
pub(crate) const CALL: Duration = Duration::from_secs(10);
/// For a refresh: one that is given up early loses its answer.
pub(crate) const REFRESH: Duration = Duration::from_secs(60);

/// A complete answer.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

async fn exchange(request: RequestBuilder, deadline: Duration, limit: usize) -> Result<Received, Unavailable> {
    let mut response = request.timeout(deadline).send().await.map_err(|error| {
        let error = error.without_url();
        // Whatever is not known to have failed before the connection stood may have been sent.
        if error.is_connect() || error.is_builder() {
            Unavailable::Unsent(error)
        } else {
            Unavailable::Unanswered(error)
        }
    })?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unavailable::Unanswered(error.without_url()))? {
        if body.len() + chunk.len() > limit {
            return Err(Unavailable::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

impl Received {
    /// The body as JSON, if the status is 200.
    pub(crate) fn document<T: DeserializeOwned>(&self, name: &'static str, now: Timestamp) -> Result<T, Unavailable> {
        if self.status != StatusCode::OK {
            return Err(self.unhelpful(now));
        }
        serde_json::from_slice(&self.body).map_err(|_| Unavailable::Malformed(name))
    }

    /// This answer as a failure.
    pub(crate) fn unhelpful(&self, now: Timestamp) -> Unavailable {
        Unavailable::Status { status: self.status, retry_after: retry_after(&self.headers, now) }
    }
}

/// `Retry-After` in either of its forms (RFC 9110 section 10.2.3), at most an hour.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now.system_time()).unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = Timestamp::from_secs(784_111_747);
        for (value, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
