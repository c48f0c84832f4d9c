//! One map of bans: what of it the agent knows to be there, and how it is changed many elements at a time.

use std::hash::Hash;

use ahash::HashSet;
use anyhow::{Error, Result, anyhow};
use aya::Pod;
use aya::maps::MapData;
use blocker_common::map::Ban;
use nix::libc;

use super::elements::{Elements, Halt, MAX};
use super::keys::Key;
use crate::ban::{Networks, Subject};
use crate::firewall::view::{Entries, Map};

/// A map of bans, by a key.
pub(super) struct Table<K> {
    elements: Elements<K, Ban>,
    /// The setting that says how many elements there may be.
    setting: &'static str,
    /// What was put there and not taken out. Where somebody else changes the map, only counts of packets may suffer.
    known: HashSet<K>,
    entries: Entries,
}

/// What is to be done in one map. The number of the change that asks for it stands beside each.
pub(super) struct Work<K> {
    pub(super) put: Vec<(usize, K, Ban)>,
    pub(super) take: Vec<(usize, K)>,
}

impl<K> Default for Work<K> {
    fn default() -> Self {
        Self {
            put: Vec::new(),
            take: Vec::new(),
        }
    }
}

/// What went wrong, for which change.
pub(super) type Failed = Vec<(usize, Error)>;

impl<K: Pod + Eq + Hash + Key> Table<K> {
    pub(super) fn open(map: &MapData, setting: &'static str) -> Result<Self> {
        Ok(Self {
            elements: Elements::open(map)?,
            setting,
            known: HashSet::default(),
            entries: Entries::default(),
        })
    }

    /// Hands every ban that the kernel has to `each`.
    pub(super) fn dump(&self, each: impl FnMut(Subject, Ban)) -> std::io::Result<()> {
        dump(&self.elements, each)
    }

    /// What the kernel has for a key; a trie answers with the narrowest network around it.
    pub(super) fn get(&self, key: &K) -> std::io::Result<Option<Ban>> {
        self.elements.get(key)
    }

    /// How full it is, under this name.
    pub(super) fn map(&self, name: &str) -> Map {
        self.elements.map(name, &self.entries)
    }

    /// How many bans are there.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Does what is to be done, as far as the kernel lets it.
    pub(super) fn carry_out(&mut self, work: Work<K>, failed: &mut Failed) {
        self.take(&work.take, failed);
        let (known, new): (Vec<_>, Vec<_>) = work.put.into_iter().partition(|(_, key, _)| self.known.contains(key));
        // What is there goes on counting where it stands.
        for (change, key, ban) in known {
            let held = self.elements.get(&key).ok().flatten();
            let held = held.filter(|held| held.terms.prefix_len() == ban.terms.prefix_len());
            let ban = held.map_or(ban, |held| Ban {
                packets: held.packets,
                last_packet: held.last_packet,
                ..ban
            });
            if let Err(Halt { error, .. }) = self.elements.update(&[key], &[ban]) {
                failed.push((change, self.explain(error)));
            }
        }
        self.put(&new, failed);
        self.entries.note(self.known.len());
    }

    /// Has the allowlist be asked about each ban that one of these networks touches. All are tried; the first error is told.
    pub(super) fn ask_for(&self, allowed: &Networks) -> Result<()> {
        let mut result = Ok(());
        for key in &self.known {
            if let Some(subject) = key.subject()
                && allowed.touch(subject)
            {
                result = result.and(self.mark(key, subject));
            }
        }
        result
    }

    fn mark(&self, key: &K, subject: Subject) -> Result<()> {
        let held = self.elements.get(key)?;
        // A trie answers with the network around it where it does not have it.
        let Some(held) = held.filter(|held| held.terms.prefix_len() == subject.network().prefix_len()) else {
            return Ok(());
        };
        let ban = Ban {
            terms: held.terms.with_clear(false),
            ..held
        };
        let update = || self.elements.update(&[*key], &[ban]).map_err(|halt| halt.error);
        match update() {
            // A full trie does not even take what it has, before Linux 6.13.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                self.elements.delete(&[*key]).map_err(|halt| halt.error)?;
                Ok(update()?)
            }
            result => Ok(result?),
        }
    }

    fn put(&mut self, new: &[(usize, K, Ban)], failed: &mut Failed) {
        for chunk in new.chunks(MAX) {
            let keys: Vec<K> = chunk.iter().map(|(_, key, _)| *key).collect();
            let bans: Vec<Ban> = chunk.iter().map(|(_, _, ban)| *ban).collect();
            let mut at = 0;
            while at < keys.len() {
                let (done, error) = match self.elements.update(&keys[at..], &bans[at..]) {
                    Ok(()) => (keys.len() - at, None),
                    Err(Halt { done, error }) => (done, Some(error)),
                };
                self.known.extend(&keys[at..at + done]);
                at += done;
                if let Some(error) = error {
                    failed.push((chunk[at].0, self.explain(error)));
                    at += 1;
                }
            }
        }
    }

    fn take(&mut self, gone: &[(usize, K)], failed: &mut Failed) {
        for chunk in gone.chunks(MAX) {
            let keys: Vec<K> = chunk.iter().map(|(_, key)| *key).collect();
            let mut at = 0;
            while at < keys.len() {
                let (done, error) = match self.elements.delete(&keys[at..]) {
                    Ok(()) => (keys.len() - at, None),
                    Err(Halt { done, error }) => (done, Some(error)),
                };
                for key in &keys[at..at + done] {
                    self.known.remove(key);
                }
                at += done;
                let Some(error) = error else { continue };
                if error.raw_os_error() == Some(libc::ENOENT) {
                    // It is not there, as it should be.
                    self.known.remove(&keys[at]);
                } else {
                    failed.push((chunk[at].0, self.explain(error)));
                }
                at += 1;
            }
        }
    }

    fn explain(&self, error: std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::E2BIG | libc::ENOSPC) => anyhow!(
                "the kernel's map is full with {} bans; raise `{}` under [firewall] in blocker.toml and restart",
                self.elements.capacity(),
                self.setting
            ),
            _ => error.into(),
        }
    }
}

/// Hands every ban of a map to `each`.
pub(super) fn dump<K: Pod + Key>(
    elements: &Elements<K, Ban>,
    mut each: impl FnMut(Subject, Ban),
) -> std::io::Result<()> {
    elements.dump(|key: K, ban| {
        if let Some(subject) = key.subject() {
            each(subject, ban);
        }
    })
}
