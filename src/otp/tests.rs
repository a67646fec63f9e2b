use super::*;

/// Keeps messages for a test to read.
pub(super) struct Recorder;

impl Recorder {
    pub(super) fn take(&self, _to: &str, _text: &str) -> Result<(), deliver::Undelivered> {
        Ok(())
    }
}
