//! Lifts bans before their time.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Allowlist, Ledger};
use crate::ban::{Ban, Change, Expiry, Subject};

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
        let mut lifted = Lifted {
            bans: self.bans.all().filter(|ban| free(ban)).cloned().collect(),
            changes: Vec::new(),
        };
        if lifted.bans.is_empty() {
            return lifted;
        }
        for ban in &lifted.bans {
            self.bans.remove(ban.subject, ban.jail);
            *self.active.entry(ban.jail).or_default() -= 1;
        }
        let ends = self.bans.all().filter_map(|ban| match ban.until {
            Expiry::At(end) => Some(Reverse((end, self.bans.place(ban.subject)))),
            Expiry::Never => None,
        });
        self.ends = ends.collect();
        self.shrink();
        let subjects: BTreeSet<Subject> = lifted.bans.iter().map(|ban| ban.subject).collect();
        lifted.changes = subjects.into_iter().map(|subject| self.change(subject)).collect();
        lifted
    }
}
