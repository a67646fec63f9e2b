//! What other instances settle and end: heard as it is published, and read up on after every interruption, so that no ending is missed.
//!
//! An ending is written twice: a mark in the session's own record, which its scripts see in the same step, and an entry in a list of all endings, numbered in their order.
//! Every instance subscribes first and reads the whole list then; what it may miss while it listens (a Cluster's nodes pass messages on without promise) it finds at its
//! next look at the newest entries.

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, Value};
use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep, timeout},
};

use super::{
    Shared,
    answer::other_than_expected,
    script::{ANNOUNCE, Call, ENDINGS},
    servers::{failure::spoken, kept::{CONNECT, FIRST_PAUSE, LONGEST_PAUSE}},
    time_to_live,
};
use crate::{
    clock::Timestamp,
    store::{Sid, StoreError},
};

/// Between two looks at the newest endings.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Between two signs of life of the connection that listens.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Endings read at once.
const PAGE: i64 = 1000;
/// Instances' clocks may differ by so much before one forgets what is live to another.
const SKEW: Duration = Duration::from_secs(60);
/// The first byte of what is published.
const SETTLED: u8 = b's';
const ENDED: u8 = b'e';

/// What is published when a session settles.
pub(super) fn settled(sid: Sid) -> Vec<u8> {
    [&[SETTLED], &sid.0[..]].concat()
}

/// Puts an ending on the list, and publishes it.
pub(super) fn announce(shared: &Shared, sid: Sid, until: Timestamp, now: Timestamp) -> Call {
    let until_millis = super::millis(until);
    let news = [&[ENDED], &sid.0[..], until_millis.to_string().as_bytes()].concat();
    Call::new(&ANNOUNCE, shared.keys.endings())
        .arg(sid.0)
        .number(until_millis)
        .number(super::millis(now.minus(SKEW)))
        .number(time_to_live(until, now))
        .arg(shared.keys.channel())
        .arg(news)
}

/// Follows what is published, and the list of endings, for ever.
pub(super) async fn follow(shared: Arc<Shared>) {
    let subscribed = Notify::new();
    tokio::join!(listen(&shared, &subscribed), look(&shared, &subscribed));
}

async fn listen(shared: &Arc<Shared>, subscribed: &Notify) {
    let mut pause = FIRST_PAUSE;
    for turn in 0.. {
        let begun = Instant::now();
        let Err(reason) = listen_once(shared, turn, subscribed).await;
        tracing::debug!(%reason, "the store's messages are not heard for a moment");
        if begun.elapsed() >= LONGEST_PAUSE + CONNECT {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn listen_once(shared: &Arc<Shared>, turn: usize, subscribed: &Notify) -> Result<Infallible, String> {
    let mut epoch = shared.servers.epoch();
    let hears = Arc::downgrade(shared);
    let push = move |push: PushInfo| {
        if let Some(shared) = hears.upgrade() {
            hear(&shared, &push);
        }
    };
    let mut connected = shared.servers.listen(turn, Box::new(push)).await?;
    let subscribing = connected.connection.subscribe(shared.keys.channel());
    let is_subscribed = timeout(CONNECT, subscribing).await;
    is_subscribed.map_err(|_| "no answer in time")?.map_err(|error| spoken(&error))?;
    subscribed.notify_one();
    let mut times = interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = &mut connected.driver => return Err("the connection broke".to_owned()),
            _ = times.tick() => {}
        }
        // 0 while nothing is known.
        match shared.servers.epoch() {
            0 => {}
            now if epoch == 0 => epoch = now,
            now if now == epoch => {}
            _ => return Err("another server may have taken over".to_owned()),
        }
        let ping = redis::cmd("PING");
        let alive = timeout(CONNECT, ping.query_async::<Value>(&mut connected.connection)).await;
        alive.map_err(|_| "no answer in time")?.map_err(|error| spoken(&error))?;
    }
}

fn hear(shared: &Shared, push: &PushInfo) {
    let (PushKind::Message, [_, Value::BulkString(news)]) = (&push.kind, push.data.as_slice()) else { return };
    let Some((kind, rest)) = news.split_first() else { return };
    let Some((sid, until)) = rest.split_first_chunk() else { return };
    let sid = Sid(*sid);
    match *kind {
        SETTLED => shared.wakes.wake(sid),
        ENDED => {
            let until = std::str::from_utf8(until).ok().and_then(|until| until.parse().ok());
            shared.learn_ending(sid, Timestamp::from_millis(until.unwrap_or(i64::MAX)));
        }
        _ => {}
    }
}

async fn look(shared: &Shared, subscribed: &Notify) {
    let mut cursor = 0;
    let mut epoch = 0;
    let mut is_new = false;
    let mut times = interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            () = subscribed.notified() => is_new = true,
            _ = times.tick() => {}
        }
        if is_new || shared.servers.epoch() != epoch {
            (cursor, epoch) = (0, shared.servers.epoch());
        }
        shared.say_unsaid().await;
        match read_endings(shared, &mut cursor).await {
            // What settled while nobody listened nobody will say again: whoever waits looks for itself.
            Ok(()) if std::mem::take(&mut is_new) => shared.wakes.wake_all(),
            Ok(()) => shared.forget_endings(),
            Err(error) => tracing::debug!(%error, "the endings of sessions were not read"),
        }
    }
}

/// Reads the endings after number `cursor`, and moves it.
async fn read_endings(shared: &Shared, cursor: &mut i64) -> Result<(), StoreError> {
    loop {
        let call = Call::new(&ENDINGS, shared.keys.endings()).number(*cursor).number(PAGE);
        let mut reply = shared.ask(&call).await?;
        if reply.word()? != "endings" {
            return Err(other_than_expected());
        }
        let newest: i64 = reply.number()?;
        if newest < *cursor {
            // The list is younger than what was read of it: the server has lost its data.
            *cursor = 0;
            continue;
        }
        let mut count = 0;
        while !reply.is_at_end() {
            let sid = Sid(reply.bytes()?.as_ref().try_into().map_err(|_| other_than_expected())?);
            shared.learn_ending(sid, reply.moment()?);
            *cursor = reply.number()?;
            count += 1;
        }
        if count < PAGE {
            return Ok(());
        }
    }
}
