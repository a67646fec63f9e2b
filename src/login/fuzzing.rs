//! Properties of the callback's parser for any bytes, checked against a simpler parser than [`Parameters`].

use percent_encoding::percent_decode;

use super::state;
use crate::{endpoint::Parameters, problem::Denial};

/// A repeated parameter is refused, the id in a `state` has only characters that a cookie name may have, and each error
/// of a provider becomes one of our denials.
pub(crate) fn callback_query(query: &[u8]) {
    let parameters = Parameters::of(query);
    let pairs = || query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for name in ["state", "code", "error", "error_description", "iss"] {
        let values: Vec<_> = pairs()
            .map(|pair| {
                pair.iter().position(|byte| *byte == b'=').map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]))
            })
            .filter(|(n, _)| decoded(n) == name)
            .map(|(_, value)| decoded(value))
            .collect();
        match parameters.once(name) {
            Ok(Some(value)) => assert_eq!(values, [value], "{name} came once"),
            Ok(None) => assert!(matches!(&values[..], [] | [_]) && values.concat().is_empty(), "{name} did not come"),
            Err(_) => assert!(values.len() > 1 || pairs().count() > 64, "{name} came twice"),
        }
    }
    if let Ok(Some(state)) = parameters.once("state")
        && let Some(id) = state::attempt_of(state)
    {
        assert!(id.len() == 8 && state.starts_with(id));
        assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{state}");
    }
    if let Ok(Some(error)) = parameters.once("error") {
        let denial = Denial::of_provider(error);
        assert_eq!(Denial::of_code(denial.code()), Some(denial), "a denial of our list");
    }
}

fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}
