//! Hop-by-hop headers (RFC 9110 section 7.6.1): removed in both directions, with all that `Connection` names.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::kind::ExchangeKind;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Names that `Connection` cannot remove: headers that the gateway or the upstream always reads, framing,
/// which hyper handles, and the request id, which we set.
const NOT_REMOVABLE: [&str; 9] = [
    "authorization",
    "cdn-loop",
    "content-length",
    "cookie",
    "host",
    "set-cookie",
    "transfer-encoding",
    "www-authenticate",
    "x-request-id",
];

/// Whether any hop-by-hop header is present: one pass over the headers costs less than a look-up of each name.
pub(super) fn has_hop_by_hop(headers: &HeaderMap) -> bool {
    static NAMES: [HeaderName; 10] = [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::TRANSFER_ENCODING,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ];
    headers.keys().any(|name| matches!(name.as_str().len(), 2 | 6 | 7 | 10 | 16..=19) && NAMES.contains(name))
}

/// Removes them, except `Upgrade` in an exchange that is an upgrade.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap, kind: ExchangeKind) {
    if headers.contains_key(header::CONNECTION) {
        remove_named_by_connection(headers);
    }
    let upgrade = headers.remove(header::UPGRADE);
    headers.remove(header::TE);
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::PROXY_AUTHORIZATION);
    headers.remove(header::PROXY_AUTHENTICATE);
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    if kind == ExchangeKind::Upgrade
        && let Some(upgrade) = upgrade
    {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Removes `Connection` and all headers that it names.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    match headers.entry(header::CONNECTION) {
        header::Entry::Occupied(entry) => {
            let names_no_header = |value: &HeaderValue| {
                value.as_bytes().eq_ignore_ascii_case(b"keep-alive") || value.as_bytes().eq_ignore_ascii_case(b"close")
            };
            if entry.iter().all(names_no_header) {
                entry.remove_entry_mult();
                return;
            }
            let values: Vec<_> = entry.remove_entry_mult().1.collect();
            for name in values.iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
                let name = name.trim_ascii();
                if !NOT_REMOVABLE.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
                    && let Ok(name) = HeaderName::from_bytes(name)
                    && name != header::UPGRADE
                    && name != header::TE
                {
                    headers.remove(name);
                }
            }
        }
        header::Entry::Vacant(_) => {}
    }
}
