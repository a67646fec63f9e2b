//! One-time codes in Redis. If Redis loses a code's record, the code is invalid, so its count of tries is never reset.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    keys::hex,
    script::{OPEN_CODE, SEND_AGAIN, SETTLE_CODE, ScriptCall, TRY_CODE},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Codes, Digest, NewCode, Opened, Resent, StoreError, Tried},
        words::{self, AnswerReader as _},
    },
};

impl Codes for RedisStore {
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>> {
        let cool_until = now.plus(cooldown);
        let facts = format!("{} {} {}", code.facts.channel, code.facts.purpose, code.facts.masked);
        let call = ScriptCall::new(&OPEN_CODE, self.instance.keys.codes(code.address))
            .arg(hex(&code.browser.0))
            .arg(code.mac.0)
            .arg(&code.sealed)
            .arg(facts)
            .moment(code.expires, now)
            .span(cooldown)
            .number(i64::try_from(most_live).unwrap_or(i64::MAX))
            .time_to_live(code.expires.max(cool_until), now);
        async move { words::opened(&mut self.instance.ask(call, now).await?, cooldown) }.boxed()
    }

    fn resend(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>> {
        let call = ScriptCall::new(&SEND_AGAIN, self.instance.keys.codes(address)).arg(hex(&browser.0)).number(most);
        async move { words::resent(&mut self.instance.ask(call, now).await?) }.boxed()
    }

    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>> {
        let call = ScriptCall::new(&TRY_CODE, self.instance.keys.codes(address))
            .arg(hex(&browser.0))
            .arg(mac.0)
            .number(most_tries)
            .moment(claim_until, now)
            .number(self.instance.fresh_number())
            .time_to_live(claim_until, now);
        async move { words::tried(&mut self.instance.ask(call, now).await?) }.boxed()
    }

    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = ScriptCall::new(&SETTLE_CODE, self.instance.keys.codes(address))
            .arg(hex(&browser.0))
            .arg(claim.to_string())
            .number(i64::from(spent));
        async move { Ok(self.instance.ask(call, now).await?.word()? == "settled") }.boxed()
    }
}
