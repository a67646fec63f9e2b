//! What the login page shows after a provider's refusal (`error` of its answer).

use crate::text::Text;

macro_rules! denials {
    ($($(#[doc = $meaning:literal])+ $name:ident, $code:literal, $text:ident;)+) => {
        /// Why a provider did not log the person in: the browser is sent back to the login page, which shows the
        /// reason. The provider's own text is never shown.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Denial {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Denial {
            /// Every denial.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The login page's `error`, so that an app's own login page can explain it too.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// The text on the login page.
            pub const fn text(self) -> Text {
                match self {
                    $(Self::$name => Text::$text,)+
                }
            }

            /// What it means, for docs/problems.md.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+),)+
                }
            }
        }
    };
}

denials! {
    /// The person cancelled, or the provider refused them.
    Cancelled, "access_denied", AccessDenied;
    /// The person has to log in, agree or choose an account at the provider first.
    InteractionRequired, "interaction_required", InteractionRequired;
    /// The account is of a tenant that may not log in here: another account may.
    NotAllowed, "not_allowed", NotAllowed;
    /// The provider is temporarily unavailable.
    ProviderBusy, "temporarily_unavailable", ProviderBusy;
    /// The provider refused the client or its request, or its answer cannot prove a login, as a token for another
    /// client, without a subject, or not valid at this time by the gateway's clock: only the operator can mend it.
    Misconfigured, "login_misconfigured", LoginMisconfigured;
    /// The provider refused for any other reason, or its answer is of another login attempt.
    Refused, "login_failed", ProviderRefused;
}

impl Denial {
    /// What a provider's `error` means to the person (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
    pub fn of_provider(error: &str) -> Self {
        match error {
            "access_denied" | "user_cancelled_login" | "user_cancelled_authorize" => Self::Cancelled,
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Self::InteractionRequired
            }
            "temporarily_unavailable" | "server_error" => Self::ProviderBusy,
            "invalid_client"
            | "invalid_request"
            | "invalid_scope"
            | "request_not_supported"
            | "unauthorized_client"
            | "unsupported_response_type"
            | "unsupported_response_mode"
            | "invalid_redirect_uri"
            | "redirect_uri_mismatch" => Self::Misconfigured,
            _ => Self::Refused,
        }
    }

    /// The denial with this `code`.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|denial| denial.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_is_found_by_its_code_and_nothing_else_is() {
        for denial in Denial::ALL {
            assert_eq!(Denial::of_code(denial.code()), Some(*denial));
        }
        for code in ["", "ACCESS_DENIED", "<b>", "your account was stolen, call 1234"] {
            assert_eq!(Denial::of_code(code), None);
        }
    }

    #[test]
    fn each_error_of_a_provider_has_its_denial() {
        assert_eq!(Denial::of_provider("access_denied"), Denial::Cancelled);
        assert_eq!(Denial::of_provider("login_required"), Denial::InteractionRequired);
        assert_eq!(Denial::of_provider("temporarily_unavailable"), Denial::ProviderBusy);
        assert_eq!(Denial::of_provider("invalid_scope"), Denial::Misconfigured);
        assert_eq!(Denial::of_provider("redirect_uri_mismatch"), Denial::Misconfigured);
        assert_eq!(Denial::of_provider("<img src=x>"), Denial::Refused);
    }
}
