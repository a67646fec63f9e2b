//! Receives which sessions other instances settle and end. Messages are received as they are published, and the list of
//! ended sessions is read after every interruption, so that no end is missed.
//!
//! An end is written twice: into the session's record, where the session's scripts see it in the same step, and as a
//! numbered entry into a list of all ended sessions. Every instance first subscribes and then reads the whole list.
//! Messages can be lost (Cluster nodes forward them without a guarantee), so the newest entries of the list are read
//! every [`READ_AGAIN`].

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, Value};
use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep, timeout},
};

use super::{
    instance::Instance,
    message::InstanceMessage,
    script::{ENDINGS, ScriptCall},
    servers::{
        failure::description,
        reconnecting::{CONNECT, STABLE_AFTER},
    },
};
use crate::{
    clock::Timestamp,
    secret::Random,
    store::{
        contract::{Sid, StoreError, refreshes::END_KNOWN_WITHIN},
        reconnect::Reconnect,
        words::{AnswerReader as _, incomplete, unknown},
    },
};

/// The interval at which the newest entries are read. A reading may begin just before an end, so two must fit into
/// [`END_KNOWN_WITHIN`].
const READ_AGAIN: Duration = END_KNOWN_WITHIN.checked_div(2).expect("2 is not 0");
/// The interval of PINGs on the subscribed connection.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Entries that one call reads.
const PAGE: i64 = 1000;

/// Receives messages and reads the list of ended sessions. Never returns.
pub(super) async fn follow(instance: Arc<Instance>, random: Random) {
    let subscribed = Notify::new();
    tokio::join!(listen(&instance, &subscribed, Reconnect::new(random)), read(&instance, &subscribed));
}

async fn listen(instance: &Arc<Instance>, subscribed: &Notify, mut reconnect: Reconnect) {
    for turn in 0.. {
        let begun = Instant::now();
        let Err(reason) = listen_once(instance, turn, subscribed).await;
        tracing::debug!(%reason, "the connection that receives the store's messages ended; reconnecting");
        if begun.elapsed() >= STABLE_AFTER {
            reconnect.succeeded();
        }
        sleep(reconnect.wait()).await;
    }
}

async fn listen_once(instance: &Arc<Instance>, turn: usize, subscribed: &Notify) -> Result<Infallible, String> {
    let mut epoch = instance.servers.epoch();
    let receiver = Arc::downgrade(instance);
    let push = move |push: PushInfo| {
        if let Some(instance) = receiver.upgrade() {
            receive(&instance, &push);
        }
    };
    let mut connected = instance.servers.listen(turn, Box::new(push)).await?;
    let subscribing = connected.connection.subscribe(instance.keys.channel());
    let is_subscribed = timeout(CONNECT, subscribing).await;
    is_subscribed.map_err(|_| "no answer in time")?.map_err(|error| description(&error))?;
    subscribed.notify_one();
    let mut times = interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = &mut connected.driver => return Err("the connection broke".to_owned()),
            _ = times.tick() => {}
        }
        // The epoch is 0 while no server is known.
        match instance.servers.epoch() {
            0 => {}
            now if epoch == 0 => epoch = now,
            now if now == epoch => {}
            _ => return Err("another server may have taken over".to_owned()),
        }
        let ping = redis::cmd("PING");
        let alive = timeout(CONNECT, ping.query_async::<Value>(&mut connected.connection)).await;
        alive.map_err(|_| "no answer in time")?.map_err(|error| description(&error))?;
    }
}

fn receive(instance: &Instance, push: &PushInfo) {
    let (PushKind::Message, [_, Value::BulkString(bytes)]) = (&push.kind, push.data.as_slice()) else { return };
    match InstanceMessage::decode(bytes) {
        Some(InstanceMessage::Settled(sid)) => instance.local.waiters.wake(sid),
        Some(InstanceMessage::Ended(sid, until)) => instance.note_end(sid, instance.local.by_own_clock(until)),
        None => {}
    }
}

async fn read(instance: &Instance, subscribed: &Notify) {
    let mut cursor = 0;
    let mut epoch = 0;
    let mut is_new = false;
    let mut times = interval(READ_AGAIN);
    loop {
        tokio::select! {
            () = subscribed.notified() => is_new = true,
            _ = times.tick() => {}
        }
        if is_new || instance.servers.epoch() != epoch {
            (cursor, epoch) = (0, instance.servers.epoch());
        }
        instance.announce_unannounced().await;
        match read_endings(instance, &mut cursor).await {
            // A settlement that was published before the subscription is not published again: waiting tasks ask the
            // store.
            Ok(()) if std::mem::take(&mut is_new) => instance.local.waiters.wake_all(),
            Ok(()) => drop(instance.local.ended.sweep(instance.local.now())),
            Err(error) => tracing::debug!(%error, "the list of ended sessions could not be read"),
        }
    }
}

/// Reads the entries with numbers above `cursor`, and sets it to the last one read.
async fn read_endings(instance: &Instance, cursor: &mut i64) -> Result<(), StoreError> {
    loop {
        let call = ScriptCall::new(&ENDINGS, instance.keys.endings()).number(*cursor).number(PAGE);
        let asked_at = instance.local.now();
        let mut answer = instance.ask(call, asked_at).await?;
        let word = answer.word()?;
        if word != "endings" {
            return Err(unknown(&word));
        }
        let newest: i64 = answer.number()?;
        instance.local.note_store_time(Timestamp::from_millis(answer.number()?), asked_at);
        if newest < *cursor {
            // The newest number is below one that was already read: the server has lost its data.
            *cursor = 0;
            continue;
        }
        let mut count = 0;
        while !answer.is_at_end() {
            let sid = Sid(answer.bytes()?.as_ref().try_into().map_err(|_| incomplete())?);
            instance.note_end(sid, answer.moment()?);
            *cursor = answer.number()?;
            count += 1;
        }
        if count < PAGE {
            return Ok(());
        }
    }
}
