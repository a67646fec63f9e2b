//! One-time codes in Redis. A code that is lost there is dead: its tries never begin anew.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    RedisStore,
    keys::hex,
    millis,
    answer::other_than_expected,
    script::{Call, OPEN_CODE, SEND_AGAIN, SETTLE_CODE, TRY_CODE},
    time_to_live,
};
use crate::{
    clock::Timestamp,
    store::{Again, Codes, Digest, NewCode, Opened, StoreError, Tried},
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
        let call = Call::new(&OPEN_CODE, self.shared.keys.codes(code.address))
            .arg(hex(&code.browser.0))
            .arg(code.mac.0)
            .arg(&code.sealed)
            .arg(facts)
            .number(millis(code.expires))
            .number(super::span(cooldown))
            .number(i64::try_from(most_live).unwrap_or(i64::MAX))
            .number(millis(now))
            .number(millis(cool_until))
            .number(time_to_live(code.expires.max(cool_until), now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "stored" => Ok(Opened::Stored),
                "soon" => Ok(Opened::TooSoon(reply.moment()?)),
                _ => Err(other_than_expected()),
            }
        }
        .boxed()
    }

    fn again(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Again, StoreError>> {
        let call = Call::new(&SEND_AGAIN, self.shared.keys.codes(address))
            .arg(hex(&browser.0))
            .number(most)
            .number(millis(now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "code" => {
                    let expires = reply.moment()?;
                    Ok(Again::Code { sealed: reply.bytes()?, expires })
                }
                "often" => Ok(Again::TooOften(reply.moment()?)),
                "none" => Ok(Again::None),
                _ => Err(other_than_expected()),
            }
        }
        .boxed()
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
        let call = Call::new(&TRY_CODE, self.shared.keys.codes(address))
            .arg(hex(&browser.0))
            .arg(mac.0)
            .number(most_tries)
            .number(millis(claim_until))
            .number(millis(now))
            .number(self.shared.fresh_number(now))
            .number(time_to_live(claim_until, now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "right" => Ok(Tried::Right(reply.number()?)),
                "wrong" => Ok(Tried::Wrong),
                "gone" => Ok(Tried::Gone),
                _ => Err(other_than_expected()),
            }
        }
        .boxed()
    }

    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = Call::new(&SETTLE_CODE, self.shared.keys.codes(address))
            .arg(hex(&browser.0))
            .arg(claim.to_string())
            .number(i64::from(spent));
        async move { Ok(self.shared.ask_at(&call, now).await?.word()? == "settled") }.boxed()
    }
}
