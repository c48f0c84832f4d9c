//! Scopes as the kernel knows them: one bit each, a table from port to bits, and bans that carry bits.

use anyhow::{Result, ensure};
use blocker_common::map::{Ban, MAX_JAILS, MAX_SCOPES, Scopes};

use super::Clock;
use crate::ban::{Enforced, Expiry, Scope};
use crate::firewall::JailScope;

/// Which bit each jail's scope has. Jails with the same scope share one.
pub(super) struct ScopeBits {
    scopes: Vec<Scope>,
    /// By jail, the bit of its scope.
    jails: Vec<Scopes>,
}

impl ScopeBits {
    pub(super) fn new(jails: &[JailScope]) -> Result<Self> {
        ensure!(
            jails.len() <= MAX_JAILS,
            "{} jails are configured; the kernel program counts for at most {MAX_JAILS}",
            jails.len()
        );
        let mut scopes = Vec::new();
        let mut bits = Vec::with_capacity(jails.len());
        for JailScope { name, scope } in jails {
            let bit = scopes.iter().position(|known| known == scope).unwrap_or_else(|| {
                scopes.push(scope.clone());
                scopes.len() - 1
            });
            ensure!(
                bit < MAX_SCOPES,
                "jail `{name}`: its ports {scope} are the {}th different set; the kernel program knows at most {MAX_SCOPES}",
                bit + 1
            );
            bits.push(1 << bit);
        }
        Ok(Self { scopes, jails: bits })
    }

    /// How many jails there are.
    pub(super) fn jails(&self) -> usize {
        self.jails.len()
    }

    /// Every TCP port that belongs to a scope, with the scopes it belongs to.
    pub(super) fn ports(&self) -> Vec<(u16, Scopes)> {
        let mut table = vec![0; usize::from(u16::MAX) + 1];
        for (bit, scope) in self.scopes.iter().enumerate() {
            for port in scope.ports.iter().cloned().flatten() {
                table[usize::from(port)] |= 1 << bit;
            }
        }
        (0..=u16::MAX).zip(table).filter(|(_, bits)| *bits != 0).collect()
    }

    /// The one entry that the kernel holds for an address on which these bans are in force; none when all are past.
    ///
    /// An entry has one end for all its scopes. Where bans of different scopes end at different times, it ends with the first of
    /// them, so that no scope is covered for longer than its jail says; the ledger's next change then brings the rest.
    pub(super) fn kernel_ban(&self, bans: &[Enforced], clock: &Clock) -> Option<Ban> {
        let mut ends: Vec<(Scopes, u64)> = Vec::with_capacity(bans.len());
        let mut jail = None;
        for ban in bans {
            let end = match ban.until {
                Expiry::Never => Ban::FOREVER,
                Expiry::At(time) => match clock.in_kernel_time(time) {
                    Some(end) => end,
                    None => continue,
                },
            };
            let Some(bit) = self.jails.get(usize::from(ban.jail.0)) else {
                continue;
            };
            jail.get_or_insert(u32::from(ban.jail.0));
            match ends.iter_mut().find(|(known, _)| known == bit) {
                Some((_, latest)) => *latest = end.max(*latest),
                None => ends.push((*bit, end)),
            }
        }
        Some(Ban {
            until: ends.iter().map(|(_, end)| *end).min()?,
            scopes: ends.iter().fold(0, |all, (bit, _)| all | bit),
            jail: jail?,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::ban::{JailId, Protocol};

    fn jail(name: &str, ports: &[u16]) -> JailScope {
        JailScope {
            name: name.to_owned(),
            scope: Scope {
                protocol: Protocol::Tcp,
                ports: ports.iter().map(|port| *port..=*port).collect(),
            },
        }
    }

    fn clock() -> Clock {
        Clock {
            wall: Timestamp::from_second(1_000).unwrap(),
            monotonic: 5_000,
        }
    }

    fn ban(jail: u16, seconds: i64) -> Enforced {
        Enforced {
            jail: JailId(jail),
            until: Expiry::At(clock().wall + SignedDuration::from_secs(seconds)),
        }
    }

    fn end(seconds: u64) -> u64 {
        clock().monotonic + seconds * 1_000_000_000
    }

    #[test]
    fn jails_with_the_same_ports_share_a_bit() {
        let bits = ScopeBits::new(&[jail("a", &[25]), jail("b", &[25, 587]), jail("c", &[25])]).unwrap();
        assert_eq!(bits.jails, [0b01, 0b10, 0b01]);
        assert_eq!(bits.ports(), [(25, 0b11), (587, 0b10)]);
    }

    #[test]
    fn one_scope_too_many_is_refused_by_name() {
        let jails: Vec<JailScope> = (0..33).map(|n| jail(&format!("jail{n}"), &[n])).collect();
        let error = ScopeBits::new(&jails).err().unwrap().to_string();
        assert!(error.contains("jail32"), "{error}");
    }

    #[test]
    fn a_shorter_ban_of_the_same_scope_does_not_shorten_a_longer_one() {
        let bits = ScopeBits::new(&[jail("a", &[25]), jail("b", &[25])]).unwrap();
        let held = bits.kernel_ban(&[ban(0, 60), ban(1, 10)], &clock()).unwrap();
        assert_eq!((held.until, held.scopes, held.jail), (end(60), 1, 0));
    }

    #[test]
    fn bans_of_different_scopes_end_with_the_first_of_them() {
        let bits = ScopeBits::new(&[jail("a", &[25]), jail("b", &[587])]).unwrap();
        let held = bits.kernel_ban(&[ban(0, 60), ban(1, 10)], &clock()).unwrap();
        assert_eq!((held.until, held.scopes), (end(10), 0b11));
    }

    #[test]
    fn a_ban_that_is_past_is_not_held() {
        let bits = ScopeBits::new(&[jail("a", &[25])]).unwrap();
        assert_eq!(bits.kernel_ban(&[ban(0, 0)], &clock()), None);
        assert_eq!(bits.kernel_ban(&[ban(0, -1)], &clock()), None);
    }

    #[test]
    fn a_ban_for_ever_has_no_end() {
        let bits = ScopeBits::new(&[jail("a", &[25])]).unwrap();
        let forever = Enforced {
            jail: JailId(0),
            until: Expiry::Never,
        };
        assert_eq!(bits.kernel_ban(&[forever], &clock()).unwrap().until, Ban::FOREVER);
    }
}
