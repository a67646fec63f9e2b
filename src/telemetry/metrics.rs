//! Counters and gauges: atomics that are looked up once, when the process starts.

use std::fmt;

use crate::channel::Channel;
use http::StatusCode;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The values of the label `auth`, by index in [`Metrics::requests`]: `x-auth-status`, or `none` without that header.
const AUTH: [&str; 6] = ["valid", "refreshed", "invalid", "anonymous", "unavailable", "none"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type LoginLabels = [(&'static str, String); 2];
type NameLabel = [(&'static str, String); 1];

/// The result of a refresh for the request that needed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshResult {
    /// There are new tokens.
    Ok,
    /// The authority refused; the session has ended.
    Refused,
    /// The authority did not answer.
    Outage,
    /// The request waited for the refresh of another request.
    Joined,
}

/// The result of a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginResult {
    /// A session was opened.
    Ok,
    /// The proof of identity was wrong, or the login is not allowed.
    Refused,
    /// A server that is needed for the login did not answer.
    Failed,
}

/// What happened to a one-time code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeEvent {
    /// Its message was accepted for delivery.
    Sent,
    /// Its message was accepted for delivery again.
    SentAgain,
    /// No provider accepted its message.
    Undelivered,
    /// No code was sent or compared, because of a limit or the cool-down.
    Limited,
    /// The code was right.
    Verified,
    /// The code was wrong, used, expired, or of another browser.
    Wrong,
    /// The code was right, but the backend did not carry out the action.
    Unhonoured,
}

impl CodeEvent {
    const ALL: [Self; 7] =
        [Self::Sent, Self::SentAgain, Self::Undelivered, Self::Limited, Self::Verified, Self::Wrong, Self::Unhonoured];

    /// The event's name in metrics and logs.
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
    /// No connection could be opened.
    Connect,
    /// There was no answer in time.
    Timeout,
    /// The connection broke before the answer.
    Broken,
    /// The connection broke within the answer's body.
    Body,
    /// The answer is not valid HTTP.
    Protocol,
}

/// The counters that an upstream adds to by itself.
#[derive(Clone, Debug, Default)]
pub struct UpstreamCounters {
    /// Ejections of this upstream's targets.
    pub ejections: Counter,
    /// Answers that broke off in their body, of all upstreams.
    pub broken_bodies: Counter,
}

/// The values of `/metrics`. Shared by `Arc`.
pub struct Metrics {
    /// Open connections of visitors, upgraded ones (`WebSocket`) included.
    pub connections: Gauge,
    /// Connections closed because their client had reached `connections_per_client`.
    pub connections_refused: Counter,
    /// HTTP/2 connections closed because of too many frames that do no work.
    pub connections_flooded: Counter,
    /// Requests sent a second time after a 401.
    pub retries: Counter,
    /// Session cookies ignored because their key id is unknown.
    pub cookies_ignored: Counter,
    /// Session cookies cleared because they cannot be opened.
    pub cookies_cleared: Counter,
    /// 1 while refused refreshes count as an outage, else 0.
    pub brake: Gauge,
    /// Requests with tokens whose successors are in use.
    pub stale_tokens: Counter,
    /// Calls to the store that failed.
    pub store_errors: Counter,
    /// Milliseconds by which the store's clock is ahead of this process's; negative if it is behind.
    pub store_clock_difference: Gauge,
    /// Log lines that were lost: the queue was full, or they could not be written.
    pub dropped_log_lines: Counter,
    requests: [[Counter; AUTH.len()]; CLASSES.len()],
    refreshes: [Counter; 4],
    upstream_failures: [Counter; 5],
    upstream_ejections: Family<NameLabel, Counter>,
    authorities_down: Family<NameLabel, Gauge>,
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
    /// All values zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vestibule");

        let requests = Family::<Labels<2>, Counter>::default();
        registry.register("requests", "Requests by class of status and x-auth-status", requests.clone());
        let refreshes = Family::<Labels<1>, Counter>::default();
        registry.register("refreshes", "Refreshes by result, counted per request that needed one", refreshes.clone());
        let upstream_failures = Family::<Labels<1>, Counter>::default();
        registry.register("upstream_failures", "Upstream requests that failed", upstream_failures.clone());
        let upstream_ejections = Family::<NameLabel, Counter>::default();
        registry.register("upstream_ejections", "Targets left out after failures", upstream_ejections.clone());
        let authorities_down = Family::<NameLabel, Gauge>::default();
        registry.register("authority_down", "1 while this authority counts as down", authorities_down.clone());
        let logins = Family::<LoginLabels, Counter>::default();
        registry.register("logins", "Logins by method and result", logins.clone());
        let codes = Family::<Labels<2>, Counter>::default();
        registry.register("otp", "One-time codes by channel and event", codes.clone());

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
            store_clock_difference: Gauge::default(),
            dropped_log_lines: Counter::default(),
            requests: CLASSES
                .map(|class| AUTH.map(|auth| requests.get_or_create_owned(&[("class", class), ("auth", auth)]))),
            refreshes: ["ok", "refused", "outage", "joined"]
                .map(|result| refreshes.get_or_create_owned(&[("result", result)])),
            upstream_failures: ["connect", "timeout", "broken", "body", "protocol"]
                .map(|kind| upstream_failures.get_or_create_owned(&[("kind", kind)])),
            upstream_ejections,
            authorities_down,
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
        registry.register(
            "store_clock_difference_milliseconds",
            "How far the store's clock is ahead of this instance's",
            metrics.store_clock_difference.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines lost: the queue was full, or they could not be written",
            metrics.dropped_log_lines.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Counts an answered request; `auth` is its `x-auth-status`.
    pub fn request(&self, status: StatusCode, auth: Option<&'static str>) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let last = AUTH.len() - 1;
        let auth = auth.map_or(last, |auth| AUTH.iter().position(|own| *own == auth).unwrap_or(last));
        self.requests[class][auth].inc();
    }

    /// Counts a refresh.
    pub fn refresh(&self, result: RefreshResult) {
        self.refreshes[result as usize].inc();
    }

    /// Counts a failed upstream request.
    pub fn upstream_failure(&self, kind: UpstreamFailure) {
        self.upstream_failures[kind as usize].inc();
    }

    /// The counters for the upstream called `name` in the configuration.
    pub fn upstream(&self, name: &str) -> UpstreamCounters {
        UpstreamCounters {
            ejections: self.upstream_ejections.get_or_create_owned(&[("upstream", name.to_owned())]),
            broken_bodies: self.upstream_failures[UpstreamFailure::Body as usize].clone(),
        }
    }

    /// 1 while the authority of this name counts as down, else 0.
    pub fn authority_down(&self, name: &str) -> Gauge {
        self.authorities_down.get_or_create_owned(&[("authority", name.to_owned())])
    }

    /// Counts a login. `method` is its name in the configuration (`google`, or `credentials` for e-mail and password)
    /// and never text from a request.
    pub fn login(&self, method: &str, result: LoginResult) {
        let result = match result {
            LoginResult::Ok => "ok",
            LoginResult::Refused => "refused",
            LoginResult::Failed => "failed",
        };
        self.logins.get_or_create(&[("method", method.to_owned()), ("result", result.to_owned())]).inc();
    }

    /// Counts an event of a one-time code.
    pub fn code(&self, channel: Channel, event: CodeEvent) {
        if let Some(counters) = Channel::ALL.iter().position(|own| *own == channel).map(|at| &self.codes[at]) {
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
    fn counted_values_are_in_the_openmetrics_text() {
        let metrics = Metrics::new();
        metrics.request(StatusCode::OK, Some("valid"));
        metrics.request(StatusCode::NOT_FOUND, None);
        metrics.refresh(RefreshResult::Joined);
        metrics.upstream_failure(UpstreamFailure::Protocol);
        metrics.login("google", LoginResult::Refused);
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
