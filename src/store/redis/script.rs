//! The scripts: each is one atomic step on one key, sent by its SHA-1 and in full to a server that does not know it.

use std::sync::LazyLock;

use redis::{Cmd, Script as Hashed};

/// One script.
pub(in crate::store::redis) struct Script {
    body: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {$(
        pub(in crate::store::redis) static $name: Script = Script {
            body: include_str!(concat!("lua/", $file, ".lua")),
            sha: LazyLock::new(|| Hashed::new(include_str!(concat!("lua/", $file, ".lua"))).get_hash().to_owned()),
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
    OPEN_CODE "open_code"
    SEND_AGAIN "send_again"
    TRY_CODE "try_code"
    SETTLE_CODE "settle_code"
    SPEND "spend"
    REFUND "refund"
    BEGIN_FAMILY "begin_family"
    ADVANCE_FAMILY "advance_family"
    END_FAMILY "end_family"
    PROBE "probe"
}

/// A script with its key and arguments.
pub(in crate::store::redis) struct Call {
    script: &'static Script,
    key: String,
    args: Vec<Vec<u8>>,
}

impl Call {
    /// Runs `script` on `key`.
    pub(in crate::store::redis) fn new(script: &'static Script, key: String) -> Self {
        Self { script, key, args: Vec::new() }
    }

    pub(in crate::store::redis) fn arg(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.args.push(bytes.as_ref().to_vec());
        self
    }

    pub(in crate::store::redis) fn number(self, number: impl Into<i64>) -> Self {
        self.arg(number.into().to_string())
    }

    /// The hash slot of its key.
    pub(in crate::store::redis) fn slot(&self) -> u16 {
        slot(self.key.as_bytes())
    }

    /// By the script's digest.
    pub(in crate::store::redis) fn by_sha(&self) -> Cmd {
        self.command("EVALSHA", &self.script.sha)
    }

    /// With the script itself.
    pub(in crate::store::redis) fn in_full(&self) -> Cmd {
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

/// Redis Cluster specification, "Key distribution model". Our keys have no braces, so there is no hash tag to look for.
fn slot(key: &[u8]) -> u16 {
    crc16(key) % 16384
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
    fn a_key_has_the_slot_that_a_cluster_says() {
        // The specification's check value, and what CLUSTER KEYSLOT answers.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12182);
    }
}
