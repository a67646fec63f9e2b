//! The backends: their targets, connections, balancing, and the forwarding of a request. Independent of sessions and
//! the store: the caller passes the value of `Authorization`.

mod addresses;
mod answer;
mod balance;
mod body;
mod connect;
mod connection;
mod error;
mod forward;
pub mod headers;
mod health;
mod idle_check;
mod pool;
pub mod replay;
mod settings;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod tunnel;
mod upgrade;
mod websocket;

pub use self::{
    answer::{AnswerBody, AnswerError, is_event_stream, is_stream},
    balance::Upstream,
    body::{RequestBody, RequestError},
    error::{AnswerFault, ForwardError, Stage},
    headers::{HeaderPiece, HeaderRules, HeaderTemplate, SessionValue},
    health::EjectionRule,
    settings::{Bearer, RequestDeadlines, Settings, Target},
    target::{SentRequest, TargetState},
    tunnel::{TunnelEnd, TunnelOutcome, tunnel},
    upgrade::{SwitchedConnection, UpgradeAnswer},
};
