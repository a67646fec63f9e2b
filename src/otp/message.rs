//! What the message with a code says, and who takes it.

use std::time::Duration;

use super::{
    Line, Otps,
    address::Address,
    code::Digits,
    deliver::{MailSender, Sms, SmsSender, Texts, Undelivered, fill},
};
use crate::text::{Language, Text};

/// The senders have deadlines of their own, each for one way; this one is for all ways together.
const DELIVERY: Duration = Duration::from_secs(30);

/// What sends the messages of a channel.
pub(super) enum Sender {
    /// SMS.
    Sms { text: Texts, sender: SmsSender },
    /// E-mail.
    Mail(MailSender),
    /// Nobody: messages are kept for a test to read.
    #[cfg(test)]
    Recorder(std::sync::Arc<super::tests::Recorder>),
}

/// The built-in text. With a site's name of up to twenty letters it fits into the 90 octets of one Korean SMS.
pub(super) fn built_in() -> Texts {
    Texts {
        korean: Text::CodeSms.say(Language::Korean).to_owned(),
        english: Text::CodeSms.say(Language::English).to_owned(),
    }
}

impl Otps {
    /// Hands the message over; `left` is what is left of the code's life.
    pub(super) async fn deliver(
        &self,
        line: &Line,
        address: &Address,
        digits: &Digits,
        left: Duration,
        language: Language,
    ) -> Result<(), Undelivered> {
        let minutes = (left.as_secs() / 60).max(1);
        let site = &self.settings.site;
        let delivery = async {
            match (&line.sender, address) {
                (Sender::Sms { text, sender }, Address::Phone(phone)) => {
                    let text = sms(text, language, site, digits, minutes);
                    let (to_e164, to) = (address.recipient().to_owned(), address.domestic().to_owned());
                    sender.send(&Sms { to_e164, to, country: phone.calling_code(), text }).await
                }
                (Sender::Mail(sender), Address::Email(_)) => {
                    let letter = sender.letter();
                    sender.send(&letter.compose(address.recipient(), language, site, digits.expose(), minutes)).await
                }
                #[cfg(test)]
                (Sender::Recorder(recorder), _) => {
                    recorder.take(address.recipient(), &sms(&built_in(), language, site, digits, minutes))
                }
                (Sender::Sms { .. }, Address::Email(_)) | (Sender::Mail(_), Address::Phone(_)) => Err(Undelivered),
            }
        };
        tokio::time::timeout(DELIVERY, Box::pin(delivery)).await.unwrap_or(Err(Undelivered))
    }
}

fn sms(text: &Texts, language: Language, site: &str, digits: &Digits, minutes: u64) -> String {
    let values = [("code", digits.expose()), ("minutes", &minutes.to_string()), ("site", site)];
    fill(text.choose(language), &values)
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
