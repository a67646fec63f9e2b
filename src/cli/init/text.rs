//! The text of the configuration for each case, and what is to be done next.

use std::{
    io::{self, Write},
    path::Path,
};

use url::Url;

use super::{Case, InitOptions, is_local};

/// The file with the provider's client secret.
const CLIENT_SECRET_FILE: &str = "client-secret";
/// The file with the password of the mail server.
const MAIL_PASSWORD_FILE: &str = "mail-password";
/// What both hold until people write the real one into it.
const PLACEHOLDER: &str = "write-the-secret-here\n";

/// All that the text depends on.
pub(super) struct Answers {
    pub(super) case: Case,
    pub(super) public_url: String,
    pub(super) upstream: String,
    /// `None`: Google.
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
}

impl Answers {
    /// What the options say, with defaults for the rest; `None` without a case.
    pub(super) fn of(options: &InitOptions) -> Option<Self> {
        let case = options.case?;
        Some(Self {
            case,
            public_url: options.public_url.clone().unwrap_or_else(|| usual_public_url(case).to_owned()),
            upstream: options.upstream.clone().unwrap_or_else(|| USUAL_UPSTREAM.to_owned()),
            issuer: options.issuer.clone(),
            client_id: options.client_id.clone(),
        })
    }

    /// The configuration.
    pub(super) fn text(&self) -> String {
        let template = match self.case {
            Case::App => include_str!("app.toml"),
            Case::Api => include_str!("api.toml"),
            Case::Proxy => include_str!("proxy.toml"),
            Case::None => include_str!("none.toml"),
        };
        let listen = self.listen();
        let host = self.host();
        template
            .replace("{{listen}}", &quoted(&listen))
            .replace("{{listen_address}}", &listen)
            .replace("{{public_url}}", &quoted(&self.public_url))
            .replace("{{upstream}}", &quoted(&self.upstream))
            .replace("{{from}}", &quoted(&format!("no-reply@{}", domain(&host))))
            .replace("{{provider}}", &self.provider())
            .replace("{{mail}}", &self.mail())
    }

    /// The file that holds a secret that people have to write into it, with its first content.
    pub(super) fn secret_file(&self) -> Option<(&'static str, &'static str)> {
        match self.case {
            Case::App | Case::Proxy => Some((CLIENT_SECRET_FILE, PLACEHOLDER)),
            Case::None if !is_local(&self.public_url) => Some((MAIL_PASSWORD_FILE, PLACEHOLDER)),
            Case::None | Case::Api => None,
        }
    }

    /// Prints what is to be done before people can log in.
    pub(super) fn next_steps(&self, file: &Path, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} is written. Now:", file.display())?;
        let mut steps = Vec::new();
        match self.case {
            Case::App | Case::Proxy => {
                steps.push(format!("register the redirect URI {} with the provider", self.redirect_uri()));
                let id = if self.client_id.is_none() { "`client_id` in it, and " } else { "" };
                steps.push(format!("write the provider's values: {id}the client secret into `{CLIENT_SECRET_FILE}`"));
            }
            Case::Api => steps.push("compare `[authority]` with your API: paths and names of fields".to_owned()),
            Case::None if is_local(&self.public_url) => {
                steps.push("read the codes in `outbox.jsonl`, where they go instead of being sent".to_owned());
            }
            Case::None => steps.push(format!("write your mail server, and its password into `{MAIL_PASSWORD_FILE}`")),
        }
        let is_usual = file == Path::new("gateway.toml");
        let config = if is_usual { String::new() } else { format!(" --config {}", file.display()) };
        steps.push(format!("vestibule check --probe{config}   # tries to reach all that it names"));
        steps.push(format!("vestibule{config}   # and open {}", self.public_url));
        for (index, step) in steps.iter().enumerate() {
            writeln!(out, "  {}. {step}", index + 1)?;
        }
        Ok(())
    }

    /// The port of the public address where everything is on this machine, else the usual one: behind a proxy or load
    /// balancer on this machine, or for visitors from elsewhere.
    fn listen(&self) -> String {
        let port = |url: Url| url.port_or_known_default();
        match (self.case, is_local(&self.public_url)) {
            (Case::Proxy, _) => "127.0.0.1:8080".to_owned(),
            (_, true) => format!("127.0.0.1:{}", Url::parse(&self.public_url).ok().and_then(port).unwrap_or(8080)),
            (_, false) => "0.0.0.0:8080".to_owned(),
        }
    }

    fn host(&self) -> String {
        let url = Url::parse(&self.public_url).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    fn provider_name(&self) -> &'static str {
        if self.issuer.is_some() { "id" } else { "google" }
    }

    fn redirect_uri(&self) -> String {
        format!("{}/auth/callback/{}", self.public_url.trim_end_matches('/'), self.provider_name())
    }

    fn provider(&self) -> String {
        let name = self.provider_name();
        let of_issuer = match &self.issuer {
            Some(issuer) => format!(
                "issuer = {}\nscopes = [\"openid\", \"email\", \"profile\", \"offline_access\"] # the last for refresh tokens\n",
                quoted(issuer)
            ),
            None => String::new(),
        };
        let client_id = self.client_id.as_deref().unwrap_or("your-client-id");
        let allow = if is_local(&self.public_url) {
            "# allow = { email_domains = [\"example.com\"] } # who may log in; required on a public address\n"
                .to_owned()
        } else {
            let domain = quoted(domain(&self.host()));
            format!(
                "allow = {{ email_domains = [{domain}] }} # who may log in; \"anyone\": all who have an account there\n"
            )
        };
        format!(
            "# Register this redirect URI with the provider: {}\n[providers.{name}]\n{of_issuer}client_id = {}\nclient_secret = \"file:{CLIENT_SECRET_FILE}\"\n{allow}",
            self.redirect_uri(),
            quoted(client_id),
        )
    }

    /// How codes are sent, and who may log in with them.
    fn mail(&self) -> String {
        if is_local(&self.public_url) {
            return "\n[otp.email.outbox] # for development: codes are written to this file instead of being sent\n\
                    path = \"outbox.jsonl\"\n"
                .to_owned();
        }
        let domain = domain(&self.host()).to_owned();
        format!(
            "allow = {{ email_domains = [{}] }} # who may log in; \"anyone\": all who have an address\n\n\
             [otp.email.smtp]\nurl = {} # STARTTLS; smtps:// for TLS from the start\nuser = {}\n\
             password = \"file:{MAIL_PASSWORD_FILE}\"\n",
            quoted(&domain),
            quoted(&format!("smtp://smtp.{domain}:587")),
            quoted(&format!("no-reply@{domain}")),
        )
    }
}

/// Where an app usually listens.
pub(super) const USUAL_UPSTREAM: &str = "http://127.0.0.1:3000";

/// The public address if none is said.
pub(super) fn usual_public_url(case: Case) -> &'static str {
    if case == Case::Proxy { "https://app.example.com" } else { "http://localhost:8080" }
}

/// The host without its first label, where more than one label is left: the domain that its people's addresses most
/// likely have.
fn domain(host: &str) -> &str {
    let is_name = host.parse::<std::net::IpAddr>().is_err();
    match host.split_once('.') {
        Some((_, domain)) if is_name && domain.contains('.') => domain,
        Some(_) if is_name => host,
        _ => "example.com",
    }
}

/// The text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
