//! The compiled table of routes and own endpoints: which of them a request matches, and its access rule. Pure
//! functions.

mod access;
mod begins_login;
mod conflict;
mod entry;
mod explain;
mod fold;
mod foreign;
mod gaps;
mod hosts;
mod lax;
mod methods;
mod own;
mod own_auth_js;
mod own_calls;
mod own_table;
mod pattern;
mod settings;
mod stricter;
mod table;
mod targets;
mod trie;

pub use self::{
    access::{Decision, Requester},
    conflict::Conflict,
    entry::Route,
    explain::{Candidate, MatchOutcome},
    foreign::has_wildcard,
    gaps::{Gap, GapKind},
    lax::LaxPath,
    own::{
        AnswerForm, AuthJsEndpoint, CrossSite, DEV_PATH, DevPages, Exists, GuessCheck, JWKS_PATH, OwnEndpoint,
        OwnMethods, OwnPath, OwnRow, OwnService, ProviderIndex, ServedBy,
    },
    own_calls::{CallPiece, OwnCall, OwnCalls},
    own_table::{HasPage, OwnMatch, OwnSettings, reserved_provider_name},
    settings::{Access, Cors, OnSecond401, OwnCallsRule, RetryOn401, Settings},
    stricter::Rules,
    table::{Table, TableMatch},
    targets::{SharedTargets, is_this_machine},
};
#[cfg(test)]
mod tests;
