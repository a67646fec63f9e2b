//! Opened token cookies, and the cache of recently opened ones.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use rustc_hash::FxBuildHasher;

use super::{
    grant::{AccessGrant, RefreshGrant},
    state::SessionState,
};
use crate::authority::claims_as_received;

/// Largest size of the cache in octets. Beyond it the least recently used cookies are evicted, and opened again when
/// they are next sent.
const MOST_OCTETS: u64 = 64 << 20;
/// Octets of an entry besides the cookie's value, which an entry contains about twice.
const ENTRY_OVERHEAD: usize = 600;
/// An entry that was not used for this long is evicted.
const IDLE: Duration = Duration::from_secs(3600);

/// An opened `sb_at`.
#[derive(Clone, Debug)]
pub(super) struct OpenedAccess {
    pub(super) grant: Arc<AccessGrant>,
    /// Whether what was decided at receipt is known: it is sealed with the token or, of an unsealed one, with the
    /// refresh token that the request had.
    pub(super) is_whole: bool,
    pub(super) state: Arc<SessionState>,
}

/// An opened `sb_rt`.
#[derive(Clone, Debug)]
pub(super) struct OpenedRefresh {
    pub(super) grant: Arc<RefreshGrant>,
    pub(super) state: Arc<SessionState>,
}

/// Recently opened cookies, by their whole value.
pub(super) struct OpenedCookies {
    pub(super) access: Cache<Box<[u8]>, OpenedAccess, FxBuildHasher>,
    pub(super) refresh: Cache<Box<[u8]>, OpenedRefresh, FxBuildHasher>,
}

impl OpenedCookies {
    pub(super) fn new() -> Self {
        Self { access: cache(), refresh: cache() }
    }
}

fn cache<V: Clone + Send + Sync + 'static>() -> Cache<Box<[u8]>, V, FxBuildHasher> {
    Cache::builder()
        .max_capacity(MOST_OCTETS / 2)
        .weigher(|key: &Box<_>, _| weight(key))
        .time_to_idle(IDLE)
        // Only values that opened are keys, so an attacker cannot choose keys that collide: a fast hash is safe.
        .build_with_hasher(FxBuildHasher)
}

fn weight(value: &[u8]) -> u32 {
    u32::try_from(value.len() * 2 + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
}

/// An opened cookie that can be compared with another one of the same name.
pub(super) trait Opened {
    fn same_session(&self, other: &Self) -> bool;
}

impl Opened for OpenedAccess {
    fn same_session(&self, other: &Self) -> bool {
        let sid = |o: &Self| o.grant.login.as_ref().map(|l| l.sid);
        sid(self) == sid(other)
    }
}

impl OpenedAccess {
    /// True if two unsealed tokens, which carry no `sid`, belong to one person: one may be the successor of the other.
    pub(super) fn same_person(&self, other: &Self) -> bool {
        // By the tokens' own claims: those of the session may come from elsewhere.
        let person = |o: &Self| {
            let claims = claims_as_received(o.grant.token.expose())?;
            claims.contains_key("sub").then(|| ["iss", "sub"].map(|name| claims.get(name).cloned()))
        };
        person(self).is_some_and(|own| person(other) == Some(own))
    }
}

impl Opened for OpenedRefresh {
    fn same_session(&self, other: &Self) -> bool {
        self.grant.login.sid == other.grant.login.sid
    }
}
