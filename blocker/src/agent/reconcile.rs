//! Keeps kernel and ledger equal when a firewall is opened: what a former agent left in force is taken into the ledger, and what the
//! ledger holds is put into the kernel.
//!
//! The ledger is read from its database before, and is the truth: of what both hold, the database's end counts. What the kernel
//! alone holds was made while the database could not be written, or before it was lost: it is taken in, unless the database says that
//! it was lifted.

use std::collections::BTreeSet;

use anyhow::Result;
use jiff::Timestamp;

use crate::ban::{Ban, Change, JailId, Origin, Subject};
use crate::firewall::{Firewall, InForce, Inherited, Rejected};
use crate::ledger::store::Store;
use crate::ledger::{Entry, Ledger};

/// Changes that are put into the kernel at a time: enough for its batches, and little memory.
const TOGETHER: usize = 8192;

/// The ledger, and the names of the jails in the order of their identities.
pub(super) struct Reconcile<'a> {
    pub(super) ledger: &'a mut Ledger,
    pub(super) store: &'a mut Store,
    pub(super) jails: &'a [String],
    pub(super) now: Timestamp,
    /// Whom the kernel has refused to hold.
    pub(super) refused: &'a mut BTreeSet<Subject>,
}

impl InForce for Reconcile<'_> {
    /// Bans of jails that are not configured any more end here.
    fn take_over(&mut self, left: Vec<Inherited>) {
        let (mut taken, mut lifted) = (0_usize, 0_usize);
        for Inherited { jail, subject, until } in left {
            let Some(id) = self.jails.iter().position(|known| **known == *jail) else {
                lifted += 1;
                continue;
            };
            // There are at most as many jails as the kernel counts for.
            let jail = JailId(id as u16);
            if self.ledger.get(subject, jail).is_some() {
                taken += 1;
                continue;
            }
            if self.store.is_lifted(subject, jail) {
                lifted += 1;
                continue;
            }
            let ban = Ban {
                subject,
                jail,
                origin: Origin::Jail,
                since: self.now,
                until,
                failures: 0,
            };
            match self.ledger.enter(ban.clone()) {
                Entry::New(_) | Entry::Extended(_) | Entry::Known => {
                    taken += 1;
                    self.store.take_in(&ban);
                }
                Entry::Allowed | Entry::Full => lifted += 1,
            }
        }
        if taken + lifted > 0 {
            tracing::info!(bans = taken, lifted, "bans that were in force are taken over");
        }
    }

    fn fill(&mut self, firewall: &mut dyn Firewall) -> Result<()> {
        firewall.allow(self.ledger.allowlist().networks())?;
        let (mut rejected, mut first) = (0, None);
        let mut all = self.ledger.changes();
        loop {
            let changes: Vec<Change> = all.by_ref().take(TOGETHER).collect();
            if changes.is_empty() {
                break;
            }
            let refused = firewall.apply(&changes, self.now);
            rejected += refused.len();
            self.refused
                .extend(refused.iter().map(|refused| changes[refused.change].subject));
            first = first.or_else(|| refused.into_iter().next());
        }
        if let Some(Rejected { error, .. }) = first {
            tracing::error!(
                bans = rejected,
                error = format!("{error:#}"),
                "bans are not enforced; trying again every second"
            );
        }
        Ok(())
    }
}
