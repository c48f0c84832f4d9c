//! What the kernel is to hold for the bans in force on one host or network, as a pure function.

use blocker_common::map::{Ban, Ends, Terms};

use super::clock::Clock;
use super::scope_bits::ScopeBits;
use crate::ban::{Enforced, Expiry};

/// What the kernel holds for one host or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its entry in the map of bans, without the key of its ends.
    pub(super) ban: Ban,
    /// The ends of its scopes, where they are not all the entry's.
    pub(super) ends: Option<Ends>,
}

impl Held {
    /// For these bans; none when all are past.
    ///
    /// Of several jails with the same scope, the one whose ban ends last counts: a shorter ban never shortens a longer one.
    pub(super) fn of(bans: &[Enforced], prefix_len: u8, scopes: &ScopeBits, clock: &Clock) -> Option<Self> {
        let mut ends = Ends::NONE;
        let mut covered = 0;
        for ban in bans {
            let end = match ban.until {
                Expiry::Never => Ban::FOREVER,
                Expiry::At(time) => match clock.in_kernel_time(time) {
                    Some(end) => end,
                    None => continue,
                },
            };
            let Some(bit) = scopes.bit(ban.jail) else { continue };
            covered |= 1 << bit;
            if u64::from(end) > ends.until[bit] {
                (ends.until[bit], ends.jails[bit]) = (end.into(), ban.jail.0);
            }
        }
        let of_covered = |bit: &usize| covered & (1 << bit) != 0;
        let bits: Vec<usize> = (0..ends.until.len()).filter(of_covered).collect();
        let latest = *bits.iter().max_by_key(|bit| ends.until[**bit])?;
        let of = |bit: usize| (ends.until[bit], ends.jails[bit]);
        let is_split = bits.iter().any(|bit| of(*bit) != of(latest));
        Some(Self {
            ban: Ban {
                // Each came from such a word.
                until: u32::try_from(ends.until[latest]).unwrap_or(Ban::FOREVER),
                packets: 0,
                last_packet: 0,
                terms: if is_split {
                    Terms::several(prefix_len, 0)
                } else {
                    Terms::one(prefix_len, latest as u8, ends.jails[latest])
                },
            },
            ends: is_split.then_some(ends),
        })
    }
}

#[cfg(test)]
mod tests {
    use blocker_common::map::{Covered, TICK_SHIFT};
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::ban::{JailId, Scope};
    use crate::firewall::JailScope;

    fn scopes() -> ScopeBits {
        let jail = |name: &str, port: u16| JailScope {
            name: name.to_owned(),
            scope: Scope::tcp(vec![port..=port]),
        };
        ScopeBits::new(&[jail("a", 25), jail("b", 587), jail("c", 25)]).unwrap()
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

    fn end(seconds: u64) -> u32 {
        let end = clock().monotonic + seconds * 1_000_000_000;
        u32::try_from(end.div_ceil(1 << TICK_SHIFT)).unwrap()
    }

    fn one(bit: u8, jail: u16) -> Covered {
        Covered::One { scope: 1 << bit, jail }
    }

    fn held(bans: &[Enforced]) -> Option<Held> {
        Held::of(bans, 32, &scopes(), &clock())
    }

    #[test]
    fn one_ban_is_one_entry() {
        let Held { ban, ends } = held(&[ban(1, 60)]).unwrap();
        assert_eq!(
            (ban.until, ban.terms.covered(), ban.terms.prefix_len()),
            (end(60), one(1, 1), 32)
        );
        assert_eq!(ends, None);
    }

    #[test]
    fn a_shorter_ban_of_the_same_scope_does_not_shorten_a_longer_one() {
        for bans in [[ban(0, 60), ban(2, 10)], [ban(2, 10), ban(0, 60)]] {
            let Held { ban, ends } = held(&bans).unwrap();
            assert_eq!((ban.until, ban.terms.covered(), ends), (end(60), one(0, 0), None));
        }
    }

    #[test]
    fn each_scope_keeps_its_own_end_and_jail() {
        let Held { ban, ends } = held(&[ban(0, 60), ban(1, 10)]).unwrap();
        assert_eq!(
            (ban.until, ban.terms.covered()),
            (end(60), Covered::Several { ends: 0 })
        );
        let ends = ends.unwrap();
        assert_eq!(ends.until[..3], [end(60).into(), end(10).into(), 0]);
        assert_eq!(ends.jails[..2], [0, 1]);
    }

    #[test]
    fn a_ban_that_is_past_is_not_held() {
        assert_eq!(held(&[ban(0, 0)]), None);
        assert_eq!(held(&[ban(0, -1)]), None);
        assert_eq!(held(&[]), None);
        let rest = held(&[ban(0, -1), ban(1, 5)]).unwrap();
        assert_eq!(rest.ban.terms.covered(), one(1, 1));
    }

    #[test]
    fn a_ban_for_ever_has_no_end() {
        let forever = Enforced {
            jail: JailId(0),
            until: Expiry::Never,
        };
        assert_eq!(held(&[forever]).unwrap().ban.until, Ban::FOREVER);
    }
}
