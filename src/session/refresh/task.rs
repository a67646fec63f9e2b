//! One refresh, as a task on the background runtime. The documentation of the module `refresh` has the order of its
//! steps.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    brake::Refusal,
    gate::{Admission, Asker},
    hold::{CallFailure, Hold},
    lease::{Asked, HeldLease},
    outage::{Event, Verdict},
    outcome::{FRESH_RESULT, RETRY_AFTER, RefreshOutcome, Want},
    watch::AuthorityWatch,
};
use crate::{
    authority::{self, Claims, ClientDevice, Issued, RefreshError},
    client::Client,
    clock::Timestamp,
    session::{
        check::{self, Freshness},
        digest::{person_of_client, token_of_session},
        end::EndReason,
        grant::{AccessGrant, RefreshGrant, Session},
        settings::StoreDown,
        shared::Shared,
    },
    store::{Digest, Generation, Settled, StoreError},
    telemetry::RefreshResult as Counted,
};

/// How long the store keeps a result that no request has acknowledged.
const UNSEEN_RESULT: Duration = Duration::from_secs(24 * 3600);

/// One refresh.
pub(super) struct RefreshTask {
    shared: Arc<Shared>,
    /// The refresh token of the request.
    start: Digest,
    /// The generation above which the request needs tokens.
    known: Generation,
    /// The newest refresh token found so far.
    grant: Arc<RefreshGrant>,
    /// The highest generation found so far.
    newest_generation: Generation,
    want: Want,
    /// The request's access token: due, expired, or rejected by an upstream.
    old_access: Option<Arc<AccessGrant>>,
    client: Client,
    /// How long the task waits until it may ask.
    patience: Duration,
    /// Whether this refresh was counted as one of `POST /refresh`.
    is_counted: bool,
    /// Whether the task has already waited for the refresh of another instance.
    has_waited: bool,
    /// The newest tokens found so far, if any are newer than the request's.
    candidate: Option<Arc<Session>>,
}

impl RefreshTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        grant: Arc<RefreshGrant>,
        known: Generation,
        want: Want,
        old_access: Option<Arc<AccessGrant>>,
        client: Client,
        patience: Duration,
    ) -> Self {
        Self {
            shared,
            start: grant.digest,
            known,
            grant,
            newest_generation: known,
            want,
            old_access,
            client,
            patience,
            is_counted: false,
            has_waited: false,
            candidate: None,
        }
    }

    /// Runs the refresh to its end.
    pub(super) async fn run(mut self) -> RefreshOutcome {
        let outcome = match self.with_store().await {
            Ok(outcome) => outcome,
            Err(error) => self.without_store(&error).await,
        };
        // The session's state gets the tokens before the waiters do. If the session has ended meanwhile, the tokens are
        // signed out and no request gets them.
        if let RefreshOutcome::Refreshed(session) = &outcome
            && let Some(state) = self.shared.states.find(self.grant.login.sid)
        {
            state.update_newest(session);
            if state.has_ended() {
                self.shared.sign_out_after_end(session, self.client_device()).await;
                return RefreshOutcome::SignedOut;
            }
        }
        outcome
    }

    /// Reads the results in the store, takes the lease, asks the authority; starts over when the store has a newer
    /// result.
    async fn with_store(&mut self) -> Result<RefreshOutcome, StoreError> {
        let shared = self.shared.clone();
        loop {
            if let Some(session) = self.follow_results().await? {
                return Ok(RefreshOutcome::Refreshed(session));
            }
            let ask = match self.may_ask().await {
                Ok(ask) => ask,
                Err(outcome) => return Ok(outcome),
            };
            let newest = (self.grant.login.sid, self.grant.digest, self.newest_generation);
            match shared.ask_for_lease((self.start, self.known), newest).await? {
                Asked::Ended => return Ok(RefreshOutcome::Ended),
                Asked::LookAgain => {}
                Asked::Granted(lease) => {
                    if let Some(outcome) = self.ask_authority(lease, ask).await? {
                        return Ok(outcome);
                    }
                }
            }
        }
    }

    /// The store does not answer, so it is unknown whether another instance asks the authority, or has asked it. With
    /// `store_down = "wait"` the authority is not asked.
    async fn without_store(&mut self, error: &StoreError) -> RefreshOutcome {
        let shared = self.shared.clone();
        shared.metrics.store_errors.inc();
        if let Some(session) = self.candidate.clone().filter(|session| self.suits(session, shared.now())) {
            return RefreshOutcome::Refreshed(session);
        }
        if shared.settings.store_down == StoreDown::Wait {
            tracing::error!(%error, sid = ?self.grant.login.sid, "the store is unreachable: the session was not refreshed");
            return RefreshOutcome::Unavailable(RETRY_AFTER);
        }
        tracing::warn!(
            %error, sid = ?self.grant.login.sid,
            "the store is unreachable: this instance refreshes the session without a lease"
        );
        let ask = match self.may_ask().await {
            Ok(ask) => ask,
            Err(outcome) => return outcome,
        };
        let from = self.client_device();
        let answer = shared.authority.refresh(self.request(&self.grant.claims()), &from).await;
        let now = shared.now();
        match answer {
            Ok(issued) => match shared.successor(&self.grant, self.newest_generation, &issued, now) {
                Some(session) => self.judge_tokens(session, &ask, now).await,
                None => RefreshOutcome::Unavailable(RETRY_AFTER),
            },
            // Another instance may have spent the refresh token, and the store cannot be asked: this ends no session.
            Err(RefreshError::Refused) => RefreshOutcome::Unavailable(RETRY_AFTER),
            Err(error) => {
                shared.metrics.refresh(Counted::Outage);
                ask.failed(call_failure(&error)).await
            }
        }
    }

    /// Waits until the authority may be asked for this refresh token; an outcome if that takes too long.
    async fn may_ask(&mut self) -> Result<Ask, RefreshOutcome> {
        let shared = &self.shared;
        let sid = self.grant.login.sid;
        let Some(name) = shared.authority.asked_for(&self.grant.login.provider) else {
            // No authority can be asked: the provider, or the refresh call, was removed from the configuration. This is
            // no refusal that the brake counts.
            shared.end(&self.grant.login, EndReason::Refused).await;
            return Err(RefreshOutcome::Ended);
        };
        let watch = shared.authorities.named(name);
        // The other instance's refresh gave no tokens: it has just written a hold.
        if std::mem::replace(&mut self.has_waited, true) {
            watch.look_now().await;
        }
        if self.want == Want::Fresh && !self.is_counted {
            watch.look().await;
            if let Some(wait) = shared.forced_too_often(sid, watch.now()).await {
                return Err(RefreshOutcome::TooOften(wait));
            }
            self.is_counted = true;
        }
        let mark = u32::from_be_bytes([sid.0[0], sid.0[1], sid.0[2], sid.0[3]]);
        let person = self.grant.person.unwrap_or_else(|| person_of_client(self.client.key()));
        let asker = Asker { rt: token_of_session(sid, self.grant.digest), session: mark, person };
        match watch.admit(asker, self.patience).await {
            Admission::MayAsk(hold) => Ok(Ask { watch, asker, hold }),
            Admission::Held(wait) => Err(RefreshOutcome::Held(wait)),
        }
    }

    fn client_device(&self) -> ClientDevice {
        ClientDevice::of(&self.client, &self.grant.login.device)
    }

    /// `claims` are those of the session.
    fn request<'r>(&'r self, claims: &'r Claims) -> authority::RefreshRequest<'r> {
        authority::RefreshRequest {
            refresh_token: &self.grant.token,
            access_token: self.old_access.as_ref().map(|access| &access.token),
            provider: &self.grant.login.provider,
            identity: Some(&self.grant.identity),
            claims,
        }
    }

    /// Follows the results in the store to the newest generation. Returns its tokens if they suit the request.
    async fn follow_results(&mut self) -> Result<Option<Arc<Session>>, StoreError> {
        let shared = self.shared.clone();
        // The state also has results of this process that could not be stored.
        let newest = shared.states.find(self.grant.login.sid).and_then(|state| state.newest());
        if let Some(session) = newest.filter(|session| session.access.generation > self.newest_generation) {
            self.follow(session);
        }
        if let Some(session) = shared.newest_stored(&self.grant, self.newest_generation).await? {
            self.follow(session);
        }
        let now = shared.now();
        Ok(self.candidate.clone().filter(|session| self.suits(session, now)))
    }

    fn follow(&mut self, session: Arc<Session>) {
        self.newest_generation = session.access.generation;
        if let Some(next) = &session.refresh {
            self.grant = next.clone();
        }
        self.candidate = Some(session);
    }

    /// True if these tokens suit the request: not its old access token, recent enough, not expired.
    fn suits(&self, session: &Session, now: Timestamp) -> bool {
        let is_other = self.old_access.as_ref().is_none_or(|old| old.token != session.access.token);
        let is_recent = match self.want {
            Want::Newer => true,
            Want::Fresh => self.grant.digest != self.start || now.since(session.obtained_at) <= FRESH_RESULT,
        };
        is_other && is_recent && check::freshness(&session.access, now) != Freshness::Expired
    }

    /// Asks the authority under the lease. `None`: the store has a newer result, start over.
    async fn ask_authority(&mut self, lease: HeldLease, ask: Ask) -> Result<Option<RefreshOutcome>, StoreError> {
        let shared = self.shared.clone();
        let from = self.client_device();
        let claims = self.grant.claims();
        let answer = shared.renewing(lease, shared.authority.refresh(self.request(&claims), &from)).await;
        let now = shared.now();
        match answer {
            Ok(issued) => self.store_result(lease, issued, &ask, now).await.map(Some),
            Err(RefreshError::Refused) => self.judge_refusal(lease, &ask, now).await,
            Err(error) => {
                shared.metrics.refresh(Counted::Outage);
                tracing::warn!(%error, sid = ?lease.sid, "the authority did not refresh the session");
                // The hold is written before the lease is free: the next holder sees it.
                let outcome = ask.failed(call_failure(&error)).await;
                shared.release(lease, now).await?;
                Ok(Some(outcome))
            }
        }
    }

    /// Handles a refusal of the refresh token. It ends the session, unless another instance has refreshed the session
    /// meanwhile (`None`) or the brake is engaged.
    async fn judge_refusal(
        &self,
        lease: HeldLease,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Option<RefreshOutcome>, StoreError> {
        let shared = &self.shared;
        let HeldLease { sid, rt, .. } = lease;
        // If this lease expired, another instance may have used the refresh token: then its result counts.
        if let Some(result) = shared.store.refreshes.result(sid, rt, now).await?
            && result.generation > self.newest_generation
        {
            shared.release(lease, now).await?;
            return Ok(None);
        }
        if lease.is_doubtful(now) {
            let outcome = ask.failed(CallFailure::BadAnswer).await;
            shared.metrics.refresh(Counted::Outage);
            tracing::warn!(
                ?sid,
                "the authority refused a refresh token that an earlier holder of the lease may have spent: the session \
                 stays until that holder can no longer be answered"
            );
            shared.release(lease, now).await?;
            return Ok(Some(outcome));
        }
        shared.metrics.refresh(Counted::Refused);
        if ask.watch.record(Event::Refused(ask.asker.session)).await == Verdict::Refusal(Refusal::EndsSession) {
            // The end also releases the lease: other instances that wait for it see the end and do not ask the
            // authority again.
            shared.end(&self.grant.login, EndReason::Refused).await;
            return Ok(Some(RefreshOutcome::Ended));
        }
        // The brake is engaged: the refusal counts as an outage.
        let outcome = ask.failed(CallFailure::BadAnswer).await;
        shared.release(lease, now).await?;
        Ok(Some(outcome))
    }

    /// Stores the newly issued tokens before any request gets them.
    async fn store_result(
        &self,
        lease: HeldLease,
        issued: Issued,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<RefreshOutcome, StoreError> {
        let shared = &self.shared;
        let HeldLease { sid, rt, fence, .. } = lease;
        let Some(session) = shared.successor(&self.grant, self.newest_generation, &issued, now) else {
            // The old refresh token may be spent, and the new one does not fit into cookies. Without an end the old
            // token would be used again, which the authority may treat as theft.
            tracing::error!(
                ?sid,
                "the refreshed tokens take more than 16 KiB of cookies: a session of this size needs the server store (session.store = \"server\")"
            );
            ask.watch.succeeded(token_of_session(sid, rt), ask.hold).await;
            shared.release(lease, now).await?;
            shared.end(&self.grant.login, EndReason::TooLarge).await;
            let from = self.client_device();
            shared.sign_out_issued(&issued, &self.grant.login.provider, &from).await;
            return Ok(RefreshOutcome::SignedOut);
        };
        // A hold is written before the lease is free: the next holder sees it.
        let outcome = self.judge_tokens(session.clone(), ask, now).await;
        let sealed = shared.seal_result(&self.grant, &session);
        let kept_until = now.plus(UNSEEN_RESULT);
        let result = (session.access.generation, Bytes::from(sealed));
        let settled = shared.store.refreshes.settle(sid, rt, fence, Some(result.clone()), kept_until, now).await;
        match settled {
            Ok(Settled::Stored) => Ok(outcome),
            Ok(Settled::Ended) => {
                shared.sign_out_after_end(&session, self.client_device()).await;
                Ok(RefreshOutcome::SignedOut)
            }
            // The task that took over the lease has stored its result: that one is newer.
            Ok(Settled::Lost) => {
                tracing::warn!(?sid, "a refresh took longer than its lease, and another task was faster");
                let newer = shared.newest_stored(&self.grant, self.newest_generation).await;
                Ok(newer.ok().flatten().map_or(outcome, RefreshOutcome::Refreshed))
            }
            Err(error) => {
                tracing::error!(%error, ?sid, "a refresh result was not stored; storing it is tried again");
                shared.metrics.store_errors.inc();
                shared.settle_later(sid, rt, fence, result, kept_until);
                Ok(outcome)
            }
        }
    }

    /// The outcome of the authority's answer. It may bring again an access token that has ended: no request can be sent
    /// with that, but the refresh token in the answer is the session's, and the next try is made with it.
    async fn judge_tokens(&self, session: Arc<Session>, ask: &Ask, now: Timestamp) -> RefreshOutcome {
        let shared = &self.shared;
        let newest = session.refresh.as_ref().filter(|_| check::freshness(&session.access, now) == Freshness::Expired);
        let Some(newest) = newest else {
            ask.watch.succeeded(ask.asker.rt, ask.hold).await;
            shared.metrics.refresh(Counted::Ok);
            return RefreshOutcome::Refreshed(session);
        };
        let sid = newest.login.sid;
        shared.metrics.refresh(Counted::Outage);
        tracing::warn!(?sid, "the authority's answer to a refresh has the access token of before, which has ended");
        if let Some(state) = shared.states.find(sid) {
            state.update_newest(&session);
        }
        ask.failed_for(token_of_session(sid, newest.digest), CallFailure::EndedToken).await
    }
}

/// The permission to ask an authority once.
struct Ask {
    watch: Arc<AuthorityWatch>,
    asker: Asker,
    /// The hold that the refresh token had, if it has failed before.
    hold: Option<Hold>,
}

impl Ask {
    /// Records that the call failed. The outcome says when another is possible: in an outage after its first success,
    /// which may be soon.
    async fn failed(&self, failure: CallFailure) -> RefreshOutcome {
        self.failed_for(self.asker.rt, failure).await
    }

    /// The same for `rt`, the refresh token with which the next call is made.
    async fn failed_for(&self, rt: Digest, failure: CallFailure) -> RefreshOutcome {
        let hold = self.watch.failed(rt, self.asker.person, self.hold, failure).await;
        let wait = hold.until.since(self.watch.now());
        let is_shared = !hold.is_own && self.watch.view(|record| record.covers(hold.set_at));
        RefreshOutcome::Held(if is_shared { wait.min(RETRY_AFTER) } else { wait })
    }
}

fn call_failure(error: &RefreshError) -> CallFailure {
    match error {
        RefreshError::Unsent => CallFailure::Unsent,
        RefreshError::Unanswered => CallFailure::Unanswered,
        RefreshError::TooMany { retry_after } => CallFailure::TooMany(*retry_after),
        RefreshError::Refused | RefreshError::Failed { .. } => CallFailure::BadAnswer,
    }
}
