//! The message with a code, and the sender that it is handed to.

use std::time::Duration;

use super::{
    address::Address,
    code::Digits,
    deliver::{MailSender, Sms, SmsSender, Texts, Undelivered, fill},
};
use crate::text::{Language, Text};

/// Deadline for all providers of a channel together; each provider also has its own, shorter one.
const DELIVERY: Duration = Duration::from_secs(30);

/// The sender of a channel.
pub(super) enum MessageSender {
    /// SMS.
    Sms { text: Texts, sender: SmsSender },
    /// E-mail.
    Mail(MailSender),
    /// Stores messages for a test to read.
    #[cfg(test)]
    Recorder(std::sync::Arc<super::tests::Recorder>),
}

/// The built-in text of an SMS.
pub(super) fn built_in() -> Texts {
    Text::CodeSms.all().map(str::to_owned)
}

impl MessageSender {
    /// Hands the message with a code for `address` to the sender; `left` is the code's remaining validity. Fails after
    /// 30 s.
    pub(super) async fn deliver(
        &self,
        address: &Address,
        digits: &Digits,
        left: Duration,
        site: &str,
        language: Language,
    ) -> Result<(), Undelivered> {
        let minutes = (left.as_secs() / 60).max(1);
        let delivery = async {
            match (self, address) {
                (Self::Sms { text, sender }, Address::Phone(phone)) => {
                    let text = sms(text, language, site, digits, minutes);
                    let (to_e164, to) = (address.recipient().to_owned(), address.domestic().to_owned());
                    sender.send(&Sms { to_e164, to, country: phone.calling_code(), text }).await
                }
                (Self::Mail(sender), Address::Email(_)) => {
                    let letter = sender.letter();
                    sender.send(&letter.compose(address.recipient(), language, site, digits.expose(), minutes)).await
                }
                #[cfg(test)]
                (Self::Recorder(recorder), _) => {
                    recorder.take(address.recipient(), &sms(&built_in(), language, site, digits, minutes))
                }
                (Self::Sms { .. }, Address::Email(_)) | (Self::Mail(_), Address::Phone(_)) => Err(Undelivered),
            }
        };
        tokio::time::timeout(DELIVERY, Box::pin(delivery)).await.unwrap_or(Err(Undelivered))
    }
}

fn sms(text: &Texts, language: Language, site: &str, digits: &Digits, minutes: u64) -> String {
    let values = [("code", digits.expose()), ("minutes", &minutes.to_string()), ("site", site)];
    fill(text.of(language), &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_fits_into_one_korean_sms() {
        let digits = Digits::parse("012345").unwrap();
        let text = sms(&built_in(), Language::Korean, "app.example.kr", &digits, 3);
        assert_eq!(text, "[app.example.kr] 인증번호는 [012345]입니다. 3분 이내에 입력해주세요.");
        let octets: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        assert!(octets <= 90, "{octets}");
        let text = sms(&built_in(), Language::English, "app.example.kr", &digits, 3);
        assert_eq!(text, "[app.example.kr] Your code is 012345. It is valid for 3 minutes.");
    }
}
