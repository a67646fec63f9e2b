//! The invariants of any `Cookie` headers, checked against a simpler parser than [`Jar`]'s.

use http::{HeaderMap, HeaderValue, header};

use super::{cookies::Jar, settings::Settings};

/// Our cookies are found, and forwarded only if `keep` names them; others are forwarded byte for byte and in their
/// order.
pub(crate) fn cookie_header(headers: &HeaderMap, settings: &Settings) {
    let jar = Jar::new(settings);
    let prefix = format!("{}{}", if settings.host_prefix { "__Host-" } else { "" }, settings.cookie_prefix);
    let sent: Vec<_> = pieces(headers).collect();

    let found = jar.find(headers.get_all(header::COOKIE).iter());
    // A part with a higher number than any that is set is not read.
    let read = |name: &[u8]| our_cookie(&prefix, name).is_some() && !is_high_part(&prefix, name);
    let ours = sent.iter().filter(|piece| piece.contains(&b'=') && read(name(piece))).count();
    let access = found.access.first_parts().count();
    assert!(found.access.is_absent() == (found.access.extent() == 0) && access <= ours);
    assert!(found.attempts.len() + found.challenges.len() + usize::from(found.device.is_some()) <= ours);
    assert_eq!(ours == 0, found.is_empty(), "{headers:?}");

    for keep in [&[][..], &["at"], &["did"], &["at", "did"]] {
        let keep_names: Vec<_> = keep.iter().map(|kept| format!("{prefix}{kept}")).collect();
        let mut forwarded = headers.clone();
        jar.strip_request(&mut forwarded, &keep_names);
        let stays = |piece: &&[u8]| our_cookie(&prefix, name(piece)).is_none_or(|kind| keep.contains(&kind));
        let expected: Vec<_> = sent.iter().copied().filter(stays).collect();
        let left: Vec<_> = pieces(&forwarded).collect();
        assert_eq!(left, expected, "{headers:?} keeping {keep:?}");
        assert!(forwarded.get_all(header::COOKIE).iter().count() <= 1, "HTTP/1.1 allows one header");
        let mut again = forwarded.clone();
        jar.strip_request(&mut again, &keep_names);
        assert_eq!(again, forwarded, "removing twice changes nothing");
        if expected.len() == sent.len() && headers.get_all(header::COOKIE).iter().count() == 1 && !sent.is_empty() {
            assert_eq!(&forwarded, headers, "a header without cookies of ours is unchanged");
        }
    }
}

fn pieces(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    values.flat_map(|value| value.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty())
}

fn name(piece: &[u8]) -> &[u8] {
    piece.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// Which of our cookies a name is, if any.
fn our_cookie(prefix: &str, name: &[u8]) -> Option<&'static str> {
    let rest = std::str::from_utf8(name).ok()?.strip_prefix(prefix)?;
    if let Some(whole) = ["at", "rt", "did", "otp_sms", "otp_email"].into_iter().find(|whole| *whole == rest) {
        return Some(whole);
    }
    if rest.starts_with("tx") {
        return Some("tx");
    }
    let (token, part) =
        ["at", "rt"].into_iter().find_map(|token| Some((token, rest.strip_prefix(token)?.strip_prefix('.')?)))?;
    (1..100).any(|number| number.to_string() == part).then_some(token)
}

/// Whether a name is that of a token cookie's part 5 or higher: a session of 16 KiB takes five parts.
fn is_high_part(prefix: &str, name: &[u8]) -> bool {
    ["at.", "rt."].iter().any(|token| {
        let number = name.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(token.as_bytes()));
        number.is_some_and(|digits| digits.len() > 1 || digits.first().is_some_and(|digit| *digit >= b'5'))
    })
}
