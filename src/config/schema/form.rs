//! The formats of texts in the file, each with one parser. The error of a parser is the help text of the complaint.

use std::{net::SocketAddr, time};

use ipnet::IpNet;

/// The result of a parser: a value, or the help text.
pub(crate) type Parsed<T> = Result<T, &'static str>;

/// Whether a text refers to its value by `env:NAME` or `file:PATH`.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// A format. Types that implement it have no values.
pub(crate) trait TextForm {
    type Value;

    /// A noun phrase that completes "must be …".
    const WHAT: &'static str;
    /// A valid text.
    const EXAMPLE: &'static str;
    /// The pattern of the JSON Schema (ECMA 262).
    const PATTERN: Option<&'static str> = None;
    /// The column "value" of the reference page; by default `WHAT` with the example.
    const REFERENCE: Option<&'static str> = None;
    /// Whether the text is masked in complaints.
    const IS_SECRET: bool = false;

    /// The error is the help text; empty to show the example instead.
    fn parse(text: &str) -> Parsed<Self::Value>;
}

/// The properties of a form, without its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyForm {
    pub(crate) what: &'static str,
    pub(crate) example: &'static str,
    pub(crate) pattern: Option<&'static str>,
    pub(crate) reference: Option<&'static str>,
    pub(crate) is_secret: bool,
    pub(crate) check: fn(&str) -> Parsed<()>,
}

impl AnyForm {
    /// The form `F`.
    pub(crate) const fn of<F: TextForm>() -> Self {
        Self {
            what: F::WHAT,
            example: F::EXAMPLE,
            pattern: F::PATTERN,
            reference: F::REFERENCE,
            is_secret: F::IS_SECRET,
            check: |text| F::parse(text).map(drop),
        }
    }

    /// What to write, with an example.
    pub(crate) fn help(&self, name: &str) -> String {
        format!("write `{name} = \"{}\"`", self.example)
    }
}

/// Declares forms: type, type of the values, noun phrase, example, parser.
macro_rules! text_forms {
    ($(
        $(#[$about:meta])*
        $form:ident -> $value:ty {
            what $what:literal, example $example:literal,
            $(pattern $pattern:literal,)? $(reference $reference:literal,)? $(is_secret $is_secret:literal,)?
            parse $parse:expr
        }
    )*) => {$(
        $(#[$about])*
        pub(crate) struct $form;

        impl $crate::config::schema::form::TextForm for $form {
            type Value = $value;

            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = $example;
            $(const PATTERN: Option<&'static str> = Some($pattern);)?
            $(const REFERENCE: Option<&'static str> = Some($reference);)?
            $(const IS_SECRET: bool = $is_secret;)?

            fn parse(text: &str) -> $crate::config::schema::form::Parsed<$value> {
                $parse(text)
            }
        }
    )*};
}
pub(crate) use text_forms;

text_forms! {
    /// Any text.
    Text -> String {
        what "a text", example "…", reference "text",
        parse text
    }
    /// A text, or a reference to it: `env:NAME`, `file:PATH`.
    Indirect -> Source {
        what "a text", example "…", reference "text, `\"env:NAME\"` or `\"file:PATH\"`",
        parse source
    }
    /// A secret, or a reference to it.
    Secret -> Source {
        what "a secret as text", example "env:NAME", reference "`\"env:NAME\"` or `\"file:PATH\"`", is_secret true,
        parse source
    }
    /// A period longer than zero, at most a hundred years.
    Duration -> time::Duration {
        what "a duration", example "60s", pattern "^[0-9]+(ms|s|m|h|d)$",
        parse duration
    }
    /// A period that may be zero, at most a hundred years.
    Delay -> time::Duration {
        what "a duration", example "60s", pattern "^[0-9]+(ms|s|m|h|d)$",
        parse delay
    }
    /// A number of bytes.
    Size -> u64 {
        what "a size", example "64KiB", pattern "^[0-9]+(B|kB|KB|MB|GB|KiB|MiB|GiB)?$",
        parse size
    }
    /// An IP address with a port.
    Address -> SocketAddr {
        what "an address with a port", example "0.0.0.0:8080",
        parse address
    }
    /// A web address without path, query and fragment.
    Origin -> url::Url {
        what "a web address without a path", example "https://app.example.com", pattern "^https?://",
        parse origin
    }
    /// A web address.
    Url -> url::Url {
        what "a web address", example "https://id.example.com", pattern "^https?://",
        parse url
    }
    /// An IP address or a network.
    Network -> IpNet {
        what "an address or a network", example "10.0.0.0/8",
        parse network
    }
    /// The beginning of a path, whole segments.
    Prefix -> String {
        what "the beginning of a path", example "/auth", pattern "^/",
        parse prefix
    }
    /// A path or a web address.
    PathOrUrl -> String {
        what "a path or a web address", example "/login",
        parse path_or_url
    }
    /// A JSON pointer (RFC 6901).
    Pointer -> String {
        what "a JSON pointer", example "/role", pattern "^/",
        parse pointer
    }
    /// An HTTP method.
    Method -> http::Method {
        what "a method", example "GET",
        parse method
    }
    /// The name of a header.
    HeaderName -> http::HeaderName {
        what "the name of a header", example "x-user-id",
        parse header
    }
    /// A number of events per period: `5/h`.
    Rate -> (u32, time::Duration) {
        what "a rate", example "20/h",
        parse rate
    }
    /// A colour as CSS has it: `#rrggbb`.
    Color -> String {
        what "a colour", example "#0b6bcb",
        parse color
    }
}

/// Any text, unchanged.
#[expect(clippy::unnecessary_wraps, reason = "has the shape of the other parsers, so that a form can take it")]
fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// A value, or a reference to it by `env:NAME` or `file:PATH`; [`Context`](super::context::Context) resolves it.
pub(crate) struct Source(pub(crate) String);

fn source(text: &str) -> Parsed<Source> {
    if text.is_empty() { Err("") } else { Ok(Source(text.to_owned())) }
}

fn path_or_url(text: &str) -> Parsed<String> {
    match text {
        _ if text.starts_with('/') => path(text),
        _ if text.contains("://") => url(text).map(|_| text.to_owned()),
        _ => Err("write a path that begins with `/`, or an address in full, e.g. \"https://app.example.com/home\""),
    }
}

/// `60s`, more than zero.
pub(crate) fn duration(text: &str) -> Parsed<time::Duration> {
    let duration = delay(text)?;
    if duration.is_zero() { Err("it must be more than zero") } else { Ok(duration) }
}

/// `60s`, or zero.
pub(crate) fn delay(text: &str) -> Parsed<time::Duration> {
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
    // The bound keeps sums of durations from overflowing.
    let millis = number.checked_mul(millis).filter(|millis| *millis <= 3_153_600_000_000);
    millis.map(time::Duration::from_millis).ok_or("at most a hundred years")
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

/// Help for a host with a final dot: a browser takes it for another host, with other cookies and another `Origin`.
pub(crate) const WITHOUT_FINAL_DOT: &str =
    "leave out the final dot of the host: to browsers and providers `a.example.` is another host than `a.example`";

/// `https://host`, an address without path, query or user.
pub(crate) fn origin(text: &str) -> Parsed<url::Url> {
    let url = url(text)?;
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(WITHOUT_FINAL_DOT);
    }
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.ends_with(['?', '#']) {
        Ok(url)
    } else {
        Err("leave out what stands behind the host, e.g. \"https://app.example.com\"")
    }
}

/// An `http` or `https` address without a user.
pub(crate) fn url(text: &str) -> Parsed<url::Url> {
    let url = url::Url::parse(text).map_err(|_| "write it in full, e.g. \"https://app.example.com\"")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("leave out the user name and the password");
    }
    if url.host_str().is_some_and(|host| host.contains('*') || host.starts_with('.')) {
        return Err("there are no wildcards in hosts: write one address for each host");
    }
    Ok(url)
}

/// `10.0.0.0/8`, or one address.
pub(crate) fn network(text: &str) -> Parsed<IpNet> {
    if text == "*" {
        return Err("there is no word for every address: list the networks, e.g. \"10.0.0.0/8\"");
    }
    let single = || text.parse().map(|address: std::net::IpAddr| address.into());
    text.parse().or_else(|_| single()).map_err(|_| "write \"10.0.0.7\" or \"10.0.0.0/8\"")
}

/// An absolute path, perhaps with a query.
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
    if text.contains(['*', '{', ':', '<', '[']) {
        return Err(
            "there are no wildcards and placeholders here: write the segments before the first one, e.g. \"/api\"",
        );
    }
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

/// An HTTP method, in capitals.
pub(crate) fn method(text: &str) -> Parsed<http::Method> {
    const HELP: &str = "write it in capitals, e.g. \"GET\"";
    if matches!(&*text.to_ascii_uppercase(), "*" | "ANY" | "ALL") {
        return Err("there is no word for all methods: leave `methods` out for all, or list them");
    }
    if text.bytes().all(|b| b.is_ascii_uppercase()) { text.parse().map_err(|_| HELP) } else { Err(HELP) }
}

/// A header's name.
pub(crate) fn header(text: &str) -> Parsed<http::HeaderName> {
    const HELP: &str = "letters, digits and `-`, e.g. \"x-user-id\"";
    if text.contains('*') {
        return Err("there are no wildcards in names of headers: write each name");
    }
    text.parse().map_err(|_| HELP)
}

/// A cookie's name: a token (RFC 9110 section 5.6.2).
pub(crate) fn cookie(text: &str) -> Parsed<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) { Ok(text.to_owned()) } else { Err("letters, digits, `-` and `_`") }
}

/// `5/h`, `100/d`, `3/10m`: a number from 1 to 1,000,000,000, and a period from one second to 31 days.
pub(crate) fn rate(text: &str) -> Parsed<(u32, time::Duration)> {
    const HELP: &str = "write how many in how long, e.g. \"5/h\", \"100/d\" or \"3/10m\"";
    let (most, window) = text.split_once('/').ok_or(HELP)?;
    let most = most.parse().ok().filter(|most| (1..=1_000_000_000).contains(most)).ok_or(HELP)?;
    let window =
        if window.starts_with(|c: char| c.is_ascii_digit()) { window.to_owned() } else { format!("1{window}") };
    let window = duration(&window).map_err(|_| HELP)?;
    let whole = time::Duration::from_secs(1)..=time::Duration::from_secs(31 * 86_400);
    if whole.contains(&window) { Ok((most, window)) } else { Err(HELP) }
}

/// `#rgb` or `#rrggbb`.
pub(crate) fn color(text: &str) -> Parsed<String> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    let good = matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text.to_ascii_lowercase()) } else { Err("write it as CSS has it, e.g. \"#0b6bcb\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("500ms"), Ok(time::Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(time::Duration::from_hours(720)));
        assert_eq!(delay("0s"), Ok(time::Duration::ZERO));
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
    fn rates_are_a_number_and_a_period() {
        assert_eq!(rate("5/h"), Ok((5, time::Duration::from_hours(1))));
        assert_eq!(rate("3/10m"), Ok((3, time::Duration::from_mins(10))));
        for bad in ["", "5", "/h", "0/h", "5/", "-1/h", "5/w", "5/0s", "5/500ms", "5/h/h"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_read_as_browsers_send_it() {
        for (written, sent) in [
            ("HTTPS://App.Example.KR:443/", "https://app.example.kr"),
            ("http://app.example.kr:8080", "http://app.example.kr:8080"),
            ("https://식방.example.kr", "https://xn--vh3bp6j.example.kr"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ] {
            assert_eq!(origin(written).unwrap().origin().ascii_serialization(), sent, "{written}");
        }
        for (text, help) in [
            ("https://app.example.kr.", "the final dot"),
            ("https://app.example.kr/x", "behind the host"),
            ("app.example.kr", "in full"),
            ("app.example.kr:443", "begin with http"),
        ] {
            assert!(origin(text).unwrap_err().contains(help), "{text}");
        }
    }

    #[test]
    fn every_example_is_valid() {
        for form in [
            AnyForm::of::<Text>(),
            AnyForm::of::<Indirect>(),
            AnyForm::of::<Secret>(),
            AnyForm::of::<Duration>(),
            AnyForm::of::<Delay>(),
            AnyForm::of::<Size>(),
            AnyForm::of::<Address>(),
            AnyForm::of::<Origin>(),
            AnyForm::of::<Url>(),
            AnyForm::of::<Network>(),
            AnyForm::of::<Prefix>(),
            AnyForm::of::<PathOrUrl>(),
            AnyForm::of::<Pointer>(),
            AnyForm::of::<Method>(),
            AnyForm::of::<HeaderName>(),
            AnyForm::of::<Rate>(),
            AnyForm::of::<Color>(),
        ] {
            assert_eq!((form.check)(form.example), Ok(()), "{form:?}");
        }
    }
}
