//! `GET /login/{channel}`: the code page, for channels whose purpose is the login.

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
    text::Text,
};

/// Longest waiting time that the page shows, in seconds: the day of `daily_cap` is the longest window of a limit.
const LONGEST_WAIT: u64 = 86_400;

impl Otps {
    /// `GET /login/{channel}`: asks for the address, then for the code that was sent to it. With a session it redirects
    /// to `return_to`.
    pub async fn page(&self, mut call: Call, channel: Channel) -> Result<EndpointAnswer, Failed> {
        let setup = self.setup(channel).filter(|setup| setup.purpose == CodePurpose::Login);
        let Some(setup) = setup else { return self.not_configured(&call) };
        let query = call.query.take().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        call.visit.ensure().await;
        let presented = self.presented_challenge(&call, setup, None, None);
        let asked = query.first("return_to").map(str::to_owned);
        let stored = || presented.opened.as_ref().and_then(|opened| opened.challenge.return_to.clone());
        let return_to = self.return_to.follow(asked.or_else(stored).as_deref()).to_owned();
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
        let problem = query.first("error").and_then(|code| ProblemKind::on_code_page(channel, code));
        let page = self.pages.code(&CodePage {
            language: call.language(),
            channel,
            sent,
            message: problem.map(|problem| problem.text(call.language(), wait)),
            invalid: problem.is_some_and(is_about_a_field),
            notice: query.first("sent").map(|_| Text::CodeSentAgain),
            retry: wait,
            start: with_flag(&self.page_address(setup, None, Some(&return_to)), "other"),
            return_to: &return_to,
        });
        Ok(EndpointAnswer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// The URL path and query of the code page: `error` and `retry` of the problem to show, and `return_to` unless it
    /// is the default.
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
        let target = return_to.map(|asked| self.return_to.follow(Some(asked)));
        let target = target.filter(|target| *target != self.return_to.follow(None));
        query.extend_pairs(target.map(|target| ("return_to", target)));
        let query = query.finish();
        if query.is_empty() { address } else { format!("{address}?{query}") }
    }
}

/// A page's address with `flag=1` in its query: `other` shows the form for another address, `sent` the notice that the
/// code was sent again.
pub(super) fn with_flag(page: &str, flag: &str) -> String {
    let join = if page.contains('?') { '&' } else { '?' };
    format!("{page}{join}{flag}=1")
}

/// Whether a problem is about what was typed. The problem is from the table: a link cannot make the page show other
/// text.
const fn is_about_a_field(problem: ProblemKind) -> bool {
    matches!(
        problem,
        ProblemKind::BadPhone
            | ProblemKind::BadEmail
            | ProblemKind::PhoneOrCodeMissing
            | ProblemKind::EmailOrCodeMissing
            | ProblemKind::CodeForm
            | ProblemKind::CodeWrong
    )
}
