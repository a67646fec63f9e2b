//! Finds the login attempt of a `state` (RFC 6749 section 10.12). The first characters of the state are in the name of
//! the attempt's cookie; the whole state is sealed in the cookie's value.

/// Length of the id, in characters: 48 of the 256 random bits. They are enough to distinguish the attempts of a
/// browser; the other 208 bits stay secret.
const ID_LENGTH: usize = 8;
/// Shortest accepted state, in characters; ours have 43, those of older versions 32.
const SHORTEST: usize = 30;
/// Longest accepted state, in characters.
const LONGEST: usize = 128;

/// The id of the attempt that a state belongs to; `None` if the state does not have the form of ours.
pub(super) fn attempt_of(state: &str) -> Option<&str> {
    let is_token = state.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_token && (SHORTEST..=LONGEST).contains(&state.len())).then(|| &state[..ID_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Random;

    #[test]
    fn the_first_8_characters_of_a_state_name_its_attempt_and_208_bits_stay_secret() {
        let state = Random::system().token::<32>();
        assert_eq!(attempt_of(&state), Some(&state[..ID_LENGTH]));
        assert!((state.len() - ID_LENGTH) * 6 >= 208, "208 bits stay unknown");
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
