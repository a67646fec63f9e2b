//! Forms of texts that are specific to this program: files, hosts, targets, places in answers, cookies, log levels.

use url::Url;

use crate::{
    authority,
    config::schema::form::{Parsed, WITHOUT_FINAL_DOT, cookie, pointer, text_forms},
    upstream,
};

text_forms! {
    /// A file, relative to the folder of the configuration.
    File -> String {
        what "the path of a file", example "/etc/vestibule/file.pem",
        parse file
    }
    /// A host, with a port where it is not the usual one; lower case.
    Host -> String {
        what "a host", example "app.example.com",
        parse host
    }
    /// Where an upstream listens.
    Target -> upstream::Target {
        what "the address of a backend", example "http://127.0.0.1:3000", pattern "^(https?://|unix:/)",
        parse target
    }
    /// A place in a backend's answer.
    AnswerPlace -> authority::Pointer {
        what "a JSON pointer or `cookie:NAME`", example "/accessToken",
        parse answer
    }
    /// The name of a cookie (RFC 6265), or the beginning of one.
    CookieName -> String {
        what "part of a cookie's name", example "sb_at",
        parse cookie
    }
    /// A level, or directives of `tracing_subscriber`.
    LogLevel -> String {
        what "a log level", example "info",
        parse level
    }
}

fn file(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("") } else { Ok(text.to_owned()) }
}

/// `http://host:port`, `https://host:port`, `unix:/path`.
fn target(text: &str) -> Parsed<upstream::Target> {
    const HELP: &str = "write \"http://host:port\", \"https://host:port\" or \"unix:/path\"";
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') { Ok(upstream::Target::Unix(path.into())) } else { Err(HELP) };
    }
    let url = Url::parse(text).map_err(|_| HELP)?;
    let host = url.host_str().ok_or(HELP)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(HELP)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err("leave out what stands behind the port, and any user name; `strip` of a route changes paths");
    }
    match url.scheme() {
        "http" => Ok(upstream::Target::Http { host, port }),
        "https" => Ok(upstream::Target::Https { host, port }),
        _ => Err(HELP),
    }
}

/// `host` or `host:port` as a browser sends it: lower case, international names in punycode, addresses in their
/// canonical form.
fn host(text: &str) -> Parsed<String> {
    const HELP: &str =
        "write a host, with a port where it is not the usual one, e.g. \"app.example.com\" or \"vestibule:8080\"";
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    // The spellings of other tools for several or all hosts. As text they would match no request.
    if text.contains('*') || text.starts_with(['.', '~']) || matches!(name, "_" | "0.0.0.0" | "[::]") || text == "::" {
        return Err(
            "there are no wildcards in hosts yet: list each host; without `hosts` a route is for every accepted host",
        );
    }
    if text.contains("://") {
        return Err(
            "leave out what stands before the host, e.g. \"app.example.com\": the scheme is that of `public_url`",
        );
    }
    if text.contains(['/', '?', '#']) {
        return Err("leave out what stands behind the host, e.g. \"app.example.com\"; a route's `path` is for paths");
    }
    if name.contains(':') && !name.starts_with('[') {
        return Err("an IPv6 address stands in brackets, e.g. \"[2001:db8::7]\" or \"[2001:db8::7]:8080\"");
    }
    if name.ends_with('.') {
        return Err(WITHOUT_FINAL_DOT);
    }
    let number = |port: &str| port.parse().ok().filter(|number: &u16| *number != 0 && !port.starts_with('+'));
    let port = port.map(|port| number(port).ok_or(HELP)).transpose()?;
    let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '[' | ']' | ':');
    let host = url::Host::parse(name).ok().filter(|_| name.chars().all(good)).ok_or(HELP)?.to_string();
    Ok(port.map_or(host.clone(), |port| format!("{host}:{port}")))
}

/// A JSON pointer or `cookie:NAME`.
fn answer(text: &str) -> Parsed<authority::Pointer> {
    const HELP: &str = "write a JSON pointer such as \"/accessToken\", or \"cookie:NAME\"";
    match text.strip_prefix("cookie:") {
        Some("") => Err(HELP),
        Some(name) => cookie(name).map(authority::Pointer::Cookie).map_err(|_| HELP),
        None => pointer(text).map(authority::Pointer::Json).map_err(|_| HELP),
    }
}

/// A level, or tracing directives.
fn level(text: &str) -> Parsed<String> {
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
    use crate::{config::schema::form::AnyForm, upstream::Target as Address};

    #[test]
    fn targets_are_addresses_and_nothing_more() {
        assert_eq!(target("http://a"), Ok(Address::Http { host: "a".into(), port: 80 }));
        assert_eq!(target("https://[::1]:8443"), Ok(Address::Https { host: "::1".into(), port: 8443 }));
        assert_eq!(target("unix:/run/app.sock"), Ok(Address::Unix("/run/app.sock".into())));
        for bad in ["a:80", "http://a/x", "http://a?x", "http://u:p@a", "unix:run", "ftp://a", "http://a:0"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_lower_case_and_may_have_a_port() {
        assert_eq!(host("App.Example.COM"), Ok("app.example.com".into()));
        assert_eq!(host("vestibule:8080"), Ok("vestibule:8080".into()));
        assert_eq!(host("[::1]:80"), Ok("[::1]:80".into()));
        for bad in ["", ":80", "a:", "a b", "a@b", "a%41", "a:99999", "a:0", "a:+1", "[::1", "[x]"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_read_as_browsers_send_it() {
        for (written, sent) in [
            ("식방.example.kr", "xn--vh3bp6j.example.kr"),
            ("XN--VH3BP6J.example.kr:443", "xn--vh3bp6j.example.kr:443"),
            ("[0:0:0:0:0:0:0:1]:8080", "[::1]:8080"),
            ("192.168.000.1", "192.168.0.1"),
        ] {
            assert_eq!(host(written), Ok(sent.into()), "{written}");
        }
    }

    #[test]
    fn a_host_that_no_request_has_is_refused_with_what_to_leave_out() {
        for (text, help) in [
            ("https://app.example.com", "before the host"),
            ("app.example.com/", "behind the host"),
            ("app.example.com/admin", "behind the host"),
            ("example.com.", "the final dot"),
            ("example.com.:8080", "the final dot"),
            ("::1", "in brackets"),
            ("2001:db8::7", "in brackets"),
        ] {
            assert!(host(text).unwrap_err().contains(help), "{text}");
        }
    }

    #[test]
    fn a_host_with_a_wildcard_of_another_tool_is_refused_with_the_reason() {
        for bad in [
            "*",
            "*.example.com",
            "app.*",
            ".example.com",
            "~^app",
            "_",
            "0.0.0.0",
            "[::]",
            "::",
            "*:8080",
            "0.0.0.0:8080",
        ] {
            assert!(host(bad).unwrap_err().contains("no wildcards"), "{bad}");
        }
        assert_eq!(host("my_app"), Ok("my_app".into()));
    }

    #[test]
    fn every_example_is_valid() {
        for form in [
            AnyForm::of::<File>(),
            AnyForm::of::<Host>(),
            AnyForm::of::<Target>(),
            AnyForm::of::<AnswerPlace>(),
            AnyForm::of::<CookieName>(),
            AnyForm::of::<LogLevel>(),
        ] {
            assert_eq!((form.check)(form.example), Ok(()), "{form:?}");
        }
    }
}
