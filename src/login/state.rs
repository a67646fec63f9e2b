//! `state` of the authorization request (RFC 6749 section 10.12): the id of the attempt whose cookie knows it, and 128 random bits.

use crate::secret::Random;

/// More than any state of ours.
const LONGEST: usize = 64;

/// A new state for the attempt `id`.
pub(super) fn new(id: &str, random: &Random) -> String {
    format!("{id}.{}", random.token::<16>())
}

/// The attempt that a state names; `None` where it is none of ours.
pub(super) fn attempt_of(state: &str) -> Option<&str> {
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let (id, secret) = state.split_once('.').filter(|_| state.len() <= LONGEST)?;
    (is_token(id) && is_token(secret)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_names_its_attempt_and_nobody_can_guess_the_rest() {
        let random = Random::system();
        let state = new("q1w2-e3_", &random);
        assert_eq!(attempt_of(&state), Some("q1w2-e3_"));
        assert_ne!(state, new("q1w2-e3_", &random));
        assert!(state.len() <= LONGEST && state.len() >= "q1w2-e3_.".len() + 22);
    }

    #[test]
    fn what_is_no_state_of_ours_names_no_attempt() {
        let long = format!("a.{}", "b".repeat(LONGEST));
        for state in ["", ".", "a", "a.", ".b", "a.b.c", "a b.c", "a=.b", "a;.b", "한.글", "a.b\r\n", long.as_str()] {
            assert_eq!(attempt_of(state), None, "{state:?}");
        }
    }
}
