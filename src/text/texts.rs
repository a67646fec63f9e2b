//! The table of texts: each once, in every language.

use super::language::{Language, Translated};

macro_rules! texts {
    ($($(#[$doc:meta])+ $name:ident { $($languages:tt)+ })+) => {
        /// A text that exists in every language.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Text {
            $($(#[$doc])+ $name,)+
        }

        impl Text {
            /// Every text.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The text in every language. Names in braces are placeholders, see [`Text::with`].
            pub const fn all(self) -> Translated<&'static str> {
                match self {
                    $(Self::$name => Translated { $($languages)+ },)+
                }
            }
        }
    };
}

texts! {
    // Pages: titles, labels, buttons, links.
    /// Title of the login page, its button, and the link to it.
    LogIn { korean: "로그인", english: "Log in" }
    /// Button that logs out.
    LogOut { korean: "로그아웃", english: "Log out" }
    /// Title of the page that asks whether to log out.
    LogOutQuestion { korean: "로그아웃할까요?", english: "Log out of this site?" }
    /// Title in the browser's tab of a page with a message about a failure.
    ErrorTitle { korean: "오류: {title}", english: "Error: {title}" }
    /// A provider's button; `{name}` is its name.
    ContinueWith { korean: "{name} 계정으로 계속하기", english: "Continue with {name}" }
    /// A provider's button, if its name ends with [`Text::Account`].
    ContinueWithAccount { korean: "{name}으로 계속하기", english: "Continue with {name}" }
    /// The word that a provider's name may end with.
    Account { korean: "계정", english: "account" }
    /// Between the providers' buttons and a form.
    Or { korean: "또는", english: "or" }
    /// Label of the field for an e-mail address.
    Email { korean: "이메일", english: "E-mail" }
    /// Label of the field for the e-mail address that a code is sent to.
    EmailForCode { korean: "인증번호를 받을 이메일", english: "E-mail address for the code" }
    /// Label of the field for a password.
    Password { korean: "비밀번호", english: "Password" }
    /// Label of the field for the name of an account that is no e-mail address.
    LoginName { korean: "아이디", english: "ID" }
    /// Label of the field for a company or another organisation.
    Organization { korean: "회사", english: "Company" }
    /// Label of the field for a phone number.
    Phone { korean: "휴대폰 번호", english: "Mobile number" }
    /// Placeholder of the field for a phone number.
    PhoneExample { korean: "010-1234-5678", english: "010-1234-5678" }
    /// Button that sends a code by SMS.
    SendCodeBySms { korean: "문자로 인증번호 받기", english: "Text me a code" }
    /// Button that sends a code by e-mail.
    SendCodeByMail { korean: "이메일로 인증번호 받기", english: "E-mail me a code" }
    /// Heading of the login by a code in an SMS.
    WithSmsCode { korean: "문자 인증번호로 로그인", english: "Log in with an SMS code" }
    /// Heading of the login by a code in an e-mail.
    WithMailCode { korean: "이메일 인증번호로 로그인", english: "Log in with an e-mail code" }
    /// Heading of the login by e-mail address and password.
    WithPassword { korean: "이메일과 비밀번호로 로그인", english: "Log in with your password" }
    /// Above the way to log in that was chosen last on this device.
    UsedLast { korean: "이 기기에서 최근에 사용한 방법", english: "Used last on this device" }
    /// Title of the code page.
    EnterCode { korean: "인증번호 입력", english: "Enter the code" }
    /// Above the form for a code; `{address}` is masked.
    SentTo { korean: "{address} 앞으로 인증번호를 보냈습니다.", english: "We sent a code to {address}." }
    /// Before the time that the code is still valid.
    ExpiresIn { korean: "남은 시간", english: "Time left" }
    /// The code's validity has ended.
    CodeExpired {
        korean: "인증번호의 유효 시간이 지났습니다. 처음부터 다시 시도해주세요.",
        english: "The code has expired. Please start again.",
    }
    /// Label of the field for a code.
    Code { korean: "인증번호", english: "Code" }
    /// Below the field for a code, where a script submits it.
    CodeGoesByItself {
        korean: "여섯 자리를 모두 입력하면 자동으로 확인합니다.",
        english: "It is checked as soon as all six digits are there.",
    }
    /// Button that tries the code.
    Confirm { korean: "확인", english: "Confirm" }
    /// Button that sends the same code again.
    SendAgain { korean: "인증번호 다시 받기", english: "Send the code again" }
    /// Link back to the login page.
    OtherWay { korean: "다른 방법으로 로그인", english: "Log in another way" }
    /// Link to the form for another address.
    OtherAddress { korean: "다른 번호나 주소 사용하기", english: "Use another number or address" }
    /// On a login page without any login method.
    NoMethod {
        korean: "사용할 수 있는 로그인 방법이 없습니다. 관리자에게 알려주세요.",
        english: "No way to log in has been set up here. Please tell the administrator of this site.",
    }
    /// Google's name.
    Google { korean: "Google", english: "Google" }
    /// Kakao's name.
    Kakao { korean: "카카오", english: "Kakao" }
    /// GitHub's name.
    GitHub { korean: "GitHub", english: "GitHub" }
    /// Naver's name.
    Naver { korean: "네이버", english: "Naver" }
    /// Apple's name.
    Apple { korean: "Apple", english: "Apple" }
    /// The words that Kakao prescribes for its button.
    KakaoButton { korean: "카카오 로그인", english: "Login with Kakao" }
    /// The words that Naver prescribes for its button.
    NaverButton { korean: "네이버 로그인", english: "Log in with NAVER" }
    /// Apple's own words for its button.
    AppleButton { korean: "Apple로 계속하기", english: "Continue with Apple" }
    /// Link to the start of the login.
    StartAgain { korean: "다시 로그인하기", english: "Log in again" }
    /// Link to the same step once more.
    TryAgain { korean: "다시 시도하기", english: "Try again" }
    /// Link to the start page of the site.
    Home { korean: "첫 화면으로 가기", english: "Go to the start page" }
    /// Button that leads back to the page before this one.
    Back { korean: "이전 화면으로 돌아가기", english: "Go back" }
    /// Button that logs out, so that another person can log in.
    LogInAsAnother { korean: "다른 사람으로 로그인", english: "Log in as another person" }
    /// Before the id of the request, on pages about a problem.
    RequestNumber { korean: "문의할 때 알려줄 번호:", english: "If you ask for help, give this number:" }
    /// Title of the page that stops a login loop.
    LoginLoop { korean: "로그인이 반복되고 있습니다", english: "The login keeps repeating" }
    /// What to do about a login loop.
    LoginLoopAdvice {
        korean: "로그인은 되었지만 요청한 페이지가 계속 로그인을 요구합니다. 브라우저가 쿠키를 허용하는지 확인한 뒤 다시 시도해주세요.",
        english: "You were logged in, but the page asked for a login again and again. Check that your browser accepts cookies, then try again.",
    }

    /// Title of the page after a logout.
    LoggedOut { korean: "로그아웃되었습니다", english: "You are logged out" }
    /// On that page.
    LoggedOutAdvice {
        korean: "이 브라우저에서 세션이 끝났습니다. 함께 쓰는 기기라면 브라우저도 닫아주세요.",
        english: "Your session in this browser has ended. If others use this device, close the browser too.",
    }
    /// On that page instead, for a provider without a logout; `{name}` is its name.
    StillLoggedInAt {
        korean: "{name}에는 로그아웃 기능이 없어 {name}에는 아직 로그인되어 있을 수 있습니다.",
        english: "{name} has no logout of its own: you may still be logged in there.",
    }

    // Messages on the login page after a refusal by a provider.
    /// The provider answered `access_denied`.
    AccessDenied {
        korean: "로그인이 취소되었거나 거부되었습니다. 다른 방법으로 로그인하거나 다시 시도해주세요.",
        english: "The login was cancelled or refused. Try again, or choose another way to log in.",
    }
    /// The provider needs the person to log in or agree there first.
    InteractionRequired {
        korean: "로그인 제공자에서 추가 확인이 필요합니다. 다시 로그인해주세요.",
        english: "The login provider needs you to confirm something first. Please log in again.",
    }
    /// The provider said that it is temporarily unavailable.
    ProviderBusy {
        korean: "로그인 제공자를 일시적으로 이용할 수 없습니다. 잠시 후 다시 시도해주세요.",
        english: "The login provider is not available at the moment. Please try again shortly.",
    }
    /// The provider or the gateway is not set up correctly: only the operator can help.
    LoginMisconfigured {
        korean: "로그인 설정에 문제가 있어 로그인할 수 없습니다. 관리자에게 알려주세요.",
        english: "The login is not set up correctly. Please tell the administrator of this site.",
    }
    /// The provider refused for any other reason.
    ProviderRefused {
        korean: "로그인하지 못했습니다. 다시 시도해주세요.",
        english: "The login did not succeed. Please try again.",
    }

    // Problems of any request.
    /// The host is not served here.
    UnknownHost { korean: "이 호스트는 여기에서 제공되지 않습니다", english: "This host is not served here" }
    /// The method is not allowed.
    MethodNotAllowed { korean: "허용되지 않는 메서드입니다", english: "This method is not allowed" }
    /// The header block is too large.
    HeadersTooLarge { korean: "요청 헤더가 너무 큽니다", english: "The request's headers are too large" }
    /// The request target is too long.
    TargetTooLong { korean: "주소가 너무 깁니다", english: "The address is too long" }
    /// The request has passed this gateway before.
    LoopDetected { korean: "요청이 순환하고 있습니다", english: "The request goes in a circle" }
    /// The request expects something other than `100-continue`.
    ExpectationFailed {
        korean: "지원하지 않는 Expect 요청입니다",
        english: "The request expects what is not offered here",
    }
    /// The request cannot be read.
    BadRequest { korean: "잘못된 요청입니다", english: "The request is not well-formed" }
    /// No route and no endpoint has this address.
    NotFound { korean: "페이지를 찾을 수 없습니다", english: "There is nothing here" }
    /// The request comes from another site.
    CrossOrigin {
        korean: "다른 사이트에서 온 요청은 허용되지 않습니다",
        english: "Requests from other sites are refused",
    }
    /// A CORS preflight of an origin that the route does not list.
    OriginNotAllowed { korean: "허용되지 않은 출처입니다", english: "This origin is not allowed" }
    /// There is no session.
    LoginRequired { korean: "로그인이 필요합니다", english: "Please log in" }
    /// The route's rule does not admit this person.
    Forbidden { korean: "접근 권한이 없습니다", english: "You may not do this" }
    /// The body is larger than the limit.
    BodyTooLarge { korean: "요청이 너무 큽니다", english: "The request is too large" }
    /// The body came too slowly.
    RequestTimeout { korean: "요청 시간이 초과되었습니다", english: "The request took too long" }
    /// The upstream did not answer in time.
    UpstreamTimeout { korean: "서비스의 응답 시간이 초과되었습니다", english: "The service took too long to answer" }
    /// The connection cannot change to WebSocket.
    CannotUpgrade { korean: "이 연결은 업그레이드할 수 없습니다", english: "This connection cannot be upgraded" }
    /// An error in the gateway itself.
    Internal { korean: "서버 오류가 발생했습니다", english: "Something went wrong" }
    /// An upstream's answer is not valid HTTP.
    AnswerInvalid {
        korean: "서비스의 응답이 올바르지 않습니다",
        english: "The service gave an answer that cannot be read",
    }
    /// A backend answered that it has a failure of its own.
    ServiceFailed {
        korean: "서비스에 문제가 생겼습니다. 잠시 후 다시 시도해주세요",
        english: "The service has a problem; please try again",
    }
    /// A backend could not be reached.
    NetworkError { korean: "네트워크 오류가 발생했습니다", english: "A network error occurred" }
    /// A limit or the cool-down; `{seconds}` is the time to wait.
    TryAgainIn { korean: "{seconds}초 후에 다시 시도해주세요", english: "Try again in {seconds} seconds" }

    /// A page that needs a login was to be loaded ahead of time.
    NotAheadOfTime {
        korean: "로그인이 필요한 페이지는 미리 불러올 수 없습니다",
        english: "A page that needs a login is not loaded ahead of time",
    }

    // Problems of logins.
    /// A login was to begin with a request that shows no page.
    LoginNotOpened {
        korean: "로그인은 페이지로 열어야 시작됩니다",
        english: "A login begins when its address is opened as a page",
    }
    /// The login attempt is unknown, too old or was used.
    AttemptExpired { korean: "로그인 시도가 만료되었습니다", english: "This login attempt has expired" }
    /// The login provider does not answer, or answers with a failure of its own.
    ProviderUnavailable {
        korean: "로그인 제공자를 지금 이용할 수 없습니다. 잠시 후 다시 시도해주세요",
        english: "The login provider is not available at the moment; please try again",
    }
    /// The token authority does not answer, or answers with a failure of its own.
    LoginUnavailable {
        korean: "로그인 서비스를 지금 이용할 수 없습니다. 잠시 후 다시 시도해주세요",
        english: "The login service is not available at the moment; please try again",
    }
    /// E-mail address or password are wrong.
    BadCredentials { korean: "잘못된 자격 증명입니다", english: "The e-mail address or the password is wrong." }
    /// A field of the login form is empty.
    CredentialsMissing {
        korean: "이메일과 비밀번호를 입력해주세요",
        english: "Please enter your e-mail address and your password.",
    }
    /// The values of a login form with other fields than e-mail address and password are wrong.
    LoginWrong { korean: "잘못된 자격 증명입니다", english: "What you entered is not right. Please check it." }
    /// A field of a login form with other fields than e-mail address and password is empty.
    LoginFieldsMissing { korean: "모든 항목을 입력해주세요", english: "Please fill in every field." }
    /// A field of a request is absent.
    FieldMissing { korean: "필요한 값이 빠졌습니다", english: "A required field is missing" }
    /// Too many wrong guesses; for the page, which may not have the time to wait.
    TooManyTries {
        korean: "잘못된 시도가 너무 많습니다. 나중에 다시 시도해주세요.",
        english: "There were too many wrong attempts. Please try again later.",
    }
    /// The account may not log in.
    NotAllowed { korean: "이 계정으로는 로그인할 수 없습니다", english: "This account may not log in here" }
    /// The ID token of an app is not valid.
    InvalidIdToken { korean: "ID 토큰이 올바르지 않습니다", english: "The ID token is not valid" }
    /// The ID token of a page has another nonce than the gateway gave, or none.
    NonceExpected {
        korean: "ID 토큰의 nonce가 올바르지 않습니다",
        english: "The ID token does not have the nonce that was given here",
    }
    /// The ID token of an app was used before.
    UsedIdToken { korean: "이미 사용된 ID 토큰입니다", english: "The ID token has been used" }
    /// The tokens do not fit into cookies.
    SessionTooLarge {
        korean: "세션이 너무 커서 쿠키에 담을 수 없습니다. 서버 저장소(session.store = \"server\")가 필요합니다",
        english: "The session is too large for cookies: it needs the server store (session.store = \"server\")",
    }
    /// The token authority issued tokens that cannot be used.
    UnusableTokens {
        korean: "로그인 서비스가 준 토큰을 사용할 수 없습니다",
        english: "The login service gave tokens that cannot be used",
    }

    // Problems of one-time codes.
    /// The phone number is not valid, or of a country that is not configured.
    BadPhone { korean: "올바른 전화번호 형식이 아닙니다", english: "This is not a valid phone number" }
    /// The e-mail address is not valid.
    BadEmail { korean: "올바른 이메일 형식이 아닙니다", english: "This is not a valid e-mail address" }
    /// A field of the SMS form is empty.
    PhoneOrCodeMissing {
        korean: "전화번호와 인증번호를 입력해주세요",
        english: "Please enter the phone number and the code",
    }
    /// A field of the e-mail form is empty.
    EmailOrCodeMissing {
        korean: "이메일과 인증번호를 입력해주세요",
        english: "Please enter the e-mail address and the code",
    }
    /// The code is not six digits; also the tooltip of its field.
    CodeForm { korean: "인증번호는 6자리 숫자여야 합니다", english: "The code must be six digits" }
    /// Wrong, used, expired, or requested by another browser.
    CodeWrong { korean: "인증번호가 올바르지 않거나 만료되었습니다", english: "The code is wrong or has expired" }
    /// There is no valid code that could be sent again.
    NoLiveCode {
        korean: "유효한 인증번호가 없습니다. 처음부터 다시 시도해주세요.",
        english: "There is no valid code. Please start again.",
    }
    /// No provider accepted the SMS.
    SmsUndelivered { korean: "SMS 발송에 실패했습니다", english: "The SMS could not be sent" }
    /// No provider accepted the SMS that sends a code again.
    SmsUndeliveredAgain { korean: "SMS 재발송에 실패했습니다", english: "The SMS could not be sent again" }
    /// No mail server accepted the message.
    MailUndelivered { korean: "메일 전송에 실패했습니다", english: "The e-mail could not be sent" }
    /// The backend answered and did not take the verified address.
    AddressNotTaken {
        korean: "인증은 되었지만 저장되지 않았습니다",
        english: "The code was right, but the address was not accepted",
    }
    /// The store did not accept the code.
    CodeNotStored { korean: "인증번호 저장에 실패했습니다", english: "The code could not be stored" }

    // Advice on error pages.
    /// After `AttemptExpired`.
    AttemptExpiredAdvice {
        korean: "시간이 너무 오래 지났거나 이미 사용된 로그인 시도입니다. 다시 시작해주세요.",
        english: "It took too long, or it was used before. Please start again.",
    }
    /// After `NotAllowed`.
    NotAllowedAdvice {
        korean: "다른 계정으로 로그인하거나 관리자에게 문의해주세요.",
        english: "Use another account, or ask the administrator of this site.",
    }
    /// After `Forbidden`.
    ForbiddenAdvice {
        korean: "로그인한 계정으로는 이 페이지를 볼 수 없습니다. 권한이 필요하면 관리자에게 문의해주세요.",
        english: "The account that you are logged in with has no access here. If it should, ask the administrator of this site.",
    }
    /// After a fault of the site that may be over soon.
    FaultAdvice {
        korean: "일시적인 문제일 수 있습니다. 잠시 후 다시 시도하고, 계속되면 관리자에게 알려주세요.",
        english: "This is not your fault. Try again in a moment. If it happens again, tell the administrator of this site.",
    }
    /// After a fault of the site that does not pass by itself.
    MisconfiguredAdvice {
        korean: "관리자가 고칠 때까지 다시 시도해도 같은 결과가 나옵니다.",
        english: "Another try does not help until it is corrected. It is not your fault.",
    }
    /// After a request that no link of the site sends.
    OddRequestAdvice {
        korean: "이전 화면으로 돌아가 다시 시도해주세요. 계속되면 관리자에게 알려주세요.",
        english: "Go back and try again. If it happens again, tell the administrator of this site.",
    }
    /// After a method that an address does not have.
    NotAPageAdvice {
        korean: "이 주소는 페이지로 열 수 없습니다. 이전 화면으로 돌아가거나 첫 화면에서 다시 시작해주세요.",
        english: "This address cannot be opened as a page. Go back, or begin at the start page.",
    }
    /// After `HeadersTooLarge`.
    CookiesAdvice {
        korean: "브라우저에서 이 사이트의 쿠키를 지운 뒤 다시 시도해주세요.",
        english: "Delete the cookies of this site in your browser, then try again.",
    }
    /// After `BodyTooLarge`.
    SendLessAdvice {
        korean: "더 작은 파일이나 더 짧은 글로 다시 보내주세요.",
        english: "Send a smaller file or a shorter text.",
    }
    /// After `RequestTimeout`.
    SlowAdvice {
        korean: "인터넷 연결을 확인한 뒤 다시 시도해주세요.",
        english: "Check your connection, then try again.",
    }
    /// After `CrossOrigin`.
    OwnPageAdvice {
        korean: "이 사이트의 페이지를 직접 열어 다시 시도해주세요.",
        english: "Open the page on this site itself, and try again there.",
    }
    /// After `LoginRequired`.
    LogInFirstAdvice {
        korean: "로그인하면 이어서 진행할 수 있습니다.",
        english: "After the login you can go on.",
    }
    /// After a limit on requests.
    WaitAdvice {
        korean: "짧은 시간에 요청이 너무 많았습니다. 조금 기다린 뒤 다시 시도해주세요.",
        english: "There were too many requests in a short time. Wait a little, then try again.",
    }
    /// After a page that was to be loaded ahead of time.
    OpenItAdvice { korean: "페이지를 직접 열어주세요.", english: "Open the page yourself." }
    /// Only the operator can solve the problem.
    OperatorAdvice {
        korean: "문제가 계속되면 관리자에게 문의해주세요.",
        english: "If this happens again, tell the administrator of this site.",
    }
    /// After `NotFound` and `UnknownHost`.
    AddressAdvice { korean: "주소를 확인해주세요.", english: "Check the address." }
    /// On a page that is loaded again after a while, with a link to the login.
    TriesByItself {
        korean: "이 페이지는 자동으로 다시 시도합니다. 오래 걸리면 다시 로그인해주세요.",
        english: "This page tries again by itself. If it takes long, log in again.",
    }
    /// After a problem that may be temporary.
    LaterAdvice { korean: "잠시 후 다시 시도해주세요.", english: "Please try again in a moment." }

    // Messages of the endpoints of codes after a success.
    /// A provider accepted the message with the code.
    CodeSent { korean: "인증번호가 발송되었습니다", english: "The code has been sent" }
    /// A provider accepted a message with the same code again.
    CodeSentAgain { korean: "인증번호가 재발송되었습니다", english: "The code has been sent again" }
    /// The code was right.
    CodeVerified { korean: "인증이 완료되었습니다", english: "The code has been verified" }

    // Messages with a code: `{code}`, `{minutes}` of validity, `{site}`.
    /// The SMS. With a site's name of up to twenty letters it fits into the 90 octets of one Korean SMS.
    CodeSms {
        korean: "[{site}] 인증번호는 [{code}]입니다. {minutes}분 이내에 입력해주세요.",
        english: "[{site}] Your code is {code}. It is valid for {minutes} minutes.",
    }
    /// Subject of the e-mail.
    CodeMailSubject { korean: "[{site}] 인증번호 안내", english: "[{site}] Your verification code" }
    /// Text of the e-mail; the HTML part is made from it.
    CodeMailBody {
        korean: "{site} 인증번호입니다.\n\n{code}\n\n{minutes}분 안에 입력해 주세요. 이 번호를 다른 사람에게 알려 주지 마세요.\n\n요청한 적이 없다면 이 메일을 무시하세요.\n",
        english: "Your verification code for {site}:\n\n{code}\n\nIt expires in {minutes} min. Tell it to nobody.\n\nIf you did not ask for it, ignore this e-mail.\n",
    }
}

impl Text {
    /// The text in `language`; placeholders in braces are not replaced.
    pub const fn say(self, language: Language) -> &'static str {
        self.all().of(language)
    }

    /// The text in `language` with `value` in place of `{name}`.
    pub fn with(self, language: Language, name: &str, value: &str) -> String {
        self.say(language).replace(&format!("{{{name}}}"), value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words in braces.
    fn values(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_text_exists_in_every_language_with_the_same_values() {
        for text in Text::ALL {
            let english = text.say(Language::English);
            assert!(english.is_ascii(), "{text:?} is not English: {english}");
            for language in Language::ALL {
                let said = text.say(*language);
                assert!(!said.trim().is_empty(), "{text:?} is missing in {language:?}");
                assert_eq!(values(said), values(english), "{text:?} in {language:?}");
            }
        }
        assert_eq!(Text::BadCredentials.say(Language::Korean), "잘못된 자격 증명입니다");
    }

    #[test]
    fn a_value_takes_the_place_of_its_name_and_is_not_read_again() {
        let said = Text::ContinueWith.with(Language::English, "name", "{name} & Co");
        assert_eq!(said, "Continue with {name} & Co");
    }
}
