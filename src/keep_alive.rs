//! How long another server keeps a connection open without a request, by its `Keep-Alive` (RFC 2068 section 19.7.1.1).

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Subtracted from the timeout that the server gives, for the way of the request.
const MARGIN: Duration = Duration::from_secs(1);

/// How long after an answer with these headers its connection may be used again; `None` if they do not say. Of several
/// timeouts the shortest counts.
pub(crate) fn usable_for(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(KEEP_ALIVE).iter();
    lines.filter_map(|line| timeout(line.as_bytes())).min().map(|timeout| timeout.saturating_sub(MARGIN))
}

/// The parameter `timeout` in seconds; `None` if there is none that is a whole number.
fn timeout(keep_alive: &[u8]) -> Option<Duration> {
    let parameters = keep_alive.split(|&byte| byte == b',' || byte == b';').map(<[u8]>::trim_ascii);
    let timeouts = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_at_checked(parameter.iter().position(|&byte| byte == b'=')?)?;
        if !name.trim_ascii().eq_ignore_ascii_case(b"timeout") {
            return None;
        }
        let seconds = value.get(1..)?.trim_ascii();
        let seconds = seconds.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(seconds);
        std::str::from_utf8(seconds).ok()?.parse().ok().map(Duration::from_secs)
    });
    timeouts.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_usable_a_second_less_than_the_shortest_timeout_in_every_spelling_and_line() {
        for (lines, seconds) in [
            (&["timeout=5"][..], Some(4)),
            (&["timeout=5, max=100"], Some(4)),
            (&["max=100,Timeout = 20"], Some(19)),
            (&["timeout=\"7\""], Some(6)),
            (&["timeout=0"], Some(0)),
            (&["max=5", "timeout=1"], Some(0)),
            (&["timeout=9", "timeout=3"], Some(2)),
            (&["timeout=9, timeout=3"], Some(2)),
            (&["max=5"], None),
            (&["timeout=-1"], None),
            (&["timeout=1.5"], None),
            (&["timeout"], None),
            (&["timeout="], None),
            (&["xtimeout=3"], None),
            (&[""], None),
            (&[], None),
        ] {
            let headers: HeaderMap = lines.iter().map(|line| (KEEP_ALIVE, line.parse().unwrap())).collect();
            assert_eq!(usable_for(&headers), seconds.map(Duration::from_secs), "{lines:?}");
        }
    }
}
