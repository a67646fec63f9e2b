//! Rotating refresh tokens: each login has a family with one valid token; use of an older one ends the family
//! (RFC 9700 section 4.14.2).

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::server::lock;
use crate::{
    clock::Timestamp,
    secret::{Random, RefreshToken},
};

/// Most families; a new one replaces the oldest, whose tokens are unknown from then on.
const MAX_FAMILIES: usize = 10_000;

/// All families, each with the grant of its login. A token is `rt.FAMILY.GENERATION.MAC`, so that old tokens of a
/// family are recognised although they are not stored.
pub(super) struct Families<G> {
    random: Random,
    lifetime: Duration,
    table: Mutex<Table<G>>,
}

struct Table<G> {
    /// The number of the newest family.
    last: u64,
    families: BTreeMap<u64, Family<G>>,
}

struct Family<G> {
    key: hmac::Key,
    /// Generation of the newest access token; grows with each refresh.
    generation: u64,
    /// Generation of the valid refresh token; smaller than `generation` if tokens do not rotate.
    refresh_generation: u64,
    /// Access tokens up to this generation are refused.
    rejected: u64,
    expires: Timestamp,
    revoked: bool,
    grant: G,
}

/// A token pair's family and generation, and the new refresh token.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) family: u64,
    pub(super) generation: u64,
    pub(super) refresh_token: RefreshToken,
}

/// The result of presenting a refresh token.
#[derive(Debug)]
pub(super) enum Presented<G> {
    /// The token was valid; this is the next token.
    Rotated(Issued, G),
    /// The token was used before; the family is revoked now.
    Reused { family: u64, generation: u64 },
    /// The token's family was revoked or has expired.
    Ended { family: u64, generation: u64 },
    /// The token was not issued here.
    Unknown,
}

/// Whether a refresh makes the old refresh token void.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rotation {
    On,
    Off,
}

impl<G: Clone> Families<G> {
    pub(super) fn new(random: Random, lifetime: Duration) -> Self {
        Self { random, lifetime, table: Mutex::new(Table { last: 0, families: BTreeMap::new() }) }
    }

    /// Opens a family and issues its first token.
    pub(super) fn open(&self, grant: G, now: Timestamp) -> Issued {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.random.bytes::<32>());
        let mut table = lock(&self.table);
        table.last += 1;
        let id = table.last;
        if table.families.len() >= MAX_FAMILIES {
            table.families.pop_first();
        }
        let family = Family {
            key,
            generation: 1,
            refresh_generation: 1,
            rejected: 0,
            expires: now.plus(self.lifetime),
            revoked: false,
            grant,
        };
        let issued = family.issued(id);
        table.families.insert(id, family);
        issued
    }

    /// Exchanges a refresh token for the next one. If `allowed` returns false for the family's grant, the token counts
    /// as unknown.
    pub(super) fn present(
        &self,
        token: &str,
        rotation: Rotation,
        now: Timestamp,
        allowed: impl FnOnce(&G) -> bool,
    ) -> Presented<G> {
        let Some((id, generation, mac)) = parse(token) else { return Presented::Unknown };
        let mut table = lock(&self.table);
        let Some(family) = table.families.get_mut(&id) else { return Presented::Unknown };
        if hmac::verify(&family.key, &generation.to_be_bytes(), &mac).is_err() || !allowed(&family.grant) {
            return Presented::Unknown;
        }
        if family.revoked || family.expires <= now {
            return Presented::Ended { family: id, generation };
        }
        if generation != family.refresh_generation {
            family.revoked = true;
            return Presented::Reused { family: id, generation };
        }
        family.generation += 1;
        family.expires = now.plus(self.lifetime);
        if rotation == Rotation::On {
            family.refresh_generation = family.generation;
        }
        Presented::Rotated(family.issued(id), family.grant.clone())
    }

    /// Family and generation of a refresh token, if it was issued here.
    pub(super) fn identify(&self, token: &str) -> Option<(u64, u64)> {
        let (id, generation, mac) = parse(token)?;
        let table = lock(&self.table);
        let family = table.families.get(&id)?;
        hmac::verify(&family.key, &generation.to_be_bytes(), &mac).ok().map(|()| (id, generation))
    }

    /// Revokes a family; false if it was revoked already.
    pub(super) fn revoke(&self, id: u64) -> bool {
        lock(&self.table).families.get_mut(&id).is_some_and(|f| !std::mem::replace(&mut f.revoked, true))
    }

    /// Revokes every family whose grant matches; returns their number.
    pub(super) fn revoke_where(&self, mut which: impl FnMut(&G) -> bool) -> usize {
        let mut table = lock(&self.table);
        let ended = table.families.values_mut().filter(|f| !f.revoked && which(&f.grant));
        ended.map(|f| f.revoked = true).count()
    }

    /// Makes all access tokens issued so far count as rejected.
    pub(super) fn reject_issued(&self) {
        for family in lock(&self.table).families.values_mut() {
            family.rejected = family.generation;
        }
    }

    /// The state of an access token of that family and generation.
    pub(super) fn state(&self, id: u64, generation: u64) -> FamilyState {
        match lock(&self.table).families.get(&id) {
            None => FamilyState::Revoked,
            Some(family) if family.revoked => FamilyState::Revoked,
            Some(family) if generation <= family.rejected => FamilyState::Rejected,
            Some(_) => FamilyState::Live,
        }
    }
}

/// The state of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FamilyState {
    Live,
    Rejected,
    Revoked,
}

impl<G> Family<G> {
    fn issued(&self, id: u64) -> Issued {
        let mac = hmac::sign(&self.key, &self.refresh_generation.to_be_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac.as_ref());
        let refresh_token = RefreshToken::new(format!("rt.{id}.{}.{mac}", self.refresh_generation));
        Issued { family: id, generation: self.generation, refresh_token }
    }
}

fn parse(token: &str) -> Option<(u64, u64, Vec<u8>)> {
    let mut parts = token.strip_prefix("rt.")?.splitn(3, '.');
    let (family, generation, mac) = (parts.next()?, parts.next()?, parts.next()?);
    Some((family.parse().ok()?, generation.parse().ok()?, URL_SAFE_NO_PAD.decode(mac).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Families<&'static str> {
        Families::new(Random::system(), Duration::from_secs(100))
    }

    #[test]
    fn a_second_use_of_an_old_token_revokes_the_family() {
        let (families, now) = (families(), Timestamp::from_secs(1000));
        let first = families.open("mina", now);
        let Presented::Rotated(second, "mina") =
            families.present(first.refresh_token.expose(), Rotation::On, now, |_| true)
        else {
            panic!("the first token is good")
        };
        assert_eq!((second.family, second.generation), (first.family, 2));
        assert!(matches!(
            families.present(first.refresh_token.expose(), Rotation::On, now, |_| true),
            Presented::Reused { generation: 1, .. }
        ));
        assert!(matches!(
            families.present(second.refresh_token.expose(), Rotation::On, now, |_| true),
            Presented::Ended { generation: 2, .. }
        ));
        assert_eq!(families.state(second.family, 2), FamilyState::Revoked);
    }

    #[test]
    fn without_rotation_a_token_can_be_used_again() {
        let (families, now) = (families(), Timestamp::from_secs(1000));
        let first = families.open("mina", now);
        for generation in 2..5 {
            let presented = families.present(first.refresh_token.expose(), Rotation::Off, now, |_| true);
            let Presented::Rotated(next, _) = presented else { panic!("the token is valid") };
            assert_eq!(next.generation, generation);
            assert_eq!(next.refresh_token, first.refresh_token);
        }
    }

    #[test]
    fn a_forged_token_is_unknown_and_an_expired_one_has_ended() {
        let (families, now) = (families(), Timestamp::from_secs(1000));
        let first = families.open("mina", now);
        let forged = first.refresh_token.expose().replace("rt.1.1.", "rt.1.2.");
        assert!(matches!(families.present(&forged, Rotation::On, now, |_| true), Presented::Unknown));
        assert!(matches!(families.present("rubbish", Rotation::On, now, |_| true), Presented::Unknown));
        let later = now.plus(Duration::from_secs(100));
        assert!(matches!(
            families.present(first.refresh_token.expose(), Rotation::On, later, |_| true),
            Presented::Ended { .. }
        ));
    }
}
