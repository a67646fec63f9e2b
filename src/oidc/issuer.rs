//! Issuers: which text names the configured one, and Entra's shared issuers, which stand for many tenants.

use url::Url;

/// What stands for the tenant in the issuer of Entra's shared metadata (`/common`, `/organizations`).
const TENANT: &str = "{tenantid}";

/// `tenants`: which `tid` are taken where the metadata's issuer holds `{tenantid}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tenants {
    /// Every tenant: `allow = "anyone"` without `tenants`.
    Any,
    /// These, in any case; none where the list is empty.
    Listed(Vec<String>),
}

impl Tenants {
    /// Whether the configuration lists tenants: these alone are taken then, also where the issuer stands for one.
    pub(super) fn are_listed(&self) -> bool {
        matches!(self, Self::Listed(tenants) if !tenants.is_empty())
    }

    pub(super) fn take(&self, tenant: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tenants) => tenants.iter().any(|listed| listed.eq_ignore_ascii_case(tenant)),
        }
    }
}

/// Whether `text` equals the issuer, character by character. For an issuer without a path the final slash is optional,
/// because `Url` adds one.
pub(super) fn is_issuer(issuer: &Url, text: &str) -> bool {
    issuer.as_str() == text || issuer_text(issuer) == text
}

/// The issuer as text; without the final slash that `Url` adds if it has no path.
pub(super) fn issuer_text(issuer: &Url) -> &str {
    let text = issuer.as_str();
    if issuer.path() == "/" { text.trim_end_matches('/') } else { text }
}

/// Whether the metadata's issuer holds `{tenantid}`.
pub(super) fn has_tenant(issuer: &str) -> bool {
    issuer.contains(TENANT)
}

/// The issuer of this tenant's tokens.
pub(super) fn of_tenant(issuer: &str, tenant: &str) -> String {
    issuer.replacen(TENANT, tenant, 1)
}

/// Whether `text` is the metadata's issuer, or that issuer with one segment of a path in place of `{tenantid}`.
pub(super) fn is_of(issuer: &str, text: &str) -> bool {
    let Some((before, after)) = issuer.split_once(TENANT) else { return issuer == text };
    let tenant = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    tenant.is_some_and(|tenant| {
        !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_issuer_stands_for_one_segment_and_nothing_else() {
        const SHARED: &str = "https://login.example/{tenantid}/v2.0";
        for text in ["https://login.example/common/v2.0", "https://login.example/9188040d-6c67-4c5b/v2.0"] {
            assert!(is_of(SHARED, text), "{text}");
        }
        for text in [
            "https://login.example//v2.0",
            "https://login.example/v2.0",
            "https://login.example/a/b/v2.0",
            "https://login.example/a?/v2.0",
            "https://login.example/common/v2.0/",
            "https://evil.example/common/v2.0",
            "https://login.example/{tenantid}/v2.0",
        ] {
            assert!(!is_of(SHARED, text), "{text}");
        }
        assert!(
            is_of("https://id.example", "https://id.example") && !is_of("https://id.example", "https://id.example/")
        );
    }

    #[test]
    fn tenants_are_compared_without_case_and_an_empty_list_takes_none() {
        assert!(Tenants::Any.take("x"));
        assert!(Tenants::Listed(vec!["9188040D-6c67".to_owned()]).take("9188040d-6C67"));
        assert!(!Tenants::Listed(vec![]).take("9188040d-6c67"));
    }
}
