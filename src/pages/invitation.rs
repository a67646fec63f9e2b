//! Labels of providers that say what their button does, in whatever language: `Sign in with Acme`, `Acme로 로그인`.

/// Words that the button of a login begins with in English.
const BEGINNINGS: [&str; 11] = [
    "sign in", "sign-in", "signin", "sign up", "sign on", "log in", "log-in", "login", "log on", "continue", "connect",
];
/// Words between these and the provider's name.
const PREPOSITIONS: [&str; 5] = ["with ", "using ", "via ", "through ", "to "];
/// Words that the button of a login ends with in Korean; the longer ones first.
const ENDS: [&str; 6] = ["로그인하기", "로그인 하기", "로그인", "계속하기", "시작하기", "가입하기"];
/// Particles between the provider's name and these.
const PARTICLES: [&str; 2] = ["으로", "로"];

/// Whether a label says what its button does.
pub(super) fn is_invitation(label: &str) -> bool {
    name_in(label) != label
}

/// The provider's name in a label that says what its button does; else the whole label.
pub(super) fn name_in(label: &str) -> &str {
    let begins = |words: &&str| {
        let (first, rest) = label.split_at_checked(words.len())?;
        let rest = rest.strip_prefix(' ').filter(|_| first.eq_ignore_ascii_case(words))?.trim_start();
        let preposition =
            PREPOSITIONS.iter().find(|word| rest.get(..word.len()).is_some_and(|r| r.eq_ignore_ascii_case(word)));
        Some(preposition.map_or(rest, |word| rest[word.len()..].trim_start()))
    };
    let ends = || {
        let name = ENDS.iter().find_map(|words| label.strip_suffix(words))?.trim_end();
        Some(PARTICLES.iter().find_map(|particle| name.strip_suffix(particle)).unwrap_or(name).trim_end())
    };
    BEGINNINGS.iter().find_map(begins).or_else(ends).filter(|name| !name.is_empty()).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_labels_that_say_what_their_button_does() {
        for (label, name) in [
            ("Sign in with Acme", "Acme"),
            ("SIGN IN WITH ACME", "ACME"),
            ("Log in via Acme ID", "Acme ID"),
            ("Login with Acme", "Acme"),
            ("Continue with Acme", "Acme"),
            ("Sign in Acme", "Acme"),
            ("Acme로 로그인", "Acme"),
            ("Acme 계정으로 로그인하기", "Acme 계정"),
            ("사내 계정으로 계속하기", "사내 계정"),
            ("카카오 로그인", "카카오"),
            ("네이버로 시작하기", "네이버"),
        ] {
            assert_eq!(name_in(label), name, "{label}");
        }
    }

    #[test]
    fn a_name_alone_is_no_invitation() {
        for label in [
            "Acme",
            "Staff account",
            "사내 계정",
            "Signify",
            "Login",
            "로그인",
            "Connections Inc",
            "구로",
            "Acme Login",
        ] {
            assert!(!is_invitation(label), "{label}");
        }
    }
}
