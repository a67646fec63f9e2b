//! A session that began with one request, for another request with the same proof: packed for a deposit, and the
//! cookies of its newest tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    cookies::CookieChanges,
    grant::Session,
    sealed::{SealedAccess, SealedRefresh, SealedResult},
    shared::Sessions,
    visit::Visit,
};
use crate::{clock::Timestamp, store::StoreError};

/// The tokens of a session, to be sealed.
#[derive(Serialize, Deserialize)]
pub struct PackedSession {
    tokens: SealedResult,
    obtained_at: Timestamp,
}

impl Sessions {
    /// The tokens of `session`, to be sealed; `None` for a session without a login.
    pub fn pack(&self, session: &Session) -> Option<PackedSession> {
        let access = SealedAccess::of(&session.access)?;
        let tokens = SealedResult { access, refresh: session.refresh.as_deref().map(SealedRefresh::of) };
        Some(PackedSession { tokens, obtained_at: session.obtained_at })
    }

    /// The session of [`Sessions::pack`]; `None` if its tokens cannot be used any more.
    pub fn unpack(&self, packed: PackedSession) -> Option<Arc<Session>> {
        let access = packed.tokens.access.open(&self.shared.settings)?;
        self.shared.session(access, packed.tokens.refresh.map(SealedRefresh::open), packed.obtained_at)
    }

    /// The cookies that give the browser of `visit` the newest tokens of `session`; `None` if the session has ended.
    pub async fn cookies_again(
        &self,
        visit: &Visit,
        session: &Arc<Session>,
    ) -> Result<Option<CookieChanges>, StoreError> {
        let shared = &self.shared;
        let Some(login) = session.access.login.as_ref() else { return Ok(None) };
        let now = shared.now();
        let state = shared.states.find_or_create(login.sid, || shared.store.refreshes.has_ended(login.sid, now));
        let known = state.newest().filter(|known| known.access.generation > session.access.generation);
        let known = known.unwrap_or_else(|| session.clone());
        let stored = match &known.refresh {
            Some(refresh) => shared.newest_stored(refresh, refresh.generation).await?,
            None => None,
        };
        if state.has_ended() || shared.store.refreshes.has_ended(login.sid, now) {
            return Ok(None);
        }
        let newest = stored.unwrap_or(known);
        Ok(Some(visit.cookies_of(&newest).and(shared.jar.set_device(login.device.id))))
    }
}
