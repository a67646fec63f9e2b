//! `GET·POST /signout`: the logout, and the page that asks for it.

use http::StatusCode;

use super::{AuthJs, Failed, csrf::Protected};
use crate::{
    endpoint::{Call, EndpointAnswer, Parameters},
    login::AfterLogout,
    pages::LogOutPage,
};

impl AuthJs {
    /// `GET /signout`: a page with a button, because a link that logs out could be opened by anything.
    pub fn sign_out_page(&self, call: &Call) -> EndpointAnswer {
        let (token, cookie) = self.sessions.csrf().of(&call.headers);
        let query = Parameters::of(call.query.as_deref().unwrap_or_default().as_bytes());
        let mut fields = vec![("csrfToken", token.as_str())];
        fields.extend(query.once("callbackUrl").ok().flatten().map(|url| ("callbackUrl", url)));
        let action = self.at("signout", &[]);
        let page = self.pages.log_out(&LogOutPage { language: call.language, action: &action, fields: &fields });
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer::page(StatusCode::OK, page, cookies.and(cookie), auth_status)
    }

    /// `POST /signout`: ends the session as `POST /logout` does. `callbackUrl` is kept only if it `is_open`, that is,
    /// needs no login.
    pub async fn sign_out(
        &self,
        call: Call,
        after_logout: AfterLogout,
        is_open: impl Fn(&str) -> bool + Send,
    ) -> Result<EndpointAnswer, Failed> {
        let bytes = call.body.clone();
        let body = Self::read(&call, &bytes)?;
        let reader = self.reader(&call, &body);
        if !self.repeats_token(&call, &body) {
            return Ok(self.without_token(&call, reader, Protected::SignOut));
        }
        let wanted = self.wanted(&call, &body).filter(|wanted| is_open(wanted));
        let origin = call.origin.clone();
        let out = self.logins.sign_out(call, after_logout, wanted).await;
        Ok(Self::lead_to(&origin, reader, &out.address, out.cookies, out.status))
    }
}
