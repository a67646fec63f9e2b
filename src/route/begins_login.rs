//! Whether an address would begin a login: what must not be shown to a person who has just logged out.

use http::Method;

use super::{
    access::{Decision, Requester},
    lax::LaxPath,
    own::{OwnEndpoint, OwnService},
    table::{Table, TableMatch},
};

impl Table {
    /// Whether a browser without a session that opens `path` on `host` is sent to a login. `login_page_goes_on` says
    /// whether the login page redirects to a provider at once.
    pub fn begins_login(&self, host: &str, path: &str, login_page_goes_on: bool) -> bool {
        match self.find(&Method::GET, host, path) {
            TableMatch::Route(route) => {
                self.rules(route, &Method::GET, host, &LaxPath::new(path)).decide(Requester::Anonymous)
                    == Decision::LogIn
            }
            TableMatch::Own(own) => match own.service {
                OwnService::Call { endpoint: OwnEndpoint::LoginPage, .. } => login_page_goes_on,
                OwnService::Call { endpoint: OwnEndpoint::Start(_), .. } => true,
                OwnService::Call { .. } | OwnService::PublicKeys => false,
            },
            TableMatch::WrongMethod(_) | TableMatch::NoEndpoint | TableMatch::None => false,
        }
    }
}
