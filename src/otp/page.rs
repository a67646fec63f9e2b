//! `GET /login/{channel}`: the page for codes, for channels that log people in.

use std::borrow::Cow;

use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::{Failed, Line, OtpError, Otps, Purpose};
use crate::{
    channel::Channel,
    endpoint::{Answer, Call, Parameters},
    pages::{CodePage, CodeSent},
    problem::{ProblemKind, whole_seconds},
    text::{Language, Text},
};

/// No limit makes anybody wait longer.
const LONGEST_WAIT: u64 = 86_400;

impl Otps {
    /// `GET /login/{channel}`: asks for the address, then for the code that went there. Whoever is logged in goes on.
    pub async fn page(&self, mut call: Call, channel: Channel) -> Result<Answer, Failed> {
        let line = self.line(channel).filter(|line| line.purpose == Purpose::Login);
        let Some(line) = line else { return self.not_configured(&call) };
        let query = call.query.take().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        call.visit.ensure().await;
        let shown = self.shown(&call, line, None, None);
        let asked = query.first("return_to").map(str::to_owned);
        let kept = || shown.held.as_ref().and_then(|held| held.challenge.return_to.clone());
        let return_to = self.return_to.follow(asked.or_else(kept).as_deref()).to_owned();
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(shown.spoiled);
        if call.visit.access().is_some() {
            return Ok(Answer::see_other(return_to, cookies, auth_status));
        }
        let now = self.clock.now();
        let held = shown.held.filter(|_| query.first("other").is_none());
        let masked = held.as_ref().map(|held| held.address.masked());
        let sent = held
            .as_ref()
            .zip(masked.as_deref())
            .map(|(held, address)| CodeSent { address, left: held.challenge.expires.since(now).as_secs() });
        let wait = query.first("retry").and_then(|seconds| seconds.parse().ok()).filter(|wait| *wait <= LONGEST_WAIT);
        let page = self.pages.code(&CodePage {
            language: call.language(),
            channel,
            sent,
            message: message(&query, channel, wait, call.language()),
            notice: query.first("sent").map(|_| Text::CodeSentAgain),
            retry: wait,
            start: with(&self.page_address(line, None, Some(&return_to)), "other"),
            return_to: &return_to,
        });
        Ok(Answer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// The page for codes, with a message.
    pub(super) fn page_address(&self, line: &Line, error: Option<&OtpError>, return_to: Option<&str>) -> String {
        let address = self.at(&format!("login/{}", line.channel.as_str()));
        let mut query = Serializer::new(String::new());
        query.extend_pairs(error.map(|error| ("error", error.kind().code())));
        if let Some(wait) = error.and_then(OtpError::wait) {
            query.append_pair("retry", &whole_seconds(wait).to_string());
        }
        let kept = return_to.map(|asked| self.return_to.follow(Some(asked)));
        query.extend_pairs(kept.filter(|kept| *kept != self.return_to.follow(None)).map(|kept| ("return_to", kept)));
        let query = query.finish();
        if query.is_empty() { address } else { format!("{address}?{query}") }
    }
}

/// A page's address with one more word in its query: `other` shows it without the challenge that the browser has, `sent` says that the code went out again.
pub(super) fn with(page: &str, word: &str) -> String {
    let join = if page.contains('?') { '&' } else { '?' };
    format!("{page}{join}{word}=1")
}

/// What `error` says: from a fixed list, so that nobody can write on our page. `wait` is the time to wait in seconds.
fn message(
    query: &Parameters<'_>,
    channel: Channel,
    wait: Option<u64>,
    language: Language,
) -> Option<Cow<'static, str>> {
    Some(ProblemKind::on_code_page(channel, query.first("error")?)?.text(language, wait))
}
