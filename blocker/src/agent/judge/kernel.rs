//! How the judge looks after the kernel: what it holds and what not, what it has refused, and which interfaces there are.

use std::ops::Bound;
use std::sync::PoisonError;
use std::time::Instant;

use jiff::Timestamp;

use super::{Judge, RETRIES};
use crate::agent::reconcile::Reconcile;
use crate::ban::{Change, Subject};
use crate::memory;

impl Judge {
    /// What of the refused is to be tried next: in turn, since where one map is full, others may have room.
    pub(super) fn next_refused(&mut self) -> Vec<Subject> {
        let after = self.tried.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<Subject> = self
            .refused
            .range((after, Bound::Unbounded))
            .take(RETRIES)
            .copied()
            .collect();
        // Behind the last of all comes the first.
        self.tried = next.last().copied().filter(|_| next.len() == RETRIES);
        next
    }

    pub(super) fn links_changed(&mut self) -> bool {
        self.links.changed(Instant::now()).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot listen for changes of network interfaces");
            false
        })
    }

    /// Has the firewall look at the interfaces.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        let names: Vec<String> = self.jails.iter().map(|(name, _)| name.clone()).collect();
        let mut firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(firewall) = firewall.as_deref_mut() else {
            return;
        };
        let mut in_force = Reconcile {
            ledger: &mut self.ledger,
            store: &mut self.store,
            jails: &names,
            now,
            refused: &mut self.refused,
        };
        firewall.refresh(&mut in_force, Instant::now());
    }

    /// Compares what the kernel holds with what it is to hold, and mends it.
    pub(super) fn compare(&mut self, now: Timestamp) {
        let wanted: Vec<Change> = self.ledger.changes().collect();
        let found = {
            let mut firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(firewall) = firewall.as_deref_mut() else {
                return;
            };
            firewall.compare(&wanted, now)
        };
        // What it has refused is known, and tried again anyway.
        let found = found.map(|mut differing| {
            differing.retain(|change| !self.refused.contains(&change.subject));
            differing
        });
        match found {
            Ok(differing) if differing.is_empty() => {}
            Ok(differing) => {
                self.metrics.mended.inc_by(differing.len() as u64);
                let rejected = self.apply(&differing, now);
                tracing::warn!(
                    differing = differing.len(),
                    mended = differing.len() - rejected.len(),
                    "the kernel did not hold what it is to hold; somebody else has changed it"
                );
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "what the kernel holds cannot be read; trying again in a minute"
            ),
        }
        self.metrics.enforced(wanted.len(), self.refused.len());
        drop(wanted);
        memory::give_back();
    }
}
