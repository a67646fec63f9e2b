//! Counters and gauges: plain atomics, found when the process starts and never looked up by a request.

use std::fmt;

use crate::channel::Channel;
use http::StatusCode;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The value of `x-auth-status` by its place in [`Metrics::requests`]; `none` where there is no such header.
const AUTH: [&str; 6] = ["valid", "refreshed", "invalid", "anonymous", "unavailable", "none"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type LoginLabels = [(&'static str, String); 2];

/// How a refresh ended for the request that wanted it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// New tokens.
    Ok,
    /// The authority refused: the session is over.
    Refused,
    /// The authority did not answer.
    Outage,
    /// Another request's refresh was waited for.
    Joined,
}

/// How a login ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Login {
    /// There is a session.
    Ok,
    /// The visitor could not prove who they are.
    Refused,
    /// Something did not answer.
    Failed,
}

/// What became of a one-time code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeEvent {
    /// Its message was handed over.
    Sent,
    /// Its message was handed over again.
    SentAgain,
    /// Nobody took its message.
    Undelivered,
    /// None was sent, or none compared: a limit or the cool-down.
    Limited,
    /// It was right.
    Verified,
    /// It was wrong, used, expired, or another browser's.
    Wrong,
    /// It was right, and the backend did not do what it is for.
    Unhonoured,
}

impl CodeEvent {
    const ALL: [Self; 7] =
        [Self::Sent, Self::SentAgain, Self::Undelivered, Self::Limited, Self::Verified, Self::Wrong, Self::Unhonoured];

    /// Its name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SentAgain => "sent_again",
            Self::Undelivered => "undelivered",
            Self::Limited => "limited",
            Self::Verified => "verified",
            Self::Wrong => "wrong",
            Self::Unhonoured => "unhonoured",
        }
    }
}

/// Why an upstream did not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamFailure {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection broke before the answer.
    Broken,
    /// It broke within the answer's body.
    Body,
    /// What came is not HTTP.
    Protocol,
}

/// What `/metrics` shows. Shared by `Arc`.
pub struct Metrics {
    /// Open visitors' connections, tunnels included.
    pub connections: Gauge,
    /// Connections closed because their client had too many.
    pub connections_refused: Counter,
    /// HTTP/2 connections closed because their peer sent frames that did no work.
    pub connections_flooded: Counter,
    /// Requests sent a second time after a 401.
    pub retries: Counter,
    /// Cookies of ours with an unknown key id, ignored.
    pub cookies_ignored: Counter,
    /// Cookies of ours that do not open, cleared.
    pub cookies_cleared: Counter,
    /// 1 while refusals count as an outage.
    pub brake: Gauge,
    /// Requests with tokens whose successors were in use already.
    pub stale_tokens: Counter,
    /// Calls to the store that failed.
    pub store_errors: Counter,
    /// Log lines for which there was no room.
    pub dropped_log_lines: Counter,
    requests: [[Counter; AUTH.len()]; CLASSES.len()],
    refreshes: [Counter; 4],
    upstream_failures: [Counter; 5],
    logins: Family<LoginLabels, Counter>,
    codes: [[Counter; CodeEvent::ALL.len()]; Channel::ALL.len()],
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vestibule");

        let requests = Family::<Labels<2>, Counter>::default();
        registry.register("requests", "Requests by class of status and x-auth-status", requests.clone());
        let refreshes = Family::<Labels<1>, Counter>::default();
        registry.register("refreshes", "Refreshes by result, as requests met them", refreshes.clone());
        let upstream_failures = Family::<Labels<1>, Counter>::default();
        registry.register("upstream_failures", "Upstream requests that failed", upstream_failures.clone());
        let logins = Family::<LoginLabels, Counter>::default();
        registry.register("logins", "Logins by method and result", logins.clone());
        let codes = Family::<Labels<2>, Counter>::default();
        registry.register("otp", "One-time codes by channel and what became of them", codes.clone());

        let metrics = Self {
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_flooded: Counter::default(),
            retries: Counter::default(),
            cookies_ignored: Counter::default(),
            cookies_cleared: Counter::default(),
            brake: Gauge::default(),
            stale_tokens: Counter::default(),
            store_errors: Counter::default(),
            dropped_log_lines: Counter::default(),
            requests: CLASSES
                .map(|class| AUTH.map(|auth| requests.get_or_create_owned(&[("class", class), ("auth", auth)]))),
            refreshes: ["ok", "refused", "outage", "joined"]
                .map(|result| refreshes.get_or_create_owned(&[("result", result)])),
            upstream_failures: ["connect", "timeout", "broken", "body", "protocol"]
                .map(|kind| upstream_failures.get_or_create_owned(&[("kind", kind)])),
            logins,
            codes: Channel::ALL.map(|channel| {
                CodeEvent::ALL
                    .map(|event| codes.get_or_create_owned(&[("channel", channel.as_str()), ("event", event.as_str())]))
            }),
            registry: Registry::default(),
        };
        registry.register("connections", "Open connections of visitors", metrics.connections.clone());
        registry.register(
            "connections_refused",
            "Connections closed because their client had too many",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "connections_flooded",
            "HTTP/2 connections closed for frames that did no work",
            metrics.connections_flooded.clone(),
        );
        registry.register("retries", "Requests repeated after a 401", metrics.retries.clone());
        registry.register("cookies_ignored", "Cookies sealed with an unknown key", metrics.cookies_ignored.clone());
        registry.register("cookies_cleared", "Cookies that do not open", metrics.cookies_cleared.clone());
        registry.register("brake", "1 while refused refreshes count as an outage", metrics.brake.clone());
        registry.register(
            "stale_tokens",
            "Requests with tokens whose successors are in use",
            metrics.stale_tokens.clone(),
        );
        registry.register("store_errors", "Calls to the store that failed", metrics.store_errors.clone());
        registry.register("log_lines_dropped", "Log lines without room", metrics.dropped_log_lines.clone());
        Self { registry, ..metrics }
    }

    /// Counts an answered request; `auth` is its `x-auth-status`.
    pub fn request(&self, status: StatusCode, auth: Option<&'static str>) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let last = AUTH.len() - 1;
        let auth = auth.map_or(last, |auth| AUTH.iter().position(|known| *known == auth).unwrap_or(last));
        self.requests[class][auth].inc();
    }

    /// Counts a refresh.
    pub fn refresh(&self, result: Refresh) {
        self.refreshes[result as usize].inc();
    }

    /// Counts an upstream request without an answer.
    pub fn upstream_failure(&self, kind: UpstreamFailure) {
        self.upstream_failures[kind as usize].inc();
    }

    /// Counts a login; `method` is the configuration's name of it (`google`, or `credentials` for e-mail and password), never a visitor's words.
    pub fn login(&self, method: &str, result: Login) {
        let result = match result {
            Login::Ok => "ok",
            Login::Refused => "refused",
            Login::Failed => "failed",
        };
        self.logins.get_or_create(&[("method", method.to_owned()), ("result", result.to_owned())]).inc();
    }

    /// Counts what became of a one-time code.
    pub fn code(&self, channel: Channel, event: CodeEvent) {
        if let Some(counters) = Channel::ALL.iter().position(|known| *known == channel).map(|at| &self.codes[at]) {
            counters[event as usize].inc();
        }
    }

    /// `OpenMetrics` text.
    ///
    /// # Panics
    /// Never: writing into memory does not fail.
    pub fn text(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing into memory does not fail");
        out
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.request(StatusCode::OK, Some("valid"));
        metrics.request(StatusCode::NOT_FOUND, None);
        metrics.refresh(Refresh::Joined);
        metrics.upstream_failure(UpstreamFailure::Protocol);
        metrics.login("google", Login::Refused);
        metrics.code(Channel::Sms, CodeEvent::SentAgain);
        metrics.connections.inc();
        let text = metrics.text();
        for line in [
            r#"vestibule_requests_total{class="2xx",auth="valid"} 1"#,
            r#"vestibule_requests_total{class="4xx",auth="none"} 1"#,
            r#"vestibule_refreshes_total{result="joined"} 1"#,
            r#"vestibule_refreshes_total{result="ok"} 0"#,
            r#"vestibule_upstream_failures_total{kind="protocol"} 1"#,
            r#"vestibule_logins_total{method="google",result="refused"} 1"#,
            r#"vestibule_otp_total{channel="sms",event="sent_again"} 1"#,
            r#"vestibule_otp_total{channel="email",event="unhonoured"} 0"#,
            "vestibule_connections 1",
            "vestibule_connections_refused_total 0",
            "vestibule_connections_flooded_total 0",
            "vestibule_log_lines_dropped_total 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }
}
