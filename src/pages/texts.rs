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
    /// A field's label.
    Phone: "휴대폰 번호", "Mobile number";
    /// What a phone number looks like.
    PhoneExample: "010-1234-5678", "010-1234-5678";
    /// A button: sends a code to a phone.
    SendCodeBySms: "문자로 인증번호 받기", "Text me a code";
    /// A button: sends a code to a mailbox.
    SendCodeByMail: "이메일로 인증번호 받기", "E-mail me a code";
    /// The code page's title.
    EnterCode: "인증번호 입력", "Enter the code";
    /// Where the code went; `{address}` is masked.
    SentTo: "{address} 앞으로 인증번호를 보냈습니다.", "We sent a code to {address}.";
    /// Before the time that is left.
    ExpiresIn: "남은 시간", "Time left";
    /// The code's time is over.
    CodeIsOver: "인증번호의 유효 시간이 지났습니다. 처음부터 다시 시도해주세요.", "The code has expired. Please start again.";
    /// The code's label.
    Code: "인증번호", "Code";
    /// What a code looks like.
    CodeForm: "인증번호는 6자리 숫자여야 합니다", "The code must be six digits";
    /// A button: tries the code.
    Confirm: "확인", "Confirm";
    /// A button: sends the same code again.
    SendAgain: "인증번호 다시 받기", "Send the code again";
    /// A link back to the login page.
    OtherWay: "다른 방법으로 로그인", "Log in another way";
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
    /// Too many tries were wrong: of this client, or at this account.
    TooManyTries: "잘못된 시도가 너무 많습니다. 나중에 다시 시도해주세요.", "There were too many wrong attempts. Please try again later.";
    /// Title: logins follow each other and none holds.
    LoginLoop: "로그인이 반복되고 있습니다", "The login keeps repeating";
    /// What to do then.
    LoginLoopAdvice: "로그인은 되었지만 요청한 페이지가 계속 로그인을 요구합니다. 브라우저가 쿠키를 허용하는지 확인한 뒤 다시 시도해주세요.",
        "You were logged in, but the page asked for a login again and again. Check that your browser accepts cookies, then try again.";
    /// The attempt is too old, was used, or belongs to another browser.
    AttemptExpiredAdvice: "시간이 너무 오래 지났거나 이미 사용된 로그인 시도입니다. 다시 시작해주세요.",
        "It took too long, or it was used before. Please start again.";
    /// Logged in at the provider, but not one of those who may come in.
    NotAllowedAdvice: "다른 계정으로 로그인하거나 관리자에게 문의해주세요.", "Use another account, or ask whoever runs this site.";
    /// A rule refuses the person.
    ForbiddenAdvice: "권한이 필요하면 관리자에게 문의해주세요.", "If you should have access, ask whoever runs this site.";
    /// Only the operator can help.
    OperatorAdvice: "문제가 계속되면 관리자에게 문의해주세요.", "If this happens again, tell whoever runs this site.";
    /// Nothing is there.
    AddressAdvice: "주소를 확인해주세요.", "Check the address.";
    /// No number that a code could be sent to.
    BadPhone: "올바른 전화번호 형식이 아닙니다", "This is not a valid phone number";
    /// No address that a code could be sent to.
    BadEmail: "올바른 이메일 형식이 아닙니다", "This is not a valid e-mail address";
    /// A field of the SMS form is empty.
    PhoneOrCodeMissing: "전화번호와 인증번호를 입력해주세요", "Please enter the phone number and the code";
    /// A field of the e-mail form is empty.
    EmailOrCodeMissing: "이메일과 인증번호를 입력해주세요", "Please enter the e-mail address and the code";
    /// Wrong, used, expired, or another browser's.
    CodeWrong: "인증번호가 올바르지 않거나 만료되었습니다", "The code is wrong or has expired";
    /// A cool-down or a limit; `{seconds}` is how long.
    TryAgainIn: "{seconds}초 후에 다시 시도해주세요", "Try again in {seconds} seconds";
    /// Nothing that could be sent again.
    NoLiveCode: "유효한 인증번호가 없습니다. 처음부터 다시 시도해주세요.", "There is no valid code. Please start again.";
    /// No provider took the SMS.
    SmsUndelivered: "SMS 발송에 실패했습니다", "The SMS could not be sent";
    /// The same, for a code that had been sent before.
    SmsUndeliveredAgain: "SMS 재발송에 실패했습니다", "The SMS could not be sent again";
    /// No mail server took the message.
    MailUndelivered: "메일 전송에 실패했습니다", "The e-mail could not be sent";
    /// The store did not take the code.
    CodeNotStored: "인증번호 저장에 실패했습니다", "The code could not be stored";
    /// A backend does not answer.
    NetworkError: "네트워크 오류가 발생했습니다", "A network error occurred";
    /// Whoever issues the tokens does not answer.
    LoginUnavailable: "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해주세요",
        "The login service does not answer; please try again";
    /// A code is on its way.
    CodeSent: "인증번호가 발송되었습니다", "The code has been sent";
    /// The same code is on its way again.
    CodeSentAgain: "인증번호가 재발송되었습니다", "The code has been sent again";
    /// The code was right.
    CodeVerified: "인증이 완료되었습니다", "The code has been verified";
    /// A link to the beginning.
    OtherAddress: "다른 번호나 주소 사용하기", "Use another number or address";
    /// Something does not work at the moment.
    LaterAdvice: "잠시 후 다시 시도해주세요.", "Please try again in a moment.";
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
    }
}
