//! Every text that people read, in Korean and English.

use super::Language;

macro_rules! texts {
    ($($(#[$doc:meta])+ $name:ident: $korean:literal, $english:literal;)+) => {
        /// A text that exists in every language.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Text {
            $($(#[$doc])+ $name,)+
        }

        impl Text {
            /// The text in `language`.
            pub const fn say(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Korean) => $korean,
                    (Self::$name, Language::English) => $english,)+
                }
            }

            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

texts! {
    /// The login page's title.
    LogIn: "로그인", "Log in";
    /// A provider's button; `{name}` is its name.
    ContinueWith: "{name} 계정으로 계속하기", "Continue with {name}";
    /// Between the providers' buttons and the form.
    Or: "또는", "or";
    /// A field's label.
    Email: "이메일", "E-mail";
    /// A field's label.
    Password: "비밀번호", "Password";
    /// A login page without any method.
    NoMethod: "사용할 수 있는 로그인 방법이 없습니다.", "No way to log in has been set up here.";
    /// Google's name.
    Google: "Google", "Google";
    /// Kakao's name.
    Kakao: "카카오", "Kakao";
    /// Naver's name.
    Naver: "네이버", "Naver";

    /// A link to the beginning of the login.
    StartAgain: "다시 로그인하기", "Log in again";
    /// A link to the same thing once more.
    TryAgain: "다시 시도하기", "Try again";
    /// A link to the application.
    GoOn: "계속하기", "Go on";

    /// The provider said `access_denied`.
    AccessDenied: "로그인이 취소되었거나 거부되었습니다. 다른 방법으로 로그인하거나 다시 시도해주세요.",
        "The login was cancelled or refused. Try again, or choose another way to log in.";
    /// The provider wants the person to log in or agree there first.
    InteractionRequired: "로그인 제공자에서 추가 확인이 필요합니다. 다시 로그인해주세요.",
        "The login provider needs you to confirm something first. Please log in again.";
    /// The provider said that it cannot now.
    ProviderBusy: "로그인 제공자가 일시적으로 응답하지 않습니다. 잠시 후 다시 시도해주세요.",
        "The login provider is not available at the moment. Please try again shortly.";
    /// The provider refused for any other reason.
    ProviderRefused: "로그인하지 못했습니다. 다시 시도해주세요.", "The login did not succeed. Please try again.";
    /// E-mail or password are wrong.
    BadCredentials: "잘못된 자격 증명입니다", "The e-mail address or the password is wrong.";
    /// A field of the login form is empty.
    CredentialsMissing: "이메일과 비밀번호를 입력해주세요", "Please enter your e-mail address and your password.";
    /// No session.
    LoginRequired: "로그인이 필요합니다", "Please log in.";

    /// Title: the attempt is too old, was used, or belongs to another browser.
    AttemptExpired: "로그인 시도가 만료되었습니다", "This login attempt has expired";
    /// What to do then.
    AttemptExpiredWhy: "시간이 너무 오래 지났거나 이미 사용된 로그인 시도입니다. 다시 시작해주세요.",
        "It took too long, or it was used before. Please start again.";
    /// Title: logins follow each other and none holds.
    LoginLoop: "로그인이 반복되고 있습니다", "The login keeps repeating";
    /// What to do then.
    LoginLoopWhy: "로그인은 되었지만 요청한 페이지가 계속 로그인을 요구합니다. 브라우저가 쿠키를 허용하는지 확인한 뒤 다시 시도해주세요.",
        "You were logged in, but the page asked for a login again and again. Check that your browser accepts cookies, then try again.";
    /// Title: the identity provider does not answer.
    ProviderUnavailable: "로그인 제공자에 연결할 수 없습니다", "The login provider cannot be reached";
    /// What to do then.
    ProviderUnavailableWhy: "잠시 후 다시 시도해주세요.", "Please try again in a moment.";
    /// Title: whoever issues the tokens does not answer.
    AuthorityUnavailable: "지금은 로그인할 수 없습니다", "Logging in is not possible right now";
    /// What to do then.
    AuthorityUnavailableWhy: "로그인 서버가 응답하지 않습니다. 잠시 후 다시 시도해주세요.",
        "The login server does not answer. Please try again in a moment.";
    /// Title: logged in at the provider, but not one of those who may come in.
    NotAllowed: "이 계정으로는 로그인할 수 없습니다", "This account may not log in here";
    /// What to do then.
    NotAllowedWhy: "다른 계정으로 로그인하거나 관리자에게 문의해주세요.", "Use another account, or ask whoever runs this site.";
    /// Title: the tokens do not fit.
    SessionTooLarge: "로그인을 완료할 수 없습니다", "The login could not be completed";
    /// Whom to tell.
    SessionTooLargeWhy: "세션이 너무 큽니다. 관리자에게 문의해주세요.", "The session is too large. Please tell whoever runs this site.";
    /// Title: 400.
    BadRequest: "잘못된 요청입니다", "This request cannot be understood";
    /// What to do then.
    BadRequestWhy: "주소를 확인하고 다시 시도해주세요.", "Check the address and try again.";
    /// Title: 403 by rule.
    Forbidden: "접근 권한이 없습니다", "You have no access to this page";
    /// What to do then.
    ForbiddenWhy: "필요한 권한이 있다면 관리자에게 문의해주세요.", "If you should have it, ask whoever runs this site.";
    /// Title: 403, from another site.
    CrossOrigin: "다른 사이트에서 온 요청은 허용되지 않습니다", "Requests from other sites are not allowed here";
    /// What to do then.
    CrossOriginWhy: "이 사이트에서 직접 다시 시도해주세요.", "Please try again from this site itself.";
    /// Title: 404.
    NotFound: "페이지를 찾을 수 없습니다", "This page does not exist";
    /// What to do then.
    NotFoundWhy: "주소를 확인해주세요.", "Check the address.";
    /// Title: 413.
    TooLarge: "요청이 너무 큽니다", "This request is too large";
    /// What to do then.
    TooLargeWhy: "더 작은 내용으로 다시 시도해주세요.", "Try again with less.";
    /// Title: 421.
    Misdirected: "이 주소는 여기에서 제공되지 않습니다", "This host is not served here";
    /// What to do then.
    MisdirectedWhy: "주소를 확인해주세요.", "Check the address.";
    /// Title: 500.
    Internal: "문제가 발생했습니다", "Something went wrong";
    /// What to do then.
    InternalWhy: "잠시 후 다시 시도해주세요.", "Please try again in a moment.";
    /// Title: 502.
    BadGateway: "네트워크 오류가 발생했습니다", "The application cannot be reached";
    /// What to do then.
    BadGatewayWhy: "애플리케이션에 연결할 수 없습니다. 잠시 후 다시 시도해주세요.", "Please try again in a moment.";
    /// Title: 503.
    Unavailable: "일시적으로 사용할 수 없습니다", "Not available at the moment";
    /// What to do then.
    UnavailableWhy: "로그인 상태는 유지됩니다. 잠시 후 다시 시도해주세요.", "You are still logged in. Please try again in a moment.";
    /// Title: 504.
    GatewayTimeout: "응답 시간이 초과되었습니다", "The application took too long";
    /// What to do then.
    GatewayTimeoutWhy: "잠시 후 다시 시도해주세요.", "Please try again in a moment.";

    /// 405, for scripts.
    MethodNotAllowed: "허용되지 않는 메서드입니다", "This method is not allowed here";
    /// 408, for scripts.
    RequestTimeout: "요청 시간이 초과되었습니다", "The request took too long";
    /// An ID token that does not verify.
    InvalidIdToken: "ID 토큰이 올바르지 않습니다", "The ID token is not valid";
    /// An ID token that was taken before.
    UsedIdToken: "이미 사용된 ID 토큰입니다", "The ID token was used before";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_said_in_both_languages() {
        for text in Text::ALL {
            for language in [Language::Korean, Language::English] {
                assert!(!text.say(language).trim().is_empty(), "{text:?}");
            }
            let english = text.say(Language::English);
            assert!(english.is_ascii(), "{text:?} is not English: {english}");
        }
        assert_eq!(Text::BadCredentials.say(Language::Korean), "잘못된 자격 증명입니다");
        assert_eq!(Text::LoginRequired.say(Language::Korean), "로그인이 필요합니다");
    }
}
