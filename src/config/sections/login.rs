//! `[login]`: calls at logins.

use super::call::{self, PlainCallTable, Upstreams};
use crate::{
    authority::LOGIN_NOTIFY,
    call::Template,
    config::schema::{
        context::Context,
        key::{Table, table},
        section::Section,
    },
};

table! {
    /// `[login]`
    pub(crate) struct LoginTable {
        /// With the authorities `provider` and `gateway`: the call at a person's first login, with
        /// `vestibule-assertion`. It must be answered 2xx for the login to go on; 401 and 403 refuse it. Placeholders:
        /// `{sub}` (as in the session that begins), `{provider_sub}`, `{provider}`, `{method}`, `{profile}`, `{email}`,
        /// `{channel}`, `{address}`, `{address_e164}`, `{device_id}`, `{device_name}`, `{claims.NAME}`. An answer with
        /// `errors` (GraphQL) is no success.
        NOTIFY: Table<PlainCallTable> = optional("notify");
    }
}

/// Reads `[login.notify]`; `upstreams` are the names that it can use.
pub(crate) fn notify(section: &Section<'_, LoginTable>, upstreams: &[&str], cx: &mut Context<'_>) -> Option<Template> {
    let section = section.section(&LoginTable::NOTIFY);
    if !section.is_present() {
        return None;
    }
    if !section.has(&call::CallTable::UPSTREAM) {
        cx.complain(
            section.own_place(),
            "`upstream` is missing in `login.notify`",
            "write `upstream = \"NAME\"`: the backend that is told",
        );
    }
    let call = call::plain(&section, Upstreams { names: upstreams, own: None }, LOGIN_NOTIFY, cx)?;
    Some(Template { assertion: Some("login.notify"), ..call })
}
