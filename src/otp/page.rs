//! `GET /login/{channel}`: the code page, for channels whose purpose is the login.

use http::StatusCode;

use super::{
    endpoints::{ChannelSetup, Failed, Otps},
    settings::CodePurpose,
};
use crate::{
    channel::Channel,
    endpoint::{Call, EndpointAnswer, Parameters, Unreadable, with_return_to},
    pages::{CodePage, CodeSent},
    problem::{Problem, ProblemKind},
    session::CookieChanges,
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
        let parameters = ["return_to", "error", "retry", "other", "sent"].map(|name| query.once(name));
        let [Ok(asked), Ok(error), Ok(retry), Ok(other), Ok(again)] = parameters else {
            return Err(Failed::new(&call, Unreadable::Repeated.into(), CookieChanges::default()));
        };
        call.visit.ensure().await;
        let presented = self.presented_challenge(&call, setup, None, None);
        let asked = asked.map(str::to_owned);
        let stored = || presented.opened.as_ref().and_then(|opened| opened.challenge.return_to.clone());
        let return_to = self.return_to.follow(asked.or_else(stored).as_deref(), &call.origin).into_owned();
        let (auth_status, cookies) = call.visit.head();
        let cookies = cookies.and(presented.cleared);
        if call.visit.access().is_some() {
            return Ok(EndpointAnswer::see_other(return_to, cookies, auth_status));
        }
        let now = self.store_time();
        let problem = error.and_then(|code| ProblemKind::on_code_page(channel, code));
        // A wrong address was typed into the form for the address, though an earlier code may be live.
        let asks_for_address = other.is_some() || problem.is_some_and(is_about_the_address);
        let opened = presented.opened.filter(|_| !asks_for_address);
        let masked = opened.as_ref().map(|opened| opened.address.masked());
        let sent = opened
            .as_ref()
            .zip(masked.as_deref())
            .map(|(opened, address)| CodeSent { address, left: opened.challenge.expires.since(now).as_secs() });
        let wait = retry.and_then(|seconds| seconds.parse().ok()).filter(|wait| *wait <= LONGEST_WAIT);
        let page = self.pages.code(&CodePage {
            language: call.language,
            channel,
            address_field: &setup.fields.address,
            code_field: &setup.fields.code,
            sent,
            message: problem.map(|problem| problem.text(call.language, wait)),
            invalid: problem.is_some_and(is_about_a_field),
            notice: again.map(|_| Text::CodeSentAgain),
            retry: wait,
            start: with_flag(&self.page_address(&call, setup, None, Some(&return_to)), "other"),
            login_page: with_return_to(&self.login_page, &[], self.in_link(&return_to)),
            return_to: &return_to,
        });
        Ok(EndpointAnswer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// The URL path and query of the code page: `error` and `retry` of the problem to show, and `return_to` unless it
    /// is the default.
    pub(super) fn page_address(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        problem: Option<&Problem>,
        return_to: Option<&str>,
    ) -> String {
        let address = self.at(&format!("login/{}", setup.channel.as_str()));
        let error = problem.map(|problem| ("error", problem.kind().code()));
        let wait = problem.and_then(Problem::wait_seconds).map(|wait| wait.to_string());
        let parameters: Vec<_> = error.into_iter().chain(wait.as_deref().map(|wait| ("retry", wait))).collect();
        let target = return_to.map(|asked| self.return_to.follow(Some(asked), &call.origin));
        with_return_to(&address, &parameters, target.as_deref().and_then(|target| self.in_link(target)))
    }

    /// `return_to` for a link; not needed if it is the default.
    fn in_link<'a>(&self, return_to: &'a str) -> Option<&'a str> {
        Some(return_to).filter(|return_to| *return_to != self.return_to.after_login())
    }
}

/// A page's address with `flag=1` in its query: `other` shows the form for another address, `sent` the notice that the
/// code was sent again.
pub(super) fn with_flag(page: &str, flag: &str) -> String {
    let join = if page.contains('?') { '&' } else { '?' };
    format!("{page}{join}{flag}=1")
}

/// Whether a problem is about the phone number or e-mail address that was typed.
const fn is_about_the_address(problem: ProblemKind) -> bool {
    matches!(problem, ProblemKind::BadPhone | ProblemKind::BadEmail)
}

/// Whether a problem is about what was typed. The problem is from the table: a link cannot make the page show other
/// text.
const fn is_about_a_field(problem: ProblemKind) -> bool {
    is_about_the_address(problem)
        || matches!(
            problem,
            ProblemKind::PhoneOrCodeMissing
                | ProblemKind::EmailOrCodeMissing
                | ProblemKind::CodeForm
                | ProblemKind::CodeWrong
        )
}
