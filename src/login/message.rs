//! Why the last attempt did not work, as the login page says it: a fixed list, so that nobody can write on our page.

use crate::pages::Text;

/// A message of the login page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message {
    AccessDenied,
    InteractionRequired,
    ProviderBusy,
    ProviderRefused,
    BadCredentials,
    CredentialsMissing,
    TooMany,
}

impl Message {
    const ALL: [Self; 7] = [
        Self::AccessDenied,
        Self::InteractionRequired,
        Self::ProviderBusy,
        Self::ProviderRefused,
        Self::BadCredentials,
        Self::CredentialsMissing,
        Self::TooMany,
    ];

    /// What a provider's `error` (RFC 6749 section 4.1.2.1, OIDC Core section 3.1.2.6) means to the person. Its own words are not shown.
    pub(super) fn of_provider(error: &str) -> Self {
        match error {
            "access_denied" | "user_cancelled_login" | "user_cancelled_authorize" => Self::AccessDenied,
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Self::InteractionRequired
            }
            "temporarily_unavailable" | "server_error" => Self::ProviderBusy,
            _ => Self::ProviderRefused,
        }
    }

    /// The message that the login page's `error` names.
    pub(super) fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.code() == code)
    }

    /// For the login page's `error`, so that an app's own page can say it too.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InteractionRequired => "interaction_required",
            Self::ProviderBusy => "temporarily_unavailable",
            Self::ProviderRefused => "login_failed",
            Self::BadCredentials => "bad_credentials",
            Self::CredentialsMissing => "credentials_missing",
            Self::TooMany => "too_many",
        }
    }

    pub(super) const fn text(self) -> Text {
        match self {
            Self::AccessDenied => Text::AccessDenied,
            Self::InteractionRequired => Text::InteractionRequired,
            Self::ProviderBusy => Text::ProviderBusy,
            Self::ProviderRefused => Text::ProviderRefused,
            Self::BadCredentials => Text::BadCredentials,
            Self::CredentialsMissing => Text::CredentialsMissing,
            Self::TooMany => Text::TooManyTries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_found_by_its_code_and_nothing_else_is() {
        for message in Message::ALL {
            assert_eq!(Message::of_code(message.code()), Some(message));
        }
        for code in ["", "ACCESS_DENIED", "<b>", "your account was stolen, call 1234"] {
            assert_eq!(Message::of_code(code), None);
        }
    }

    #[test]
    fn each_refusal_of_a_provider_has_its_own_words() {
        assert_eq!(Message::of_provider("access_denied"), Message::AccessDenied);
        assert_eq!(Message::of_provider("login_required"), Message::InteractionRequired);
        assert_eq!(Message::of_provider("temporarily_unavailable"), Message::ProviderBusy);
        assert_eq!(Message::of_provider("<img src=x>"), Message::ProviderRefused);
    }
}
