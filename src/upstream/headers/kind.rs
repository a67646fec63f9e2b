//! The two kinds of exchange with an upstream.

/// Whether an exchange may switch protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExchangeKind {
    /// A request and its answer; `Upgrade` is removed.
    RequestResponse,
    /// A switch of protocols: `Upgrade` passes, and `Connection` names it.
    Upgrade,
}
