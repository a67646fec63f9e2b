//! Checks of `own_calls = "open"`: the backend has to tell the gateway's calls from a visitor's.

use super::{
    super::{
        schema::{context::Context, key::Includes, section::Section, tree::Place},
        sections::{
            RootTable,
            authority::{self, AuthorityTable},
            call::{self, CallTable},
            routes::RouteTable,
        },
    },
    Checks,
};
use crate::route::{OwnCallsRule, SharedTargets};

/// A call of the file that has neither a secret nor an assertion.
struct BareCall<'t> {
    name: &'static str,
    method: http::Method,
    place: &'t Place,
    upstream: usize,
}

impl Checks<'_, '_> {
    pub(super) fn own_calls(&self, cx: &mut Context<'_>) {
        let open = self.routes.iter().filter(|(_, route)| route.own_calls == OwnCallsRule::Open);
        let shared = SharedTargets::new(self.upstreams);
        let calls = self.bare_calls();
        for (section, route) in open {
            let names: Vec<_> = calls
                .iter()
                .filter(|call| route.methods.is_empty() || route.methods.contains(&call.method))
                .filter(|call| shared.have_common(call.upstream, route.upstream))
                .map(|call| format!("`[{}]` (line {})", call.name, cx.line(call.place)))
                .collect();
            if !names.is_empty() {
                cx.warn(
                    section.place(&RouteTable::OWN_CALLS),
                    format!(
                        "a visitor can send the gateway's own calls here, and nothing in them shows who calls: {}",
                        names.join(", ")
                    ),
                    "give the call a secret that the backend checks, e.g. `headers = { x-api-key = \"env:API_KEY\" }`",
                );
            }
        }
    }

    /// The calls without a secret. Those after a login and after a code always have an assertion.
    fn bare_calls(&self) -> Vec<BareCall<'_>> {
        let names: Vec<&str> = self.upstreams.iter().map(|upstream| &*upstream.name).collect();
        let authority = self.root.section(&RootTable::AUTHORITY);
        let own = authority::upstream(&authority, &names);
        let mut calls = Vec::new();
        add(&mut calls, "authority.credentials", authority.section(&AuthorityTable::CREDENTIALS), &names, own);
        add(&mut calls, "authority.refresh", authority.section(&AuthorityTable::REFRESH), &names, own);
        add(&mut calls, "authority.signout", authority.section(&AuthorityTable::SIGNOUT), &names, own);
        calls
    }
}

fn add<'t, S: Includes<CallTable>>(
    calls: &mut Vec<BareCall<'t>>,
    name: &'static str,
    section: Section<'t, S>,
    upstreams: &[&str],
    own: Option<usize>,
) {
    if !section.is_present() || call::has_secret(&section) {
        return;
    }
    let named = section.optional(&CallTable::UPSTREAM);
    let upstream = match named {
        Some(named) => upstreams.iter().position(|upstream| *upstream == named),
        None => own,
    };
    let method = section.read(&CallTable::METHOD);
    calls.extend(upstream.map(|upstream| BareCall { name, method, place: section.own_place(), upstream }));
}
