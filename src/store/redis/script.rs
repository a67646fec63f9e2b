//! The scripts. Each is one atomic step on one key. It is sent as its SHA-1 (EVALSHA), and in full (EVAL) to a server
//! that does not have it yet.

use std::{sync::LazyLock, time::Duration};

use redis::Cmd;

use crate::{clock::Timestamp, store::contract::refreshes::LAPSED_LEASE_KEPT};

/// How long Redis keeps a key after its record became invalid: a lease that ran out can still be settled.
const KEPT_AFTER_EXPIRY: Duration = LAPSED_LEASE_KEPT;
/// The longest time to live of a key in milliseconds: 10 years.
const LONGEST_TIME_TO_LIVE: i64 = 10 * 366 * 86_400_000;
/// The largest number that scripts use, because Lua computes with doubles; also the largest time, in milliseconds since
/// the Unix epoch.
const LARGEST_EXACT: i64 = 1 << 52;
/// The largest distance of a time from the server's clock, so that their sum is exact in a script.
const LARGEST_DISTANCE: i64 = LARGEST_EXACT >> 1;

/// A script, and its SHA-1.
pub(super) struct Script {
    body: &'static str,
    sha: LazyLock<String>,
}

#[cfg(test)]
impl Script {
    /// The script with this time in place of the server's.
    fn at_time(&self, time: Timestamp) -> String {
        const CLOCK: &str = "redis.call('TIME')";
        assert!(self.body.contains(CLOCK));
        let millis = time.as_millis();
        self.body.replacen(CLOCK, &format!("{{ '{}', '{}' }}", millis / 1000, millis % 1000 * 1000), 1)
    }
}

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {$(
        pub(super) static $name: Script = {
            const BODY: &str = concat!(include_str!("lua/clock.lua"), include_str!(concat!("lua/", $file, ".lua")));
            Script { body: BODY, sha: LazyLock::new(|| redis::Script::new(BODY).get_hash().to_owned()) }
        };
    )*};
}

scripts! {
    LEASE "lease"
    RENEW "renew"
    SETTLE "settle"
    RESULT "result"
    ACKNOWLEDGE "acknowledge"
    END "end"
    ANNOUNCE "announce"
    ENDINGS "endings"
    TAKE "take"
    GIVE_BACK "give_back"
    OWN "own"
    OPEN_CODE "open_code"
    SEND_AGAIN "send_again"
    TRY_CODE "try_code"
    SETTLE_CODE "settle_code"
    SPEND "spend"
    REFUND "refund"
    BEGIN_FAMILY "begin_family"
    ADVANCE_FAMILY "advance_family"
    END_FAMILY "end_family"
    DEPOSIT "deposit"
    DEPOSITED "deposited"
    READ_NOTE "read_note"
    REPLACE_NOTE "replace_note"
    PROBE "probe"
}

/// A script with its key and arguments.
pub(super) struct ScriptCall {
    script: &'static Script,
    key: String,
    args: Vec<Vec<u8>>,
    /// Tests move the server's clock: the script runs as if it were this time.
    #[cfg(test)]
    server_time: Option<Timestamp>,
}

impl ScriptCall {
    /// Calls `script` with `key`. The methods below append the arguments, in the order that the script's comment lists.
    pub(super) fn new(script: &'static Script, key: String) -> Self {
        Self {
            script,
            key,
            args: Vec::new(),
            #[cfg(test)]
            server_time: None,
        }
    }

    pub(super) fn arg(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.args.push(bytes.as_ref().to_vec());
        self
    }

    pub(super) fn number(self, number: impl Into<i64>) -> Self {
        self.arg(number.into().to_string())
    }

    /// The distance of `moment` from the caller's `now`, in milliseconds.
    pub(super) fn moment(self, moment: Timestamp, now: Timestamp) -> Self {
        self.number(exact(moment).saturating_sub(exact(now)).clamp(-LARGEST_DISTANCE, LARGEST_DISTANCE))
    }

    /// A duration, in milliseconds.
    pub(super) fn span(self, span: Duration) -> Self {
        self.number(i64::try_from(span.as_millis()).unwrap_or(LARGEST_EXACT).min(LARGEST_EXACT))
    }

    /// The time to live of a record that is valid until `until`, in milliseconds.
    pub(super) fn time_to_live(self, until: Timestamp, now: Timestamp) -> Self {
        let kept = (until.since(now) + KEPT_AFTER_EXPIRY).as_millis();
        self.number(i64::try_from(kept).unwrap_or(LONGEST_TIME_TO_LIVE).min(LONGEST_TIME_TO_LIVE))
    }

    /// The call as if the server's clock showed this time.
    #[cfg(test)]
    pub(super) fn at_server_time(self, server_time: Option<Timestamp>) -> Self {
        Self { server_time, ..self }
    }

    /// The hash slot of the key.
    pub(super) fn slot(&self) -> u16 {
        slot(self.key.as_bytes())
    }

    /// The EVALSHA command.
    pub(super) fn by_sha(&self) -> Cmd {
        #[cfg(test)]
        if let Some(time) = self.server_time {
            return self.command("EVAL", &self.script.at_time(time));
        }
        self.command("EVALSHA", &self.script.sha)
    }

    /// The EVAL command.
    pub(super) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.body)
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(1).arg(&self.key);
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}

/// The slot of a key (Redis Cluster specification, "Key distribution model"). Our keys have no braces, so there is no
/// hash tag.
fn slot(key: &[u8]) -> u16 {
    crc16(key) % 16384
}

/// `moment` in milliseconds, limited to ±[`LARGEST_EXACT`].
fn exact(moment: Timestamp) -> i64 {
    moment.as_millis().clamp(-LARGEST_EXACT, LARGEST_EXACT)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_cluster_keyslot_answers() {
        // The specification's check value, and what CLUSTER KEYSLOT answers.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12182);
    }
}
