//! The bans in memory: one table of them, without a list or a second copy of the address for each host.
//!
//! Bans lie in the table by their host or network alone, so that those of several jails are found together. A ban takes 64 bytes, and
//! there is room for about twice as many at the most. Which of them are in force may not enter.

use ahash::RandomState;
use hashbrown::HashTable;

use crate::ban::{Ban, JailId, Subject};

/// The part of its room below which the table is made smaller: what one bad day has filled must not be held for years.
const SPARSE: usize = 8;
/// So much room is not worth giving back.
const SMALL: usize = 8192;

/// A host or network as a number. Two may share one.
pub(super) type Place = u64;

/// Bans, at most one a jail for each host or network.
#[derive(Default)]
pub(super) struct Bans {
    table: HashTable<Ban>,
    /// Attackers choose addresses; they must not be able to choose places.
    hash: RandomState,
    /// How many hosts and networks are banned.
    subjects: usize,
}

impl Bans {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many hosts and networks they are of.
    pub(super) const fn subject_count(&self) -> usize {
        self.subjects
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Ban> {
        self.table.iter()
    }

    /// All of them, in no order. Whom they are of may not change.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Ban> {
        self.table.iter_mut()
    }

    /// Each host and network once, in no order.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        let is_first = |ban: &&Ban| self.of(ban.subject).all(|other| ban.jail <= other.jail);
        self.table.iter().filter(is_first).map(|ban| ban.subject)
    }

    /// Those of one host or network.
    pub(super) fn of(&self, subject: Subject) -> impl Iterator<Item = &Ban> {
        let all = self.table.iter_hash(self.place(subject));
        all.filter(move |ban| ban.subject == subject)
    }

    pub(super) fn get(&self, subject: Subject, jail: JailId) -> Option<&Ban> {
        self.of(subject).find(|ban| ban.jail == jail)
    }

    pub(super) fn get_mut(&mut self, subject: Subject, jail: JailId) -> Option<&mut Ban> {
        let place = self.place(subject);
        self.table.find_mut(place, |ban| is(ban, subject, jail))
    }

    /// Takes in a ban that is not among them yet, and says where it lies.
    pub(super) fn insert(&mut self, ban: Ban) -> Place {
        let place = self.place(ban.subject);
        let is_first = self.of(ban.subject).next().is_none();
        self.subjects += usize::from(is_first);
        let hash = &self.hash;
        self.table.insert_unique(place, ban, |ban| hash.hash_one(ban.subject));
        place
    }

    /// Of those at a place, the one that ends first.
    pub(super) fn soonest(&self, place: Place) -> Option<&Ban> {
        // What the table gives only looks alike.
        let here = self.table.iter_hash(place);
        let here = here.filter(|ban| self.place(ban.subject) == place);
        here.min_by_key(|ban| ban.until)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, subject: Subject, jail: JailId) -> Option<Ban> {
        let place = self.place(subject);
        let entry = self.table.find_entry(place, |ban| is(ban, subject, jail)).ok()?;
        let (ban, _) = entry.remove();
        let was_last = self.of(subject).next().is_none();
        self.subjects -= usize::from(was_last);
        Some(ban)
    }

    /// Gives back room that is hardly used.
    pub(super) fn shrink(&mut self) {
        let (len, room) = (self.table.len(), self.table.capacity());
        if room > SMALL && len < room / SPARSE {
            let hash = &self.hash;
            self.table.shrink_to(len * 2, |ban| hash.hash_one(ban.subject));
        }
    }

    /// Where the bans of a host or network lie.
    pub(super) fn place(&self, subject: Subject) -> Place {
        self.hash.hash_one(subject)
    }
}

fn is(ban: &Ban, subject: Subject, jail: JailId) -> bool {
    ban.subject == subject && ban.jail == jail
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::ban::{Expiry, Origin};

    fn ban(n: u32, jail: u16) -> Ban {
        Ban {
            subject: Subject::host(std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes())),
            jail: JailId(jail),
            origin: Origin::Jail,
            since: Timestamp::UNIX_EPOCH,
            until: Expiry::Never,
            failures: n,
        }
    }

    #[test]
    fn bans_of_many_hosts_and_jails_are_found_and_taken_out_one_by_one() {
        let mut bans = Bans::default();
        for n in 0..20_000 {
            for jail in 0..=(n % 3) as u16 {
                bans.insert(ban(n, jail));
            }
        }
        assert_eq!((bans.len(), bans.subject_count()), (39_999, 20_000));
        let subjects: Vec<Subject> = bans.subjects().collect();
        assert_eq!(subjects.len(), 20_000, "each once");
        assert_eq!(subjects.iter().collect::<BTreeSet<_>>().len(), 20_000);
        assert_eq!(bans.of(ban(2, 0).subject).count(), 3);
        for n in 0..20_000 {
            for jail in 0..=(n % 3) as u16 {
                let one = ban(n, jail);
                assert_eq!(bans.get(one.subject, one.jail), Some(&one));
                assert_eq!(bans.remove(one.subject, one.jail), Some(one));
            }
        }
        assert_eq!((bans.len(), bans.subject_count()), (0, 0));
    }

    #[test]
    fn the_room_of_many_is_given_back_when_few_are_left() {
        let mut bans = Bans::default();
        for n in 0..100_000 {
            bans.insert(ban(n, 0));
        }
        let full = bans.table.allocation_size();
        assert!(full < 100_000 * 160, "{full} bytes");
        for n in 100..100_000 {
            bans.remove(ban(n, 0).subject, JailId(0));
        }
        bans.shrink();
        assert!(bans.table.allocation_size() < full / 100);
        assert_eq!(bans.get(ban(99, 0).subject, JailId(0)), Some(&ban(99, 0)));
    }
}
