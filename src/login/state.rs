//! Which attempt a `state` (RFC 6749 section 10.12) belongs to: its first characters name the attempt's cookie, the rest is for that cookie's seal to know.

/// 48 of its 192 random bits: enough for attempts of one browser not to meet, and the others stay secret.
const ID: usize = 8;
/// Less than this is no state of ours.
const SHORTEST: usize = 30;
/// Nor is more.
const LONGEST: usize = 128;

/// The id of the attempt that a state names; `None` where it is none of ours.
pub(super) fn attempt_of(state: &str) -> Option<&str> {
    let is_token = state.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_token && (SHORTEST..=LONGEST).contains(&state.len())).then(|| &state[..ID])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Random;

    #[test]
    fn a_state_names_its_attempt_and_keeps_the_rest_to_itself() {
        let state = Random::system().token::<24>();
        assert_eq!(attempt_of(&state), Some(&state[..ID]));
        assert!(state.len() - ID >= 22, "128 bits stay unknown");
    }

    #[test]
    fn what_is_no_state_of_ours_names_no_attempt() {
        let long = "a".repeat(LONGEST + 1);
        let spaced = format!("a b{}", "c".repeat(SHORTEST));
        let korean = "가".repeat(SHORTEST);
        for state in ["", "a", "abcdefgh", long.as_str(), spaced.as_str(), korean.as_str()] {
            assert_eq!(attempt_of(state), None, "{state:?}");
        }
    }
}
