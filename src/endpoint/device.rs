//! The device of a login: its id (from the browser's cookie, else from the app, else a new one) and its name.

use uuid::Uuid;

use super::call::Call;
use crate::{
    authority::Device,
    received::is_invisible,
    secret::Random,
    session::{self, Sessions},
};

/// Longest device name that an app can set, in characters.
const LONGEST_NAME: usize = 100;

impl Call {
    /// The device that logs in. `id` and `name` are from the app; an id in the browser's cookie has priority over `id`.
    pub fn device(&self, sessions: &Sessions, random: &Random, id: Option<Uuid>, name: Option<&str>) -> Device {
        let from_cookie = sessions.device_id(&self.headers);
        let id = from_cookie.or(id).unwrap_or_else(|| random.uuid());
        let name = name.map(visible).filter(|name| !name.is_empty());
        Device { id, name: name.unwrap_or_else(|| session::device::name(&self.headers)) }
    }
}

/// The device id from an app; `None` unless it is a UUID.
pub fn app_device_id(id: Option<&str>) -> Option<Uuid> {
    id.and_then(session::device::parse_id)
}

/// The first 100 visible characters.
fn visible(name: &str) -> String {
    let is_shown = |c: &char| !c.is_control() && !is_invisible(*c);
    let shown: String = name.trim().chars().filter(is_shown).take(LONGEST_NAME).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_is_cut_to_its_first_hundred_visible_characters() {
        assert_eq!(visible("  철수의 Galaxy S24\r\n"), "철수의 Galaxy S24");
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{0}d"), "abcd");
        assert_eq!(visible(&"가".repeat(500)).chars().count(), LONGEST_NAME);
        assert_eq!(visible(" \t\u{200b} "), "");
    }
}
