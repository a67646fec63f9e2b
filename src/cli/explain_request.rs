//! The request that `vestibule explain` is asked about: what people type, made into what a browser would send.

use std::borrow::Cow;

use clap::Args;
use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::scheme::Scheme;

/// The request to explain.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct ExplainRequest {
    /// The method, e.g. GET; lower case is accepted.
    #[arg(value_parser = method)]
    pub method: Method,
    /// The path, e.g. /api/users/me, or the whole address with `https://`.
    pub path: String,
    /// The host it is sent to; without it, that of the address or of `public_url`.
    #[arg(long)]
    pub host: Option<String>,
    /// A role that the user has; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// Methods are case-sensitive (RFC 9110 section 9.1), and the registered ones are upper case: lower case means them.
fn method(text: &str) -> Result<Method, http::method::InvalidMethod> {
    text.to_ascii_uppercase().parse()
}

/// Where a request goes, as a browser would send it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct SentTo<'r> {
    /// The host that the address or `--host` names.
    pub(super) host: Option<&'r str>,
    /// The scheme, if the address names one.
    pub(super) scheme: Option<Scheme>,
    /// Path and query.
    pub(super) target: Cow<'r, str>,
    /// What was changed, in words.
    pub(super) notes: Vec<String>,
}

/// What browsers escape in a path or query.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

impl ExplainRequest {
    /// The error says what to write.
    pub(super) fn sent_to(&self) -> Result<SentTo<'_>, String> {
        let mut notes = Vec::new();
        let text = match self.path.split_once('#') {
            Some((text, _)) => {
                notes.push("without what follows `#`, which browsers do not send".to_owned());
                text
            }
            None => &self.path,
        };
        let (scheme, host, target) = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
                let scheme = Scheme::named(&scheme.to_ascii_lowercase())
                    .ok_or("400: write an address with http:// or https://, or a path that begins with `/`")?;
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(scheme), Some(&rest[..end]), &rest[end..])
            }
            _ => (None, None, text),
        };
        if host.is_some_and(|host| host.is_empty() || host.contains('@')) {
            return Err(
                "400: write an address with a host and without a user, e.g. https://app.example.com/".to_owned()
            );
        }
        let given = self.host.as_deref();
        if let (Some(host), Some(given)) = (host, given)
            && !host.eq_ignore_ascii_case(given)
        {
            return Err(format!("400: the address names the host `{host}`, and `--host` names `{given}`: write one"));
        }
        let mut target = Cow::Borrowed(target);
        let asks_about_gateway = target == "*" && self.method == Method::OPTIONS;
        if !target.starts_with('/') && !asks_about_gateway {
            if host.is_none() {
                notes.push(format!(
                    "read as the path `/{target}`; a host is named by `--host`, or by an address with https://"
                ));
            }
            target = Cow::Owned(format!("/{target}"));
        }
        if target.bytes().any(|byte| !byte.is_ascii_graphic() || b"\"<>`".contains(&byte)) {
            target = Cow::Owned(utf8_percent_encode(&target, ESCAPED).to_string());
            notes.push(format!("as browsers send it: {target}"));
        }
        Ok(SentTo { host: host.or(given), scheme, target, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, host: Option<&str>) -> ExplainRequest {
        ExplainRequest { method: Method::GET, path: path.into(), host: host.map(str::to_owned), roles: Vec::new() }
    }

    #[test]
    fn a_path_or_an_address_is_read_as_a_browser_would_send_it() {
        for (path, host, scheme, target, notes) in [
            ("/a/b?x=1", None, None, "/a/b?x=1", 0),
            ("http://a.example/x", Some("a.example"), Some(Scheme::Http), "/x", 0),
            ("HTTPS://a.example:8443/x?y#z", Some("a.example:8443"), Some(Scheme::Https), "/x?y", 1),
            ("https://a.example", Some("a.example"), Some(Scheme::Https), "/", 0),
            ("https://a.example?x", Some("a.example"), Some(Scheme::Https), "/?x", 0),
            ("http://[::1]:8080/x", Some("[::1]:8080"), Some(Scheme::Http), "/x", 0),
            ("users/me", None, None, "/users/me", 1),
            ("", None, None, "/", 1),
            ("/go?to=http://x/y", None, None, "/go?to=http://x/y", 0),
            ("/식 방", None, None, "/%EC%8B%9D%20%EB%B0%A9", 1),
            ("/a#b", None, None, "/a", 1),
        ] {
            let request = request(path, None);
            let sent = request.sent_to().unwrap();
            let got = (sent.host, sent.scheme, &*sent.target, sent.notes.len());
            assert_eq!(got, (host, scheme, target, notes), "{path}: {:?}", sent.notes);
        }
        assert_eq!(request("/x", Some("b.example")).sent_to().unwrap().host, Some("b.example"));
        assert_eq!(request("https://B.example/x", Some("b.example")).sent_to().unwrap().host, Some("B.example"));
    }

    #[test]
    fn an_address_that_cannot_be_meant_is_refused_with_what_to_write() {
        for (path, host, wanted) in [
            ("ftp://a.example/x", None, "http:// or https://"),
            ("https:///x", None, "with a host"),
            ("https://u:p@a.example/x", None, "without a user"),
            ("https://a.example/x", Some("b.example"), "write one"),
        ] {
            let error = request(path, host).sent_to().unwrap_err();
            assert!(error.starts_with("400: ") && error.contains(wanted), "{path}: {error}");
        }
    }
}
