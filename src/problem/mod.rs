//! What can go wrong for a visitor: one table with the status, code, text, advice and effects of each problem.
//! Each error type converts itself into a [`Problem`] beside its own definition; `respond` makes the answer.

mod denial;
mod details;
mod failure;
mod reference;
mod row;
mod table;

pub use denial::Denial;
pub use details::{FORWARDED_METHODS, Problem};
pub use failure::{Failure, LoginAskedBy};
pub use reference::reference;
pub use row::{
    Connection, FailureCounter, FormPage, GuessCounting, Link, ProblemRow, RetryAdvice, SessionCookies, Wording,
};
pub use table::ProblemKind;

#[cfg(test)]
mod tests;
