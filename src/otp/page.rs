//! `GET /login/{channel}`: the code page, for channels whose purpose is the login.

use std::borrow::Cow;

use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::{
    endpoints::{ChannelSetup, Failed, Otps},
    settings::CodePurpose,
};
use crate::{
    channel::Channel,
    endpoint::{Call, EndpointAnswer, Parameters},
    pages::{CodePage, CodeSent},
    problem::{Problem, ProblemKind},
    text::{Language, Text},
};

/// The longest time to wait that the page shows, in seconds: no limit has a longer window.
const LONGEST_WAIT: u64 = 86_400;

impl Otps {
    /// `GET /login/{channel}`: asks for the address, then for the code that went there. With a session it redirects to
    /// `return_to`.
    pub async fn page(&self, mut call: Call, channel: Channel) -> Result<EndpointAnswer, Failed> {
        let setup = self.setup(channel).filter(|setup| setup.purpose == CodePurpose::Login);
        let Some(setup) = setup else { return self.not_configured(&call) };
        let query = call.query.take().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        call.visit.ensure().await;
        let presented = self.presented_challenge(&call, setup, None, None);
        let asked = query.first("return_to").map(str::to_owned);
        let kept = || presented.opened.as_ref().and_then(|opened| opened.challenge.return_to.clone());
        let return_to = self.return_to.follow(asked.or_else(kept).as_deref()).to_owned();
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(presented.cleared);
        if call.visit.access().is_some() {
            return Ok(EndpointAnswer::see_other(return_to, cookies, auth_status));
        }
        let now = self.clock.now();
        let opened = presented.opened.filter(|_| query.first("other").is_none());
        let masked = opened.as_ref().map(|opened| opened.address.masked());
        let sent = opened
            .as_ref()
            .zip(masked.as_deref())
            .map(|(opened, address)| CodeSent { address, left: opened.challenge.expires.since(now).as_secs() });
        let wait = query.first("retry").and_then(|seconds| seconds.parse().ok()).filter(|wait| *wait <= LONGEST_WAIT);
        let page = self.pages.code(&CodePage {
            language: call.language(),
            channel,
            sent,
            message: message(&query, channel, wait, call.language()),
            notice: query.first("sent").map(|_| Text::CodeSentAgain),
            retry: wait,
            start: with(&self.page_address(setup, None, Some(&return_to)), "other"),
            return_to: &return_to,
        });
        Ok(EndpointAnswer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// The address of the code page, with the problem that it explains and where the login leads.
    pub(super) fn page_address(
        &self,
        setup: &ChannelSetup,
        problem: Option<&Problem>,
        return_to: Option<&str>,
    ) -> String {
        let address = self.at(&format!("login/{}", setup.channel.as_str()));
        let mut query = Serializer::new(String::new());
        query.extend_pairs(problem.map(|problem| ("error", problem.kind().code())));
        query.extend_pairs(problem.and_then(Problem::wait_seconds).map(|wait| ("retry", wait.to_string())));
        let kept = return_to.map(|asked| self.return_to.follow(Some(asked)));
        query.extend_pairs(kept.filter(|kept| *kept != self.return_to.follow(None)).map(|kept| ("return_to", kept)));
        let query = query.finish();
        if query.is_empty() { address } else { format!("{address}?{query}") }
    }
}

/// A page's address with `word=1` in its query: `other` shows the page without the browser's challenge, `sent` says
/// that the code was sent again.
pub(super) fn with(page: &str, word: &str) -> String {
    let join = if page.contains('?') { '&' } else { '?' };
    format!("{page}{join}{word}=1")
}

/// The message for the query's `error`: from the table of problems, so that a link cannot put its own words on our
/// page. `wait` is the time to wait in seconds.
fn message(
    query: &Parameters<'_>,
    channel: Channel,
    wait: Option<u64>,
    language: Language,
) -> Option<Cow<'static, str>> {
    Some(ProblemKind::on_code_page(channel, query.first("error")?)?.text(language, wait))
}
