//! What becomes of bans and failures when the wall clock is set.
//!
//! The kernel ends bans by a clock of its own, which nobody sets. So that nobody is let in early or held too long, everything that is
//! remembered moves with the wall clock: a ban has as long to go as before, and failures lie as far back.

use jiff::{SignedDuration, Timestamp};

use super::{Judge, Lines};
use crate::jail::Jail;
use crate::ledger::Ledger;
use crate::ledger::store::Store;

impl Judge {
    /// What time it is, after everything has moved if the clock was set.
    pub(super) fn now(&mut self) -> Timestamp {
        let (now, step) = self.clock.read();
        if let Some(step) = step {
            let counted = (&mut self.jails[..], &mut self.lines);
            was_set(step, now, &mut self.ledger, counted, &mut self.store);
        }
        now
    }
}

/// Moves everything that is remembered with the clock, which was set by `step` and says `now` since then.
pub(in crate::agent) fn was_set(
    step: SignedDuration,
    now: Timestamp,
    ledger: &mut Ledger,
    (jails, lines): (&mut [(String, Jail)], &mut Lines),
    store: &mut Store,
) {
    tracing::warn!(
        by = format!("{step:#}"),
        bans = ledger.count(),
        "the clock was set; bans go on for as long as they would have"
    );
    ledger.clock_was_set(step);
    for (_, jail) in jails {
        jail.clock_was_set(step);
    }
    lines.clock_was_set(step);
    store.clock_was_set(step, now);
}
