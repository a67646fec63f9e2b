//! The forms that a string of the file can have, each with its one parser. A parser's error is the help: what to write instead.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderName, Method};
use ipnet::IpNet;
use url::Url;

use crate::{authority::Pointer, upstream::Target};

/// How a string must look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Text,
    /// Text, or where it is: `env:NAME`, `file:PATH`.
    Indirect,
    /// Like `Indirect`, and never shown.
    Secret,
    /// A file, relative to the configuration's folder.
    File,
    /// A time that passes, more than zero.
    Duration,
    /// A time that may be zero.
    Delay,
    Size,
    Address,
    /// An origin: `https://host`, nothing behind.
    Origin,
    Url,
    Target,
    Host,
    Network,
    /// A prefix of paths: `/auth`.
    Prefix,
    /// A path or a URL.
    Place,
    /// A JSON pointer (RFC 6901).
    Pointer,
    /// A place in a backend's answer.
    Answer,
    Method,
    Header,
    /// A cookie's name (RFC 6265), or the beginning of one.
    Cookie,
    /// A log level or tracing directives.
    Level,
    /// So many in so long: `5/h`.
    Rate,
    /// A colour as CSS has it: `#rrggbb`.
    Color,
}

impl Form {
    /// What to call it in a sentence: "must be …".
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Text | Self::Indirect => "a text",
            Self::Secret => "a secret as text",
            Self::File => "the path of a file",
            Self::Duration | Self::Delay => "a duration",
            Self::Size => "a size",
            Self::Address => "an address with a port",
            Self::Origin => "a web address without a path",
            Self::Url => "a web address",
            Self::Target => "the address of a backend",
            Self::Host => "a host",
            Self::Network => "an address or a network",
            Self::Prefix => "the beginning of a path",
            Self::Place => "a path or a web address",
            Self::Pointer => "a JSON pointer",
            Self::Answer => "a JSON pointer or `cookie:NAME`",
            Self::Method => "a method",
            Self::Header => "the name of a header",
            Self::Cookie => "part of a cookie's name",
            Self::Level => "a log level",
            Self::Rate => "a rate",
            Self::Color => "a colour",
        }
    }

    /// One that is right.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Text | Self::Indirect => "…",
            Self::Secret => "env:NAME",
            Self::File => "/etc/vestibule/file.pem",
            Self::Duration | Self::Delay => "60s",
            Self::Size => "64KiB",
            Self::Address => "0.0.0.0:8080",
            Self::Origin => "https://app.example.com",
            Self::Url => "https://id.example.com",
            Self::Target => "http://127.0.0.1:3000",
            Self::Host => "app.example.com",
            Self::Network => "10.0.0.0/8",
            Self::Place => "/login",
            Self::Prefix => "/auth",
            Self::Pointer => "/role",
            Self::Answer => "/accessToken",
            Self::Method => "GET",
            Self::Header => "x-user-id",
            Self::Cookie => "sb_at",
            Self::Level => "info",
            Self::Rate => "20/h",
            Self::Color => "#0b6bcb",
        }
    }

    /// What to write, with an example.
    pub(crate) fn help(self, name: &str) -> String {
        format!("write `{name} = \"{}\"`", self.example())
    }

    /// Whether `text` has this form; the error says what to write, where the example alone would not.
    pub(crate) fn check(self, text: &str) -> Result<(), &'static str> {
        match self {
            Self::Text => Ok(()),
            Self::Indirect | Self::Secret | Self::File => {
                if text.is_empty() {
                    Err("")
                } else {
                    Ok(())
                }
            }
            Self::Duration => duration(text).map(drop),
            Self::Delay => delay(text).map(drop),
            Self::Size => size(text).map(drop),
            Self::Address => address(text).map(drop),
            Self::Origin => origin(text).map(drop),
            Self::Url => url(text).map(drop),
            Self::Target => target(text).map(drop),
            Self::Host => host(text).map(drop),
            Self::Network => network(text).map(drop),
            Self::Prefix => prefix(text).map(drop),
            Self::Place => {
                if text.starts_with('/') {
                    path(text).map(drop)
                } else {
                    url(text).map(drop)
                }
            }
            Self::Pointer => pointer(text).map(drop),
            Self::Answer => answer(text).map(drop),
            Self::Method => method(text).map(drop),
            Self::Header => header(text).map(drop),
            Self::Cookie => cookie(text).map(drop),
            Self::Level => level(text).map(drop),
            Self::Rate => rate(text).map(drop),
            Self::Color => color(text).map(drop),
        }
    }
}

type Parsed<T> = Result<T, &'static str>;

/// `text` as it is.
#[expect(clippy::unnecessary_wraps, reason = "has the shape of the other parsers, so that a reader can take it")]
pub(crate) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// `60s`, more than zero.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let duration = delay(text)?;
    if duration.is_zero() { Err("it must be more than zero") } else { Ok(duration) }
}

/// `60s`, zero too.
pub(crate) fn delay(text: &str) -> Parsed<Duration> {
    const HELP: &str = "write a whole number with a unit: ms, s, m, h or d, e.g. \"60s\"";
    let (number, unit) = split_number(text).ok_or(HELP)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(HELP),
    };
    // A hundred years is past every use, and far from where sums of times overflow.
    let millis = number.checked_mul(millis).filter(|millis| *millis <= 3_153_600_000_000);
    millis.map(Duration::from_millis).ok_or("at most a hundred years")
}

/// `64KiB`, in bytes.
pub(crate) fn size(text: &str) -> Parsed<u64> {
    const HELP: &str = "write a whole number with a unit: B, KiB, MiB, GiB, kB, MB or GB, e.g. \"64KiB\"";
    let (number, unit) = split_number(text).ok_or(HELP)?;
    let bytes = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(HELP),
    };
    number.checked_mul(bytes).ok_or("that is more than can be counted")
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// `0.0.0.0:8080`.
pub(crate) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "write an IP address and a port, e.g. \"0.0.0.0:8080\" or \"[::1]:8080\"")
}

/// `https://host`, an address without path, query or user.
pub(crate) fn origin(text: &str) -> Parsed<Url> {
    let url = url(text)?;
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.ends_with(['?', '#']) {
        Ok(url)
    } else {
        Err("leave out what stands behind the host, e.g. \"https://app.example.com\"")
    }
}

/// An `http` or `https` address without a user.
pub(crate) fn url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|_| "write it in full, e.g. \"https://app.example.com\"")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave out the user name and the password");
    }
    Ok(url)
}

/// `http://host:port`, `https://host:port`, `unix:/path`.
pub(crate) fn target(text: &str) -> Parsed<Target> {
    const HELP: &str = "write \"http://host:port\", \"https://host:port\" or \"unix:/path\"";
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') { Ok(Target::Unix(path.into())) } else { Err(HELP) };
    }
    let url = Url::parse(text).map_err(|_| HELP)?;
    let host = url.host_str().ok_or(HELP)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(HELP)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err("leave out what stands behind the port, and any user name; `strip` of a route changes paths");
    }
    match url.scheme() {
        "http" => Ok(Target::Http { host, port }),
        "https" => Ok(Target::Https { host, port }),
        _ => Err(HELP),
    }
}

/// `host` or `host:port`, lower case.
pub(crate) fn host(text: &str) -> Parsed<String> {
    const HELP: &str =
        "write a host, with a port where it is not the usual one, e.g. \"app.example.com\" or \"vestibule:8080\"";
    let url = Url::parse(&format!("vestibule://{text}")).map_err(|_| HELP)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(HELP)?.to_ascii_lowercase();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '[' | ']' | ':');
    if !text.chars().all(good) {
        return Err(HELP);
    }
    Ok(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
}

/// `10.0.0.0/8`, or one address.
pub(crate) fn network(text: &str) -> Parsed<IpNet> {
    let single = || text.parse().map(|address: std::net::IpAddr| address.into());
    text.parse().or_else(|_| single()).map_err(|_| "write \"10.0.0.7\" or \"10.0.0.0/8\"")
}

/// A path of the gateway's own origin, with a query perhaps.
pub(crate) fn path(text: &str) -> Parsed<String> {
    let local = text.starts_with('/') && !text.starts_with("//");
    if local && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        Ok(text.to_owned())
    } else {
        Err(
            "it must begin with one `/`, and hold no spaces, backslashes or characters outside ASCII (percent-encode them)",
        )
    }
}

/// The beginning of a path: whole segments, no slash at the end.
pub(crate) fn prefix(text: &str) -> Parsed<String> {
    let plain =
        |s: &str| !matches!(s, "" | "." | "..") && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let segments = text.strip_prefix('/').ok_or("it must begin with `/`")?;
    if segments.split('/').all(plain) {
        Ok(text.to_owned())
    } else {
        Err(
            "write whole segments of letters, digits, `-`, `.`, `_` and `~`, without a slash at the end, e.g. \"/api/auth\"",
        )
    }
}

/// A JSON pointer (RFC 6901).
pub(crate) fn pointer(text: &str) -> Parsed<String> {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.starts_with('/') && escapes {
        Ok(text.to_owned())
    } else {
        Err("it begins with `/`, e.g. \"/role\" or \"/realm_access/roles\"")
    }
}

/// A JSON pointer or `cookie:NAME`.
pub(crate) fn answer(text: &str) -> Parsed<Pointer> {
    const HELP: &str = "write a JSON pointer such as \"/accessToken\", or \"cookie:NAME\"";
    match text.strip_prefix("cookie:") {
        Some("") => Err(HELP),
        Some(name) => cookie(name).map(Pointer::Cookie).map_err(|_| HELP),
        None => pointer(text).map(Pointer::Json).map_err(|_| HELP),
    }
}

/// An HTTP method, in capitals as the wire has it.
pub(crate) fn method(text: &str) -> Parsed<Method> {
    const HELP: &str = "write it in capitals, e.g. \"GET\"";
    if text.bytes().all(|b| b.is_ascii_uppercase()) { text.parse().map_err(|_| HELP) } else { Err(HELP) }
}

/// A header's name.
pub(crate) fn header(text: &str) -> Parsed<HeaderName> {
    text.parse().map_err(|_| "letters, digits and `-`, e.g. \"x-user-id\"")
}

/// A cookie's name: a token (RFC 9110 section 5.6.2).
pub(crate) fn cookie(text: &str) -> Parsed<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) { Ok(text.to_owned()) } else { Err("letters, digits, `-` and `_`") }
}

/// How many, and in how long: `5/h`, `100/d`, `3/10m`.
pub(crate) fn rate(text: &str) -> Parsed<(u32, Duration)> {
    const HELP: &str = "write how many in how long, e.g. \"5/h\", \"100/d\" or \"3/10m\"";
    let (most, window) = text.split_once('/').ok_or(HELP)?;
    let most = most.parse().ok().filter(|most| (1..=1_000_000_000).contains(most)).ok_or(HELP)?;
    let window =
        if window.starts_with(|c: char| c.is_ascii_digit()) { window.to_owned() } else { format!("1{window}") };
    let window = duration(&window).map_err(|_| HELP)?;
    let whole = Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);
    if whole.contains(&window) { Ok((most, window)) } else { Err(HELP) }
}

/// `#rgb` or `#rrggbb`.
pub(crate) fn color(text: &str) -> Parsed<String> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    let good = matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text.to_ascii_lowercase()) } else { Err("write it as CSS has it, e.g. \"#0b6bcb\"") }
}

/// A level, or tracing directives.
pub(crate) fn level(text: &str) -> Parsed<String> {
    const HELP: &str =
        "write error, warn, info, debug or trace, or directives such as \"info,vestibule::session=debug\"";
    let known = |level: &str| matches!(level, "off" | "error" | "warn" | "info" | "debug" | "trace");
    let directive = |part: &str| match part.split_once('=') {
        Some((target, level)) => !target.is_empty() && known(level),
        None => known(part),
    };
    let parses = tracing_subscriber::EnvFilter::try_new(text).is_ok();
    if parses && text.split(',').all(|part| directive(part.trim())) { Ok(text.to_owned()) } else { Err(HELP) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(delay("0s"), Ok(Duration::ZERO));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        for bad in ["", "60", "1.5s", "-1s", "s", "60 s", "99999999999999999999s", "400000000d", "1w"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
        for bad in ["", "KiB", "1kib", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_a_number_and_a_span() {
        assert_eq!(rate("5/h"), Ok((5, Duration::from_hours(1))));
        assert_eq!(rate("3/10m"), Ok((3, Duration::from_mins(10))));
        for bad in ["", "5", "/h", "0/h", "5/", "-1/h", "5/w", "5/0s", "5/500ms", "5/h/h"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn targets_are_addresses_and_nothing_more() {
        assert_eq!(target("http://a"), Ok(Target::Http { host: "a".into(), port: 80 }));
        assert_eq!(target("https://[::1]:8443"), Ok(Target::Https { host: "::1".into(), port: 8443 }));
        assert_eq!(target("unix:/run/app.sock"), Ok(Target::Unix("/run/app.sock".into())));
        for bad in ["a:80", "http://a/x", "http://a?x", "http://u:p@a", "unix:run", "ftp://a", "http://a:0"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_lower_case_and_may_have_a_port() {
        assert_eq!(host("App.Example.COM"), Ok("app.example.com".into()));
        assert_eq!(host("vestibule:8080"), Ok("vestibule:8080".into()));
        assert_eq!(host("[::1]:80"), Ok("[::1]:80".into()));
        for bad in ["", "a/b", "https://a", "a b", "a@b", "a:99999"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_example_is_right() {
        use Form::*;
        for form in [
            Text, Indirect, Secret, File, Duration, Delay, Size, Address, Origin, Url, Target, Host, Network, Prefix,
            Place, Pointer, Answer, Method, Header, Cookie, Level, Rate, Color,
        ] {
            assert_eq!(form.check(form.example()), Ok(()), "{form:?}");
        }
    }
}
