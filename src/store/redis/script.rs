//! The scripts: each is one atomic step on keys of one hash tag, sent by its SHA-1 and in full to a server that does not know it.

use std::sync::LazyLock;

use redis::{Cmd, Script as Hashed};

/// One script.
pub(super) struct Script {
    body: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {$(
        pub(super) static $name: Script = Script {
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

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call {
    /// Runs `script` on `keys`: at least one, all of one hash tag.
    pub(super) fn new(script: &'static Script, keys: impl Into<Vec<String>>) -> Self {
        Self { script, keys: keys.into(), args: Vec::new() }
    }

    pub(super) fn arg(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.args.push(bytes.as_ref().to_vec());
        self
    }

    pub(super) fn number(self, number: impl Into<i64>) -> Self {
        self.arg(number.into().to_string())
    }

    /// The hash slot of its keys.
    pub(super) fn slot(&self) -> u16 {
        self.keys.first().map_or(0, |key| slot(key.as_bytes()))
    }

    /// By the script's digest.
    pub(super) fn by_sha(&self) -> Cmd {
        self.command("EVALSHA", &self.script.sha)
    }

    /// With the script itself.
    pub(super) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.body)
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}

/// Redis Cluster specification, "Hash tags": CRC-16 of what stands between the first braces, modulo 16384.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|b| *b == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|b| *b == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % 16384
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
    fn keys_with_one_tag_share_a_slot() {
        // The specification's check value, and what CLUSTER KEYSLOT answers.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"vestibule:{foo}:leases"), 12182);
        assert_eq!(slot(b"a{}b"), crc16(b"a{}b") % 16384);
    }
}
