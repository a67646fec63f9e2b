//! The compiled table of routes and own endpoints: which of them a request matches, and its access rule. Pure
//! functions.

mod access;
mod begins_login;
mod explain;
mod methods;
mod own;
mod own_calls;
mod own_table;
mod pattern;
mod settings;
mod table;
mod trie;

pub use self::{
    access::{Decision, Requester},
    explain::{Candidate, MatchOutcome},
    own::{
        AnswerForm, CrossSite, Exists, GuessCheck, JWKS_PATH, OwnEndpoint, OwnMethods, OwnPath, OwnRow, OwnService,
        ProviderIndex, ServedBy, reserved_provider_name,
    },
    own_calls::{CallPiece, OwnCall, OwnCalls},
    own_table::{HasPage, OwnMatch, OwnSettings},
    settings::{Access, Cors, OnSecond401, RetryOn401, Settings},
    table::{Conflict, Route, Table, TableMatch},
};
#[cfg(test)]
mod tests;
