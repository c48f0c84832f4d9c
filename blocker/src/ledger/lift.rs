//! Lifts bans before their time.

use std::cmp::Reverse;

use super::{Allowlist, Ledger};
use crate::ban::{Ban, Change, Subject};

/// Bans that were lifted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// Which they were.
    pub bans: Vec<Ban>,
    /// What that changes in the kernel.
    pub changes: Vec<Change>,
}

impl Ledger {
    /// Takes another allowlist, and lifts the bans that it covers.
    pub fn set_allowlist(&mut self, allowlist: Allowlist) -> Lifted {
        let lifted = self.lift(|ban| allowlist.covers(ban.subject));
        self.allowlist = allowlist;
        lifted
    }

    /// Lifts every ban of which `free` says so.
    pub fn lift(&mut self, free: impl Fn(&Ban) -> bool) -> Lifted {
        let mut lifted = Lifted::default();
        let mut subjects: Vec<Subject> = Vec::new();
        for (subject, bans) in &mut self.bans {
            let before = lifted.bans.len();
            lifted.bans.extend(bans.extract_if(.., |ban| free(ban)));
            if lifted.bans.len() > before {
                subjects.push(*subject);
            }
        }
        if subjects.is_empty() {
            return lifted;
        }
        self.bans.retain(|_, bans| !bans.is_empty());
        self.count -= lifted.bans.len();
        for ban in &lifted.bans {
            *self.active.entry(ban.jail).or_default() -= 1;
        }
        let bans = &self.bans;
        self.ends.retain(|Reverse((_, subject, jail))| {
            let known = bans.get(subject);
            known.is_some_and(|bans| bans.iter().any(|ban| ban.jail == *jail))
        });
        lifted.changes = subjects.into_iter().map(|subject| self.change(subject)).collect();
        lifted
    }
}
