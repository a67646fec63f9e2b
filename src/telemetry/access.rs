//! A line of the access log: built as a value on the request's thread, formatted on the log's thread.

use std::{io::Write as _, net::IpAddr, sync::Arc, time::Duration};

use http::{Method, StatusCode, Version};
use time::OffsetDateTime;

use super::{Format, RequestId, TraceParent, json};
use crate::clock::Timestamp;

/// The fields of a line, without the request's path.
#[derive(Clone, Debug)]
pub struct AccessLine {
    /// When the request was answered.
    pub at: Timestamp,
    /// The request's method.
    pub method: Method,
    /// The answer's status.
    pub status: StatusCode,
    /// Time from the request's head to the answer's head.
    pub duration: Duration,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that a trusted proxy began. Boxed, because it is rare and lines are kept by the thousand.
    pub trace: Option<Box<TraceParent>>,
    /// The pattern of the matched route.
    pub route: Option<Arc<str>>,
    /// The name of the route's upstream.
    pub upstream: Option<Arc<str>>,
    /// The answer's `x-auth-status`, if any.
    pub auth: Option<&'static str>,
    /// The client's address.
    pub client: IpAddr,
    /// Size of the answer's body in bytes, if known.
    pub bytes: Option<u64>,
    /// The request's HTTP version.
    pub version: Version,
}

impl AccessLine {
    /// Appends the line and a line feed.
    pub(super) fn write(&self, format: Format, path: &str, out: &mut Vec<u8>) {
        match format {
            Format::Json => self.write_json(path, out),
            Format::Text => self.write_text(path, out),
        }
        out.push(b'\n');
    }

    fn write_json(&self, path: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        timestamp(out, self.at);
        out.extend_from_slice(b"\",\"level\":\"INFO\",\"target\":\"access\",\"method\":");
        json::string(out, self.method.as_str());
        out.extend_from_slice(b",\"path\":");
        json::string(out, path);
        out.extend_from_slice(b",\"status\":");
        decimal(out, self.status.as_u16().into(), 3);
        out.extend_from_slice(b",\"duration_ms\":");
        milliseconds(out, self.duration);
        out.extend_from_slice(b",\"request_id\":");
        json::string(out, self.request_id.as_str());
        for (name, value) in [
            (",\"trace_id\":", self.trace.as_deref().map(TraceParent::trace_id)),
            (",\"route\":", self.route.as_deref()),
            (",\"upstream\":", self.upstream.as_deref()),
            (",\"auth\":", self.auth),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                json::string(out, value);
            }
        }
        print(out, format_args!(",\"client\":\"{}\"", self.client));
        if let Some(bytes) = self.bytes {
            out.extend_from_slice(b",\"bytes\":");
            decimal(out, bytes, 1);
        }
        print(out, format_args!(",\"version\":\"{:?}\"}}", self.version));
    }

    fn write_text(&self, path: &str, out: &mut Vec<u8>) {
        timestamp(out, self.at);
        print(out, format_args!("  INFO access: {} ", self.method));
        json::one_line(out, path);
        print(out, format_args!(" {} ", self.status.as_u16()));
        milliseconds(out, self.duration);
        print(out, format_args!("ms id={} client={}", self.request_id, self.client));
        for (name, value) in [
            ("trace", self.trace.as_deref().map(TraceParent::trace_id)),
            ("route", self.route.as_deref()),
            ("upstream", self.upstream.as_deref()),
            ("auth", self.auth),
        ] {
            if let Some(value) = value {
                print(out, format_args!(" {name}="));
                json::one_line(out, value);
            }
        }
        if let Some(bytes) = self.bytes {
            print(out, format_args!(" bytes={bytes}"));
        }
        print(out, format_args!(" {:?}", self.version));
    }
}

/// Appends a time in UTC with milliseconds (RFC 3339).
pub(super) fn timestamp(out: &mut Vec<u8>, at: Timestamp) {
    let Ok(t) = OffsetDateTime::from_unix_timestamp(at.as_secs()) else {
        return out.extend_from_slice(at.rfc3339().as_bytes());
    };
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    let (hour, minute, second) = t.time().as_hms();
    let milli = at.as_millis().rem_euclid(1000);
    decimal(out, year.unsigned_abs().into(), 4);
    let parts = [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)];
    for (mark, part) in parts {
        out.push(mark);
        decimal(out, part.into(), 2);
    }
    out.push(b'.');
    decimal(out, milli.unsigned_abs(), 3);
    out.push(b'Z');
}

fn milliseconds(out: &mut Vec<u8>, span: Duration) {
    decimal(out, u64::try_from(span.as_millis()).unwrap_or(u64::MAX), 1);
    out.push(b'.');
    decimal(out, (span.subsec_micros() % 1000).into(), 3);
}

/// Appends `number` with at least `width` digits (at most 20). `write!` takes several times as long, and a line has
/// eleven numbers.
fn decimal(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    let mut rest = number;
    while rest > 0 {
        first -= 1;
        digits[first] += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits[first.min(digits.len() - width)..]);
}

pub(super) fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{secret::Random, telemetry::RequestIds};

    fn line() -> AccessLine {
        AccessLine {
            at: Timestamp::from_millis(1_700_000_000_042),
            method: Method::GET,
            status: StatusCode::NOT_FOUND,
            duration: Duration::from_micros(1_234_005),
            request_id: RequestIds::new(&Random::system()).next(),
            trace: None,
            route: Some("/a/{*rest}".into()),
            upstream: None,
            auth: Some("valid"),
            client: "::1".parse().unwrap(),
            bytes: Some(7),
            version: Version::HTTP_11,
        }
    }

    #[test]
    fn a_json_line_is_one_line_of_json_for_every_path() {
        let line = line();
        let path = "/a\"b\\\r\n{\"level\":\"ERROR\"}\u{1b}[2J";
        let mut out = Vec::new();
        line.write(Format::Json, path, &mut out);
        assert_eq!(out.iter().filter(|b| **b < b' ').count(), 1, "only the line's end");
        let read: Value = serde_json::from_slice(&out).unwrap();
        let expected = json!({
            "timestamp": "2023-11-14T22:13:20.042Z", "level": "INFO", "target": "access", "method": "GET",
            "path": path, "status": 404, "duration_ms": 1234.005, "request_id": line.request_id.as_str(),
            "route": "/a/{*rest}", "auth": "valid", "client": "::1", "bytes": 7, "version": "HTTP/1.1",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_kept_request_id_and_a_trace_are_in_the_line() {
        let id = http::HeaderValue::from_static("a\"b\\c");
        let trace = http::HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let line = AccessLine {
            request_id: RequestId::kept(&id).unwrap(),
            trace: TraceParent::parse(&trace).map(Box::new),
            ..line()
        };
        let mut out = Vec::new();
        line.write(Format::Json, "/", &mut out);
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (&read["request_id"], &read["trace_id"]),
            (&json!("a\"b\\c"), &json!("4bf92f3577b34da6a3ce929d0e0e4736"))
        );
        out.clear();
        line.write(Format::Text, "/", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(" id=a\"b\\c client=::1 trace=4bf92f3577b34da6a3ce929d0e0e4736 "), "{text}");
    }

    #[test]
    fn a_text_line_is_one_line_for_every_path() {
        let mut out = Vec::new();
        line().write(Format::Text, "/a\r\nERROR forged\u{1b}[2J", &mut out);
        assert_eq!(out.iter().filter(|b| **b < b' ').count(), 1);
        assert!(String::from_utf8(out).unwrap().contains(r" GET /a\r\nERROR forged\u001b[2J 404 1234.005ms id="));
    }
}
