//! Notes in Redis, with its clock.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    script::{READ_NOTE, REPLACE_NOTE, ScriptCall},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Digest, Note, Notes, Replaced, StoreError},
        words,
    },
};

impl Notes for RedisStore {
    fn read(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>> {
        let call = ScriptCall::new(&READ_NOTE, self.instance.keys.note(key));
        async move { words::note(&mut self.instance.ask(call, now).await?) }.boxed()
    }

    fn replace(
        &self,
        key: Digest,
        before: Bytes,
        after: Bytes,
        keep: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        let call = ScriptCall::new(&REPLACE_NOTE, self.instance.keys.note(key)).arg(before).arg(after).span(keep);
        async move { words::replaced(&mut self.instance.ask(call, now).await?) }.boxed()
    }
}
