//! E-mail addresses: one plain mailbox (RFC 5321 section 4.1.2), in no form that two mail servers could read
//! differently.

use url::Host;

/// Octets of an address (RFC 5321 section 4.5.3.1.3: a path has 256, of which two are its brackets).
const LONGEST: usize = 254;
/// Octets of a local part (RFC 5321 section 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;
/// Octets of a label in a domain (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// An e-mail address.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::otp) struct Email {
    /// The local part as written, the domain in ASCII.
    pub(super) written: String,
    /// The whole address in lower case. `A@` and `a@` count as one address, although RFC 5321 lets a mail server
    /// distinguish them.
    pub(super) canonical: String,
}

impl Email {
    /// Parses an address. Quoted local parts, comments, lists and address literals are refused: mail software reads
    /// them differently, and codes were sent to other addresses.
    pub(in crate::otp) fn parse(text: &str, bare_domains: bool) -> Option<Self> {
        let text = text.trim_matches(' ');
        if text.len() > LONGEST {
            return None;
        }
        let (local, domain) = text.split_once('@')?;
        if !is_dot_atom(local) || local.len() > LONGEST_LOCAL {
            return None;
        }
        let domain = domain_in_ascii(domain, bare_domains)?;
        let written = format!("{local}@{domain}");
        (written.len() <= LONGEST).then(|| Self { canonical: written.to_ascii_lowercase(), written })
    }

    /// Whether the address is `text` itself, but for the case of its domain: not one that was trimmed or converted.
    pub(in crate::otp) fn is_written_as(&self, text: &str) -> bool {
        self.written.eq_ignore_ascii_case(text)
    }

    /// `a***@e***.com`
    pub(super) fn masked(&self) -> String {
        let (local, domain) = self.written.split_once('@').unwrap_or_default();
        let first = |text: &str| text.get(..1).unwrap_or_default().to_owned();
        let last = domain.rsplit_once('.').map_or(String::new(), |(_, last)| format!(".{last}"));
        format!("{}***@{}***{last}", first(local), first(domain))
    }
}

/// Whether a local part is a dot-atom (RFC 5322 section 3.2.3).
fn is_dot_atom(local: &str) -> bool {
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// The domain in ASCII (IDNA), in lower case.
fn domain_in_ascii(domain: &str, bare: bool) -> Option<String> {
    // Only letters and digits may be non-ASCII: IDNA maps full-width signs and the dots of other scripts to `@` and
    // `.`.
    let is_wide = |c: char| matches!(c, '\u{ff00}'..='\u{ffef}');
    let is_plain = |c: char| match c {
        '-' | '.' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric(),
        c => c.is_alphanumeric() && !is_wide(c),
    };
    if !domain.chars().all(is_plain) {
        return None;
    }
    let Ok(Host::Domain(ascii)) = Host::parse(domain) else { return None };
    let labels: Vec<_> = ascii.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-')
    };
    let is_name = labels.iter().all(is_label) && !labels.last()?.bytes().all(|b| b.is_ascii_digit());
    (is_name && (labels.len() > 1 || bare)).then_some(ascii)
}
