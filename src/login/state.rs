//! Which attempt a `state` (RFC 6749 section 10.12) belongs to: its first characters are in the name of the attempt's
//! cookie, the whole of it is sealed in the cookie's value.

/// Characters of the id: 48 of the 192 random bits. Attempts of one browser do not collide, and the other bits stay
/// secret.
const ID: usize = 8;
/// A state of ours has at least this many characters.
const SHORTEST: usize = 30;
/// And at most this many.
const LONGEST: usize = 128;

/// The id of the attempt that a state belongs to; `None` for a state that is not ours.
pub(super) fn attempt_of(state: &str) -> Option<&str> {
    let is_token = state.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_token && (SHORTEST..=LONGEST).contains(&state.len())).then(|| &state[..ID])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Random;

    #[test]
    fn a_state_names_its_attempt_and_128_of_its_bits_stay_secret() {
        let state = Random::system().token::<24>();
        assert_eq!(attempt_of(&state), Some(&state[..ID]));
        assert!(state.len() - ID >= 22, "128 bits stay unknown");
    }

    #[test]
    fn a_state_of_another_form_names_no_attempt() {
        let long = "a".repeat(LONGEST + 1);
        let spaced = format!("a b{}", "c".repeat(SHORTEST));
        let korean = "가".repeat(SHORTEST);
        for state in ["", "a", "abcdefgh", long.as_str(), spaced.as_str(), korean.as_str()] {
            assert_eq!(attempt_of(state), None, "{state:?}");
        }
    }
}
